"""The first administrator: one, with a token file that works, however many processes start or die."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from pydantic import SecretStr

from app.database import Session
from app.errors import Unavailable
from app.models import User
from app.settings import Settings
from app.store import platform
from main import create_app, running
from tests.api.running import running_api
from tests.conftest import Databases, opened

ROOT = Path(__file__).parents[2]
KINDS = ("postgresql", "mariadb", "mariadb_snapshot_isolation")


async def administrators(url: str) -> list[str]:
    async with opened(url) as database, database.reading() as session:
        return list((await session.execute(sa.select(User.username).order_by(User.username))).scalars())


async def works(app: FastAPI, file: Path) -> bool:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://cmp") as client:
        headers = {"Authorization": f"Bearer {file.read_text().strip()}"}
        return (await client.get("/api/v1/users/me", headers=headers)).status_code == 200


@pytest.mark.parametrize("prepared", [False, True], ids=["empty", "a worker was first"])
@pytest.mark.parametrize("shared", [True, False], ids=["one data directory", "a data directory each"])
async def test_of_many_that_start_at_once_one_makes_the_administrator(
    databases: Databases, tmp_path: Path, shared: bool, prepared: bool
) -> None:
    url = await databases.migrated() if prepared else databases.empty()
    if prepared:
        async with opened(url) as database, database.transaction() as session:
            await platform.ensure(session)
    directories = [tmp_path / ("same" if shared else str(number)) for number in range(6)]
    apps = [
        create_app(Settings(worker="separate", data_dir=directory, database_url=SecretStr(url), database_pool=4))
        for directory in directories
    ]
    up = asyncio.Barrier(len(apps) + 1)
    down = asyncio.Event()

    async def run(app: FastAPI) -> None:
        async with running(app):
            await up.wait()
            await down.wait()

    tasks = [asyncio.create_task(run(app)) for app in apps]
    try:
        started = asyncio.create_task(_arrived(up))
        await asyncio.wait([started, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            assert not task.done(), task.exception()
        assert await administrators(url) == ["admin"]
        files = {directory / "admin-token" for directory in directories if (directory / "admin-token").exists()}
        assert len(files) == 1
        file = files.pop()
        assert file.stat().st_mode & 0o777 == 0o600
        for app in apps:
            assert await works(app, file)
        assert not list(tmp_path.glob("*/admin-token.*"))
    finally:
        down.set()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _arrived(barrier: asyncio.Barrier) -> None:
    await barrier.wait()


async def test_a_second_start_keeps_everything(databases: Databases, tmp_path: Path) -> None:
    url = await databases.migrated()
    async with running_api(url, tmp_path) as api:
        token = (tmp_path / "admin-token").read_text()
        secret = api.state.cursor_secret
    async with running_api(url, tmp_path) as api:
        assert await works(api.app, tmp_path / "admin-token")
        assert ((tmp_path / "admin-token").read_text(), api.state.cursor_secret) == (token, secret)
    (tmp_path / "admin-token").unlink()
    app = create_app(Settings(worker="separate", data_dir=tmp_path, database_url=SecretStr(url)))
    async with running(app):
        assert not (tmp_path / "admin-token").exists(), "it is written once"


async def test_a_commit_that_fails_leaves_no_token_that_does_not_work(
    databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await databases.migrated()
    real = platform.ensure

    async def dies_at_its_commit(session: Session) -> object:
        def die(*_: object) -> None:
            raise Unavailable("The database does not answer. Try again in a moment.")

        sa.event.listen(session.sync_session, "before_commit", die)
        return await real(session)

    with monkeypatch.context() as patched:
        patched.setattr(platform, "ensure", dies_at_its_commit)
        with pytest.raises(Unavailable):
            async with running_api(url, tmp_path):
                pass
    assert not (tmp_path / "admin-token").exists()
    assert await administrators(url) == []
    async with running_api(url, tmp_path) as api:
        assert await works(api.app, tmp_path / "admin-token")
    assert [path.name for path in tmp_path.iterdir()] == ["admin-token"]


async def test_dying_between_commit_and_the_file_loses_no_token(
    databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await databases.migrated()

    class Died(BaseException):
        pass

    def dies(_path: Path, _target: Path) -> Path:
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", dies)
        with pytest.raises(Died):
            async with running_api(url, tmp_path):
                pass
    assert await administrators(url) == ["admin"]
    async with running_api(url, tmp_path) as api:
        assert await works(api.app, tmp_path / "admin-token")


async def test_the_token_of_another_database_is_kept_aside(databases: Databases, tmp_path: Path) -> None:
    (tmp_path / "admin-token").write_text("cmp_pat_of-the-database-before\n")
    url = await databases.migrated()
    async with running_api(url, tmp_path) as api:
        assert await works(api.app, tmp_path / "admin-token")
    assert (tmp_path / "admin-token.earlier").read_text() == "cmp_pat_of-the-database-before\n"


def test_a_second_process_on_one_sqlite_file_is_refused_in_words(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "main.py"], cwd=ROOT, env=_environment(tmp_path), stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert "serves" in holder.stdout.readline()
        for command in (["main.py"], ["-m", "app.worker"]):
            second = subprocess.run(
                [sys.executable, *command],
                cwd=ROOT,
                env=_environment(tmp_path) | {"CMP_KUBERNETES": "http://127.0.0.1:1"},
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert second.returncode == 1
            assert "SQLite belongs to one process: stop the other one, or set CMP_DATABASE_URL" in second.stderr
            assert "Traceback" not in second.stderr
        assert holder.poll() is None
    finally:
        holder.terminate()
        holder.wait(30)
        assert holder.stdout is not None
        holder.stdout.close()


def _environment(data: Path) -> dict[str, str]:
    own = {"CMP_WORKER": "separate", "CMP_PORT": "0", "CMP_DATA_DIR": str(data)}
    return {name: value for name, value in os.environ.items() if not name.startswith("CMP_")} | own
