"""From the rows of a cluster to what is told of it: to Kubernetes, and to whoever reads the logs."""

from app.k8s_service import ClusterRef, InstanceSpec, Room
from app.models import Instance, InstanceType, OperationKind, Wanted
from app.reconciler.decide import Picture
from app.store.leases import Loaded

_NAMED = 5


def about(loaded: Loaded) -> dict[str, str]:
    """What every line of this visit says, so that it is found by the request and the operation that it is for."""
    said = {"cluster_id": str(loaded.cluster.id)}
    if loaded.operations:
        said["operation_id"] = " ".join(str(op.id) for op in loaded.operations[:_NAMED])
        said["request_id"] = " ".join(dict.fromkeys(op.request_id for op in loaded.operations[:_NAMED]))
    return said


def type_of(loaded: Loaded) -> InstanceType:
    return InstanceType(loaded.cluster.instance_type)


def room_of(picture: Picture) -> Room:
    cluster = picture.cluster
    return Room(
        count=len(picture.instances),
        cpu=cluster.cpu_per_inst,
        memory=cluster.memory_per_inst,
        settings=cluster.spec,
        settled=not picture.updating and all(picture.has_size(seen) for seen in picture.seen.values()),
    )


def spec_of(ref: ClusterRef, loaded: Loaded, instance: Instance) -> InstanceSpec:
    cluster = loaded.cluster
    moves = (
        op.id for op in loaded.operations if op.instance_id == instance.id and op.kind == OperationKind.INSTANCE_MIGRATE
    )
    return InstanceSpec(
        cluster=ref,
        instance_type=type_of(loaded),
        instance_id=str(instance.id),
        name=instance.instance_name,
        cpu=cluster.cpu_per_inst,
        memory=cluster.memory_per_inst,
        image=cluster.image,
        wanted=Wanted(instance.wanted),
        incarnation=instance.incarnation,
        settings=cluster.spec,
        revision=cluster.revision,
        grace=instance.grace,
        migration=next(map(str, moves), None),
    )
