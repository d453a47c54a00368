"""Lists read from a replica show all that was committed before, whatever becomes of the replica."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from app.database import Database, Reads, Session, replica_at
from testbed.databases import PostgreSQL, Standby
from tests.e2e.platform import eventually

_METADATA = sa.MetaData()
_NUMBERS = sa.Table("numbers", _METADATA, sa.Column("number", sa.Integer))
_LAST = sa.select(sa.func.pg_is_in_recovery().label("replica"), sa.func.max(_NUMBERS.c.number).label("number"))


class Following:
    """What a client does: it writes a number, and asks for the last one."""

    def __init__(self, database: Database, reads: Reads) -> None:
        self.database, self.reads = database, reads
        self.number = 0

    async def write(self) -> int:
        async def insert(session: Session) -> None:
            await session.execute(sa.insert(_NUMBERS).values(number=number))

        self.number += 1
        number = self.number
        await self.database.run(insert)
        return number

    async def read(self) -> tuple[bool, int]:
        """Whether the replica said it, and the number."""

        async def look(session: Session) -> tuple[bool, int]:
            replica, number = (await session.execute(_LAST)).one()
            return replica, number

        return await self.reads.look(look)

    async def fetch(self) -> tuple[bool, int]:
        (row,) = await self.reads.fetch(_LAST, {})
        return row["replica"], row["number"]

    async def see(self) -> set[bool]:
        """That what is written is there at once, by either way; and who said so."""
        said = set()
        for ask in (self.read, self.fetch):
            written = await self.write()
            by, number = await ask()
            assert number == written
            said.add(by)
        return said

    async def see_by(self, *, replica: bool) -> None:
        async def by_it() -> bool:
            return await self.see() == {replica}

        await eventually(by_it, "the replica is read")


@pytest.fixture(scope="module")
def pair(postgresql: PostgreSQL) -> Iterator[tuple[PostgreSQL, Standby]]:
    """`postgresql`: skips where there is none."""
    with PostgreSQL() as primary, Standby(primary) as standby:
        yield primary, standby


@pytest.fixture
async def client(pair: tuple[PostgreSQL, Standby], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Following]:
    monkeypatch.setattr("app.database.replica._SECONDS", 2.0)
    async with _following(pair[0].create_database("counted"), pair[1].url("counted")) as following:
        yield following
    pair[0].drop_database("counted")


@asynccontextmanager
async def _following(primary: str, replica: str) -> AsyncIterator[Following]:
    database = Database(primary)
    await database.open()
    reads = Reads(database, Database(replica, named="replica-"))
    async with database.engine.begin() as connection:
        await connection.run_sync(_METADATA.create_all)
    yield Following(database, reads)
    await reads.close()
    await database.close()


async def test_it_is_read_and_nothing_is_old(client: Following) -> None:
    said: list[bool] = []

    async def one() -> None:
        for _ in range(50):
            written = await client.write()
            for by, number in await asyncio.gather(client.read(), client.fetch()):
                assert number >= written
                said.append(by)

    await client.see_by(replica=True)
    await asyncio.gather(*(one() for _ in range(8)))
    assert any(said)


async def test_one_that_is_behind_is_passed_over(client: Following, pair: tuple[PostgreSQL, Standby]) -> None:
    await client.see_by(replica=True)
    pair[1].execute("SELECT pg_wal_replay_pause()")
    assert await client.see() == {False}
    pair[1].execute("SELECT pg_wal_replay_resume()")
    await client.see_by(replica=True)


async def test_what_it_replays_comes_before_a_long_read(client: Following, pair: tuple[PostgreSQL, Standby]) -> None:
    """Which it then ends: PostgreSQL's conflict with recovery."""
    await client.see_by(replica=True)
    pair[1].execute("ALTER SYSTEM SET max_standby_streaming_delay = 0")
    pair[1].execute("SELECT pg_reload_conf()")
    written, conflicts = await client.write(), _conflicts()
    asked: list[bool] = []

    async def alter() -> None:
        await asyncio.sleep(0.5)
        async with client.database.engine.begin() as connection:
            await connection.execute(sa.text("ALTER TABLE numbers ADD COLUMN more integer"))

    async def look(session: Session) -> int:
        replica, number = (await session.execute(_LAST)).one()
        asked.append(replica)
        if replica:
            altered = asyncio.create_task(alter())
            await session.execute(sa.text("SELECT pg_sleep(20)"))
            await altered
        return int(number)

    assert await client.reads.look(look) == written
    assert (asked, _conflicts() - conflicts) == ([True, False], 1)
    pair[1].execute("ALTER SYSTEM RESET max_standby_streaming_delay")
    pair[1].execute("SELECT pg_reload_conf()")
    await client.see_by(replica=True)


