"""cmpctl as a newcomer gets it: installed by itself, and its README word by word."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.platform import ROOT, Platform, running

README = (ROOT / "cmpctl/README.md").read_text()


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running(Platform(tmp_path_factory.mktemp("documents"), kubernetes="simulator")) as started:
        yield started


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `uv tool install` put it, with a Python that has nothing else."""
    uv = shutil.which("uv") or str(ROOT / ".uv/bin/uv")
    if not Path(uv).exists():
        pytest.skip("no uv: `make install` fetches it")
    folder = tmp_path_factory.mktemp("tool")
    environment = {**os.environ, "UV_TOOL_DIR": str(folder / "tools"), "UV_TOOL_BIN_DIR": str(folder / "bin")}
    line = [uv, "tool", "install", "--quiet", "./cmpctl"]
    subprocess.run(line, cwd=ROOT, env=environment, check=True, timeout=200)
    return folder


def test_the_readmes_commands_work_when_pasted(platform: Platform, tool: Path, tmp_path: Path) -> None:
    commands = "\n".join(_blocks("sh"))
    done = _run(["bash", "-c", f"set -e\n{commands}"], platform, tool, tmp_path)
    assert "+ shop  2 × container, 250m cores, 128Mi, nginx:latest" in done
    assert "container.env.GREETING: hello -> good day" in done
    assert "name,ip" in done


def test_the_readmes_python_works_when_pasted(platform: Platform, tool: Path, tmp_path: Path) -> None:
    python = str(tool / "tools/cmpctl/bin/python")
    first, second = _blocks("python")
    assert "jobs-instance-2 running" in _run([python, "-c", first], platform, tool, tmp_path)
    assert "admin" in _run([python, "-c", second], platform, tool, tmp_path)


def test_it_brings_no_server(tool: Path) -> None:
    installed = {path.name for path in (tool / "tools/cmpctl").glob("lib/python*/site-packages/*")}
    assert "cmpctl" in installed
    assert not {"app", "fastapi", "sqlalchemy"} & installed


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def _run(line: list[str], platform: Platform, tool: Path, folder: Path) -> str:
    environment = {
        "PATH": f"{tool / 'bin'}:/usr/bin:/bin",
        "CMPCTL_URL": platform.url,
        "CMPCTL_TOKEN": platform.token,
        "CMPCTL_HOME": str(folder / "home"),
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, f"{done.stderr}\n{done.stdout}"
    return done.stdout
