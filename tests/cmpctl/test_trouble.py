"""When things go wrong: CMP killed while one waits, no network, an ended token, a full quota, other versions."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from cmpctl import VERSION
from tests.e2e.platform import ROOT, Platform, free_port, running, simulator

BROKEN = "shop:does-not-exist"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with simulator() as url, running(Platform(tmp_path_factory.mktemp("trouble"), url)) as started:
        yield started


@pytest.fixture(scope="module")
def ada(platform: Platform) -> str:
    """Her token."""
    headers = {"Authorization": f"Bearer {platform.token}"}
    limits = {"quota_cpu": 4, "quota_memory": "4Gi", "quota_instances": 2000}
    made = httpx.post(f"{platform.url}/api/v1/users/", headers=headers, json={"username": "ada", **limits})
    return str(made.json()["token"])


def cmpctl(
    url: str, token: str, *words: str, home: Path | None = None, **more: Any
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        line(*words), env=settings(url, token, home), capture_output=True, text=True, cwd=ROOT, **more
    )


def line(*words: str) -> list[str]:
    return [sys.executable, "-m", "cmpctl.main", *words]


def settings(url: str, token: str, home: Path | None = None) -> dict[str, str]:
    found = {**os.environ, "CMPCTL_URL": url, "CMPCTL_TOKEN": token}
    return found | ({"CMPCTL_HOME": str(home)} if home else {})


def test_cmp_is_killed_and_started_while_one_waits(platform: Platform, ada: str) -> None:
    """A wish outlives the process, and so does the waiting for it."""
    words = line("launch", "slow", "--cpu", "0.1", "--memory", "64Mi", "--image", BROKEN)
    environment = settings(platform.url, ada)
    with subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True, cwd=ROOT) as waiting:
        assert waiting.stderr is not None
        assert any("cannot be pulled" in said for said in waiting.stderr)
        platform.kill("api")
        time.sleep(2)
        platform.start_api()
        body = {"image": "nginx:latest"}
        headers = {"Authorization": f"Bearer {ada}"}
        changed = httpx.patch(f"{platform.url}/api/v1/clusters/slow", headers=headers, json=body, timeout=30)
        assert changed.status_code == 200, changed.text
        said = waiting.stderr.read()
    assert waiting.returncode == 0, said
    assert "creating slow: succeeded 1/1" in said
    assert cmpctl(platform.url, ada, "rm", "slow", "--yes").returncode == 0


def test_what_fails_says_why_and_what_to_type(platform: Platform, ada: str) -> None:
    made = cmpctl(
        platform.url, ada, "launch", "bad", "--cpu", "0.1", "--memory", "64Mi", "--image", BROKEN, "--timeout", "3"
    )
    assert made.returncode == 10
    assert "bad-instance-1: starting  The image cannot be pulled" in made.stderr
    assert "Watch it again: cmpctl wait " in made.stderr
    assert "Undo it:        cmpctl rm bad" in made.stderr
    assert made.stdout == ""
    assert cmpctl(platform.url, ada, "rm", "bad", "--yes", "--async").returncode == 0


def test_no_network(ada: str) -> None:
    began = time.monotonic()
    answer = cmpctl(f"http://127.0.0.1:{free_port()}", ada, "ps")
    assert answer.returncode == 8
    assert "Error: CMP does not answer: " in answer.stderr
    assert "Next: is the address right" in answer.stderr
    assert time.monotonic() - began < 60


def test_a_token_that_ended(platform: Platform, ada: str) -> None:
    headers = {"Authorization": f"Bearer {ada}"}
    made = httpx.post(f"{platform.url}/api/v1/tokens/", headers=headers, json={"name": "short"}).json()
    assert cmpctl(platform.url, made["token"], "whoami").returncode == 0
    httpx.delete(f"{platform.url}/api/v1/tokens/{made['id']}", headers=headers)
    answer = cmpctl(platform.url, made["token"], "whoami")
    assert (answer.returncode, answer.stdout) == (3, "")
    assert "Next: cmpctl login" in answer.stderr
    assert made["token"] not in answer.stderr


def test_a_full_quota(platform: Platform, ada: str) -> None:
    answer = cmpctl(platform.url, ada, "launch", "big", "--cpu", "8", "--memory", "1Gi", "--image", "nginx")
    assert answer.returncode == 7
    assert re.search(r"cpu +[█▒░]{16}  0 of 4 used, 4 left, asked for 8", answer.stderr)
    assert "Next: cmpctl quota" in answer.stderr
    assert "Request " in answer.stderr


def test_a_thousand_in_a_list(platform: Platform, ada: str) -> None:
    """All of them, over pages of 500."""
    size = ["--cpu", "1m", "--memory", "8Mi", "--image", "nginx", "--async"]
    assert cmpctl(platform.url, platform.token, "users", "change", "ada", "--memory", "64Gi").returncode == 0
    made = cmpctl(platform.url, ada, "launch", "many", *size, "--count", "1000")
    assert made.returncode == 0, made.stderr
    listed = cmpctl(platform.url, ada, "instances", "list", "-o", "name")
    assert len(set(listed.stdout.split())) == 1000
    only = cmpctl(platform.url, ada, "instances", "list", "--filter", "name~-99", "-o", "csv", "-c", "name")
    assert sorted(only.stdout.split()) == sorted(
        ["name", "many-instance-99", *(f"many-instance-99{n}" for n in range(10))]
    )
    assert cmpctl(platform.url, ada, "rm", "many", "--yes", "--async").returncode == 0


@contextmanager
def speaking(version: str, platform: Platform) -> Iterator[str]:
    """A CMP of another version: it has a field that nobody knows, and lacks a path."""

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/api/v1/audit"):
                problem = {"code": "no_such_path", "detail": "There is nothing at this path.", "request_id": "1"}
                return self._answer(404, problem)
            headers = {"Authorization": self.headers["Authorization"] or ""}
            found = httpx.get(f"{platform.url}{self.path}", headers=headers).json()
            if self.path == "/health":
                found["version"] = version
            for row in found.get("items", []):
                row |= {"phase": "hibernating", "carbon": 3}
            return self._answer(200, found)

        def _answer(self, status: int, body: Any) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Other)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("version", "word"), [("0.0.1", "older"), ("99.0.0", "newer")])
def test_another_version(platform: Platform, ada: str, tmp_path: Path, version: str, word: str) -> None:
    """It is said, once; what both know works, what is new in an answer is shown, what is missing is named."""
    made = cmpctl(platform.url, ada, "launch", f"v{word}", "--cpu", "1m", "--memory", "8Mi", "--image", "nginx")
    assert made.returncode == 0, made.stderr
    with speaking(version, platform) as url:
        answer = cmpctl(url, ada, "ps", "-o", "json", home=tmp_path)
        assert answer.returncode == 0, answer.stderr
        assert f"is {word} ({version}) than this cmpctl ({VERSION})" in answer.stderr
        assert {row["carbon"] for row in json.loads(answer.stdout)} == {3}
        again = cmpctl(url, ada, "ps", "-c", "name,phase,carbon", home=tmp_path)
        assert (again.returncode, again.stderr) == (0, "")
        assert f"v{word}  hibernating  3" in again.stdout
        missing = cmpctl(url, ada, "audit", "list", home=tmp_path)
        assert missing.returncode == 5
        assert "older or newer than this cmpctl" in missing.stderr


def test_versions_go_together() -> None:
    """cmpctl is released with CMP."""
    from app import telemetry

    assert telemetry.VERSION == VERSION
    assert f'version = "{VERSION}"' in (ROOT / "cmpctl/pyproject.toml").read_text()
