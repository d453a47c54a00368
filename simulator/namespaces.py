"""The life of a namespace: what appears in it by itself, and how it is emptied when it is deleted.

Pods go first, the rest when no Pod is left, the namespace when nothing is left (KEP-5080).
"""

from simulator import errors
from simulator.clock import stamp
from simulator.resources import CONFIGMAPS, NAMESPACES, PODS, SERVICE_ACCOUNTS, STORED, Resource
from simulator.store import Event, Stored
from simulator.types import Json
from simulator.world import World

NAMESPACED = tuple(resource for resource in STORED if resource.namespaced)
BY_ITSELF: tuple[tuple[Resource, str, Json], ...] = (
    (SERVICE_ACCOUNTS, "default", {}),
    (CONFIGMAPS, "kube-root-ca.crt", {"data": {"ca.crt": "simulated\n"}}),
)
FINE = (
    ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
    (
        "NamespaceDeletionGroupVersionParsingFailure",
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    (
        "NamespaceDeletionContentFailure",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
)


class NamespaceController:
    def __init__(self, world: World) -> None:
        self._world = world
        self._emptying: set[str] = set()
        world.store.on(NAMESPACES, self._changed)
        for resource in NAMESPACED:
            world.store.on(resource, self._content_changed)

    def resume(self) -> None:
        """Take up what was under way when the saved state was written."""
        for stored in self._world.store.all(NAMESPACES):
            self._furnish(stored.key[1])
            if stored.obj["metadata"].get("deletionTimestamp"):
                self._empty_soon(stored.key[1])

    def _changed(self, event: Event) -> None:
        name = event.stored.key[1]
        if event.type == "ADDED":
            self._world.later(self._world.settings.service_account_delay, lambda: self._furnish(name))
        elif event.type == "MODIFIED" and event.stored.obj["metadata"].get("deletionTimestamp"):
            self._empty_soon(name)

    def _content_changed(self, event: Event) -> None:
        if event.type != "DELETED":
            return
        namespace = event.stored.key[0]
        found = self._world.store.get(NAMESPACES, ("", namespace))
        if found is None:
            return
        if found.obj["metadata"].get("deletionTimestamp"):
            self._empty_soon(namespace)
        elif event.resource in (SERVICE_ACCOUNTS, CONFIGMAPS):
            self._world.later(self._world.settings.service_account_delay, lambda: self._furnish(namespace))

    def _furnish(self, namespace: str) -> None:
        for resource, name, content in BY_ITSELF:
            if self._world.store.get(resource, (namespace, name)) is None:
                try:
                    obj: Json = {"metadata": {"name": name, "namespace": namespace}, **content}
                    self._world.create(resource, obj, "kube-controller-manager")
                except errors.StatusError:
                    return

    def _empty_soon(self, name: str) -> None:
        if name not in self._emptying:
            self._emptying.add(name)
            self._world.later(self._world.settings.namespace_delay, lambda: self._empty(name))

    def _empty(self, name: str) -> None:
        self._emptying.discard(name)
        found = self._world.store.get(NAMESPACES, ("", name))
        if found is None or not found.obj["metadata"].get("deletionTimestamp"):
            return
        left = self._delete_content(name)
        if left:
            self._report(found, left)
        else:
            self._finish(found)

    def _delete_content(self, name: str) -> dict[Resource, list[Stored]]:
        """Ask for the deletion of everything that may go now; answer what is still there."""
        pods = self._world.store.all(PODS, name)
        kinds = (PODS,) if pods else NAMESPACED
        left: dict[Resource, list[Stored]] = {}
        for resource in kinds:
            for stored in self._world.store.all(resource, name):
                if not stored.obj["metadata"].get("deletionTimestamp"):
                    self._world.delete(stored)
            remaining = self._world.store.all(resource, name)
            if remaining:
                left[resource] = remaining
        return left

    def _report(self, namespace: Stored, left: dict[Resource, list[Stored]]) -> None:
        """Say in the conditions what is still there, and which finalizers hold it."""
        counts = ", ".join(f"{_qualified(kind)} has {len(items)} resource instances" for kind, items in left.items())
        holders: dict[str, int] = {}
        for items in left.values():
            for stored in items:
                for finalizer in stored.obj["metadata"].get("finalizers") or ():
                    holders[finalizer] = holders.get(finalizer, 0) + 1
        held = ", ".join(f"{finalizer} in {count} resource instances" for finalizer, count in sorted(holders.items()))
        fine = "All content-preserving finalizers finished"
        remaining = f"Some resources are remaining: {counts}"
        finalizers = f"Some content in the namespace has finalizers remaining: {held}"
        conditions = [
            *(_condition(kind, False, reason, message) for kind, reason, message in FINE),
            _condition("NamespaceContentRemaining", True, "SomeResourcesRemain", remaining),
            _condition("NamespaceFinalizersRemaining", True, "SomeFinalizersRemain", finalizers)
            if held
            else _condition("NamespaceFinalizersRemaining", False, "ContentHasNoFinalizers", fine),
        ]
        current = self._world.current(namespace)
        if current is None:
            return
        said = [(item["type"], item["message"]) for item in current.obj["status"].get("conditions") or ()]
        if said != [(item["type"], item["message"]) for item in conditions]:
            self._world.set_status(current, conditions=conditions)

    def _finish(self, namespace: Stored) -> None:
        obj = {**namespace.obj, "metadata": dict(namespace.obj["metadata"])}
        obj["spec"] = {key: value for key, value in (obj.get("spec") or {}).items() if key != "finalizers"}
        if obj["metadata"].get("finalizers"):
            if obj["spec"] != namespace.obj.get("spec"):
                self._world.store.put(NAMESPACES, obj)
            return
        self._world.store.drop(NAMESPACES, namespace.key)


def _qualified(resource: Resource) -> str:
    return f"{resource.plural}.{resource.group or ''}"


def _condition(kind: str, status: bool, reason: str, message: str) -> Json:
    return {
        "type": kind,
        "status": str(status),
        "lastTransitionTime": stamp(),
        "reason": reason,
        "message": message,
    }
