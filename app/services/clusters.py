"""Making and unmaking clusters: quota first, then every row of the wish, in the caller's transaction."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import uuid_utils.compat as uuids

from app import auth
from app.database import Database, Session, TryAgain
from app.errors import NameTaken, NotFound, WrongState
from app.models import Cluster, ClusterPhase, Instance, InstanceStatus, Operation, OperationKind, Wanted
from app.rules import naming, volumes
from app.rules.access import Access, Permission, Viewer
from app.rules.quota import Amounts
from app.services import ssh_keys
from app.services.access import require_owner
from app.services.operations import supersede
from app.store import clusters, creation, events, instances, operations, sharing
from app.store.creation import NewCluster


@dataclass(frozen=True, slots=True)
class ClusterWish:
    """CPU in millicores and memory in MiB, for each instance. `seal` answers the secrets, sealed for a cluster's id.

    What `image_name` and `flavour` name was looked up in the catalogue, and found to be allowed: services.catalogue.
    """

    name: str
    instance_type: str
    cpu: int
    memory: int
    count: int
    image: str
    labels: Mapping[str, str]
    image_name: str | None = None
    flavour: str | None = None
    max_unavailable: int = 1
    spec: Mapping[str, Any] = field(default_factory=dict)
    seal: Callable[[uuid.UUID], str | None] = lambda _cluster_id: None

    @property
    def each(self) -> Amounts:
        """What one instance takes."""
        return each(self.cpu, self.memory, self.spec)


@dataclass(frozen=True, slots=True)
class ClusterView:
    """A cluster with what is shown beside it. `viewer`: to whom; `access`: what they are to it."""

    viewer: Viewer
    access: Access

    cluster: Cluster
    owner: str
    instances: list[Instance]
    operation: Operation | None


def each(cpu: int, memory: int, spec: Mapping[str, Any]) -> Amounts:
    """What one instance takes of its owner's quota."""
    return Amounts(cpu=cpu, memory=memory, instances=1, storage=volumes.storage(spec))


def missing(noun: str = "cluster") -> NotFound:
    return NotFound(f"There is no such {noun}, or it is not yours. List yours to see their names and ids.")


async def load(session: Session, viewer: Viewer, key: uuid.UUID | str, *, lock: bool = False) -> ClusterView:
    """Raises NotFound."""
    cluster = await clusters.get(session, viewer, key, lock=lock)
    access = await sharing.access_to(session, viewer, cluster) if cluster is not None else None
    if cluster is None or access is None:
        raise missing()
    members = (await instances.all_of(session, [cluster.id]))[cluster.id]
    return ClusterView(
        viewer,
        access,
        cluster,
        await clusters.owner_name(session, cluster),
        members,
        await operations.latest(session, cluster.id),
    )


async def create(session: Session, viewer: Viewer, wish: ClusterWish, request_id: str) -> ClusterView:
    """Raises QuotaExceeded, NameTaken, Invalid."""
    auth.require(viewer, Permission.CLUSTERS_WRITE)
    await auth.reserve(session, viewer.account_id, _amounts(wish))
    wish = replace(wish, spec=await ssh_keys.resolved(session, viewer, wish.spec))
    namespace = naming.namespace_for(wish.name)
    if await clusters.namespace_taken(session, namespace):
        namespace = naming.namespace_with_suffix(wish.name)
    new = _new(viewer, wish, namespace, request_id)
    try:
        await clusters.create(session, new.cluster, new.instances, new.ledger, new.operation)
    except clusters.NameInUse as error:
        raise NameTaken(
            "You have a cluster of that name, or one that is still being deleted. Choose another name or wait."
        ) from error
    except clusters.NamespaceInUse as error:
        raise TryAgain from error
    await events.add_many(session, [new.event])
    return ClusterView(viewer, Access.OWNER, new.cluster, viewer.username, new.instances, new.operation)


async def create_at_once(database: Database, viewer: Viewer, wish: ClusterWish, request_id: str) -> ClusterView | None:
    """`create`, committed, in one round trip. None: nothing was written, and `create` knows why or how."""
    auth.require(viewer, Permission.CLUSTERS_WRITE)
    if ssh_keys.has_names(wish.spec):
        return None
    new = _new(viewer, wish, naming.namespace_for(wish.name), request_id)
    if not await creation.at_once(database, _amounts(wish), new):
        return None
    return ClusterView(viewer, Access.OWNER, new.cluster, viewer.username, new.instances, new.operation)


