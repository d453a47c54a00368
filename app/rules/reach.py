"""Reaching an instance: the ways there are, which of them is open when, and how a conversation can end. Pure."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from app.models import InstanceStatus, InstanceType


class Access(enum.StrEnum):
    """What one does to an instance by reaching it."""

    LOGS = "logs"
    EXEC = "exec"
    PORT_FORWARD = "port_forward"
    CONSOLE = "console"
    VNC = "vnc"


@dataclass(frozen=True, slots=True)
class Logs:
    """What of the log is wanted, as Kubernetes names it; `tail` in lines."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    since_seconds: int | None = None
    since_time: datetime | None = None
    tail: int | None = None


@dataclass(frozen=True, slots=True)
class Exec:
    command: tuple[str, ...]
    tty: bool = False
    stdin: bool = False


@dataclass(frozen=True, slots=True)
class PortForward:
    port: int


@dataclass(frozen=True, slots=True)
class Console:
    """The serial console."""


@dataclass(frozen=True, slots=True)
class Vnc:
    """`preserve`: an open session is not pushed aside; the new one is refused."""

    preserve: bool = True


@dataclass(frozen=True, slots=True)
class Screenshot:
    """What the screen shows now."""


Way = Exec | PortForward | Console | Vnc
"""What is opened as a conversation: bytes in both directions."""


@dataclass(frozen=True, slots=True)
class Target:
    """Which instance is meant: ids are proof, names only where to look."""

    instance_type: InstanceType
    cluster_id: str
    instance_id: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Cores and MiB, averaged over `window` seconds that ended at `timestamp`."""

    cpu: float
    memory: int
    timestamp: datetime
    window: float


@dataclass(frozen=True, slots=True)
class Ending:
    """How a conversation ended: a WebSocket close code, a word for the audit, a sentence for people."""

    code: int
    outcome: str
    words: str


ENDED = Ending(1000, "ended", "It came to its end.")
UNSAID = Ending(1000, "ended", "It ended. KubeVirt does not say whether the guest or the connection did.")
DISCONNECTED = Ending(1000, "disconnected", "The client went away.")
GOING_AWAY = Ending(1001, "shutdown", "This CMP process is ending: connect again.")
NOT_BINARY = Ending(1003, "bad_data", "Only binary messages are taken here.")
BAD_CHANNEL = Ending(1003, "bad_data", "A message begins with its channel: 0 stdin, 4 resize, 255 close.")
FAILED = Ending(1011, "error", "Something went wrong on our side.")
IDLE = Ending(4000, "idle", "Nothing was sent in either direction for too long.")
LIFETIME = Ending(4001, "lifetime", "It was open for as long as one may be: connect again.")
SUSPENDED = Ending(4002, "suspended", "The instance is suspended: resume it, then connect again.")
GONE = Ending(4003, "gone", "There is no such instance any more.")
REVOKED = Ending(4004, "revoked", "The token, role or grant that opened this does not allow it any more.")
LOST = Ending(4005, "lost", "The connection to the instance broke: it ended, or Kubernetes does not answer.")

_NEVER = {
    (InstanceType.CONTAINER, Access.CONSOLE): "A container has no serial console. Run a shell in it instead: exec.",
    (InstanceType.CONTAINER, Access.VNC): "A container has no screen. Run a shell in it instead: exec.",
    (InstanceType.VM, Access.EXEC): "Commands cannot be run in a virtual machine from outside. Use its console, or "
    "SSH through port-forward.",
}
_NOT_NOW = {
    InstanceStatus.PENDING: "It does not run yet: wait until it does.",
    InstanceStatus.STARTING: "It is starting: wait until it runs.",
    InstanceStatus.STOPPING: "It is stopping: start it again when it has stopped.",
    InstanceStatus.STOPPED: "It is stopped: start it first.",
    InstanceStatus.SUSPENDING: "It is being suspended: resume it first.",
    InstanceStatus.SUSPENDED: "It is suspended: resume it first.",
    InstanceStatus.FAILED: "It has failed: see its logs, then restart it.",
    InstanceStatus.DELETING: "It is being deleted.",
}
_SILENT = (InstanceStatus.PENDING, InstanceStatus.STOPPED, InstanceStatus.DELETING)


def never(access: Access, instance_type: InstanceType) -> str | None:
    """Why an instance of this type is never reached that way, and what to do instead; None where it is."""
    return _NEVER.get((instance_type, access))


def refusal(access: Access, instance_type: InstanceType, status: str) -> str | None:
    """Why an instance cannot be reached that way now, and what to do; None when it can."""
    at_all = never(access, instance_type)
    if at_all is not None:
        return at_all
    seen = InstanceStatus(status)
    if access is Access.LOGS:
        return _NOT_NOW[seen] if seen in _SILENT else None
    return _NOT_NOW.get(seen)


@cache
def open_now(instance_type: InstanceType, status: str) -> Mapping[str, bool]:
    """By name of the access."""
    return {access.value: refusal(access, instance_type, status) is None for access in Access}


def cut(access: Access, status: str) -> Ending | None:
    """What ends an open conversation: one with frozen processes would hang. Whatever else ends an instance ends it too.

    A log can be read while nothing is written to it.
    """
    frozen = status in (InstanceStatus.SUSPENDING, InstanceStatus.SUSPENDED)
    return SUSPENDED if frozen and access is not Access.LOGS else None
