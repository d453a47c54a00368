"""Connections to the database over TLS: to the right server, or not at all."""

import os
import pwd
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.database import Database
from app.errors import Unavailable
from testbed import Unavailable as NotHere
from testbed.databases import DatabaseServer, MariaDB, PostgreSQL
from testbed.processes import Scratch
from tests.kube.tls import Authority

_SHOWN = {
    "postgresql": "SELECT CASE WHEN ssl THEN version ELSE '' END FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
    "mysql": "SHOW STATUS LIKE 'Ssl_version'",
}


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module", params=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest, authority: Authority) -> Iterator[DatabaseServer]:
    scratch = Scratch("tls")
    authority.server_context(scratch.path)
    pem = scratch.path / "server.pem"
    if os.getuid() == 0:
        owner = next(u for u in ("postgres" if request.param == "postgresql" else "mysql", "nobody") if _there(u))
        os.chown(pem, pwd.getpwnam(owner).pw_uid, -1)
    pem.chmod(0o600)
    try:
        with _server(request.param, pem) as started:
            yield started
    except NotHere as reason:
        pytest.skip(str(reason))
    finally:
        scratch.remove()


async def _reached(database: Database) -> None:
    await database.open()
    await database.ping()


def _server(kind: str, pem: Path) -> DatabaseServer:
    if kind == "postgresql":
        return PostgreSQL(fast=True, settings={"ssl": "on", "ssl_cert_file": str(pem), "ssl_key_file": str(pem)})
    files = {"ssl-cert": str(pem), "ssl-key": str(pem)}
    return MariaDB(fast=True, innodb_snapshot_isolation=False, settings=files)


def _there(user: str) -> bool:
    return user in {entry.pw_name for entry in pwd.getpwall()}


async def test_it_is_encrypted_where_the_authority_is_the_right_one(
    server: DatabaseServer, authority: Authority, tmp_path: Path
) -> None:
    right = tmp_path / "right.pem"
    right.write_bytes(authority.certificate)
    url = server.create_database("secured")
    database = Database(url, tls=str(right))
    await database.open()
    try:
        async with database.reading() as session:
            row = (await session.execute(sa.text(_SHOWN[database.dialect.replace("mariadb", "mysql")]))).one()
        assert str(row[-1]).startswith("TLSv1"), row
        if database.postgres is not None:
            assert str(await database.postgres.fetchval(_SHOWN["postgresql"])).startswith("TLSv1")
    finally:
        await database.close()


async def test_another_authoritys_server_is_not_spoken_to(server: DatabaseServer, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_bytes(Authority().certificate)
    database = Database(server.create_database("refused"), tls=str(wrong))
    try:
        with pytest.raises((Unavailable, OSError)):
            await _reached(database)
    finally:
        await database.close()
