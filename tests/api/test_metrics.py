"""/metrics: who may read it, and that no request, however odd, makes a series that was not there."""

import asyncio
import urllib.request

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from app.telemetry import metrics
from tests.api.running import Api, handshake

KINDS = ("sqlite",)
OPEN_METRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
ODD = ("/nowhere", "/api/v1/clusters/%00", "/api/v1/instances/x/operate/more", "//", "/metrics/", "/assets/x")


async def series(api: Api) -> set[tuple[str, ...]]:
    answer = await asked(api)
    return {
        (sample.name, *sorted(sample.labels.values()))
        for family in text_string_to_metric_families(answer.text)  # type: ignore[no-untyped-call]
        for sample in family.samples
    }


async def asked(api: Api) -> httpx.Response:
    return await api.admin.get("http://cmp/metrics", headers=OPEN_METRICS)


async def test_it_asks_who_reads(api: Api) -> None:
    assert (await api.nobody.get("http://cmp/metrics")).status_code == 401
    assert (await (await api.user()).get("http://cmp/metrics")).status_code == 403
    answer = await asked(api)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    plain = await api.admin.get("http://cmp/metrics")
    assert plain.headers["content-type"].startswith("text/plain")
    assert "# TYPE cmp_http_requests_total counter" in plain.text


async def test_requests_are_counted_by_template_and_outcome(api: Api) -> None:
    user = await api.user()
    cluster = await user.cluster()
    for key in (cluster["id"], cluster["name"], "not-there"):
        await user.get(f"/clusters/{key}")
    names = ("cmp_http_requests_total", "GET", "/api/v1/clusters/{cluster}")
    found = await series(api)
    assert {(names[0], *sorted((*names[1:], status))) for status in ("200", "404")} <= found
    said = (await asked(api)).text
    assert cluster["name"] not in said
    assert cluster["id"] not in said
    assert "not-there" not in said


async def test_odd_requests_make_no_new_series(api: Api) -> None:
    async def odd(word: str) -> None:
        for path in ODD:
            for method in ("GET", "POST", f"{word.upper()}"):
                await api.admin.request(method, f"http://cmp{path}?{word}", headers={"X-Request-ID": word})
        dialog = await handshake(api.app, f"/api/v1/{word}")
        assert dialog.refusal is not None

    await odd("brew")
    before = await series(api)
    for number in range(20):
        await odd(f"brew{chr(97 + number)}")
    assert await series(api) - before == set()


def test_a_port_of_its_own_asks_nobody() -> None:
    port = metrics.serve("127.0.0.1", 0)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        assert b"cmp_build_info" in answer.read()
    with pytest.raises(ValueError, match="CMP_METRICS_PORT"):
        metrics.serve("127.0.0.1", port)


async def test_what_follows_events_is_open_until_it_leaves(api: Api) -> None:
    async with api.state.broadcaster.listening(None):
        assert "cmp_event_streams_open 1.0" in (await asked(api)).text
    await asyncio.sleep(0)
    assert "cmp_event_streams_open 0.0" in (await asked(api)).text
