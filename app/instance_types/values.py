"""What the reconciler, the service and the instance types tell each other, and the names of our labels.

Plain frozen values; nothing here talks to anything.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from app.models import InstanceOperation, InstanceStatus, InstanceType, Reason, Wanted
from app.rules.reach import Logs, Screenshot, Way

FIELD_MANAGER = "cmp"
MANAGED_BY = "app.kubernetes.io/managed-by"
INSTANCE_TYPE = "instance-type"
INSTALLATION = "cmp.io/installation"
OWNER = "cmp.io/owner"
CLUSTER = "cmp.io/cluster"
INSTANCE = "cmp.io/instance"
CLUSTER_NAME = "cmp.io/cluster-name"
INCARNATION = "cmp.io/incarnation"
REVISION = "cmp.io/revision"
FROZEN = "cmp.io/frozen"
# Why it can be suspended nowhere.
UNSUSPENDABLE = "cmp.io/unsuspendable"

# The Pod that a machine is to move to, beside the one that it runs in.
TARGET = "MigrationTarget"

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ClusterRef:
    installation_id: str
    owner_id: str
    cluster_id: str
    cluster_name: str
    namespace: str
    namespace_uid: str | None = None


@dataclass(frozen=True, slots=True)
class InstanceSpec:
    """One instance as it is wished. `cpu` in millicores, `memory` in MiB; `settings` as its type's schema stores them.

    `grace`: seconds it may take to end, where somebody said so. `revision` counts changes of image and settings.
    `agents`: wherever it is put, there is a node agent. `migration`: the id of the operation that wishes it elsewhere.
    `own_users`: its users are none of its node's. `restricted`: by the strictest of the Pod Security Standards.
    """

    cluster: ClusterRef
    instance_type: InstanceType
    instance_id: str
    name: str
    cpu: int
    memory: int
    image: str
    wanted: Wanted
    incarnation: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    revision: int = 1
    grace: int | None = None
    agents: bool = False
    migration: str | None = None
    own_users: bool = False
    restricted: bool = False


@dataclass(frozen=True, slots=True)
class Migration:
    """A move to another node, under way or over. `name`: the id of the operation that asked for it. `waiting`: for a
    place to move to. `reason` and `message`: what holds it back, or ended it.
    """

    name: str
    uid: str
    state: Literal["waiting", "moving", "succeeded", "failed"]
    reason: Reason | None = None
    message: str | None = None
    deleting: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """One instance as it is seen. An instance of which nothing exists has no Observed at all.

    `incarnation` is the one that runs, or would run next where nothing does; None means not known yet: wait.
    `suspend` is how it could be suspended (freeze, vm-pause), or None. `deleting`: on its way out, do not touch.
    `lost`: the object is dead for good and must be replaced. `ended`: it came to its own end, as its settings let it,
    and is not run again unless somebody wishes so. `rerun`: it failed, and is to be run again. `run_uid`: of what runs
    it, where that is an object of its own. `grace`: seconds that its end may take, where that is known. `revision` is
    what runs, `told` what its object asks for. `cpu` and `memory`: the size that its object asks for; `pending_size`:
    why what runs does not have it yet. `restart_required`: only a restart will bring it about. `unmigratable`: why it
    cannot move to another node while it runs.
    """

    status: InstanceStatus
    reason: Reason | None = None
    message: str | None = None
    uid: str | None = None
    run_uid: str | None = None
    incarnation: int | None = None
    node: str | None = None
    ip: str | None = None
    restarts: int = 0
    suspend: str | None = None
    deleting: bool = False
    lost: bool = False
    ended: Literal["completed", "failed"] | None = None
    rerun: bool = False
    revision: int | None = None
    told: int | None = None
    grace: int | None = None
    cpu: int | None = None
    memory: int | None = None
    pending_size: str | None = None
    restart_required: bool = False
    migratable: bool = False
    unmigratable: str | None = None
    migration: Migration | None = None
    guest: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an instance type may know beyond its own objects. `node_ready` answers None where nodes cannot be read."""

    now: datetime
    node_ready: Callable[[str], bool | None]
    has_agent: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class KubeCall:
    """One call to Kubernetes, as data.

    `uid` is the object's that is meant; a call never reaches its namesake. `already`: what a 409 says when things are
    as wished. `missing_ok`: 404 is as good as done. `repeatable`: sending it twice does no more than sending it once.
    """

    verb: Literal["create", "apply", "merge", "strategic", "delete", "put"]
    kind: str
    name: str
    subresource: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)
    uid: str | None = None
    grace: int | None = None
    already: tuple[str, ...] = ()
    missing_ok: bool = False
    repeatable: bool = True


