"""delete and deletecollection: preconditions, grace, finalizers, propagation.

An object goes at once, or is marked and goes when its grace and finalizers allow; namespaces empty themselves first.
"""

from collections.abc import Callable
from dataclasses import dataclass

from simulator.clock import stamp
from simulator.errors import bad_request, cause, conflict, invalid
from simulator.request import Request
from simulator.resources import NAMESPACES, PODS
from simulator.store import Store, Stored
from simulator.types import Json

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    grace: int | None = None
    policy: str = ""
    uid: str = ""
    revision: str = ""
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Deleted:
    stored: Stored
    gone: bool


class Deletes:
    def __init__(self, store: Store) -> None:
        self._store = store
        self.on_orphan: Callable[[str], None] = lambda uid: None
        """Called with the uid of an owner whose dependents must be let go."""

    def delete(self, stored: Stored, options: DeleteOptions) -> Deleted:
        _check_preconditions(stored, options)
        if stored.resource is NAMESPACES:
            return self._delete_namespace(stored, options)
        grace = _grace(stored, options)
        metadata = stored.obj["metadata"]
        finalizers = _finalizers(metadata.get("finalizers") or [], options.policy)
        if metadata.get("deletionTimestamp"):
            return self._hasten(stored, grace, finalizers, options)
        if grace == 0 and not finalizers:
            return self._drop(stored, options)
        return Deleted(self._mark(stored, grace, finalizers, options.dry_run), gone=False)

    def _drop(self, stored: Stored, options: DeleteOptions) -> Deleted:
        """Remove it now. A Pod's last answer says that it had no grace."""
        last = stored if options.dry_run else self._store.drop(stored.resource, stored.key)
        if stored.resource is PODS:
            metadata = {"deletionTimestamp": stamp(), **last.obj["metadata"], "deletionGracePeriodSeconds": 0}
            last = Stored(last.resource, last.key, {**last.obj, "metadata": metadata}, last.revision)
        return Deleted(last, gone=True)

    def _hasten(self, stored: Stored, grace: int, finalizers: list[str], options: DeleteOptions) -> Deleted:
        """A second delete only ever shortens the grace."""
        current = stored.obj["metadata"].get("deletionGracePeriodSeconds") or 0
        if grace == 0 and not finalizers:
            return self._drop(stored, options)
        if grace >= current:
            return Deleted(stored, gone=False)
        return Deleted(self._mark(stored, grace, finalizers, options.dry_run), gone=False)

    def _mark(self, stored: Stored, grace: int, finalizers: list[str], dry_run: bool) -> Stored:
        metadata: Json = {
            **stored.obj["metadata"],
            "deletionTimestamp": stamp(after=grace),
            "deletionGracePeriodSeconds": grace,
        }
        if finalizers:
            metadata["finalizers"] = finalizers
        if "generation" in metadata:
            metadata["generation"] += 1
        obj = {**stored.obj, "metadata": metadata}
        if dry_run:
            return Stored(stored.resource, stored.key, obj, stored.revision)
        return self._store.put(stored.resource, obj)

    def _delete_namespace(self, stored: Stored, options: DeleteOptions) -> Deleted:
        metadata = stored.obj["metadata"]
        if metadata.get("deletionTimestamp"):
            empty = not (stored.obj.get("spec") or {}).get("finalizers") and not metadata.get("finalizers")
            if empty and not options.dry_run:
                return Deleted(self._store.drop(NAMESPACES, stored.key), gone=True)
            return Deleted(stored, gone=False)
        obj = {
            **stored.obj,
            "metadata": {**metadata, "deletionTimestamp": stamp()},
            "status": {**stored.obj["status"], "phase": "Terminating"},
        }
        if options.dry_run:
            return Deleted(Stored(NAMESPACES, stored.key, obj, stored.revision), gone=False)
        return Deleted(self._store.put(NAMESPACES, obj), gone=False)


def options_of(request: Request) -> DeleteOptions:
    """From the body, and from the query where the body is silent."""
    body: Json = {}
    if request.body.strip():
        body = request.document()
    grace = body.get("gracePeriodSeconds", request.number("gracePeriodSeconds"))
    if grace is not None and (not isinstance(grace, int) or isinstance(grace, bool)):
        raise bad_request("DeleteOptions: gracePeriodSeconds: expected an integer")
    policy = body.get("propagationPolicy") or request.query.get("propagationPolicy", "")
    if policy not in ("", "Background", "Foreground", "Orphan"):
        text = f'Unsupported value: "{policy}": supported values: "Foreground", "Background", "Orphan", "nil"'
        raise invalid("meta.k8s.io", "DeleteOptions", "", [cause("FieldValueNotSupported", text, "propagationPolicy")])
    preconditions = body.get("preconditions") or {}
    return DeleteOptions(
        grace=grace,
        policy=policy,
        uid=preconditions.get("uid") or "",
        revision=preconditions.get("resourceVersion") or "",
        dry_run=request.dry_run or body.get("dryRun") == ["All"],
    )


def _check_preconditions(stored: Stored, options: DeleteOptions) -> None:
    resource, name = stored.resource, stored.key[1]
    if options.uid and options.uid != stored.uid:
        why = (
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({stored.uid}). "
            "The object might have been deleted and then recreated"
        )
        raise conflict(resource.group, resource.kind, name, why)
    current = stored.obj["metadata"]["resourceVersion"]
    if options.revision and options.revision != current:
        why = (
            f"the ResourceVersion in the precondition ({options.revision}) does not match the ResourceVersion in "
            f"record ({current}). The object might have been modified"
        )
        raise conflict(resource.group, resource.kind, name, why)


def _grace(stored: Stored, options: DeleteOptions) -> int:
    """Seconds. Only a Pod that a node has taken has any."""
    if stored.resource is not PODS:
        return 0
    spec, status = stored.obj["spec"], stored.obj.get("status") or {}
    if not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
        return 0
    if options.grace is None:
        return int(spec.get("terminationGracePeriodSeconds", 30))
    return options.grace if options.grace >= 0 else 1


def _finalizers(current: list[str], policy: str) -> list[str]:
    if policy == "Foreground":
        return [*(name for name in current if name not in (FOREGROUND, ORPHAN)), FOREGROUND]
    if policy == "Orphan":
        return [*(name for name in current if name not in (FOREGROUND, ORPHAN)), ORPHAN]
    if policy == "Background":
        return [name for name in current if name not in (FOREGROUND, ORPHAN)]
    return current
