"""The table of operations for containers on the real node: what holds them in each state is real as well."""

import contextlib
from collections.abc import Iterator

import pytest

from app.models import InstanceStatus as Is
from testbed.node import images
from tests.e2e.kube_eyes import KubeEyes
from tests.e2e.operations import LIMITS, Engine, differences
from tests.e2e.platform import Platform, user
from tests.node.agent import Agent

pytestmark = [pytest.mark.node, pytest.mark.timeout(900)]

RUNS = {"instance_type": "container", "cpu_per_instance": "50m", "memory_per_instance": 32, "image": images.WEB}
DEAF = {"container": {"command": ["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"]}}


async def test_every_operation_in_every_state(agent: Agent, platform: Platform, eyes: KubeEyes) -> None:
    @contextlib.contextmanager
    def hung() -> Iterator[None]:
        agent.signal("SIGSTOP")
        try:
            yield
        finally:
            agent.signal("SIGCONT")

    engine = Engine(eyes, RUNS, RUNS | DEAF, {Is.SUSPENDING: hung})
    async with user(platform, "ada", **LIMITS) as ada:
        assert await differences(ada, engine) == []
