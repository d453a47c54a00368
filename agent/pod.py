"""What a Pod says: whether it shall be frozen, and what of that is told in its conditions. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

FROZEN = "cmp.io/frozen"
SUSPENDED = "cmp.io/Suspended"
# The readiness gate: Services leave out a Pod whose gate is closed.
GATE = "cmp.io/Running"
MEMORY_LOST = "MemoryLost"

Object = Mapping[str, Any]


class Told(NamedTuple):
    """A condition's new words."""

    status: bool
    reason: str
    message: str = ""


RUNS = Told(False, "Thawed")
STANDS_STILL = Told(True, "Frozen", "all of its processes stand still, with their memory kept")
NOT_YET = Told(False, "Freezing", "not all of its processes stand still yet")
LOST = Told(False, MEMORY_LOST, "a container ended while the Pod was suspended, and with it what it held in memory")
PROBED = Told(False, "LivenessProbe", "it has a liveness probe, which would end it while it stands still")
OPEN = Told(True, "Running")
CLOSED = Told(False, "Suspended")


def uid(pod: Object) -> str:
    return str(pod["metadata"]["uid"])


def version(pod: Object) -> int:
    return int(pod["metadata"]["resourceVersion"])


def annotated(pod: Object) -> bool:
    return (pod["metadata"].get("annotations") or {}).get(FROZEN) == "true"


def leaving(pod: Object) -> bool:
    return pod["metadata"].get("deletionTimestamp") is not None


def gated(pod: Object) -> bool:
    return any(gate["conditionType"] == GATE for gate in pod["spec"].get("readinessGates") or ())


def probed(pod: Object) -> bool:
    return any("livenessProbe" in container for container in pod["spec"]["containers"])


def condition(pod: Object, kind: str) -> Mapping[str, Any]:
    found: Iterable[Mapping[str, Any]] = pod["status"].get("conditions") or ()
    return next((each for each in found if each["type"] == kind), {})


def suspended(pod: Object) -> bool:
    return condition(pod, SUSPENDED).get("status") == "True"


def runs(pod: Object) -> bool:
    """All of its containers."""
    states = _states(pod)
    return pod["status"].get("phase") == "Running" and bool(states) and all("running" in state for state in states)


def lost_memory(pod: Object) -> bool:
    """Whether a container has ended since it was frozen. Both times were taken by this node's clock."""
    if condition(pod, SUSPENDED).get("reason") == MEMORY_LOST:
        return True
    if not suspended(pod):
        return False
    since = condition(pod, SUSPENDED).get("lastTransitionTime") or ""
    return any("running" not in state or state["running"]["startedAt"] > since for state in _states(pod))


def changes(pod: Object, wanted: Mapping[str, Told]) -> list[dict[str, str]]:
    """Of the `wanted` conditions, by their types, those that the Pod does not show already."""
    made = []
    for kind, told in wanted.items():
        known = condition(pod, kind)
        status = "True" if told.status else "False"
        if (known.get("status"), known.get("reason")) != (status, told.reason):
            same = known.get("status") == status
            since = known["lastTransitionTime"] if same else datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            made.append(
                {
                    "type": kind,
                    "status": status,
                    "reason": told.reason,
                    "message": told.message,
                    "lastTransitionTime": since,
                }
            )
    return made


def _states(pod: Object) -> list[Mapping[str, Any]]:
    return [each.get("state") or {} for each in pod["status"].get("containerStatuses") or ()]