async def test_one_that_falls_silent_dies_and_comes_back(client: Following, pair: tuple[PostgreSQL, Standby]) -> None:
    await client.see_by(replica=True)
    with capture_logs() as logs:
        stopped = pair[1].pids()
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        async with asyncio.timeout(30):
            assert await client.see() == {False}
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        await client.see_by(replica=True)
    assert [one["event"] for one in logs][:2] == ["replica.left_alone", "replica.is_back"]
    with capture_logs() as logs:
        await asyncio.to_thread(pair[1].kill)
        assert await client.see() == {False}
        await asyncio.to_thread(pair[1].restart)
        await client.see_by(replica=True)
    assert [one["event"] for one in logs][:2] == ["replica.left_alone", "replica.is_back"]


async def test_one_looks_whether_it_is_back_and_the_others_do_not_wait(
    client: Following, pair: tuple[PostgreSQL, Standby], monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.see_by(replica=True)
    tried: list[Any] = []
    really = client.reads._tried

    async def noted(*given: Any) -> Any:
        tried.append(given)
        return await really(*given)

    stopped = pair[1].pids()
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        await client.read()
        monkeypatch.setattr(client.reads, "_tried", noted)
        client.reads._alone_until = 0.0
        await asyncio.gather(*(client.read() for _ in range(20)))
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    assert len(tried) == 1


@pytest.mark.parametrize(
    ("who", "why"),
    [
        ({"username": "asks", "password": "asks"}, "pg_read_all_stats"),
        ({"username": "nobody", "password": "nobody"}, "password"),
        ({"database": "postgres"}, "another's"),
        ({"query": {"application_name": "lists"}}, "application_name"),
        (None, "no streaming standby"),
    ],
)
async def test_one_that_is_none(pair: tuple[PostgreSQL, Standby], who: dict[str, Any] | None, why: str) -> None:
    """Whose role may not see what it follows, or is unknown there; another database; the primary itself."""
    url = sa.make_url(pair[0].create_database("none"))
    other = url if who is None else url.set(port=pair[1].port, **who)

    async def known() -> bool:
        return bool(pair[1].execute("SELECT true FROM pg_roles WHERE rolname = 'asks'"))

    if "pg_read_all_stats" in why:
        pair[0].execute("CREATE ROLE asks LOGIN PASSWORD 'asks'")
        await eventually(known, "the role is there too")
    with capture_logs() as logs:
        async with _following(*(one.render_as_string(hide_password=False) for one in (url, other))) as client:
            assert await client.see() == {False}
    assert why in logs[0]["why"]
    pair[0].drop_database("none")


async def test_a_role_that_may_see_what_it_follows_is_enough(pair: tuple[PostgreSQL, Standby]) -> None:
    url = sa.make_url(pair[0].create_database("granted"))
    pair[0].execute("CREATE ROLE looks LOGIN PASSWORD 'looks'")
    pair[0].execute("GRANT pg_read_all_stats, pg_read_all_data TO looks")
    other = url.set(port=pair[1].port, username="looks", password="looks")
    async with _following(*(one.render_as_string(hide_password=False) for one in (url, other))) as client:
        await client.see_by(replica=True)


async def test_one_that_was_ahead_of_the_one_that_was_promoted(postgresql: PostgreSQL) -> None:
    """It has come further than the new primary is, with rows that this never had."""
    with PostgreSQL() as primary, Standby(primary) as promoted, Standby(primary) as ahead:
        primary.execute("CREATE TABLE rows (number integer)")
        await eventually(_counts(promoted, 0), "the first has the table")
        promoted.follow(None)
        primary.execute("INSERT INTO rows SELECT generate_series(1, 100000)")
        await eventually(_counts(ahead, 100_000), "the second has the rows")
        primary.kill()
        promoted.promote()
        ahead.follow(promoted)
        assert _counted(promoted) == 0

        async def count(session: Session) -> int:
            return int((await session.execute(sa.text("SELECT count(*) FROM rows"))).scalar_one())

        async with _following(promoted.url("postgres"), ahead.url("postgres")) as client:
            asked_it = 0
            async with asyncio.timeout(30):
                while asked_it < 5:
                    asked_it += ahead.execute("SELECT received_tli FROM pg_stat_wal_receiver") is not None
                    client.reads._alone_until = 0
                    assert await client.reads.look(count) == 0


def test_only_of_postgresql() -> None:
    with pytest.raises(ValueError, match="CMP_DATABASE_REPLICA_URL"):
        Reads(Database("sqlite:///a.sqlite3"), Database("postgresql://cmp@localhost/cmp"))
    for wrong in ("oracle://cmp@localhost/cmp", "replica:5432"):
        with pytest.raises(ValueError, match="CMP_DATABASE_REPLICA_URL"):
            replica_at(wrong, pool_size=2, tls=None)


def _conflicts() -> float:
    return REGISTRY.get_sample_value("cmp_database_reads_total", {"server": "primary", "why": "conflict"}) or 0.0


def _counted(server: PostgreSQL) -> int:
    return int(server.execute("SELECT count(*) FROM rows"))


def _counts(server: PostgreSQL, number: int) -> Callable[[], Awaitable[bool]]:
    async def it_does() -> bool:
        try:
            return _counted(server) == number
        except asyncpg.UndefinedTableError:
            return False

    return it_does
