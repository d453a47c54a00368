"""The cache against a server that does everything wrong that a server or a network can."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from app.kube.cache import Cache, Timing
from app.kube.client import KubeClient
from app.kube.credentials import KubeTarget
from app.kube.kinds import POD, VIRTUAL_MACHINE, Kind
from tests.kube.scripted import (
    Answer,
    Server,
    bookmark,
    drips,
    event,
    page,
    pod,
    refuses,
    says,
    serving,
    streams,
)

FAST = Timing(page=2, watch=30, stall=20, resync=60, absent=0.05, backoff=0.01, longest_backoff=0.05, healthy=10)
LIST = "/api/v1/pods"
VMS = "/apis/kubevirt.io/v1/virtualmachines"
GONE = refuses(410, "Expired", "too old resource version")
ERROR_410 = event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"})


@dataclass
class Rig:
    server: Server
    cache: Cache
    told: list[str] = field(default_factory=list)

    def names(self) -> set[str]:
        return {obj["metadata"]["name"] for obj in self.cache.all()}

    async def until(self, met: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not met():  # noqa: ASYNC110 - what is waited for has no event of its own
                await asyncio.sleep(0.005)

    def watches(self) -> list[str]:
        """The resourceVersion of each watch."""
        return [asked.query["resourceVersion"] for asked in self.server.asked if "watch" in asked.query]

    def lists(self) -> int:
        return sum(asked.method == "GET" and "watch" not in asked.query for asked in self.server.asked)


@asynccontextmanager
async def rigged(
    lists: list[Answer], watches: list[Answer], *, kind: Kind = POD, timing: Timing = FAST
) -> AsyncIterator[Rig]:
    async with serving() as server:
        server.on("GET", kind.collection(), *lists)
        server.on("WATCH", kind.collection(), *watches)
        client = await KubeClient.connect(KubeTarget.url(server.url))
        rig = Rig(server, None)  # type: ignore[arg-type]
        rig.cache = Cache(
            client,
            kind,
            fields=["spec.nodeName", "status.phase"],
            selector="a=b",
            label="cmp.io/cluster",
            optional=kind is not POD,
            on_change=rig.told.append,
            timing=timing,
        )
        task = asyncio.create_task(rig.cache.run())
        try:
            yield rig
            assert not task.done(), "the cache must never end by itself"
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await client.close()


async def test_lists_in_pages_then_watches() -> None:
    lists = [page([pod("a", 1), pod("b", 2)], "9", more="next"), page([pod("c", 3, cluster="c2")], "9")]
    watch = streams(
        event("ADDED", pod("d", 10)),
        event("MODIFIED", pod("a", 11, phase="Failed")),
        event("DELETED", pod("b", 12)),
        bookmark("20"),
    )
    async with rigged(lists, [watch]) as rig:
        await rig.until(lambda: rig.names() == {"a", "c", "d"})
        assert rig.cache.synced
        assert {obj["metadata"]["name"] for obj in rig.cache.group("c1")} == {"a", "d"}
        changed = rig.cache.get("ns", "a")
        assert changed is not None
        assert (changed["status"], changed["spec"]) == ({"phase": "Failed"}, {"nodeName": "n1"})
        assert "managedFields" not in changed["metadata"]
        assert rig.told[:2] in (["c1", "c2"], ["c2", "c1"])
        assert rig.told[2:] == ["c1", "c1", "c1"]
        first, second, third = rig.server.asked[:3]
        assert first.query == {"limit": "2", "labelSelector": "a=b"}
        assert second.query["continue"] == "next"
        assert third.query["labelSelector"] == "a=b"
        assert (third.query["allowWatchBookmarks"], third.query["resourceVersion"]) == ("true", "9")
        assert 30 <= int(third.query["timeoutSeconds"]) <= 36


async def test_goes_on_where_the_last_watch_ended() -> None:
    watches = [streams(event("ADDED", pod("b", 12)), bookmark("40"), then="end"), streams(bookmark("41"))]
    async with rigged([page([pod("a", 1)], "9")], watches) as rig:
        await rig.until(lambda: len(rig.watches()) == 2)
        assert rig.watches() == ["9", "40"]
        assert rig.lists() == 1


@pytest.mark.parametrize(
    "broken",
    [
        GONE,
        streams(bookmark("10"), ERROR_410),
        streams(bookmark("10"), then="cut"),
        streams(event("ADDED", pod("x", 10))[:40], then="end"),
        streams(b"{not json}\n"),
        streams(b'{"type":"ADDED"}\n'),
        streams(b"[]\n"),
        streams(event("ERROR", {"kind": "Status", "code": 500, "message": "etcd is gone"})),
        streams(event("ADDED", {"kind": "Pod"})),
        refuses(429, "TooManyRequests", Retry_After="0"),
        refuses(500, "InternalError"),
        refuses(403, "Forbidden"),
        says(b"<html>a proxy</html>", 502),
    ],
    ids=[
        "410",
        "410-event",
        "cut",
        "truncated",
        "no-json",
        "no-object",
        "no-event",
        "error",
        "no-metadata",
        "429",
        "500",
        "403",
        "proxy",
    ],
)
async def test_after_any_trouble_the_list_tells_what_vanished(broken: Answer) -> None:
    lists = [page([pod("a", 1, cluster="c2"), pod("b", 2)], "9"), page([pod("b", 2), pod("c", 15, cluster="c3")], "30")]
    async with rigged(lists, [broken, streams(bookmark("31"))]) as rig:
        await rig.until(lambda: rig.names() == {"b", "c"})
        await rig.until(lambda: rig.watches()[-1] == "30")
        assert rig.cache.get("ns", "a") is None
        assert not list(rig.cache.group("c2"))
        assert sorted(rig.told) == ["c1", "c2", "c2", "c3"]


@pytest.mark.parametrize("answer", [refuses(500), refuses(429, Retry_After="0"), says(b"{cut"), GONE, refuses(404)])
async def test_a_list_that_fails_is_made_again(answer: Answer) -> None:
    """A continue token too old is a 410 too; 404 of a kind that must be there is trouble as any other."""
    first = page([pod("a", 1)], "9", more="old")
    async with rigged([first, answer, page([pod("b", 2)], "9")], [streams(bookmark("9"))]) as rig:
        await rig.until(lambda: rig.cache.synced)
        assert rig.names() == {"b"}
        assert rig.cache.absent is None


async def test_a_silent_watch_is_given_up() -> None:
    timing = replace(FAST, stall=0.05)
    lists = [page([pod("a", 1)], "9"), page([], "30")]
    async with rigged(lists, [streams(bookmark("10")), streams()], timing=timing) as rig:
        await rig.until(lambda: rig.names() == set() and rig.cache.synced)
        await rig.until(lambda: rig.lists() > 2)


async def test_keepalive_bytes_are_not_news() -> None:
    timing = replace(FAST, stall=0.1)
    async with rigged([page([pod("a", 1)], "9"), page([], "30")], [drips()], timing=timing) as rig:
        await rig.until(lambda: rig.cache.synced and rig.names() == set())


async def test_staleness_grows_until_something_is_heard() -> None:
    async with rigged([page([], "9")], [streams()]) as rig:
        await rig.until(lambda: rig.cache.synced)
        before = rig.cache.staleness()
        await asyncio.sleep(0.02)
        assert rig.cache.staleness() > before


async def test_events_twice_or_out_of_order() -> None:
    watch = streams(
        event("ADDED", pod("b", 12)),
        event("ADDED", pod("b", 12)),
        event("MODIFIED", pod("b", 15, phase="Failed")),
        event("MODIFIED", pod("b", 13, phase="Pending")),
        event("DELETED", pod("a", 20)),
        event("MODIFIED", pod("a", 19)),
        event("ADDED", pod("a", 21, uid="second")),
        event("DELETED", pod("a", 20)),
        event("MODIFIED", pod("c", 5)),
        event("ADDED", pod("end", 30)),
    )
    async with rigged([page([pod("a", 1)], "9")], [watch]) as rig:
        await rig.until(lambda: "end" in rig.names())
        assert rig.names() == {"a", "b", "end"}, "c is older than the list it was not in"
        a, b = rig.cache.get("ns", "a"), rig.cache.get("ns", "b")
        assert a is not None
        assert a["metadata"]["uid"] == "second"
        assert b is not None
        assert b["status"]["phase"] == "Failed"
        assert len(rig.told) == 6, "what changes nothing is not told"


async def test_deleted_stays_deleted() -> None:
    watch = streams(event("DELETED", pod("a", 20)), event("MODIFIED", pod("a", 19)), event("ADDED", pod("end", 30)))
    async with rigged([page([pod("a", 1)], "9")], [watch]) as rig:
        await rig.until(lambda: "end" in rig.names())
        assert rig.names() == {"end"}


async def test_an_empty_answer_is_no_busy_loop() -> None:
    """https://github.com/kubernetes/kubernetes/issues/104171: 200, and the end."""
    timing = replace(FAST, backoff=0.05, longest_backoff=0.4)
    async with rigged([page([pod("a", 1)], "9")], [streams(then="end")], timing=timing) as rig:
        await asyncio.sleep(0.5)
        assert 1 <= len(rig.watches()) < 12
        assert rig.names() == {"a"}


