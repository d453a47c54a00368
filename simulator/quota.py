"""ResourceQuota and LimitRange: what a namespace may hold, enforced when objects are created.

Usage is charged at admission and recounted shortly after something goes away, as kube-controller-manager does.
Source of the wording: k8s.io/apiserver pkg/admission/plugin/resourcequota and plugin/pkg/admission/limitranger.
"""

from decimal import Decimal

from simulator import quantities
from simulator.clock import Clock
from simulator.errors import forbidden
from simulator.resources import CLAIMS, LIMIT_RANGES, PODS, QUOTAS, SERVICES, STORED, Resource
from simulator.store import Event, Store
from simulator.types import Json

Amounts = dict[str, Decimal]
COMPUTE = ("cpu", "memory", "ephemeral-storage")
RECOUNT_DELAY = 0.05


class Quotas:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._recounting: set[str] = set()
        store.on(QUOTAS, self._quota_changed)
        for resource in STORED:
            if resource.namespaced and resource is not QUOTAS:
                store.on(resource, self._usage_changed)

    def charge(self, resource: Resource, obj: Json, dry_run: bool) -> None:
        """Take the object's needs from every quota of its namespace, or refuse with 403."""
        namespace, name = obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
        quotas = self._store.all(QUOTAS, namespace) if namespace else []
        if not quotas:
            return
        needs = usage(resource, obj)
        charged = []
        for stored in quotas:
            hard = _amounts(stored.obj["status"].get("hard") or {})
            counted = {name: amount for name, amount in needs.items() if name in hard}
            self._require_set(resource, obj, stored.key[1], hard)
            used = _amounts(stored.obj["status"].get("used") or {})
            after = {name: used.get(name, Decimal(0)) + amount for name, amount in counted.items()}
            over = sorted(name for name, total in after.items() if total > hard[name] and counted[name] > 0)
            if over:
                raise forbidden(resource.group, resource.plural, name, _exceeded(stored.obj, over, counted))
            if after:
                charged.append((stored, after))
        if dry_run:
            return
        for stored, after in charged:
            written = dict(stored.obj["status"].get("used") or {})
            written |= {name: quantities.render(total, _like(stored.obj, name)) for name, total in after.items()}
            self._write(stored.obj, {"hard": stored.obj["status"]["hard"], "used": written})

    def recount(self, namespace: str) -> None:
        """Make status say what the namespace really holds."""
        self._recounting.discard(namespace)
        for stored in self._store.all(QUOTAS, namespace):
            hard: Json = (stored.obj.get("spec") or {}).get("hard") or {}
            totals = {name: Decimal(0) for name in hard}
            for resource in STORED:
                if not resource.namespaced or not _may_count(resource, hard):
                    continue
                for held in self._store.all(resource, namespace):
                    for name, amount in usage(resource, held.obj).items():
                        if name in totals:
                            totals[name] += amount
            used = {name: quantities.render(total, _like(stored.obj, name)) for name, total in totals.items()}
            status = {"hard": hard, "used": used}
            if stored.obj.get("status") != status:
                self._write(stored.obj, status)

    def _write(self, quota: Json, status: Json) -> None:
        self._store.put(QUOTAS, {**quota, "metadata": dict(quota["metadata"]), "status": status})

    def _quota_changed(self, event: Event) -> None:
        old = event.previous.obj.get("spec") if event.previous else None
        if event.type != "DELETED" and event.stored.obj.get("spec") != old:
            self._schedule(event.stored.key[0])

    def _usage_changed(self, event: Event) -> None:
        namespace = event.stored.key[0]
        if not self._store.collections[QUOTAS].keys(namespace):
            return
        if event.type == "DELETED" or (event.resource is PODS and _ended(event.stored.obj)):
            self._schedule(namespace)

    def _schedule(self, namespace: str) -> None:
        if namespace not in self._recounting:
            self._recounting.add(namespace)
            self._clock.call_later(RECOUNT_DELAY, lambda: self.recount(namespace))

    def _require_set(self, resource: Resource, obj: Json, quota: str, hard: Amounts) -> None:
        """A quota on compute refuses Pods that do not say what they need."""
        if resource is not PODS:
            return
        missing: dict[str, list[str]] = {}
        for container in obj["spec"].get("containers") or ():
            resources = container.get("resources") or {}
            for limited in sorted(hard):
                section, _, name = limited.rpartition(".")
                if name not in COMPUTE or section not in ("", "requests", "limits"):
                    continue
                if name not in (resources.get(section or "requests") or {}):
                    missing.setdefault(limited, []).append(container["name"])
        if missing:
            text = "; ".join(f"{limited} for: {','.join(names)}" for limited, names in missing.items())
            why = f"failed quota: {quota}: must specify {text}"
            raise forbidden(resource.group, resource.plural, obj["metadata"]["name"], why)


def usage(resource: Resource, obj: Json) -> Amounts:
    """What one object counts for, by quota name."""
    counted: Amounts = {}
    one = Decimal(1)
    if resource is PODS:
        counted["count/pods"] = one
        if not _ended(obj):
            counted |= {"pods": one, **_compute(obj["spec"])}
        return counted
    qualified = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
    counted[f"count/{qualified}"] = one
    if not resource.group:
        counted[resource.plural] = one
    if resource is SERVICES:
        kind = (obj.get("spec") or {}).get("type")
        counted["services.loadbalancers"] = one if kind == "LoadBalancer" else Decimal(0)
        counted["services.nodeports"] = one if kind in ("NodePort", "LoadBalancer") else Decimal(0)
    if resource is CLAIMS:
        asked = (((obj.get("spec") or {}).get("resources") or {}).get("requests") or {}).get("storage")
        counted["requests.storage"] = quantities.parse(asked) if asked else Decimal(0)
    return counted


