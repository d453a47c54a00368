"""A migration that is killed half-way is finished by the next start, also where no transaction holds it together."""

import pytest
import sqlalchemy as sa
from alembic import op
from sqlalchemy.exc import DBAPIError

from app import migrations
from tests.conftest import Databases, opened

KINDS = ("sqlite", "postgresql", "mariadb")


class Killed(Exception):
    pass


@pytest.mark.parametrize("after", [1, 4, 9])
async def test_the_next_start_finishes_it(databases: Databases, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    url = databases.empty()
    make, made = op.create_table, 0

    def dies(*args: object, **options: object) -> object:
        nonlocal made
        made += 1
        if made > after:
            raise Killed
        return make(*args, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(op, "create_table", dies)
        async with opened(url) as database:
            with pytest.raises(Killed):
                await migrations.upgrade(database)
    async with opened(url) as database:
        assert await migrations.upgrade(database)
        assert await migrations.current(database) == migrations.head()


async def test_what_somebody_else_keeps_there_is_left_alone(databases: Databases) -> None:
    async with opened(databases.empty()) as database:
        async with database.transaction() as session:
            await session.execute(sa.text("CREATE TABLE users (name VARCHAR(10))"))
            await session.execute(sa.text("INSERT INTO users VALUES ('ada')"))
        with pytest.raises(DBAPIError):
            await migrations.upgrade(database)
        async with database.reading() as session:
            assert await session.scalar(sa.text("SELECT name FROM users")) == "ada"