@dataclass(frozen=True, slots=True)
class Door:
    """A subresource to read or, with a protocol, to open as a WebSocket.

    Framing: `channels`, each message begins with its channel's number; `port`, the same for one TCP connection, data
    and errors; `plain`, bytes.
    """

    kind: str
    name: str
    subresource: str
    params: tuple[tuple[str, str], ...] = ()
    protocol: str = ""
    framing: Literal["channels", "port", "plain"] = "plain"


class InstanceDriver(Protocol):
    """What an instance type answers. `watches` names the kinds it reads and which fields of them.

    `reached`: the kinds that `door` looks at and that tell whether an instance runs, its own first. `launched`: a Pod
    that is not ours runs it, which sets no limits and is there twice while it moves.
    """

    instance_type: InstanceType
    kind: str
    watches: Mapping[str, tuple[str, ...]]
    kept_when_stopped: bool
    reached: tuple[str, ...]
    launched: bool

    def manifest(self, spec: InstanceSpec) -> dict[str, Any]: ...

    def shared(
        self, cluster: ClusterRef, settings: Mapping[str, Any], secrets: Mapping[str, Any]
    ) -> Sequence[dict[str, Any]]:
        """Objects that the instances of a cluster have in common: applied before any of them is made."""
        ...

    def status_of(self, objects: Mapping[str, Object], around: Surroundings) -> Observed:
        """`objects` by kind: at least one, not necessarily the main one."""
        ...

    def calls_for(
        self, operation: InstanceOperation, spec: InstanceSpec, observed: Observed | None
    ) -> Sequence[KubeCall]:
        """What to send, in order; nothing where nothing is left to do."""
        ...

    def update(self, spec: InstanceSpec, observed: Observed) -> Sequence[KubeCall]:
        """What brings its object to the size and the settings that are wished now, without ending what runs."""
        ...

    def removal(self, spec: InstanceSpec, observed: Observed) -> Sequence[KubeCall]: ...

    def door(self, wanted: Way | Logs | Screenshot, objects: Mapping[str, Object]) -> Door | None:
        """None where that way is not there; `objects` by kind, none where the instance has none."""
        ...


def cluster_labels(cluster: ClusterRef) -> dict[str, str]:
    """On everything that CMP makes for a cluster, its namespace included."""
    return {
        "managed-by": "cmp",
        MANAGED_BY: "cmp",
        INSTALLATION: cluster.installation_id,
        OWNER: cluster.owner_id,
        CLUSTER: cluster.cluster_id,
    }


def instance_labels(spec: InstanceSpec) -> dict[str, str]:
    return {
        **cluster_labels(spec.cluster),
        INSTANCE_TYPE: spec.instance_type.value,
        INSTANCE: spec.instance_id,
    }


def instance_annotations(spec: InstanceSpec) -> dict[str, str]:
    return {
        CLUSTER_NAME: spec.cluster.cluster_name,
        INCARNATION: str(spec.incarnation),
        REVISION: str(spec.revision),
    }


def cpu_quantity(millicores: int) -> str:
    return str(millicores // 1000) if millicores % 1000 == 0 else f"{millicores}m"


def memory_quantity(mebibytes: int) -> str:
    return f"{mebibytes}Mi"
