"""`cmpctl` at a terminal, into containers that really run: exec, logs, ports."""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from testbed.node import images
from testbed.terminal import Terminal
from tests.e2e.platform import ROOT, Platform, free_port
from tests.e2e.terminals import with_cmpctl

pytestmark = pytest.mark.node


@pytest.fixture
def terminal(ada: httpx.AsyncClient, platform: Platform, tmp_path: Path) -> Iterator[Terminal]:
    with with_cmpctl(tmp_path, **_settings(ada, platform)) as opened:
        yield opened


def test_into_an_instance(terminal: Terminal) -> None:
    launched = terminal.run(f"cmpctl launch web --cpu 100m --memory 64Mi --image {images.WEB} --count 2 --port 80", 120)
    assert "✔ creating web  2/2" in launched

    terminal.type("clear; cmpctl exec web-instance-1")
    terminal.seen("/ #")
    terminal.type("echo I am $(cat /etc/hostname); echo to the log > /proc/1/fd/1")
    terminal.seen("I am web-instance-1")
    terminal.type("busybox stty size")
    terminal.seen("30 80")
    terminal.type("exit 7")
    terminal.done()
    assert "\n7\n" in terminal.run("echo $?")
    assert "web is a cluster of 2 instances" in terminal.run("cmpctl exec web -- id")

    assert "HELLO" in terminal.run("echo hello | cmpctl exec -i web-instance-2 -- busybox tr a-z A-Z")
    assert "web-instance-1 | to the log" in terminal.run("cmpctl logs web")
    port = free_port()
    terminal.type(f"clear; cmpctl port-forward web-instance-1 {port}:80")
    terminal.seen("Ctrl-C ends.")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as answer:
        assert answer.status == 200
    terminal.press("C-c")
    terminal.done()
    assert "✔ deleting web" in terminal.run("cmpctl rm web --yes", 120)


def test_pipes_and_exit_codes(ada: httpx.AsyncClient, platform: Platform) -> None:
    made = _cmpctl(ada, platform, "launch", "box", "--cpu", "100m", "--memory", "64Mi", "--image", images.WEB)
    assert made.returncode == 0, made.stderr
    data = os.urandom(3 * 2**20)
    back = _cmpctl(ada, platform, "exec", "-i", "box", "--", "cat", stdin=data)
    assert back.stdout == data, "three MiB there and back"
    told = _cmpctl(ada, platform, "exec", "box", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (told.stdout, told.stderr, told.returncode) == (b"out\n", b"err\n", 3)
    missing = _cmpctl(ada, platform, "exec", "box", "--", "no-such-program")
    assert missing.returncode not in (0, 3)
    assert _cmpctl(ada, platform, "rm", "box", "--yes").returncode == 0


def _settings(ada: httpx.AsyncClient, platform: Platform) -> dict[str, str]:
    return {"CMPCTL_URL": platform.url, "CMPCTL_TOKEN": ada.headers["Authorization"].removeprefix("Bearer ")}


def _cmpctl(
    ada: httpx.AsyncClient, platform: Platform, *words: str, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, **_settings(ada, platform)}
    line = [sys.executable, "-m", "cmpctl.main", "-q", *words]
    return subprocess.run(line, input=stdin, capture_output=True, cwd=ROOT, env=environment, timeout=200)
