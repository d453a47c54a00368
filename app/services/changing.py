"""Changing what the instances of a cluster are: their size, image and settings; the reconciler brings it to each.

Another image or other settings are a new revision. Containers that run an older one are replaced, so many at a time;
VMs take it up at their next start. A new size is charged for at once, an old one until it is seen to be given up.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import uuid_utils.compat as uuids

from app import auth
from app.database import Session
from app.errors import Unsupported, WrongState
from app.models import Cluster, ClusterPhase, Instance, Operation, OperationKind, Wanted
from app.rules import volumes
from app.rules.access import Viewer
from app.rules.quota import Amounts
from app.services import ssh_keys
from app.services.catalogue import ChosenImage, Size
from app.services.clusters import ClusterView
from app.services.operations import begin, supersede
from app.store import events, operations


@dataclass(frozen=True, slots=True)
class Change:
    """What is None stays. `spec` is whole; `seal` answers new secrets, sealed for a cluster's id."""

    size: Size | None = None
    image: ChosenImage | None = None
    spec: Mapping[str, Any] | None = None
    seal: Callable[[uuid.UUID], str | None] | None = None
    labels: Mapping[str, str] | None = None
    max_unavailable: int | None = None


async def change(
    session: Session, viewer: Viewer, view: ClusterView, wish: Change, request_id: str
) -> Operation | None:
    """`view` is from `scaling.hold`. None: nothing is different for the instances, so there is nothing to wait for.

    Raises WrongState, Unsupported, QuotaExceeded, Invalid.
    """
    cluster = view.cluster
    if cluster.phase == ClusterPhase.DELETING:
        raise WrongState("The cluster is being deleted.")
    _check_disks(cluster, wish)
    members = [member for member in view.instances if member.wanted != Wanted.ABSENT]
    size = wish.size
    resized = size is not None and (size.cpu, size.memory) != (cluster.cpu_per_inst, cluster.memory_per_inst)
    if size is not None and resized:
        await _charge(session, cluster, members, Amounts(cpu=size.cpu, memory=size.memory))
    if wish.spec is not None:
        wish = replace(wish, spec=await ssh_keys.resolved(session, viewer, wish.spec))
    revised = _take(cluster, wish)
    cluster.updated_at = datetime.now(UTC)
    cluster.version += 1
    if resized or revised:
        return await _begin(session, viewer, cluster, members, request_id)
    await session.flush()
    await events.add(
        session, kind="cluster.changed", actor=viewer.username, cluster=cluster, status=cluster.phase,
        request_id=request_id,
    )  # fmt: skip
    return None


async def _begin(
    session: Session, viewer: Viewer, cluster: Cluster, members: list[Instance], request_id: str
) -> Operation:
    """Another change that is under way ends here: this one goes on from wherever it is."""
    operation = operations.new(
        viewer,
        OperationKind.CLUSTER_UPDATE,
        cluster,
        id=uuids.uuid7(),
        request_id=request_id,
        total=len(members),
    )
    await supersede(session, viewer, cluster, operation, only_kind=True)
    for member in members:
        member.grace = None
        member.version += 1
    await begin(session, viewer, cluster, operation, f"{operation.kind}, revision {cluster.revision}")
    return operation


def _check_disks(cluster: Cluster, wish: Change) -> None:
    if wish.spec is not None and (
        volumes.claims(wish.spec) != volumes.claims(cluster.spec)
        or (wish.spec.get("root_disk") or {}) != (cluster.spec.get("root_disk") or {})
    ):
        raise Unsupported(
            "The persistent disks of a cluster are decided when it is made: they hold what would be lost. Make another "
            "cluster with the disks that you want."
        )
    imported = (cluster.spec.get("root_disk") or {}).get("type") == "persistent"
    if imported and wish.image is not None and wish.image.reference != cluster.image:
        raise Unsupported(
            "The root disks of this cluster were filled from their image once, and keep what was written since. Make "
            "another cluster from the other image."
        )


async def _charge(session: Session, cluster: Cluster, members: list[Instance], size: Amounts) -> None:
    """For the larger of what they have and what they are to have."""
    await auth.reserve_size(session, cluster.owner_id, [member.id for member in members], size)
    for member in members:
        member.cpu = max(member.cpu, size.cpu)
        member.memory = max(member.memory, size.memory)


def _take(cluster: Cluster, wish: Change) -> bool:
    """Whether what runs in the instances is to be another."""
    before = (cluster.image, cluster.spec)
    if wish.size is not None:
        cluster.cpu_per_inst, cluster.memory_per_inst = wish.size.cpu, wish.size.memory
        cluster.flavour = wish.size.flavour
    if wish.image is not None:
        cluster.image, cluster.image_name = wish.image.reference, wish.image.name
    if wish.spec is not None:
        cluster.spec = dict(wish.spec)
    if wish.seal is not None:
        cluster.secrets = wish.seal(cluster.id)
    if wish.labels is not None:
        cluster.labels = dict(wish.labels)
    if wish.max_unavailable is not None:
        cluster.max_unavailable = wish.max_unavailable
    revised = wish.seal is not None or before != (cluster.image, cluster.spec)
    cluster.revision += revised
    return revised