async def hold(session: Session, viewer: Viewer, key: uuid.UUID | str) -> ClusterView:
    """The cluster with its lock, for whoever may delete it. Raises NotFound, Forbidden."""
    auth.require(viewer, Permission.CLUSTERS_WRITE)
    view = await load(session, viewer, key, lock=True)
    require_owner(view.access, "delete it")
    return view


async def delete(session: Session, viewer: Viewer, view: ClusterView, request_id: str) -> Operation:
    """`view` is from `hold`. Deleting what is being deleted answers the operation under way."""
    cluster = view.cluster
    if cluster.phase == ClusterPhase.DELETING:
        under_way = await operations.open_for_cluster(session, cluster.id)
        if not under_way:
            raise WrongState("The cluster is being deleted.")
        return under_way[-1]
    operation = operations.new(
        viewer,
        OperationKind.CLUSTER_DELETE,
        cluster,
        id=uuids.uuid7(),
        request_id=request_id,
        total=cluster.instance_count,
    )
    await supersede(session, viewer, cluster, operation)
    session.add(operation)
    now = datetime.now(UTC)
    await clusters.wish_away(session, cluster.id, now)
    await events.add(
        session,
        kind="cluster.deleting",
        actor=viewer.username,
        cluster=cluster,
        operation_id=operation.id,
        status=ClusterPhase.DELETING,
        request_id=request_id,
    )
    return operation


def _amounts(wish: ClusterWish) -> Amounts:
    return wish.each * wish.count + Amounts(clusters=1)


def _new(viewer: Viewer, wish: ClusterWish, namespace: str, request_id: str) -> NewCluster:
    cluster = _cluster(viewer, wish, namespace)
    members = [new_instance(cluster, ordinal, cluster.created_at) for ordinal in range(1, wish.count + 1)]
    operation = operations.new(
        viewer, OperationKind.CLUSTER_CREATE, cluster, id=uuids.uuid7(), request_id=request_id, total=wish.count
    )
    return NewCluster(
        cluster,
        members,
        [
            ledger_entry(cluster, cluster.id, Amounts(clusters=1)),
            *(ledger_entry(cluster, member.id, wish.each) for member in members),
        ],
        operation,
        events.entry(
            kind="cluster.created",
            actor=viewer.username,
            cluster=cluster,
            operation_id=operation.id,
            status=cluster.phase,
            request_id=request_id,
        ),
    )


def _cluster(viewer: Viewer, wish: ClusterWish, namespace: str) -> Cluster:
    now = datetime.now(UTC)
    id = uuids.uuid7()
    return Cluster(
        id=id,
        name=wish.name,
        namespace=namespace,
        instance_type=wish.instance_type,
        cpu_per_inst=wish.cpu,
        memory_per_inst=wish.memory,
        instance_count=wish.count,
        image=wish.image,
        image_name=wish.image_name,
        flavour=wish.flavour,
        spec=dict(wish.spec),
        secrets=wish.seal(id),
        revision=1,
        max_unavailable=wish.max_unavailable,
        labels=dict(wish.labels),
        owner_id=viewer.account_id,
        phase=ClusterPhase.PENDING,
        reason=None,
        message=None,
        ready_instances=0,
        created_at=now,
        updated_at=now,
    )


def new_instance(cluster: Cluster, ordinal: int, now: datetime) -> Instance:
    name = naming.instance_name(cluster.name, ordinal)
    return Instance(
        id=uuids.uuid7(),
        cluster_id=cluster.id,
        ordinal=ordinal,
        instance_name=name,
        k8s_resource=naming.kubernetes_resource(cluster.instance_type, name),
        wanted=Wanted.RUNNING,
        status=InstanceStatus.PENDING,
        reason=None,
        message=None,
        grace=None,
        cpu=cluster.cpu_per_inst,
        memory=cluster.memory_per_inst,
        revision=None,
        restart_required=False,
        suspend=None,
        migratable=False,
        unmigratable=None,
        guest=None,
        node=None,
        ip=None,
        restarts=0,
        created_at=now,
        updated_at=now,
    )


def ledger_entry(cluster: Cluster, resource_id: uuid.UUID, amounts: Amounts) -> dict[str, object]:
    return {
        "resource_id": resource_id,
        "account_id": cluster.owner_id,
        "cluster_id": cluster.id,
        **amounts.as_dict(),
    }
