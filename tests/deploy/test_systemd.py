"""docs/how-to/install-with-systemd.md, followed below another root: units that are hardened, and run."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from testbed.databases import PostgreSQL
from tests.e2e.platform import ROOT, eventually, free_port, simulator

PAGE = ROOT / "docs/how-to/install-with-systemd.md"
UNITS = ("cmp-api.service", "cmp-worker.service")
_EXPOSURE = "12"  # tenths of what systemd-analyze calls exposure; 10 of 10 is a service without any hardening
# As systemd starts it: no capability, no way to more, no memory that becomes executable (PR_SET_MDWE).
_CONFINED = (
    "import ctypes, os, sys; assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0; os.execv(sys.argv[1], sys.argv[1:])"
)


@pytest.fixture(scope="module")
def root(console_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where /opt/cmp, /etc/cmp and /var/lib/cmp are, with the package unpacked and its venv made."""
    subprocess.run(["make", "--silent", "dist"], cwd=ROOT, check=True)
    root = tmp_path_factory.mktemp("root")
    for folder in ("opt/cmp", "etc/cmp", "var/lib/cmp"):
        (root / folder).mkdir(parents=True)
    (package,) = (ROOT / "dist").glob("cmp-*.tar.gz")
    subprocess.run(["tar", "-xzf", package, "--strip-components", "1", "-C", root / "opt/cmp"], check=True)
    uv = shutil.which("uv") or ROOT / ".uv/bin/uv"
    sync: list[str | Path] = [
        uv,
        "sync",
        "--quiet",
        "--locked",
        "--no-dev",
        "--no-compile-bytecode",
        "--python",
        sys.executable,
    ]
    subprocess.run(sync, cwd=root / "opt/cmp", env=_path_only(), check=True)
    return root


def test_systemd_finds_nothing_wrong_and_little_exposed(root: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze on this machine: install the package systemd")
    for unit in UNITS:
        placed = tmp_path / unit
        placed.write_text(_placed((ROOT / "deploy/systemd" / unit).read_text(), root))
        checked = subprocess.run(
            ["systemd-analyze", "verify", placed], capture_output=True, text=True, timeout=60, check=False
        )
        assert (checked.returncode, _about(unit, checked.stderr)) == (0, [])
        rating: list[str | Path] = ["systemd-analyze", "security", "--offline=true", f"--threshold={_EXPOSURE}", placed]
        rated = subprocess.run(rating, capture_output=True, text=True, timeout=60, check=False)
        assert rated.returncode == 0, rated.stdout
        open_wide = placed.read_text().replace("ProtectSystem=strict", "ProtectSystem=no")
        placed.write_text(open_wide)
        assert subprocess.run(rating, capture_output=True, timeout=60, check=False).returncode != 0


async def test_what_the_units_start_serves_works_and_ends_in_order(root: Path, postgresql: PostgreSQL) -> None:
    with simulator("--kubeconfig", str(root / "etc/cmp/kubeconfig")):
        port = free_port()
        environment = _environment(root, port, postgresql.create_database("systemd"))
        with _started("cmp-api.service", root, environment) as api:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
                await eventually(lambda: _ready(http, api), "the API is ready")
                assert "<html" in (await http.get("/")).text, "the console is in the package"
                with _started("cmp-worker.service", root, environment) as worker:
                    token = (root / "var/lib/cmp/admin-token").read_text().strip()
                    http.headers["Authorization"] = f"Bearer {token}"
                    wish = {
                        "name": "web",
                        "instance_type": "container",
                        "cpu_per_instance": 1,
                        "memory_per_instance": 64,
                    }
                    made = await http.post("/api/v1/clusters/?wait=30", json=wish, timeout=60)
                    assert (made.status_code, made.json()["phase"]) == (201, "running"), made.text
                    worker.terminate()
                    assert worker.wait(30) == 0
                api.terminate()
                await eventually(lambda: _drains(http), "it is no longer ready")
                still = await http.get("/api/v1/users/me")
                assert (still.status_code, still.headers["connection"]) == (200, "close")
            assert api.wait(30) == 0


async def _ready(http: httpx.AsyncClient, api: "subprocess.Popen[bytes]") -> bool:
    assert api.poll() is None
    try:
        return (await http.get("/readyz")).status_code == 200
    except httpx.TransportError:
        return False


async def _drains(http: httpx.AsyncClient) -> bool:
    return (await http.get("/readyz")).status_code == 503


@contextmanager
def _started(unit: str, root: Path, environment: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """The unit's command line, confined as much as it can be without systemd."""
    said = dict(line.split("=", 1) for line in (ROOT / "deploy/systemd" / unit).read_text().splitlines() if "=" in line)
    command = shlex.split(_placed(said["ExecStart"], root))
    confined = ["setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--pdeathsig", "KILL"]
    with (root / f"{unit}.log").open("wb") as log:
        process = subprocess.Popen(
            [*confined, sys.executable, "-c", _CONFINED, *command],
            cwd=_placed(said["WorkingDirectory"], root),
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    except BaseException:
        print((root / f"{unit}.log").read_text()[-4000:])
        raise
    finally:
        process.kill()
        process.wait()


def _environment(root: Path, port: int, database_url: str) -> dict[str, str]:
    """The page's, with what is different here."""
    (block,) = re.findall(r"^```ini\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    settings = dict(line.split("=", 1) for line in _placed(block, root).splitlines())
    assert set(settings) >= {"CMP_PORT", "CMP_DATABASE_URL"}
    return settings | {"CMP_PORT": str(port), "CMP_DATABASE_URL": database_url}


def _placed(text: str, root: Path) -> str:
    return re.sub(r"(?<![\w/])/(opt|etc|var/lib)/cmp\b", rf"{root}/\1/cmp", text)


def _about(unit: str, said: str) -> list[str]:
    return [line for line in said.splitlines() if unit in line]


def _path_only() -> dict[str, str]:
    return {
        key: value for key, value in os.environ.items() if not key.startswith(("CMP_", "VIRTUAL_ENV", "UV_PROJECT"))
    }
