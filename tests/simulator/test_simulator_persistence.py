"""Objects survive a stop and a start; the process says that it is ready, and ends when it is told to."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import yaml

import simulator
from simulator import persistence
from tests.simulator.rig import MAPS, PODS, config_map, eventually, pod, ready, running

ROOT = Path(__file__).parents[2]
MACHINES = "/apis/kubevirt.io/v1/namespaces/default/virtualmachines"


async def test_objects_survive(tmp_path: Path) -> None:
    state = tmp_path / "deep" / "state"
    async with running(state=state) as rig:
        made = await rig.ok("POST", MAPS, config_map("a", k="v"))
        await rig.ok("POST", PODS, pod("p"))
        before = await rig.until(f"{PODS}/p", ready)
        since = await rig.revision(MAPS)
    async with running(state=state) as rig:
        assert await rig.ok("GET", f"{MAPS}/a") == made
        after = await rig.ok("GET", f"{PODS}/p")
        assert after == before
        changed = await rig.ok("PATCH", f"{MAPS}/a", {"data": {"k": "w"}})
        assert int(changed["metadata"]["resourceVersion"]) > int(since)
        async with rig.watch(MAPS, f"resourceVersion={since}") as watch:
            assert (await watch.next())["object"]["code"] == 410
        await rig.ok("DELETE", f"{PODS}/p")
        await rig.until_gone(f"{PODS}/p")


async def test_what_was_under_way_goes_on(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with running(state=state) as rig:
        await rig.admin("PUT", "/clock", {"speed": 0})
        await rig.ok("POST", PODS, pod("p"))
        await rig.ok("POST", MACHINES, _machine("vm"))
        await rig.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "going"}})
        await rig.ok("DELETE", "/api/v1/namespaces/going")
    async with running(state=state) as rig:
        await rig.until(f"{PODS}/p", ready)
        await rig.until(f"{MACHINES}/vm", lambda obj: obj["status"]["printableStatus"] == "Running")
        await rig.until_gone("/api/v1/namespaces/going")
        await rig.admin("PUT", "/clock", {"speed": 0})
        await rig.ok("DELETE", f"{PODS}/p")
        await rig.ok("DELETE", f"{MACHINES}/vm")
    async with running(state=state) as rig:
        await rig.until_gone(f"{PODS}/p")
        await rig.until_gone(f"{MACHINES}/vm")
        assert (await rig.ok("GET", PODS))["items"] == []


async def test_it_saves_while_it_runs(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with running(simulator.Settings(save_interval=0.1), state=state) as rig:
        await rig.ok("POST", MAPS, config_map("a"))

        async def saved() -> bool:
            return state.exists() and b'"name":"a"' in state.read_bytes()

        await eventually(saved)


def test_a_half_written_file_is_never_seen(tmp_path: Path) -> None:
    state = tmp_path / "state"
    persistence.write([b"old\n"], state)

    def breaks() -> list[bytes]:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        persistence.write(breaks(), state)
    assert state.read_bytes() == b"old\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_says_ready_and_ends_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    state, kubeconfig = tmp_path / "state", tmp_path / "deep" / "kubeconfig"
    process = _process("--state", str(state), "--kubeconfig", str(kubeconfig), "--set", "start_delay=0.1")
    try:
        url = _ready(process)
        assert yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"] == url
        with httpx.stream("GET", f"{url}/api/v1/pods?watch=1", trust_env=False):
            httpx.post(f"{url}{MAPS}", json=config_map("a"), trust_env=False).raise_for_status()
            process.send_signal(number)
            assert process.wait(15) == 0
    finally:
        process.kill()
        process.communicate()
    assert b'"name":"a"' in state.read_bytes()


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    script = (
        "import subprocess, sys\n"
        "command = [sys.executable, '-m', 'simulator', '--exit-with-parent']\n"
        "p = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)\n"
        "print(p.pid, p.stdout.readline(), flush=True)\n"
        "sys.stdin.readline()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline().split()[0])
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 15
    while _alive(child):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_settings_that_are_none() -> None:
    process = _process("--set", "nonsense=1")
    _, complaint = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "nonsense" in complaint


def _process(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "simulator", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _ready(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    for line in process.stdout:
        _, found, url = line.strip().partition("simulator ready on ")
        if found:
            return url
    raise AssertionError("the simulator ended before it was ready")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def _machine(name: str) -> dict[str, object]:
    spec = {"runStrategy": "Always", "template": {"spec": {"domain": {"devices": {}, "memory": {"guest": "1Gi"}}}}}
    return {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "metadata": {"name": name}, "spec": spec}