async def test_what_the_watch_never_tells_a_full_list_does() -> None:
    timing = replace(FAST, resync=0.1, healthy=0)
    watch = streams(bookmark("10"), then="end")
    async with rigged([page([pod("a", 1)], "9"), page([pod("b", 2)], "30")], [watch], timing=timing) as rig:
        await rig.until(lambda: rig.names() == {"b"})


async def test_a_kind_that_is_not_there_comes_and_goes() -> None:
    missing = refuses(404, "NotFound", "the server could not find the requested resource")
    lists = [missing, missing, page([pod("a", 1)], "9"), missing, missing, page([pod("b", 1)], "50")]
    watches = [streams(bookmark("10"), then="cut"), streams(bookmark("51"))]
    async with rigged(lists, watches, kind=VIRTUAL_MACHINE) as rig:
        await rig.until(lambda: rig.cache.synced)
        await rig.until(lambda: rig.cache.absent == "the server could not find the requested resource")
        await rig.until(lambda: rig.names() == {"a"} and rig.cache.absent is None)
        await rig.until(lambda: rig.names() == set() and rig.cache.absent is not None)
        await rig.until(lambda: rig.names() == {"b"})


async def test_one_404_does_not_make_known_objects_vanish() -> None:
    """An API server that has just started may not know its custom kinds for a moment."""
    lists = [page([pod("a", 1)], "9"), refuses(404), page([pod("a", 1)], "12")]
    watches = [streams(bookmark("10"), then="cut"), streams(bookmark("13"))]
    async with rigged(lists, watches, kind=VIRTUAL_MACHINE) as rig:
        await rig.until(lambda: rig.lists() == 3 and "12" in rig.watches())
        assert rig.told == ["c1"]
        assert rig.names() == {"a"}


