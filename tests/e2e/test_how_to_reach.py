"""The examples of docs/how-to/reach-an-instance.md, word by word."""

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.platform import ROOT, Platform, running, user

TEXT = (ROOT / "docs/how-to/reach-an-instance.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
COMMAND, PORT = EXAMPLES
SHELL = "\n".join(re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL))
NAME = "web-instance-1"


@pytest.fixture(scope="module")
async def ada(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    with running(Platform(tmp_path_factory.mktemp("platform"), kubernetes="simulator")) as platform:
        async with user(platform, "ada", quota_cpu=4, quota_memory="8Gi") as client:
            body = {"name": "web", "instance_type": "container", "cpu_per_instance": 1, "memory_per_instance": 64}
            await client.post("/clusters/", params={"wait": 60}, json=body)
            yield client


async def _run(program: str, client: httpx.AsyncClient, *words: str) -> subprocess.CompletedProcess[str]:
    url, token = str(client.base_url).rstrip("/"), client.headers["Authorization"].removeprefix("Bearer ")
    command = [sys.executable, "-c", program, url, token, *words]
    return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("command", "out", "code"),
    [(["cat"], "hello\n", 0), (["sh", "-c", "echo out; exit 3"], "out\n", 3)],
)
async def test_a_command(ada: httpx.AsyncClient, command: list[str], out: str, code: int) -> None:
    done = await _run(COMMAND, ada, NAME, *command)
    assert (done.stdout, done.returncode) == (out, code), done.stderr


async def test_a_command_that_is_not_there(ada: httpx.AsyncClient) -> None:
    done = await _run(COMMAND, ada, NAME, "no-such-program")
    assert done.returncode == 1
    assert "executable file not found" in done.stderr


async def test_a_port(ada: httpx.AsyncClient) -> None:
    done = await _run(PORT, ada, NAME, "80")
    assert done.stdout.endswith(f"hello from {NAME}\n"), done.stderr


async def test_logs(ada: httpx.AsyncClient) -> None:
    """But for the one that has no end, and the one of a run that crashed: nothing did."""
    lines = [line for line in SHELL.splitlines() if "follow" not in line and "previous" not in line]
    assert lines
    header = f"ADA='Authorization: {ada.headers['Authorization']}'; URL={str(ada.base_url).rstrip('/')}"
    script = "\n".join(["set -e", header, *lines])
    done = await asyncio.to_thread(
        subprocess.run, ["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.splitlines() == [f"{NAME} main: line {number}" for number in (1, 2, 3)], done.stderr


def test_every_way_to_end_is_in_the_table() -> None:
    source = Path(ROOT / "app/rules/reach.py").read_text() + Path(ROOT / "app/k8s_service/framing.py").read_text()
    codes = {int(code) for code in re.findall(r"Ending\(\s*(\d{4})", source)}
    assert codes == {int(code) for code in re.findall(r"^\| (\d{4}) \|", TEXT, re.MULTILINE)}
