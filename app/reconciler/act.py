"""Carries out a plan: idempotent calls to Kubernetes, no transaction open, several at a time within one cluster.

Before each call the lease must certainly still be ours. What was done lately is remembered until it shows.
"""

import asyncio
import itertools
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.errors import CmpError, Unavailable
from app.k8s_service import (
    ClusterRef,
    ForeignObject,
    InstanceSpec,
    KubernetesService,
    NamespaceTerminating,
    Observed,
    OwnedObject,
    Raced,
    Refused,
    Room,
)
from app.models import InstanceOperation, InstanceType, Reason
from app.reconciler.decide import NamespaceStep, Outcome, Plan, Step, Trouble, Verb
from app.rules import volumes

# So that one tenant's thousand instances leave room for another tenant's one.
_PARALLEL = 12
# A longer plan is continued in the next visit: progress shows, and a newer wish is heard.
_ACT_SECONDS = 3.0
_SHOWS_WITHIN = 5.0
_A_FEW = 4

_MAKES = (Verb.APPLY, Verb.START, Verb.RESTART, Verb.UPDATE, Verb.RENEW)
_OPERATIONS = {
    Verb.START: InstanceOperation.START,
    Verb.STOP: InstanceOperation.STOP,
    Verb.SUSPEND: InstanceOperation.SUSPEND,
    Verb.RESUME: InstanceOperation.RESUME,
    Verb.RESTART: InstanceOperation.RESTART,
    Verb.REBOOT: InstanceOperation.REBOOT,
    Verb.MIGRATE: InstanceOperation.MIGRATE,
}


class LeaseLost(Exception):
    """Somebody else may have the cluster by now: stop, write nothing."""


class Recent:
    """What this process did to which instance, and how that looked just before. Until it looks different, or some
    seconds passed, the cache has not caught up: the same step is not sent again, and nothing is concluded from it.
    """

    def __init__(self) -> None:
        self._done: dict[uuid.UUID, dict[uuid.UUID, tuple[Verb, Observed | None, float]]] = {}
        self._asked: dict[uuid.UUID, set[uuid.UUID]] = {}

    def note(self, cluster_id: uuid.UUID, step: Step, seen: Observed | None) -> None:
        if cluster_id not in self._done:
            self._forget_the_stale()
        self._done.setdefault(cluster_id, {})[step.instance_id] = (step.verb, seen, time.monotonic())

    def unseen(self, cluster_id: uuid.UUID, seen: Mapping[uuid.UUID, Observed]) -> dict[uuid.UUID, Verb]:
        since = time.monotonic() - _SHOWS_WITHIN
        kept = {
            id: entry
            for id, entry in self._done.pop(cluster_id, {}).items()
            if entry[2] > since and seen.get(id) == entry[1]
        }
        if kept:
            self._done[cluster_id] = kept
        return {id: verb for id, (verb, _, _) in kept.items()}

    def note_asked(self, cluster_id: uuid.UUID, operation_id: uuid.UUID) -> None:
        self._asked.setdefault(cluster_id, set()).add(operation_id)

    def asked(self, cluster_id: uuid.UUID, still_open: set[uuid.UUID]) -> frozenset[uuid.UUID]:
        """Operations whose errand was run by this process, for as long as they are not written to have ended."""
        kept = self._asked.pop(cluster_id, set()) & still_open
        if kept:
            self._asked[cluster_id] = kept
        return frozenset(kept)

    def _forget_the_stale(self) -> None:
        """Of clusters that another worker visits by now, or nobody any more; the longest known first."""
        since = time.monotonic() - _SHOWS_WITHIN
        for cluster_id, entries in list(itertools.islice(self._done.items(), _A_FEW)):
            if all(entry[2] <= since for entry in entries.values()):
                del self._done[cluster_id]


@dataclass(slots=True)
class _Progress:
    refused: dict[uuid.UUID, Trouble] = field(default_factory=dict)
    unchanged: dict[uuid.UUID, Trouble] = field(default_factory=dict)
    declined: dict[uuid.UUID, Trouble] = field(default_factory=dict)
    gone: set[uuid.UUID] = field(default_factory=set)
    blocked: Trouble | None = None
    unavailable: Unavailable | None = None
    raced: bool = False
    unfinished: bool = False

    def outcome(self, namespace_uid: str | None, *, gone: bool = False) -> Outcome:
        return Outcome(
            namespace_uid=namespace_uid,
            blocked=self.blocked,
            refused=self.refused,
            unchanged=self.unchanged,
            declined=self.declined,
            unavailable=self.unavailable.message if self.unavailable is not None else None,
            retry_after=self.unavailable.details.get("retry_after") if self.unavailable is not None else None,
            raced=self.raced,
            unfinished=self.unfinished,
            gone=gone,
            gone_instances=frozenset(self.gone),
        )


