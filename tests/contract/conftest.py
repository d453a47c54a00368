"""One suite, two servers: every test that takes `cluster_api` runs on the simulator and on the real control plane.

Where the two differ, the simulator is wrong.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from testbed import Unavailable, build
from tests.contract.cluster_api import ClusterApi, Namespace

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session", params=["simulator", pytest.param("control-plane", marks=pytest.mark.kubernetes)])
def cluster_api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterApi]:
    directory = tmp_path_factory.mktemp("cluster")
    if request.param == "simulator":
        with _simulator(directory) as kubeconfig, _opened("simulator", kubeconfig, directory) as opened:
            yield opened
    else:
        plane = request.getfixturevalue("control_plane")
        with _opened("control-plane", plane.kubeconfig, directory) as opened:
            yield opened


@pytest.fixture
def with_kubevirt(cluster_api: ClusterApi) -> ClusterApi:
    if not cluster_api.simulated:
        pytest.skip("only on the simulator: the bare control plane runs no virt-api and no virt-controller")
    return cluster_api


@pytest.fixture
def with_node_agent(cluster_api: ClusterApi) -> ClusterApi:
    if not cluster_api.simulated:
        pytest.skip("only on the simulator: kwok pretends, so nothing can be frozen; see tests/node_agent")
    return cluster_api


@pytest.fixture
def namespace(cluster_api: ClusterApi) -> Iterator[Namespace]:
    made = cluster_api.make_namespace()
    yield made
    cluster_api.delete(made.path)


@contextmanager
def _simulator(directory: Path) -> Iterator[Path]:
    kubeconfig = directory / "kubeconfig"
    command = [sys.executable, "-m", "simulator", "--exit-with-parent", "--kubeconfig", str(kubeconfig)]
    command += ["--set", "bookmark_interval=1"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.startswith("simulator ready on "):
                break
        else:
            raise RuntimeError("the simulator ended before it was ready")
        yield kubeconfig
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


@contextmanager
def _opened(kind: str, kubeconfig: Path, directory: Path) -> Iterator[ClusterApi]:
    opened = ClusterApi(kind, kubeconfig, _kubectl(), directory / "kubectl-cache")
    with opened.http:
        yield opened


def _kubectl() -> str:
    """The testbed's, which is of the API server's version; else the one on PATH, if there is one."""
    try:
        return str(build.directory() / "kubectl")
    except Unavailable:
        return shutil.which("kubectl") or ""