def pod_total(spec: Json, section: str, name: str) -> Decimal:
    """What a Pod asks for in all: its containers together, or its largest init container."""
    running = sum((_asked(container, section, name) for container in spec.get("containers") or ()), Decimal(0))
    starting = max(
        (_asked(container, section, name) for container in spec.get("initContainers") or ()), default=Decimal(0)
    )
    return max(running, starting)


class LimitRanges:
    def __init__(self, store: Store) -> None:
        self._store = store

    def admit(self, pod: Json) -> None:
        """Fill in a namespace's defaults and refuse what is outside its bounds. Changes `pod`."""
        for stored in self._store.all(LIMIT_RANGES, pod["metadata"]["namespace"]):
            for limit in (stored.obj.get("spec") or {}).get("limits") or ():
                if limit.get("type") == "Container":
                    said = [
                        text for container in pod["spec"].get("containers") or () for text in _default(container, limit)
                    ]
                    if said:
                        text = f"LimitRanger plugin set: {'; '.join(said)}"
                        pod["metadata"].setdefault("annotations", {})["kubernetes.io/limit-ranger"] = text
        broken = []
        for stored in self._store.all(LIMIT_RANGES, pod["metadata"]["namespace"]):
            for limit in (stored.obj.get("spec") or {}).get("limits") or ():
                broken.extend(_violations(pod["spec"], limit))
        if broken:
            text = broken[0] if len(broken) == 1 else f"[{', '.join(broken)}]"
            raise forbidden("", "pods", pod["metadata"]["name"], text)


def _default(container: Json, limit: Json) -> list[str]:
    """Fill in what the container leaves open; answers what was set, in words."""
    resources = container.setdefault("resources", {})
    said = []
    for section, word, values in (
        ("requests", "request", limit.get("defaultRequest") or {}),
        ("limits", "limit", limit.get("default") or {}),
    ):
        missing = {name: value for name, value in values.items() if name not in (resources.get(section) or {})}
        if missing:
            resources[section] = {**(resources.get(section) or {}), **missing}
            said.append(f"{', '.join(sorted(missing))} {word} for container {container['name']}")
    return said


def _violations(spec: Json, limit: Json) -> list[str]:
    kind, found = limit.get("type"), []
    for name, most in (limit.get("max") or {}).items():
        for value in _bounded(spec, kind, "limits", name):
            if value is None:
                found.append(f"maximum {name} usage per {kind} is {most}.  No limit is specified")
            elif quantities.parse(value) > quantities.parse(most):
                found.append(f"maximum {name} usage per {kind} is {most}, but limit is {value}")
    for name, least in (limit.get("min") or {}).items():
        for value in _bounded(spec, kind, "requests", name):
            if value is None:
                found.append(f"minimum {name} usage per {kind} is {least}.  No request is specified")
            elif quantities.parse(value) < quantities.parse(least):
                found.append(f"minimum {name} usage per {kind} is {least}, but request is {value}")
    return found


def _bounded(spec: Json, kind: object, section: str, name: str) -> list[str | None]:
    if kind == "Container":
        values = [(container.get("resources") or {}).get(section) or {} for container in spec.get("containers") or ()]
        return [value.get(name) for value in values]
    if kind == "Pod":
        return [quantities.render(pod_total(spec, section, name))]
    return []


def _compute(spec: Json) -> Amounts:
    counted: Amounts = {}
    for name in COMPUTE:
        requested = pod_total(spec, "requests", name)
        counted[f"requests.{name}"] = requested
        counted[name] = requested
        counted[f"limits.{name}"] = pod_total(spec, "limits", name)
    return counted


def _asked(container: Json, section: str, name: str) -> Decimal:
    value = ((container.get("resources") or {}).get(section) or {}).get(name)
    return quantities.parse(value) if value is not None else Decimal(0)


def _ended(pod: Json) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _may_count(resource: Resource, hard: Json) -> bool:
    if resource is PODS:
        return True
    qualified = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
    names = {resource.plural, f"count/{qualified}"}
    if resource is SERVICES:
        names |= {"services.loadbalancers", "services.nodeports"}
    if resource is CLAIMS:
        names.add("requests.storage")
    return not names.isdisjoint(hard)


def _amounts(values: Json) -> Amounts:
    return {name: quantities.parse(value) for name, value in values.items()}


def _like(quota: Json, name: str) -> str:
    return str(((quota.get("spec") or {}).get("hard") or {}).get(name, ""))


def _exceeded(quota: Json, over: list[str], counted: Amounts) -> str:
    hard, used = quota["status"]["hard"], quota["status"].get("used") or {}
    requested = ",".join(f"{name}={quantities.render(counted[name], str(hard[name]))}" for name in over)
    already = ",".join(f"{name}={used.get(name, '0')}" for name in over)
    limited = ",".join(f"{name}={hard[name]}" for name in over)
    return f"exceeded quota: {quota['metadata']['name']}, requested: {requested}, used: {already}, limited: {limited}"
