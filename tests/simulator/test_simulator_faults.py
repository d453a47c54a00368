"""Every fault does what it says, to what it says, as often as it says; and the journal remembers."""

import asyncio

import httpx
import orjson
import pytest

from simulator.faults import ANSWERS, KINDS, Faults
from tests.simulator.rig import MAPS, Rig, config_map


@pytest.mark.parametrize("kind", ANSWERS)
async def test_answers_keep_the_request_from_happening(rig: Rig, kind: str) -> None:
    await rig.fault(kind, verb="create", resource="configmaps", retry_after=7)
    answer = await rig.call("POST", MAPS, config_map("a"))
    assert answer.status_code == int(kind)
    assert answer.json()["kind"] == "Status"
    assert answer.json()["code"] == int(kind)
    assert answer.headers.get("retry-after") == ("7" if kind == "429" else None)
    assert (await rig.call("GET", f"{MAPS}/a")).status_code == 404
    entry = (await rig.admin("GET", "/journal"))["items"][-1]
    assert (entry["fault"], entry["applied"], entry["status"]) == (kind, False, int(kind))


async def test_a_rule_hits_only_what_it_names(rig: Rig) -> None:
    await rig.fault("500", verb="create", resource="config*", namespace="default", name="*", user_agent="tests/*")
    assert (await rig.call("POST", MAPS, config_map("a"))).status_code == 500
    assert (await rig.call("GET", MAPS)).status_code == 200
    elsewhere = MAPS.replace("default", "kube-system")
    assert (await rig.call("POST", elsewhere, config_map("a"))).status_code == 201
    assert (await rig.call("POST", MAPS.replace("configmaps", "secrets"), config_map("a"))).status_code == 201
    other = await rig.call("POST", MAPS, config_map("a"), **{"User-Agent": "other/1"})
    assert other.status_code == 201


async def test_a_rule_hits_so_often(rig: Rig) -> None:
    await rig.fault("500", verb="get", resource="namespaces", skip=2, count=3)
    codes = [(await rig.call("GET", "/api/v1/namespaces/default")).status_code for _ in range(8)]
    assert codes == [200, 200, 500, 500, 500, 200, 200, 200]


async def test_chance_can_be_replayed(rig: Rig) -> None:
    async def hits(seed: int) -> list[int]:
        rule = await rig.fault("500", verb="get", resource="namespaces", probability=0.5, seed=seed)
        codes = [(await rig.call("GET", "/api/v1/namespaces/default")).status_code for _ in range(20)]
        await rig.admin("DELETE", f"/faults/{rule}")
        return codes

    first = await hits(1)
    assert first == await hits(1)
    assert set(first) == {200, 500}
    assert first != await hits(2)


async def test_rules_are_listed_and_removed(rig: Rig) -> None:
    first = await rig.fault("500", resource="pods")
    await rig.fault("503")
    assert [rule["kind"] for rule in (await rig.admin("GET", "/faults"))["items"]] == ["500", "503"]
    await rig.admin("DELETE", f"/faults/{first}")
    assert [rule["kind"] for rule in (await rig.admin("GET", "/faults"))["items"]] == ["503"]
    await rig.admin("DELETE", "/faults")
    assert (await rig.call("GET", MAPS)).status_code == 200


@pytest.mark.parametrize(
    "rule", [{}, {"kind": "x"}, {"kind": "500", "colour": 1}, {"kind": "500", "probability": "x"}, {"kind": 500.5}]
)
def test_rules_that_are_none(rule: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"kind|colour|probability"):
        Faults().add(rule)


def test_every_kind_is_described() -> None:
    from simulator import faults

    text = faults.__doc__ or ""
    assert [kind for kind in KINDS if f"`{kind}`" not in text] == []


async def test_reset_before_does_nothing(rig: Rig) -> None:
    await rig.fault("reset_before", verb="create", resource="configmaps", count=1)
    with pytest.raises(httpx.ReadError):
        await rig.call("POST", MAPS, config_map("a"))
    assert (await rig.call("GET", f"{MAPS}/a")).status_code == 404


async def test_reset_after_has_done_it(rig: Rig) -> None:
    await rig.fault("reset_after", verb="create", resource="configmaps", count=1)
    with pytest.raises(httpx.ReadError):
        await rig.call("POST", MAPS, config_map("a", k="v"))
    assert (await rig.ok("GET", f"{MAPS}/a"))["data"] == {"k": "v"}
    entry = (await rig.admin("GET", "/journal"))["items"][-1]
    assert (entry["fault"], entry["applied"], entry["status"]) == ("reset_after", True, 0)


