"""deploy/Containerfile, built, and CMP run from it: with a root that cannot be written, and as nobody in particular."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from testbed import Unavailable, image
from testbed.databases import PostgreSQL
from tests.e2e.platform import eventually, free_port, simulator

pytestmark = [pytest.mark.image, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def built() -> Iterator[image.Image]:
    try:
        with image.built() as made:
            yield made
    except Unavailable as reason:
        pytest.skip(str(reason))


def test_it_holds_what_runs_and_nothing_else(built: image.Image) -> None:
    assert built.config["User"] == "10001:10001"
    folder = built.root / "opt/cmp"
    assert sorted(os.listdir(folder)) == [
        *(".venv", "__pycache__", "app", "console", "main.py", "pyproject.toml", "simulator", "uv.lock")
    ]
    assert (folder / "console/dist/index.html").is_file()
    assert not list(folder.glob(".venv/lib/*/site-packages/pytest")), "what only developers need is not there"
    owned = [path for path in folder.rglob("*") if path.lstat().st_uid != 0]
    assert owned == [], "who runs it cannot change it"
    assert not (built.root / "uv").exists()


async def test_api_and_worker_run_from_it(built: image.Image, postgresql: PostgreSQL, tmp_path: Path) -> None:
    with simulator() as kubernetes:
        port = free_port()
        common = {"CMP_DATABASE_URL": postgresql.create_database("image"), "CMP_KUBERNETES": kubernetes}
        common |= {"CMP_WORKER": "separate", "CMP_PORT": str(port), "CMP_HOST": "127.0.0.1"}
        for name in ("api", "worker"):
            (tmp_path / name).mkdir()
        with (
            image.running(built, environment=common, data=tmp_path / "api") as api,
            image.running(built, "-m", "app.worker", environment=common, data=tmp_path / "worker"),
        ):
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:

                async def ready() -> bool:
                    assert api.running, api.tail()
                    try:
                        return (await http.get("/readyz")).is_success
                    except httpx.TransportError:
                        return False

                await eventually(ready, "the API is ready")
                assert "<title>CMP" in (await http.get("/")).text
                token = (tmp_path / "api/admin-token").read_text().strip()
                http.headers["Authorization"] = f"Bearer {token}"
                wish = {"name": "web", "instance_type": "container", "cpu_per_instance": 1, "memory_per_instance": 64}
                made = await http.post("/api/v1/clusters/", params={"wait": 60}, json=wish)
                assert made.json()["phase"] == "running", made.text
            (child,) = "".join(path.read_text() for path in Path(f"/proc/{api.pid}/task").glob("*/children")).split()
            status = dict(line.split(":\t", 1) for line in Path(f"/proc/{child}/status").read_text().splitlines())
            assert status["Uid"].split() == ["10001"] * 4
            assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")} == {0}
            root = next(line for line in Path(f"/proc/{child}/mounts").read_text().splitlines() if " / " in line)
            assert root.split()[3].startswith("ro"), root
