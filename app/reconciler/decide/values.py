"""What a decision is made from: the rows, what is seen in Kubernetes, and how the steps went. Plain values."""

import enum
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from app.models import (
    Cluster,
    ClusterPhase,
    Instance,
    InstanceStatus,
    Operation,
    OperationKind,
    OperationStatus,
    Reason,
    Wanted,
)


class Verb(enum.StrEnum):
    """What is done to one instance. UPDATE: its object, not what runs. RENEW makes it once nothing is left of the one
    before, its disks included. CONFIRM asks Kubernetes itself whether it is gone. ABANDON ends a migration that nobody
    waits for any more.
    """

    APPLY = "apply"
    START = "start"
    STOP = "stop"
    SUSPEND = "suspend"
    RESUME = "resume"
    RESTART = "restart"
    UPDATE = "update"
    RENEW = "renew"
    DELETE = "delete"
    CONFIRM = "confirm"
    REBOOT = "reboot"
    MIGRATE = "migrate"
    ABANDON = "abandon"


class NamespaceStep(enum.StrEnum):
    """ENSURE makes it, or furnishes it anew. RENAME leaves a foreign namespace alone. RELEASE deletes ours, or sees
    that it is gone.
    """

    ENSURE = "ensure"
    RENAME = "rename"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class Step:
    """`operation_id`: of the errand that it is, where it is one."""

    verb: Verb
    instance_id: uuid.UUID
    operation_id: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """ENSURE comes before the steps; RELEASE when they have nothing left to do. `strangers`: delete those too."""

    namespace: NamespaceStep | None = None
    steps: tuple[Step, ...] = ()
    strangers: bool = False


class SeenMigration(Protocol):
    """`name`: the id of the operation that asked for it."""

    @property
    def name(self) -> str: ...
    @property
    def state(self) -> Literal["waiting", "moving", "succeeded", "failed"]: ...
    @property
    def reason(self) -> Reason | None: ...
    @property
    def message(self) -> str | None: ...
    @property
    def deleting(self) -> bool: ...


class Seen(Protocol):
    """One instance as it is seen; `instance_types.values.Observed` is one. Absence is no Seen at all."""

    @property
    def status(self) -> InstanceStatus: ...
    @property
    def reason(self) -> Reason | None: ...
    @property
    def message(self) -> str | None: ...
    @property
    def incarnation(self) -> int | None: ...
    @property
    def node(self) -> str | None: ...
    @property
    def ip(self) -> str | None: ...
    @property
    def restarts(self) -> int: ...
    @property
    def suspend(self) -> str | None: ...
    @property
    def deleting(self) -> bool: ...
    @property
    def lost(self) -> bool: ...
    @property
    def ended(self) -> Literal["completed", "failed"] | None: ...
    @property
    def rerun(self) -> bool: ...
    @property
    def revision(self) -> int | None: ...
    @property
    def told(self) -> int | None: ...
    @property
    def grace(self) -> int | None: ...
    @property
    def cpu(self) -> int | None: ...
    @property
    def memory(self) -> int | None: ...
    @property
    def pending_size(self) -> str | None: ...
    @property
    def restart_required(self) -> bool: ...
    @property
    def migratable(self) -> bool: ...
    @property
    def unmigratable(self) -> str | None: ...
    @property
    def migration(self) -> SeenMigration | None: ...
    @property
    def guest(self) -> Mapping[str, Any] | None: ...


class SeenNamespace(Protocol):
    @property
    def uid(self) -> str: ...
    @property
    def terminating(self) -> bool: ...
    @property
    def foreign(self) -> bool: ...
    @property
    def message(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Picture:
    """`unavailable`: why instances of this kind cannot exist here. `unseen`: what was done to an instance lately and
    does not show yet. `rested`: nobody looked for so long that waiting times mean nothing. `strangers`: how many
    objects in its namespace carry our labels without being one of its instances. `asked`: operations whose errand this
    process has run. `furnished`: its namespace is as it should be, for what is wished now.
    """

    cluster: Cluster
    instances: Sequence[Instance]
    operations: Sequence[Operation]
    namespace: SeenNamespace | None
    seen: Mapping[uuid.UUID, Seen]
    kept_when_stopped: bool
    unavailable: str | None = None
    unseen: Mapping[uuid.UUID, Verb] = field(default_factory=dict)
    strangers: int = 0
    rested: bool = False
    asked: frozenset[uuid.UUID] = frozenset()
    furnished: bool = True

    @property
    def deleting(self) -> bool:
        return self.cluster.phase == ClusterPhase.DELETING

    @property
    def updating(self) -> bool:
        return any(op.kind == OperationKind.CLUSTER_UPDATE for op in self.operations)

    def remaining(self) -> list[Instance]:
        """Those that are meant to stay."""
        return [i for i in self.instances if i.wanted != Wanted.ABSENT]

    def replacing(self, instance: Instance) -> bool:
        """Whether all of it, its disks too, is to be made anew."""
        asked = (op.instance_id for op in self.operations if op.kind == OperationKind.INSTANCE_REPLACE)
        return instance.wanted == Wanted.RUNNING and instance.id in asked

    def asks_for_size(self, seen: Seen) -> bool:
        """Whether its object asks for the cluster's size; KubeVirt's instancetypes have theirs outside of it."""
        return seen.cpu is None or (seen.cpu, seen.memory) == (self.cluster.cpu_per_inst, self.cluster.memory_per_inst)

    def has_size(self, seen: Seen) -> bool:
        """Whether what runs has the cluster's size."""
        if seen.cpu is None:
            return seen.revision == self.cluster.revision
        return self.asks_for_size(seen) and seen.pending_size is None


@dataclass(frozen=True, slots=True)
class Trouble:
    reason: Reason
    message: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the steps went. `unchanged`: whose update was refused; what runs goes on. `declined`: errands that Kubernetes
    will not run, by operation. `blocked`: the whole namespace cannot be used. `unavailable`: Kubernetes did not answer.
    `raced`: the world moved meanwhile. `unfinished`: there are more steps than one visit takes. `gone`: seen live.
    """

    namespace_uid: str | None = None
    blocked: Trouble | None = None
    refused: Mapping[uuid.UUID, Trouble] = field(default_factory=dict)
    unchanged: Mapping[uuid.UUID, Trouble] = field(default_factory=dict)
    declined: Mapping[uuid.UUID, Trouble] = field(default_factory=dict)
    unavailable: str | None = None
    retry_after: float | None = None
    raced: bool = False
    unfinished: bool = False
    gone: bool = False
    gone_instances: frozenset[uuid.UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class OperationRuling:
    """`status` None: still under way, with this much done."""

    operation: Operation
    status: OperationStatus | None
    done: int
    total: int
    reason: Reason | None = None
    message: str | None = None


def seconds_since(moment: datetime, now: datetime) -> float:
    return (now - moment).total_seconds()