async def test_reads_our_own_writes() -> None:
    watch = streams(event("ADDED", pod("b", 12)), event("ADDED", pod("end", 30)))
    async with rigged([page([pod("a", 10)], "11")], [streams(bookmark("11"), then="cut"), watch]) as rig:
        await rig.until(lambda: rig.cache.synced)
        rig.cache.absorb(pod("a", 40, phase="Failed"))
        rig.cache.absorb(pod("mine", 41))
        rig.cache.absorb({})
        assert rig.names() == {"a", "mine"}
        absorbed = rig.cache.get("ns", "a")
        assert absorbed is not None
        assert absorbed["status"]["phase"] == "Failed"


async def test_a_listener_that_fails_harms_nobody() -> None:
    async with rigged([page([pod("a", 1)], "9")], [streams(event("ADDED", pod("b", 10)))]) as rig:
        rig.cache._on_change = lambda _: 1 / 0  # type: ignore[assignment]
        await rig.until(lambda: rig.names() == {"a", "b"})


async def test_an_object_that_changes_its_group() -> None:
    watch = streams(event("MODIFIED", pod("a", 10, cluster="c9")))
    async with rigged([page([pod("a", 1)], "9")], [watch]) as rig:
        await rig.until(lambda: rig.told == ["c1", "c1", "c9"])
        assert not list(rig.cache.group("c1"))
        assert len(list(rig.cache.group("c9"))) == 1