async def test_half_open_has_done_it_and_says_nothing(rig: Rig) -> None:
    await rig.fault("half_open", verb="create", resource="configmaps", count=1)
    with pytest.raises(httpx.ReadTimeout):
        await rig.http.post(MAPS, json=config_map("a"), timeout=0.3)
    assert (await rig.call("GET", f"{MAPS}/a")).status_code == 200


async def test_timeout_says_nothing_and_does_nothing(rig: Rig) -> None:
    await rig.fault("timeout", verb="create", resource="configmaps", count=1)
    with pytest.raises(httpx.ReadTimeout):
        await rig.http.post(MAPS, json=config_map("a"), timeout=0.3)
    assert (await rig.call("GET", f"{MAPS}/a")).status_code == 404


async def test_slow_is_slow_and_then_does_it(rig: Rig) -> None:
    await rig.fault("slow", verb="create", resource="configmaps", seconds=3, count=1)
    slow = asyncio.create_task(rig.call("POST", MAPS, config_map("a")))
    await asyncio.sleep(0.1)
    assert (await rig.call("GET", f"{MAPS}/a")).status_code == 404
    assert (await slow).status_code == 201


async def test_truncated_is_no_json(rig: Rig) -> None:
    await rig.fault("truncated", verb="list", resource="configmaps", count=1)
    answer = await rig.call("GET", MAPS)
    assert answer.status_code == 200
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(answer.content)


async def test_a_stale_list_is_the_past(rig: Rig) -> None:
    await rig.ok("POST", MAPS, config_map("a", k="1"))
    await rig.ok("PATCH", f"{MAPS}/a", {"data": {"k": "2"}})
    await rig.fault("stale_list", resource="configmaps", behind=1)
    found = await rig.ok("GET", MAPS)
    assert [item["data"] for item in found["items"] if item["metadata"]["name"] == "a"] == [{"k": "1"}]
    assert (await rig.ok("GET", f"{MAPS}/a"))["data"] == {"k": "1"}


async def test_gone_is_gone_for_lists_and_watches(rig: Rig) -> None:
    await rig.fault("410", resource="configmaps")
    for query in ("", "?watch=1"):
        answer = await rig.call("GET", f"{MAPS}{query}")
        assert answer.status_code == 410
        assert answer.json()["reason"] == "Expired"


async def test_compaction_makes_versions_too_old(rig: Rig) -> None:
    since = await rig.revision(MAPS)
    page = await rig.ok("GET", "/api/v1/namespaces?limit=1")
    await rig.ok("POST", MAPS, config_map("a"))
    await rig.admin("POST", "/compact")
    async with rig.watch(MAPS, f"resourceVersion={since}") as watch:
        assert watch.status == 200
        error = await watch.next()
    assert error["type"] == "ERROR"
    assert (error["object"]["code"], error["object"]["reason"]) == (410, "Expired")
    token = page["metadata"]["continue"]
    await rig.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "new"}})
    expired = await rig.call("GET", f"/api/v1/namespaces?limit=1&continue={token}")
    assert expired.status_code == 410
    assert expired.json()["reason"] == "Expired"
    inconsistent = expired.json()["metadata"]["continue"]
    rest = await rig.ok("GET", f"/api/v1/namespaces?continue={inconsistent}")
    names = [item["metadata"]["name"] for item in rest["items"]]
    assert "new" in names
    assert page["items"][0]["metadata"]["name"] not in names


async def test_a_dropped_watch_ends(rig: Rig) -> None:
    await rig.fault("watch_drop", resource="configmaps", after=2)
    async with rig.watch(MAPS, f"resourceVersion={await rig.revision(MAPS)}") as watch:
        for name in "abc":
            await rig.ok("POST", MAPS, config_map(name))
        assert len(await watch.rest()) == 2


async def test_a_reset_watch_breaks(rig: Rig) -> None:
    await rig.fault("watch_reset", resource="configmaps", after=1)
    async with rig.watch(MAPS, f"resourceVersion={await rig.revision(MAPS)}") as watch:
        await rig.ok("POST", MAPS, config_map("a"))
        assert (await watch.next())["type"] == "ADDED"
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            await watch.rest()


