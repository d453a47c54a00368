"""Which operation is possible when: the whole table."""

import pytest

from app.models import InstanceOperation, InstanceStatus, Wanted
from app.rules import lifecycle

START, STOP, SUSPEND, RESUME, RESTART, REBOOT, MIGRATE, REPLACE = (
    InstanceOperation.START,
    InstanceOperation.STOP,
    InstanceOperation.SUSPEND,
    InstanceOperation.RESUME,
    InstanceOperation.RESTART,
    InstanceOperation.REBOOT,
    InstanceOperation.MIGRATE,
    InstanceOperation.REPLACE,
)
TABLE = {
    InstanceStatus.PENDING: {STOP, REPLACE},
    InstanceStatus.STARTING: {STOP, RESTART, REPLACE},
    InstanceStatus.RUNNING: {STOP, SUSPEND, RESTART, REBOOT, MIGRATE, REPLACE},
    InstanceStatus.STOPPING: {START},
    InstanceStatus.STOPPED: {START, REPLACE},
    InstanceStatus.SUSPENDING: {STOP, RESUME},
    InstanceStatus.SUSPENDED: {STOP, RESUME, RESTART, REPLACE},
    InstanceStatus.FAILED: {STOP, RESTART, REPLACE},
    InstanceStatus.DELETING: set(),
}


@pytest.mark.parametrize("status", InstanceStatus)
def test_allowed_operations(status: InstanceStatus) -> None:
    able = {"reboot": True, "migrate": True}
    assert set(lifecycle.allowed_operations(status, "freeze", **able)) == TABLE[status]
    assert set(lifecycle.allowed_operations(status, None, **able)) == TABLE[status] - {SUSPEND}
    assert set(lifecycle.allowed_operations(status, "freeze", migrate=True)) == TABLE[status] - {REBOOT}
    assert set(lifecycle.allowed_operations(status, "freeze", reboot=True)) == TABLE[status] - {MIGRATE}


def test_every_operation_is_an_errand_or_a_wish_that_can_be_settled() -> None:
    assert set(lifecycle.TRANSITIONS) == set(InstanceOperation) - lifecycle.ERRANDS
    for transition in lifecycle.TRANSITIONS.values():
        assert lifecycle.SETTLED[transition.wanted] in InstanceStatus
        assert transition.meanwhile not in lifecycle.SETTLED.values()
    assert set(lifecycle.SETTLED) == set(Wanted) - {Wanted.ABSENT}


def test_what_is_settled_can_be_undone_and_nothing_is_a_dead_end() -> None:
    for status in InstanceStatus:
        if status is not InstanceStatus.DELETING:
            assert lifecycle.allowed_operations(status, None)
    for operation, transition in lifecycle.TRANSITIONS.items():
        settled = lifecycle.SETTLED[transition.wanted]
        assert lifecycle.allowed_operations(settled, None), operation


@pytest.mark.parametrize("wanted", Wanted)
def test_as_wished(wanted: Wanted) -> None:
    fulfilled = [status for status in InstanceStatus if lifecycle.as_wished(wanted, status)]
    assert fulfilled == ([] if wanted is Wanted.ABSENT else [lifecycle.SETTLED[wanted]])
