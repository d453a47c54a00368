"""What two processes tell of one wish: one trace, log lines that name it, numbers. PostgreSQL, API and worker apart."""

import json
import os
import re
import signal
import urllib.request
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from testbed import Unavailable
from testbed.databases import PostgreSQL
from testbed.traces import Collector, Receiver, Span
from tests.e2e.platform import ROOT, Platform, eventually, free_port, running, simulator, user
from tests.secrets_in_logs import found_in

WISH = {"instance_type": "container", "cpu_per_instance": "100m", "memory_per_instance": 64, "image": "nginx:latest"}


@pytest.fixture(scope="module", params=["receiver", pytest.param("collector", marks=pytest.mark.stack)])
def sink(request: pytest.FixtureRequest) -> Iterator[Receiver | Collector]:
    try:
        chosen: Receiver | Collector = Collector() if request.param == "collector" else Receiver()
    except Unavailable as reason:
        pytest.skip(str(reason))
    with chosen:
        yield chosen


@pytest.fixture(scope="module")
def platform(sink: Receiver | Collector, postgresql: PostgreSQL, tmp_path_factory: Any) -> Iterator[Platform]:
    extra = {"CMP_OTLP_ENDPOINT": sink.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "100", "CMP_LOG_FORMAT": "json"}
    ports = [str(free_port()) for _ in range(2)]
    url = postgresql.create_database(f"t{uuid.uuid4().hex[:12]}")
    with simulator() as kubernetes:
        started = Platform(
            tmp_path_factory.mktemp("platform"),
            kubernetes,
            url,
            separate_worker=True,
            extra=extra | {"CMP_METRICS_PORT": ports[0]},
            workers_own={"CMP_METRICS_PORT": ports[1], "CMP_METRICS_SECONDS": "0.2"},
        )
        with running(started):
            yield started


@pytest.fixture(scope="module")
async def ada(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    async with user(platform, "ada") as client:
        yield client


async def test_a_wish_is_one_trace_through_both_processes(ada: httpx.AsyncClient, sink: Receiver | Collector) -> None:
    trace = uuid.uuid4().hex
    caller = "00f067aa0ba902b7"
    headers = {"traceparent": f"00-{trace}-{caller}-01"}
    made = await ada.post("/clusters/?wait=30", json={"name": "traced", "instance_count": 2, **WISH}, headers=headers)
    assert (made.status_code, made.json()["phase"]) == (201, "running")

    async def whole() -> dict[str, Span] | None:
        spans = {span.id: span for span in sink.spans() if span.trace == trace}
        settled = [span for span in _named(spans, "database transaction") if span.service == "cmp-worker"]
        return spans if settled and _named(spans, "POST /api/v1/clusters/") else None

    spans = await eventually(whole, "the whole trace")
    (request,) = _named(spans, "POST /api/v1/clusters/")
    assert (request.parent, request.service) == (caller, "cmp-api")
    assert {span.service for span in spans.values()} == {"cmp-api", "cmp-worker"}
    assert [span.name for span in spans.values() if span.parent not in {*spans, caller}] == []
    pods = _named(spans, "kubernetes create pods")
    assert len(pods) == 2
    for pod in pods:
        assert (pod.service, pod.attributes["http.response.status_code"]) == ("cmp-worker", "201")
        visit = spans[pod.parent]
        assert (visit.name, visit.attributes["operation_id"]) == ("reconcile", made.json()["operation"]["id"])
        assert _beginning(visit, spans) == request
    asked = request.attributes["url.query"]
    assert asked == "***"


async def test_what_nobody_asked_for_is_not_traced(sink: Receiver | Collector) -> None:
    """Sweeps, caches, heartbeats, probes: every trace begins with a request."""
    beginnings = {span.name.split()[0] for span in sink.spans() if not span.parent}
    assert beginnings <= {"GET", "POST"}
    assert not [span for span in sink.spans() if "/readyz" in span.name]
    assert found_in(str(sink.spans())) is None


async def test_lines_of_both_processes_name_the_request(ada: httpx.AsyncClient, platform: Platform) -> None:
    assert platform.worker is not None
    os.kill(platform.worker.pid, signal.SIGUSR1)
    made = await ada.post(
        "/clusters/?wait=30", json={"name": "logged", "instance_count": 1, **WISH}, headers={"X-Request-ID": "ask-1"}
    )

    async def noted() -> list[dict[str, Any]]:
        return _lines(platform, "api", lambda line: line.get("request_id") == "ask-1")

    (access,) = await eventually(noted, "the line of the request")
    assert (access["event"], access["method"], access["path"], access["status"]) == (
        "request", "POST", "/api/v1/clusters/", 201,
    )  # fmt: skip
    assert len(access["trace_id"]) == 32
    calls = _lines(platform, "worker", lambda line: line["event"] == "kubernetes.call" and "ask-1" in str(line))
    made_pod = [line for line in calls if line["verb"] == "create" and line["path"].endswith("/pods")]
    assert [line["operation_id"] for line in made_pod] == [made.json()["operation"]["id"]]
    assert {(line["request_id"], line["cluster_id"], line["trace_id"]) for line in calls} == {
        ("ask-1", made.json()["id"], access["trace_id"])
    }
    os.kill(platform.worker.pid, signal.SIGUSR2)
    await ada.post(
        "/clusters/?wait=30", json={"name": "quiet", "instance_count": 1, **WISH}, headers={"X-Request-ID": "ask-2"}
    )
    assert _lines(platform, "worker", lambda line: "ask-2" in str(line)) == []


async def test_each_process_has_its_numbers_on_its_own_port(platform: Platform) -> None:
    assert 'route="/api/v1/clusters/",status="201"} 3.0' in _numbers(platform.extra["CMP_METRICS_PORT"])

    async def surveyed() -> str | None:
        said = _numbers(platform.workers_own["CMP_METRICS_PORT"])
        return said if 'cmp_instances{instance_type="container",status="running"} 4.0' in said else None

    worker = await eventually(surveyed, "a survey of the four instances")
    assert 'cmp_workers{kubernetes="up"} 1.0' in worker
    assert 'cmp_operations_finished_total{kind="cluster.create",outcome="succeeded"} 3.0' in worker


async def test_what_alerts_and_dashboards_ask_for_is_exported(platform: Platform) -> None:
    said = "".join(_numbers(owner["CMP_METRICS_PORT"]) for owner in (platform.extra, platform.workers_own))
    exported = set(re.findall(r"^# TYPE (\S+) ", said, re.MULTILINE))
    files = (ROOT / "deploy/monitoring").rglob("*")
    asked = {name for file in files if file.is_file() for name in re.findall(r"\bcmp_[a-z_]+", file.read_text())}
    assert len(asked) > 20
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in asked} - exported == set()


def _named(spans: dict[str, Span], name: str) -> list[Span]:
    return [span for span in spans.values() if span.name == name]


def _beginning(span: Span, spans: dict[str, Span]) -> Span:
    while span.parent in spans:
        span = spans[span.parent]
    return span


def _lines(platform: Platform, which: str, wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    written = Path(platform.data_dir / f"{which}.log").read_text().splitlines()
    return [line for text in written if text.startswith("{") and wanted(line := json.loads(text))]


def _numbers(port: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return str(answer.read().decode())