async def test_a_watch_that_is_told_410(rig: Rig) -> None:
    await rig.fault("watch_410", resource="configmaps", after=1)
    async with rig.watch(MAPS, f"resourceVersion={await rig.revision(MAPS)}") as watch:
        await rig.ok("POST", MAPS, config_map("a"))
        added, error = await watch.rest()
    assert added["type"] == "ADDED"
    assert (error["type"], error["object"]["code"]) == ("ERROR", 410)


async def test_a_stalled_watch_sends_no_byte(rig: Rig) -> None:
    await rig.admin("PATCH", "/settings", {"bookmark_interval": 0.1})
    await rig.fault("watch_stall", resource="configmaps", after=1)
    since = await rig.revision(MAPS)
    async with rig.watch(MAPS, f"allowWatchBookmarks=true&resourceVersion={since}") as watch:
        await rig.ok("POST", MAPS, config_map("a"))
        while (await watch.next())["type"] == "BOOKMARK":
            pass
        await rig.ok("POST", MAPS, config_map("b"))
        assert await watch.silent(0.5)


async def test_a_watch_that_loses_events_still_sends_bookmarks(rig: Rig) -> None:
    await rig.admin("PATCH", "/settings", {"bookmark_interval": 0.1})
    await rig.fault("watch_lose", resource="configmaps")
    since = await rig.revision(MAPS)
    async with rig.watch(MAPS, f"allowWatchBookmarks=true&resourceVersion={since}") as watch:
        made = await rig.ok("POST", MAPS, config_map("a"))
        while True:
            line = await watch.next()
            assert line["type"] == "BOOKMARK"
            if int(line["object"]["metadata"]["resourceVersion"]) >= int(made["metadata"]["resourceVersion"]):
                break


async def test_duplicated_events(rig: Rig) -> None:
    await rig.fault("watch_duplicate", resource="configmaps")
    async with rig.watch(MAPS, f"resourceVersion={await rig.revision(MAPS)}") as watch:
        await rig.ok("POST", MAPS, config_map("a"))
        first, second = await watch.take(2)
    assert first == second


async def test_reordered_events(rig: Rig) -> None:
    await rig.fault("watch_reorder", resource="configmaps")
    async with rig.watch(MAPS, f"resourceVersion={await rig.revision(MAPS)}") as watch:
        for name in "abcd":
            await rig.ok("POST", MAPS, config_map(name))
        seen = [line["object"]["metadata"]["name"] for line in await watch.take(4)]
    assert seen == ["b", "a", "d", "c"]


async def test_all_watches_can_be_closed(rig: Rig) -> None:
    async with rig.watch(MAPS, f"resourceVersion={await rig.revision(MAPS)}") as watch:
        await rig.admin("POST", "/watches/close")
        assert await watch.rest() == []


async def test_the_journal_knows_what_was_aimed_at(rig: Rig) -> None:
    await rig.admin("DELETE", "/journal")
    made = await rig.ok("POST", MAPS, {"metadata": {"name": "a", "labels": {"x": "1"}}})
    await rig.ok("PATCH", f"{MAPS}/a?fieldManager=me", {"data": {"k": "1"}})
    await rig.call("DELETE", f"{MAPS}/a", {"preconditions": {"uid": "other"}})
    await rig.call("DELETE", f"{MAPS}/a", {"preconditions": {"uid": made["metadata"]["uid"]}})
    await rig.call("GET", f"{MAPS}/a")
    created, patched, refused, deleted = (await rig.admin("GET", "/journal"))["items"]
    assert (created["verb"], created["name"], created["target_uid"]) == ("create", "a", "")
    assert (patched["verb"], patched["field_manager"], patched["target_labels"]) == ("patch", "me", {"x": "1"})
    assert (refused["precondition_uid"], refused["status"], refused["applied"]) == ("other", 409, False)
    assert (deleted["target_uid"], deleted["status"], deleted["applied"]) == (made["metadata"]["uid"], 200, True)
    assert created["user_agent"] == "tests/1"
    newer = (await rig.admin("GET", f"/journal?since={refused['number']}"))["items"]
    assert [entry["number"] for entry in newer] == [deleted["number"]]


async def test_what_the_admin_endpoint_does_not_know(rig: Rig) -> None:
    for method, path, code in (
        ("GET", "/nonsense", 404),
        ("POST", "/nodes/none/down", 404),
        ("PATCH", "/settings", 400),
        ("POST", "/faults", 400),
    ):
        answer = await rig.call(method, f"/__simulator__{path}", {"nonsense": 1})
        assert answer.status_code == code, path
    help_text = (await rig.call("GET", "/__simulator__/nonsense")).json()["help"]
    assert "/faults" in help_text
