"""Which way into an instance is open when, and that the words of every ending fit into a WebSocket's close."""

import itertools

import pytest

from app.models import InstanceStatus, InstanceType
from app.rules import reach
from app.rules.reach import Access, Ending

NEVER = {
    (InstanceType.CONTAINER, Access.CONSOLE),
    (InstanceType.CONTAINER, Access.VNC),
    (InstanceType.VM, Access.EXEC),
}


@pytest.mark.parametrize(("kind", "access"), list(itertools.product(InstanceType, Access)))
def test_only_what_runs_is_entered(kind: InstanceType, access: Access) -> None:
    ways = {status: reach.refusal(access, kind, status) for status in InstanceStatus}
    if (kind, access) in NEVER:
        assert len(set(ways.values())) == 1
        assert reach.never(access, kind) == ways[InstanceStatus.RUNNING]
        return
    assert reach.never(access, kind) is None
    opened = {status for status, why in ways.items() if why is None}
    closed_to_logs = {InstanceStatus.PENDING, InstanceStatus.STOPPED, InstanceStatus.DELETING}
    assert opened == (set(InstanceStatus) - closed_to_logs if access is Access.LOGS else {InstanceStatus.RUNNING})


def test_what_is_open_is_what_is_not_refused() -> None:
    for kind, status in itertools.product(InstanceType, InstanceStatus):
        for name, is_open in reach.open_now(kind, status).items():
            assert is_open is (reach.refusal(Access(name), kind, status) is None)


def test_freezing_cuts_everything_but_a_log() -> None:
    frozen = {InstanceStatus.SUSPENDING, InstanceStatus.SUSPENDED}
    for access, status in itertools.product(Access, InstanceStatus):
        assert (reach.cut(access, status) is not None) is (status in frozen and access is not Access.LOGS)


def test_words_fit() -> None:
    """A close frame holds 123 bytes, a reason in the events 32."""
    endings = [value for value in vars(reach).values() if isinstance(value, Ending)]
    assert len(endings) > 10
    assert [ending for ending in endings if len(ending.words.encode()) > 123 or len(ending.outcome) > 32] == []