class Actor:
    """One visit's hands. `specs` and `seen` by instance id; `mine` answers whether the lease certainly holds."""

    def __init__(
        self,
        service: KubernetesService,
        recent: Recent,
        cluster_id: uuid.UUID,
        ref: ClusterRef,
        specs: Mapping[uuid.UUID, InstanceSpec],
        seen: Mapping[uuid.UUID, Observed],
        mine: Callable[[], bool],
        instance_type: InstanceType,
        room: Room,
        secrets: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._service = service
        self._recent = recent
        self._cluster_id = cluster_id
        self._ref = ref
        self._specs = specs
        self._seen = seen
        self._mine = mine
        self._instance_type = instance_type
        self._room = room
        self._secrets = secrets
        self._progress = _Progress()
        self._until = time.monotonic() + _ACT_SECONDS

    async def act(self, plan: Plan, strangers: Sequence[OwnedObject]) -> Outcome:
        """Raises ForeignNamespace (choose another name) and LeaseLost; every other trouble is in the outcome."""
        uid: str | None = None
        gone = False
        try:
            if plan.namespace is NamespaceStep.ENSURE:
                uid = await self._ensured()
            for owned in strangers if plan.strangers else ():
                self._must_be_mine()
                await self._service.delete_stranger(owned)
            await self._share(plan.steps)
            await self._take([step for step in plan.steps if step.verb is not Verb.CONFIRM])
            await self._confirm({step.instance_id for step in plan.steps if step.verb is Verb.CONFIRM})
            if plan.namespace is NamespaceStep.RELEASE:
                gone = await self._released()
        except Unavailable as error:
            self._progress.unavailable = error
        except NamespaceTerminating as error:
            self._progress.blocked = Trouble(Reason.WAITING, error.message)
        except Refused as error:
            self._progress.blocked = Trouble(error.reason, error.message)
        except Raced:
            self._progress.raced = True
        return self._progress.outcome(uid, gone=gone)

    async def _ensured(self) -> str:
        self._must_be_mine()
        uid = await self._service.ensure_namespace(self._ref)
        await self._service.furnish(self._ref, self._instance_type, self._room)
        return uid

    async def _share(self, steps: Sequence[Step]) -> None:
        """What instances have in common, before any of them is made anew. Raises Refused."""
        made = next((self._specs[step.instance_id] for step in steps if step.verb in _MAKES), None)
        if made is None:
            return
        self._must_be_mine()
        await self._service.share(self._ref, self._instance_type, made.settings, self._secrets())

    async def _take(self, steps: Sequence[Step]) -> None:
        """Until all are taken, the visit's time is over, or Kubernetes does not answer."""
        queue = iter(steps)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(_PARALLEL, len(steps))):
                tasks.create_task(self._take_from(queue))
        self._must_be_mine()

    async def _take_from(self, queue: Iterator[Step]) -> None:
        for step in queue:
            if self._progress.unavailable is not None or self._progress.blocked is not None or not self._mine():
                return
            if time.monotonic() > self._until:
                self._progress.unfinished = True
                return
            await (self._try(step) if step.operation_id is None else self._run_errand(step, step.operation_id))

    async def _run_errand(self, step: Step, operation_id: uuid.UUID) -> None:
        """Trouble with it is the operation's, not the instance's. Whether a reboot that was not answered was carried
        out is not known: it is not sent again.
        """
        spec, seen = self._specs[step.instance_id], self._seen.get(step.instance_id)
        try:
            await self._service.operate(_OPERATIONS[step.verb], spec, seen)
        except CmpError as error:
            if isinstance(error, Unavailable) and step.verb is Verb.MIGRATE:
                self._progress.unavailable = error
                return
            reason = Reason.KUBERNETES_UNAVAILABLE if isinstance(error, Unavailable) else Reason.REJECTED
            self._progress.declined[operation_id] = Trouble(getattr(error, "reason", reason), error.message)
        else:
            self._recent.note_asked(self._cluster_id, operation_id)

    async def _try(self, step: Step) -> None:
        try:
            await self._do(step)
        except Raced:
            self._progress.raced = True
        except Refused as error:
            refused = self._progress.unchanged if step.verb is Verb.UPDATE else self._progress.refused
            refused[step.instance_id] = Trouble(error.reason, error.message)
        except ForeignObject as error:
            self._progress.refused[step.instance_id] = Trouble(Reason.FOREIGN_OBJECT, error.message)
        except NamespaceTerminating as error:
            self._progress.blocked = Trouble(Reason.WAITING, error.message)
        except Unavailable as error:
            self._progress.unavailable = error

    async def _do(self, step: Step) -> None:
        spec, seen = self._specs[step.instance_id], self._seen.get(step.instance_id)
        if step.verb is Verb.APPLY:
            await self._service.apply(spec)
        elif step.verb is Verb.RENEW:
            await self._service.renew(spec)
        elif step.verb is Verb.UPDATE:
            assert seen is not None
            await self._service.update(spec, seen)
        elif step.verb is Verb.DELETE:
            assert seen is not None
            await self._service.delete(spec, seen)
        elif step.verb is Verb.ABANDON:
            assert seen is not None
            await self._service.abandon(spec, seen)
            return
        else:
            await self._service.operate(_OPERATIONS[step.verb], spec, seen)
        self._recent.note(self._cluster_id, step, seen)

    async def _confirm(self, absent: set[uuid.UUID]) -> None:
        """Those that Kubernetes, asked now, does not have: another worker may have made one that the cache lacks."""
        if absent:
            living = await self._service.living(self._ref, self._instance_type)
            gone = {id for id in absent if str(id) not in living}
            self._progress.gone = gone - await self._left_behind(gone)

    async def _left_behind(self, gone: set[uuid.UUID]) -> set[uuid.UUID]:
        """Those of which a disk is still there; it is sent on its way."""
        if not any(volumes.claims(self._specs[id].settings) for id in gone):
            return set()
        found = [(uuid.UUID(id), disk) for id, disk in await self._service.leftovers(self._ref) if id]
        for id, disk in found:
            if id in gone:
                self._must_be_mine()
                await self._service.delete_leftover(disk)
        return {id for id, _ in found}

    async def _released(self) -> bool:
        """Whether the namespace is seen, by a read of its own, to be gone; else it is sent on its way."""
        self._must_be_mine()
        state = await self._service.namespace_state(self._ref)
        if state is None:
            return True
        if state.terminating:
            self._progress.blocked = Trouble(Reason.TERMINATION_STUCK, state.message)
            return False
        self._must_be_mine()
        await self._service.delete_namespace(self._ref, state.uid)
        return False

    def _must_be_mine(self) -> None:
        if not self._mine():
            raise LeaseLost
