"""Schemathesis against the running API, all its checks: no 5xx, and no answer that the description does not promise.

About 1,500 requests; with CMP_FUZZ=full many more (`make fuzz`).
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.e2e.platform import Platform, running, simulator

EXAMPLES = "200" if os.environ.get("CMP_FUZZ") == "full" else "10"
# A stream or a followed log has no end, and a new token would make the rest of the run unauthenticated.
OPAQUE = ("Idempotency-Key", "cursor", "follow")
LEFT_OUT = ("/api/v1/events/", "/api/v1/users/me/token", "/api/v1/users/{user}/token")


@pytest.mark.fuzz
@pytest.mark.timeout(1500)
def test_every_answer_is_as_described(tmp_path: Path) -> None:
    settings = {"CMP_MAX_WAIT_SECONDS": "1", "CMP_LOG_LEVEL": "warning", "CMP_MAX_INSTANCES": "3000"}
    with simulator() as kubernetes, running(Platform(tmp_path / "data", kubernetes, extra=settings)) as platform:
        _something_to_find(platform)
        done = subprocess.run(_command(platform, tmp_path), capture_output=True, text=True, check=False)
        log = platform.log("api")
    cases = re.search(r"(\d+) generated", done.stdout)
    print(f"Schemathesis: {cases[0] if cases else 'nothing generated'}")
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr + log
    assert cases is not None
    assert int(cases[1]) > 1000


def _something_to_find(platform: Platform) -> None:
    """What the description's examples name."""
    with httpx.Client(base_url=f"{platform.url}/api/v1", headers={"Authorization": f"Bearer {platform.token}"}) as api:
        for path, body in (
            ("/users/", {"username": "ada"}),
            ("/flavours/", {"name": "small", "cpu": 1, "memory": 64}),
            ("/images/", {"name": "small", "instance_type": "container", "reference": "registry.example/small:1"}),
            ("/clusters/", {"name": "web", "instance_type": "container", "cpu_per_instance": 0.1,
                            "memory_per_instance": 64, "instance_count": 3}),
        ):  # fmt: skip
            assert api.post(path, json=body).status_code == 201


def _command(platform: Platform, folder: Path) -> list[str]:
    schema = httpx.get(f"{platform.url}/openapi.json").json()
    # Opaque words that a fuzzer can only get wrong: keys that come again with other bodies, cursors of no list.
    for methods in schema["paths"].values():
        for operation in methods.values():
            parameters = operation.get("parameters", [])
            operation["parameters"] = [p for p in parameters if p["name"] not in OPAQUE]
    described = folder / "openapi.json"
    described.write_text(json.dumps(schema))
    command = [str(Path(sys.executable).with_name("schemathesis"))]
    command += ["--config-file", str(Path(__file__).with_name("schemathesis.toml"))]
    command += ["run", str(described), "--url", platform.url, "-H", f"Authorization: Bearer {platform.token}"]
    command += ["--checks", "all", "-n", EXAMPLES, "--generation-deterministic", "--continue-on-failure", "--no-color"]
    return command + [part for path in LEFT_OUT for part in ("--exclude-path", path)]
