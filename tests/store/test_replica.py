"""Lists read from a replica show all that was committed before, whatever becomes of the replica."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from app.database import Database, Reads, Session
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
    monkeypatch.setattr("app.database.replica._SECONDS", 1.0)
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

    await asyncio.gather(*(one() for _ in range(8)))
    assert sum(said) > len(said) / 2, "most by the replica"


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
    written = await client.write()
    asked: list[bool] = []

    async def look(session: Session) -> int:
        replica, number = (await session.execute(_LAST)).one()
        asked.append(replica)
        if replica:
            async with client.database.engine.begin() as connection:
                await connection.execute(sa.text("ALTER TABLE numbers ADD COLUMN more integer"))
            await session.execute(sa.text("SELECT pg_sleep(0.8)"))
        return int(number)

    assert await client.reads.look(look) == written
    assert asked == [True, False]
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
        await asyncio.to_thread(pair[1].kill)
        assert await client.see() == {False}
        await asyncio.to_thread(pair[1].restart)
        await client.see_by(replica=True)
    assert [one["event"] for one in logs] == ["replica.left_alone", "replica.is_back"] * 2


@pytest.mark.parametrize(
    ("who", "why"), [("asks", "pg_read_all_stats"), ("nobody", "password"), (None, "no streaming standby")]
)
async def test_one_that_is_none(pair: tuple[PostgreSQL, Standby], who: str | None, why: str) -> None:
    """Whose role may not see what it follows, or is unknown there, or the primary itself."""
    url = sa.make_url(pair[0].create_database(f"none_{who}"))
    other = url if who is None else url.set(username=who, password=who, port=pair[1].port)

    async def known() -> bool:
        return bool(pair[1].execute("SELECT true FROM pg_roles WHERE rolname = 'asks'"))

    if who == "asks":
        pair[0].execute("CREATE ROLE asks LOGIN PASSWORD 'asks'")
        await eventually(known, "the role is there too")
    with capture_logs() as logs:
        async with _following(*(one.render_as_string(hide_password=False) for one in (url, other))) as client:
            assert await client.see() == {False}
    assert why in logs[0]["why"]


def test_only_of_postgresql() -> None:
    with pytest.raises(ValueError, match="CMP_DATABASE_REPLICA_URL"):
        Reads(Database("sqlite:///a.sqlite3"), Database("postgresql://cmp@localhost/cmp"))
