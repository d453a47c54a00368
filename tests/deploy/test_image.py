"""deploy/Containerfile, built, and CMP run from it: with a root that cannot be written, and as nobody in particular; by
runc, and on the real node as the Helm chart has it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from testbed import Unavailable, build, image
from testbed.databases import PostgreSQL
from testbed.node import Node, images
from testbed.processes import spawn
from tests.e2e.platform import ROOT, eventually, free_port, simulator

pytestmark = [pytest.mark.image, pytest.mark.timeout(1200)]

# Said to the API from within its own Pod, by the first administrator.
_A_CLUSTER = """
import json, urllib.request
token = open("/var/lib/cmp/admin-token").read().strip()
wish = {"name": "web", "instance_type": "container", "cpu_per_instance": 0.1, "memory_per_instance": 32}
request = urllib.request.Request(
    "http://127.0.0.1:8000/api/v1/clusters/?wait=100",
    json.dumps(wish).encode(),
    {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
)
print(urllib.request.urlopen(request, timeout=120).read().decode())
"""


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
    scripts = (folder / "console/dist/assets").glob("*.js")
    assert any("# Reach an instance" in script.read_text() for script in scripts), "the help's pages are in it"
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


def test_the_chart_starts_a_platform_that_makes_a_cluster(
    built: image.Image, node: Node, postgresql: PostgreSQL
) -> None:
    _offer(built, node, "testbed/cmp:built")
    kubectl = node.control_plane.kubectl
    kubectl("create", "namespace", "cmp-system")
    with _reached(node, postgresql.port) as port:
        url = postgresql.create_database("chart").replace(f"127.0.0.1:{postgresql.port}", f"{node.address}:{port}")
        secret = (f"--from-literal=CMP_DATABASE_URL={url}", f"--from-literal=CMP_SECRET_KEY={'A' * 43}=")
        kubectl("create", "secret", "generic", "cmp", "-n", "cmp-system", *secret)
        values = ["existingSecret=cmp", "image.repository=testbed/cmp", "image.tag=built", "api.replicas=1"]
        words = [word for value in [*values, "worker.replicas=1"] for word in ("--set", value)]
        helm: list[str | Path] = [
            build.directory(build.HELM) / "helm",
            "install",
            "cmp",
            ROOT / "deploy/helm/cmp",
            "-n",
            "cmp-system",
        ]
        helm += ["--kubeconfig", node.control_plane.kubeconfig, "--wait", "--timeout", "240s", *words]
        done = subprocess.run(helm, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + kubectl("get", "pods,events", "-n", "cmp-system")
        python = ("exec", "-n", "cmp-system", "deploy/cmp-api", "--", "/opt/cmp/.venv/bin/python", "-c")
        made = json.loads(kubectl(*python, _A_CLUSTER))
        assert made["phase"] == "running", made
        (pod,) = json.loads(kubectl("get", "pods", "-n", made["namespace"], "-o", "json"))["items"]
        assert pod["status"]["phase"] == "Running"
        mounts = kubectl(*python, "print(open('/proc/mounts').read())").splitlines()
        assert next(line for line in mounts if " / " in line).split()[3].startswith("ro")
        kubectl("delete", "namespace", made["namespace"], "cmp-system", "--wait=false")


def _offer(built: image.Image, node: Node, name: str) -> None:
    """In the node's own registry, as one layer."""
    layer = subprocess.run(
        ["tar", "--create", "--numeric-owner", "--directory", built.root, "."], stdout=subprocess.PIPE, check=True
    )
    folder = node.directory / "images"
    digest = images.put_image(folder / "blobs", [images.put(folder / "blobs", layer.stdout)], built.config)
    images.tag(folder, {name: digest})


@contextmanager
def _reached(node: Node, outside: int) -> Iterator[int]:
    """The port of the node's own address at which its Pods reach a port of ours."""
    path = node.directory / "database.sock"
    relay: list[str | Path] = [sys.executable, "-m", "testbed.node.relay"]
    here = ["env", f"PYTHONPATH={ROOT}", *relay, "out", path, str(outside)]
    there = [*relay, "both", path, str(outside), node.directory / "unused.sock"]
    processes = [
        spawn("database-out", here, node.directory),
        spawn("database-in", node.enter(*there), node.directory),
    ]
    try:
        yield outside
    finally:
        for process in processes:
            process.kill()
