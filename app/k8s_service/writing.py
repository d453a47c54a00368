"""Single changes to Kubernetes: each is safe to repeat, names the uid it means, and leaves alone what is not ours."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from app.instance_types import objects
from app.instance_types.values import CLUSTER, FIELD_MANAGER, INSTALLATION, INSTANCE, InstanceSpec, KubeCall
from app.k8s_service.errors import ForeignObject, Raced, Refused, account_missing, translated
from app.kube.cache import Cache
from app.kube.client import KubeClient
from app.kube.errors import KubeError, Refusal
from app.kube.kinds import CLAIM, INSTANCETYPE, KINDS, Kind
from app.models import Reason
from app.rules import units, volumes

_ACCOUNT_DELAYS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.5)


class Writer:
    """`changes` bounds how many are under way at once."""

    def __init__(self, client: KubeClient, caches: Mapping[str, Cache], changes: asyncio.Semaphore) -> None:
        self._client = client
        self._caches = caches
        self.changes = changes

    async def claim(self, spec: InstanceSpec) -> None:
        """Its disks, each made once: one that is there already keeps what it holds."""
        for wanted in volumes.claims(spec.settings):
            body = objects.claim(spec, wanted)
            await self._create(spec, KubeCall("create", CLAIM.name, body["metadata"]["name"], body=body))

    async def require_size(self, spec: InstanceSpec) -> None:
        """A size by KubeVirt's name is the one that is charged. Raises Refused, saying both."""
        name = spec.settings.get("instancetype")
        if not name:
            return
        async with said_our_way():
            found = await self.live(INSTANCETYPE.name, None, name)
        if found is None:
            raise Refused(Reason.CONFIGURATION, f"Kubernetes has no VirtualMachineClusterInstancetype {name}")
        cpu, memory = (str(found["spec"][dimension]["guest"]) for dimension in ("cpu", "memory"))
        if (units.measured(cpu) * 1000, units.measured(memory)) != (spec.cpu, spec.memory * 2**20):
            said = f"{cpu} CPUs and {memory} of memory, its flavour {units.cores(spec.cpu)} and {spec.memory}Mi"
            raise Refused(Reason.CONFIGURATION, f"the VirtualMachineClusterInstancetype {name} has {said}")

    async def share(self, kind: Kind, body: Mapping[str, Any]) -> None:
        """Not by force: what somebody else wrote under that name stays theirs."""
        metadata = body["metadata"]
        try:
            await self._client.apply(kind, metadata["namespace"], metadata["name"], body, FIELD_MANAGER, force=False)
        except Refusal as error:
            if error.conflict:
                raise Refused(
                    Reason.FOREIGN_OBJECT, f"something that CMP did not make is called {metadata['name']}"
                ) from error
            raise

    async def items(self, kind: Kind, namespace: str, params: dict[str, str]) -> AsyncIterator[dict[str, Any]]:
        while True:
            page = await self._client.page(kind, namespace, params)
            for item in page.get("items") or ():
                yield item
            following = (page.get("metadata") or {}).get("continue")
            if not following:
                return
            params = params | {"continue": following}

    async def carry_out(self, spec: InstanceSpec, calls: Any) -> None:
        for call in calls:
            if call.verb == "create":
                await self._create(spec, call)
            elif call.verb == "apply":
                await self._apply(spec, call)
            elif call.verb == "delete":
                await self.delete(call.kind, spec.cluster.namespace, call.name, call.uid, call.grace)
            else:
                await self._change(spec, call)

    async def _create(self, spec: InstanceSpec, call: KubeCall) -> None:
        async with said_our_way():
            try:
                await self._made(spec, call)
            except Refusal as error:
                _must_stay(await self._own_object(spec, call, error))

    async def _apply(self, spec: InstanceSpec, call: KubeCall) -> None:
        """Server-side apply would take over whatever has the name, so it is bound to a uid, and making is a create."""
        cached = self._caches[call.kind].get(spec.cluster.namespace, call.name)
        async with said_our_way():
            if cached is None or not _is_ours(spec, cached):
                try:
                    await self._made(spec, call)
                except Refusal as error:
                    cached = await self._own_object(spec, call, error)
                else:
                    return
            body = {**call.body, "metadata": {**call.body["metadata"], "uid": cached["metadata"]["uid"]}}
            async with self.changes:
                kind = KINDS[call.kind]
                answer = await self._client.apply(kind, spec.cluster.namespace, call.name, body, FIELD_MANAGER)
        self._caches[call.kind].absorb(answer)
        _must_stay(answer)

    async def _made(self, spec: InstanceSpec, call: KubeCall) -> None:
        for delay in (*_ACCOUNT_DELAYS, None):
            try:
                async with self.changes:
                    kind = KINDS[call.kind]
                    answer = await self._client.create(kind, spec.cluster.namespace, call.body, FIELD_MANAGER)
            except Refusal as error:
                if delay is None or not account_missing(error):
                    raise
                await asyncio.sleep(delay)
            else:
                self.absorb(call.kind, answer)
                return

    async def _change(self, spec: InstanceSpec, call: KubeCall) -> None:
        kind, namespace = KINDS[call.kind], spec.cluster.namespace
        async with said_our_way():
            try:
                async with self.changes:
                    if call.verb in ("merge", "strategic"):
                        self._caches[call.kind].absorb(await self._patched(call, kind, namespace))
                        return
                    await self._client.put(
                        kind, namespace, call.name, call.subresource, call.body, repeatable=call.repeatable
                    )
            except Refusal as error:
                done = error.conflict and any(words in error.message for words in call.already)
                if not done and not (error.missing and call.missing_ok):
                    raise

    async def _patched(self, call: KubeCall, kind: Kind, namespace: str) -> dict[str, Any]:
        body = {**call.body, "metadata": {**call.body.get("metadata", {}), "uid": call.uid}}
        strategic = call.verb == "strategic"
        return await self._client.merge(
            kind, namespace, call.name, body, FIELD_MANAGER, subresource=call.subresource, strategic=strategic
        )

    async def delete(
        self, kind: str, namespace: str | None, name: str, uid: str | None, grace: int | None = None
    ) -> None:
        """Until this very object is gone or going."""
        if uid is None:
            return
        async with said_our_way():
            try:
                async with self.changes:
                    await self._client.delete(KINDS[kind], namespace, name, uid, grace)
            except Refusal as error:
                if error.missing:
                    return
                if not error.conflict:
                    raise
                obj = await self.live(kind, namespace, name)
                if obj is not None and obj["metadata"]["uid"] == uid and "deletionTimestamp" not in obj["metadata"]:
                    raise

    async def _own_object(self, spec: InstanceSpec, call: KubeCall, refused: Refusal) -> dict[str, Any]:
        """What has the name already, if it is this instance's. A full quota refuses also what is there already."""
        full = refused.code == 403 and "exceeded quota" in refused.message
        if refused.reason != "AlreadyExists" and not full:
            raise refused
        obj = await self.live(call.kind, spec.cluster.namespace, call.name)
        if obj is None and full:
            raise refused
        if obj is None:
            raise Raced(f"{call.name} vanished")
        if not _is_ours(spec, obj):
            raise ForeignObject(f"something that CMP did not make is called {call.name}")
        self.absorb(call.kind, obj)
        return obj

    def absorb(self, kind: str, obj: dict[str, Any]) -> None:
        """What we read or wrote ourselves shows at once, where the kind is watched at all."""
        if kind in self._caches:
            self._caches[kind].absorb(obj)

    async def live(self, kind: str, namespace: str | None, name: str) -> dict[str, Any] | None:
        try:
            return await self._client.get(KINDS[kind], namespace, name)
        except Refusal as error:
            if error.missing:
                return None
            raise


@asynccontextmanager
async def said_our_way() -> AsyncIterator[None]:
    try:
        yield
    except KubeError as error:
        raise translated(error) from error


def _is_ours(spec: InstanceSpec, obj: Mapping[str, Any]) -> bool:
    labels = obj["metadata"].get("labels") or {}
    proof = {INSTALLATION: spec.cluster.installation_id, CLUSTER: spec.cluster.cluster_id, INSTANCE: spec.instance_id}
    return all(labels.get(key) == value for key, value in proof.items())


def _must_stay(obj: Mapping[str, Any]) -> None:
    if "deletionTimestamp" in obj["metadata"]:
        raise Raced(f"{obj['metadata']['name']} is still being deleted")
