"""Which operation is possible when, what it wishes for, and what the status reads until Kubernetes follows."""

from dataclasses import dataclass

from app.models import InstanceOperation, InstanceStatus, Wanted

_ALLOWED: dict[InstanceStatus, tuple[InstanceOperation, ...]] = {
    InstanceStatus.PENDING: (InstanceOperation.STOP, InstanceOperation.REPLACE),
    InstanceStatus.STARTING: (InstanceOperation.STOP, InstanceOperation.RESTART, InstanceOperation.REPLACE),
    InstanceStatus.RUNNING: (
        InstanceOperation.STOP, InstanceOperation.SUSPEND, InstanceOperation.RESTART, InstanceOperation.REPLACE,
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

SETTLED: dict[Wanted, InstanceStatus] = {
    Wanted.RUNNING: InstanceStatus.RUNNING,
    Wanted.STOPPED: InstanceStatus.STOPPED,
    Wanted.SUSPENDED: InstanceStatus.SUSPENDED,
}


def allowed_operations(status: str, suspend: str | None) -> list[InstanceOperation]:
    """In the order a person would look for them. `suspend` is the instance's capability; none means it cannot be."""
    possible = _ALLOWED[InstanceStatus(status)]
    return [o for o in possible if o is not InstanceOperation.SUSPEND or suspend is not None]


def as_wished(wanted: str, status: str) -> bool:
    return SETTLED.get(Wanted(wanted)) == status
