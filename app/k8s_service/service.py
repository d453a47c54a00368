"""The verbs: ensure a namespace, apply, operate, observe, delete. Every change is safe to repeat, none touches what is
not ours: a change names the uid it means, and ownership is proven by our labels and uid, never by name.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Self

from app.instance_types.container import Container
from app.instance_types.values import (
    CLUSTER,
    FIELD_MANAGER,
    INSTALLATION,
    INSTANCE,
    MANAGED_BY,
    ClusterRef,
    InstanceDriver,
    InstanceSpec,
    KubeCall,
    Observed,
)
from app.instance_types.virtual_machine import VirtualMachine
from app.k8s_service import observation, tenancy
from app.k8s_service.errors import (
    ForeignNamespace,
    NamespaceTerminating,
    Raced,
)
from app.k8s_service.furnishing import FURNITURE, Furnisher
from app.k8s_service.observation import ClusterObservation, NamespaceState, OwnedNamespace, OwnedObject
from app.k8s_service.tenancy import Isolation, Room
from app.k8s_service.writing import Writer, said_our_way
from app.kube.cache import Cache, Timing
from app.kube.client import KubeClient, Limits, Observer
from app.kube.credentials import KubeTarget
from app.kube.errors import Refusal
from app.kube.kinds import CLAIM, KINDS, LEASE, MIGRATION, NAMESPACE, NODE, POD
from app.models import InstanceOperation, InstanceType
from app.rules import volumes

INSTANCE_TYPES: dict[InstanceType, InstanceDriver] = {
    InstanceType.CONTAINER: Container(),
    InstanceType.VM: VirtualMachine(),
}

AGENT_SECONDS = 2.0
"""How often it is looked which node agents are there."""


class KubernetesService:
    def __init__(
        self,
        client: KubeClient,
        *,
        installation_id: str,
        concurrency: int,
        timing: Timing | None = None,
        isolation: Isolation | None = None,
    ) -> None:
        self._client = client
        self._isolation = isolation or Isolation()
        self._installation_id = installation_id
        self._changes = asyncio.Semaphore(concurrency)
        self._listeners: list[Callable[[str], None]] = []
        self._version: str | None = None
        self._caches = self._made_caches(timing)
        self._writer = Writer(client, self._caches, self._changes)
        self._furnisher = Furnisher(client, self._caches, self._writer, self._isolation)

    @classmethod
    async def connect(
        cls,
        target: KubeTarget,
        *,
        installation_id: str,
        concurrency: int,
        version: str = "dev",
        observe_call: Observer | None = None,
        limits: Limits | None = None,
        timing: Timing | None = None,
        isolation: Isolation | None = None,
    ) -> Self:
        """Reads the configuration; raises kube.errors.BadTarget where it cannot be used. Does not call Kubernetes.

        `version` is CMP's own, for the User-Agent; `observe_call` is told of every call.
        """
        more: dict[str, Any] = {} if observe_call is None else {"observe_call": observe_call}
        client = await KubeClient.connect(target, version=version, limits=limits, **more)
        return cls(client, installation_id=installation_id, concurrency=concurrency, timing=timing, isolation=isolation)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._client.close()

    @property
    def description(self) -> str:
        """Where it is and, once `check` was answered, its version."""
        return f"{self._client.description}, {self._version or 'version not known yet'}"

    async def check(self) -> str:
        """The version, asked for now; raises Unavailable."""
        async with said_our_way():
            self._version = await self._client.version()
        return self._version

    async def certificates(self) -> dict[str, datetime]:
        """When the certificates end by which we and it know each other; raises Unavailable."""
        async with said_our_way():
            return await self._client.credentials.certificates()

    async def run(self) -> None:
        """Keeps the caches until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for cache in self._caches.values():
                tasks.create_task(cache.run(), name=f"cache {cache.kind.plural}")
            tasks.create_task(self._mind_agents(), name="node agents")

    def on_change(self, callback: Callable[[str], None]) -> None:
        """`callback` gets the id of a cluster of which something changed."""
        self._listeners.append(callback)

    def synced(self) -> bool:
        return all(cache.synced for cache in self._caches.values())

    def staleness(self) -> float:
        """Seconds since the quietest cache last heard from Kubernetes."""
        return max(cache.staleness() for cache in self._caches.values())

    def has(self, instance_type: InstanceType) -> str | None:
        """None where it can be had, else why not."""
        driver = INSTANCE_TYPES[instance_type]
        caches = [self._caches[kind] for kind in driver.reached]
        if not all(cache.synced for cache in caches):
            return "Kubernetes has not been read yet"
        if any(cache.absent is not None for cache in caches):
            return "KubeVirt is not installed in this Kubernetes cluster, or CMP may not use it"
        return None

    def observe(self, cluster: ClusterRef, names: Mapping[str, str] | None = None) -> ClusterObservation:
        """From the caches alone. `names`: instance id → object name of the instances that there should be."""
        around = observation.surroundings(self._caches[NODE.name], self._caches[LEASE.name])
        return observation.observe(cluster, names, INSTANCE_TYPES, self._caches, around)

    def owned_namespaces(self) -> list[OwnedNamespace]:
        return observation.owned_namespaces(self._installation_id, self._caches[NAMESPACE.name])

    async def ensure_namespace(self, cluster: ClusterRef) -> str:
        """Its uid. Raises ForeignNamespace, NamespaceTerminating."""
        wanted = tenancy.namespace_labels(cluster, self._isolation)
        cached = self._caches[NAMESPACE.name].get(None, cluster.namespace)
        if cached is not None and _settled(cluster, cached, wanted):
            return str(cached["metadata"]["uid"])
        annotations = {"cmp.io/cluster-name": cluster.cluster_name}
        metadata = {"name": cluster.namespace, "labels": wanted, "annotations": annotations}
        body = {"apiVersion": "v1", "kind": NAMESPACE.name, "metadata": metadata}
        async with said_our_way(), self._changes:
            try:
                made = await self._client.create(NAMESPACE, None, body, FIELD_MANAGER)
            except Refusal as error:
                if error.reason != "AlreadyExists":
                    raise
                made = await self._own_namespace(cluster, wanted)
        self._caches[NAMESPACE.name].absorb(made)
        return str(made["metadata"]["uid"])

    def furnished(self, cluster: ClusterRef, instance_type: InstanceType, room: Room) -> bool:
        """Whether its namespace, as the caches show it, is as it should be. False where it is not there."""
        cached = self._caches[NAMESPACE.name].get(None, cluster.namespace)
        if cached is None or not _settled(cluster, cached, tenancy.namespace_labels(cluster, self._isolation)):
            return False
        return self._furnisher.furnished(cluster, _of_type(instance_type, room))

    async def furnish(self, cluster: ClusterRef, instance_type: InstanceType, room: Room) -> None:
        """Who may talk to whom in its namespace, and how much fits. Raises Refused, and Raced: not in force yet."""
        await self._furnisher.furnish(cluster, _of_type(instance_type, room))

    async def namespace_state(self, cluster: ClusterRef) -> NamespaceState | None:
        """Read now, not from the cache. None: gone, or its name belongs to somebody else by now."""
        async with said_our_way():
            obj = await self._writer.live(NAMESPACE.name, None, cluster.namespace)
        state = None if obj is None else observation.namespace_state(cluster, obj)
        return None if state is None or state.foreign else state

    async def living(self, cluster: ClusterRef, instance_type: InstanceType) -> frozenset[str]:
        """Ids of its instances that have an object, read now: what the cache has not seen is not proven to be gone."""
        kind = KINDS[INSTANCE_TYPES[instance_type].kind]
        params = {"limit": "500", "labelSelector": f"{CLUSTER}={cluster.cluster_id}"}
        async with said_our_way():
            items = self._writer.items(kind, cluster.namespace, params)
            return frozenset([item["metadata"]["labels"].get(INSTANCE, "") async for item in items])

    async def share(
        self,
        cluster: ClusterRef,
        instance_type: InstanceType,
        settings: Mapping[str, Any],
        secrets: Mapping[str, Any],
    ) -> None:
        """Makes, or brings up to date, what the instances have in common. Raises Refused."""
        for body in INSTANCE_TYPES[instance_type].shared(cluster, settings, secrets):
            async with said_our_way(), self._changes:
                await self._writer.share(KINDS[body["kind"]], body)

    async def leftovers(self, cluster: ClusterRef) -> list[tuple[str, OwnedObject]]:
        """Disks of its instances, each with the instance's id, read now: they are not watched."""
        params = {"limit": "500", "labelSelector": f"{CLUSTER}={cluster.cluster_id}"}
        async with said_our_way():
            return [
                (item["metadata"]["labels"].get(INSTANCE, ""), _owned(CLAIM.name, item))
                async for item in self._writer.items(CLAIM, cluster.namespace, params)
            ]

    async def apply(self, spec: InstanceSpec) -> None:
        """Makes its object, or brings it to the wish where the kind allows that. An object of ours is never doubled."""
        await self._writer.require_size(spec)
        await self._writer.claim(spec)
        driver = INSTANCE_TYPES[spec.instance_type]
        spec = self._placed(spec)
        verb: Any = "apply" if driver.kept_when_stopped else "create"
        await self._writer.carry_out(spec, (KubeCall(verb, driver.kind, spec.name, body=driver.manifest(spec)),))

    async def operate(self, operation: InstanceOperation, spec: InstanceSpec, observed: Observed | None) -> None:
        if operation is InstanceOperation.START:
            await self._writer.claim(spec)
            spec = self._placed(spec)
        await self._writer.carry_out(spec, INSTANCE_TYPES[spec.instance_type].calls_for(operation, spec, observed))

    async def update(self, spec: InstanceSpec, observed: Observed) -> None:
        """Brings its object to the size and settings that are wished; what runs goes on."""
        await self._writer.require_size(spec)
        await self._writer.carry_out(spec, INSTANCE_TYPES[spec.instance_type].update(self._placed(spec), observed))

    async def renew(self, spec: InstanceSpec) -> None:
        """Makes it with new disks. Raises Raced while something of the one before is left."""
        if spec.instance_id in await self.living(spec.cluster, spec.instance_type):
            return
        old = [disk for id, disk in await self.leftovers(spec.cluster) if id == spec.instance_id]
        for disk in old:
            await self.delete_leftover(disk)
        if old:
            raise Raced("its disks are not gone yet")
        await self.apply(spec)

    async def delete(self, spec: InstanceSpec, observed: Observed) -> None:
        await self._writer.carry_out(spec, INSTANCE_TYPES[spec.instance_type].removal(spec, observed))

    async def abandon(self, spec: InstanceSpec, observed: Observed) -> None:
        """Its migration ends: one under way is broken off, and the guest stays where it is."""
        if observed.migration is not None:
            move = observed.migration
            await self._writer.delete(MIGRATION.name, spec.cluster.namespace, move.name, move.uid)

    async def delete_namespace(self, cluster: ClusterRef, uid: str) -> None:
        await self._writer.delete(NAMESPACE.name, None, cluster.namespace, uid)

    async def delete_leftover(self, owned: OwnedObject) -> None:
        await self._writer.delete(owned.kind, owned.namespace, owned.name, owned.uid)

    async def delete_stranger(self, owned: OwnedObject) -> None:
        await self._writer.delete(owned.kind, owned.namespace, owned.name, owned.uid)

    async def _mind_agents(self) -> None:
        """A node agent that came or went changes what may be done to the instances on its node."""
        known: frozenset[str] = frozenset()
        while True:
            await asyncio.sleep(AGENT_SECONDS)
            present = observation.nodes_with_agent(self._caches[LEASE.name])
            for pod in self._caches[POD.name].all() if known != present else ():
                if pod.get("spec", {}).get("nodeName") in known ^ present:
                    self._tell(pod["metadata"]["labels"].get(CLUSTER, ""))
            known = present

    def _placed(self, spec: InstanceSpec) -> InstanceSpec:
        agents = observation.agents_everywhere(self._caches[NODE.name], self._caches[LEASE.name])
        restricted = self._isolation.pod_security == "restricted"
        return replace(spec, agents=agents, restricted=restricted, own_users=self._own_users(spec))

    def _own_users(self, spec: InstanceSpec) -> bool:
        """Unless told so, not where a disk's file system might not allow it, and not where the runtime is another."""
        wish = self._isolation.user_namespaces
        if wish != "auto":
            return wish == "on"
        plain = not volumes.claims(spec.settings) and not spec.settings.get("runtime_class")
        return plain and observation.own_users_everywhere(self._caches[NODE.name])

    async def _own_namespace(self, cluster: ClusterRef, wanted: Mapping[str, str]) -> dict[str, Any]:
        obj = await self._writer.live(NAMESPACE.name, None, cluster.namespace)
        if obj is None:
            raise Raced("the namespace vanished")
        state = observation.namespace_state(cluster, obj)
        if state.foreign:
            raise ForeignNamespace("a namespace of that name exists that CMP did not make")
        if state.terminating:
            raise NamespaceTerminating("the namespace is being deleted")
        if _settled(cluster, obj, wanted):
            return obj
        patch = {"metadata": {"uid": state.uid, "labels": dict(wanted)}}
        return await self._client.merge(NAMESPACE, None, cluster.namespace, patch, FIELD_MANAGER)

    def _made_caches(self, timing: Timing | None) -> dict[str, Cache]:
        ours = f"{MANAGED_BY}=cmp,{INSTALLATION}={self._installation_id}"
        fields: dict[str, set[str]] = {NAMESPACE.name: {"status.phase", "status.conditions"}}
        for driver in INSTANCE_TYPES.values():
            for kind, read in driver.watches.items():
                fields.setdefault(kind, set()).update(read)
        fields |= {kind: set(read) for kind, read in FURNITURE.items()}
        caches = {
            name: Cache(
                self._client,
                KINDS[name],
                fields=sorted(read),
                selector=ours,
                label=CLUSTER,
                optional=KINDS[name].group == "kubevirt.io" or name in FURNITURE,
                on_change=self._tell,
                timing=timing,
            )
            for name, read in fields.items()
        }
        node = ["status.conditions", "status.runtimeHandlers"]
        caches[NODE.name] = Cache(self._client, NODE, fields=node, optional=True, timing=timing)
        caches[LEASE.name] = Cache(
            self._client,
            LEASE,
            fields=["spec.renewTime"],
            selector="cmp.io/component=node-agent",
            namespace=observation.AGENT_NAMESPACE,
            optional=True,
            timing=timing,
        )
        return caches

    def _tell(self, cluster_id: str) -> None:
        for listener in self._listeners:
            listener(cluster_id)


def _of_type(instance_type: InstanceType, room: Room) -> Room:
    return replace(room, launched=INSTANCE_TYPES[instance_type].launched)


def _owned(kind: str, obj: Mapping[str, Any]) -> OwnedObject:
    metadata = obj["metadata"]
    return OwnedObject(kind, metadata["namespace"], metadata["name"], metadata["uid"])


def _settled(cluster: ClusterRef, obj: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    state = observation.namespace_state(cluster, obj)
    labels = obj["metadata"].get("labels") or {}
    labelled = all(labels.get(key) == value for key, value in wanted.items())
    return labelled and not state.terminating and not state.foreign
