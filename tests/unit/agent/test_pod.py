"""What a Pod asks of the node agent, and what is told of it."""

from typing import Any

import pytest

from agent import pod as pods
from agent.pod import GATE, SUSPENDED

FROZEN_AT = "2026-11-25T12:00:10Z"


def pod(*, started: str = "2026-11-25T12:00:00Z", state: dict[str, Any] | None = None, **suspended: str) -> Any:
    conditions = [{"type": SUSPENDED, "lastTransitionTime": FROZEN_AT, **suspended}] if suspended else []
    containers = [{"name": "main", "state": state or {"running": {"startedAt": started}}}]
    return {
        "metadata": {"uid": "u", "resourceVersion": "1", "annotations": {"cmp.io/frozen": "true"}},
        "spec": {"containers": [{"name": "main"}]},
        "status": {"phase": "Running", "conditions": conditions, "containerStatuses": containers},
    }


@pytest.mark.parametrize(
    ("seen", "lost"),
    [
        (pod(), False),
        (pod(status="True", reason="Frozen"), False),
        (pod(status="True", reason="Frozen", started=FROZEN_AT), False),
        (pod(status="True", reason="Frozen", started="2026-11-25T12:00:11Z"), True),
        (pod(status="True", reason="Frozen", state={"terminated": {"exitCode": 137}}), True),
        (pod(status="True", reason="Frozen", state={"waiting": {"reason": "CrashLoopBackOff"}}), True),
        (pod(status="False", reason="Thawed", started="2026-11-25T12:00:11Z"), False),
        (pod(status="False", reason="MemoryLost"), True),
    ],
)
def test_whoever_ended_after_it_was_frozen_has_lost_its_memory(seen: Any, lost: bool) -> None:
    assert pods.lost_memory(seen) is lost


def test_only_what_changes_is_told_and_times_move_with_the_status() -> None:
    seen = pod(status="False", reason="Freezing")
    assert pods.changes(seen, {SUSPENDED: pods.NOT_YET}) == []
    (same,) = pods.changes(seen, {SUSPENDED: pods.RUNS})
    assert same["lastTransitionTime"] == FROZEN_AT
    suspended, gate = pods.changes(seen, {SUSPENDED: pods.STANDS_STILL, GATE: pods.CLOSED})
    assert (suspended["status"], gate["status"]) == ("True", "False")
    assert suspended["lastTransitionTime"] > FROZEN_AT


def test_all_containers_must_run() -> None:
    assert pods.runs(pod())
    assert not pods.runs(pod(state={"waiting": {}}))
    pending = pod()
    pending["status"]["containerStatuses"] = []
    assert not pods.runs(pending)
