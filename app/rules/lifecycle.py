"""Which operation is possible when, what it wishes for, and what the status reads until Kubernetes follows."""

from dataclasses import dataclass

from app.models import InstanceOperation, InstanceStatus, Wanted

_ALLOWED: dict[InstanceStatus, tuple[InstanceOperation, ...]] = {
    InstanceStatus.PENDING: (InstanceOperation.STOP, InstanceOperation.REPLACE),
    InstanceStatus.STARTING: (InstanceOperation.STOP, InstanceOperation.RESTART, InstanceOperation.REPLACE),
    InstanceStatus.RUNNING: (
        InstanceOperation.STOP, InstanceOperation.SUSPEND, InstanceOperation.RESTART, InstanceOperation.REBOOT,
        InstanceOperation.MIGRATE, InstanceOperation.REPLACE,
    ),
    InstanceStatus.STOPPING: (InstanceOperation.START,),
    InstanceStatus.STOPPED: (InstanceOperation.START, InstanceOperation.REPLACE),
    InstanceStatus.SUSPENDING: (InstanceOperation.STOP, InstanceOperation.RESUME),
    InstanceStatus.SUSPENDED: (
        InstanceOperation.STOP, InstanceOperation.RESUME, InstanceOperation.RESTART, InstanceOperation.REPLACE,
    ),
    InstanceStatus.FAILED: (InstanceOperation.STOP, InstanceOperation.RESTART, InstanceOperation.REPLACE),
    InstanceStatus.DELETING: (),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Transition:
    """What an operation wishes for, and the status shown until it is seen."""

    wanted: Wanted
    meanwhile: InstanceStatus


TRANSITIONS: dict[InstanceOperation, Transition] = {
    InstanceOperation.START: Transition(Wanted.RUNNING, InstanceStatus.STARTING),
    InstanceOperation.STOP: Transition(Wanted.STOPPED, InstanceStatus.STOPPING),
    InstanceOperation.SUSPEND: Transition(Wanted.SUSPENDED, InstanceStatus.SUSPENDING),
    InstanceOperation.RESUME: Transition(Wanted.RUNNING, InstanceStatus.STARTING),
    InstanceOperation.RESTART: Transition(Wanted.RUNNING, InstanceStatus.STARTING),
    InstanceOperation.REPLACE: Transition(Wanted.RUNNING, InstanceStatus.STARTING),
}

# Asked once of what runs, and done by whoever finds the open operation: nothing is wished differently afterwards.
ERRANDS = frozenset({InstanceOperation.REBOOT, InstanceOperation.MIGRATE})

SETTLED: dict[Wanted, InstanceStatus] = {
    Wanted.RUNNING: InstanceStatus.RUNNING,
    Wanted.STOPPED: InstanceStatus.STOPPED,
    Wanted.SUSPENDED: InstanceStatus.SUSPENDED,
}


def allowed_operations(
    status: str, suspend: str | None, *, reboot: bool = False, migrate: bool = False
) -> list[InstanceOperation]:
    """In the order a person would look for them. The rest are the instance's capabilities: how it could be suspended,
    if at all; whether there is a system in it to reboot; whether it could move to another node.
    """
    can = {
        InstanceOperation.SUSPEND: suspend is not None,
        InstanceOperation.REBOOT: reboot,
        InstanceOperation.MIGRATE: migrate,
    }
    return [operation for operation in _ALLOWED[InstanceStatus(status)] if can.get(operation, True)]


def as_wished(wanted: str, status: str) -> bool:
    return SETTLED.get(Wanted(wanted)) == status
