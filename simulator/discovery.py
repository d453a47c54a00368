"""Which groups, versions and resources there are: /api, /apis, aggregated and legacy, and /version."""

from simulator.nodes import VERSION
from simulator.resources import KUBEVIRT_SUBRESOURCE_GROUP, KUBEVIRT_SUBRESOURCES, RESOURCES, Resource
from simulator.types import Json

_SUBRESOURCE_VERBS = {
    "log": ["get"],
    "eviction": ["create"],
    "binding": ["create"],
    "finalize": ["update"],
    "exec": ["create", "get"],
    "portforward": ["create", "get"],
}
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def version() -> Json:
    major, minor, _ = VERSION.lstrip("v").split(".")
    return {
        "major": major,
        "minor": minor,
        "gitVersion": VERSION,
        "gitCommit": "0" * 40,
        "gitTreeState": "clean",
        "buildDate": "2026-06-01T00:00:00Z",
        "goVersion": "simulated",
        "compiler": "simulated",
        "platform": "linux/amd64",
    }


def find(path: str, accept: str) -> tuple[Json, str] | None:
    """(document, content type) for a discovery path."""
    aggregated = "as=APIGroupDiscoveryList" in accept and "v=v2" in accept and "v=v2beta1" not in accept.split(",")[0]
    match path.strip("/").split("/"):
        case ["api"] if aggregated:
            return _aggregated([""]), AGGREGATED
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}, "application/json"
        case ["apis"] if aggregated:
            return _aggregated(_groups()), AGGREGATED
        case ["apis"]:
            groups = [_group(name) for name in _groups()]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}, "application/json"
        case ["apis", group] if group in _groups():
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group)}, "application/json"
        case ["api", "v1"]:
            return _resource_list("", "v1"), "application/json"
        case ["apis", group, made] if (group, made) in _versions():
            return _resource_list(group, made), "application/json"
    return None


def _groups() -> list[str]:
    return list(dict.fromkeys(group for group, _ in _versions()))


def _versions() -> list[tuple[str, str]]:
    found = dict.fromkeys((resource.group, resource.version) for resource in RESOURCES if resource.group)
    return [*found, KUBEVIRT_SUBRESOURCE_GROUP]


def _group(name: str) -> Json:
    made = next(version for group, version in _versions() if group == name)
    chosen = {"groupVersion": f"{name}/{made}", "version": made}
    return {"name": name, "versions": [chosen], "preferredVersion": chosen}


def _of(group: str, made: str) -> list[Resource]:
    return [resource for resource in RESOURCES if (resource.group, resource.version) == (group, made)]


def _resource_list(group: str, made: str) -> Json:
    entries: list[Json] = []
    for resource in _of(group, made):
        entries.append(_entry(resource))
        entries.extend(_subresource_entry(resource, name) for name in resource.subresources)
    if (group, made) == KUBEVIRT_SUBRESOURCE_GROUP:
        entries.extend(
            {"name": f"{plural}/{name}", "singularName": "", "namespaced": True, "kind": "", "verbs": _verbs(name)}
            for plural, names in KUBEVIRT_SUBRESOURCES.items()
            for name in names
        )
    group_version = f"{group}/{made}" if group else made
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": entries}


def _verbs(subresource: str) -> list[str]:
    return ["get"] if subresource in ("guestosinfo", "console", "vnc", "portforward") else ["update"]


def _entry(resource: Resource) -> Json:
    entry: Json = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    return entry


def _subresource_entry(resource: Resource, name: str) -> Json:
    kinds = {
        "eviction": ("policy", "v1", "Eviction"),
        "binding": ("", "v1", "Binding"),
        "exec": ("", "v1", "PodExecOptions"),
        "portforward": ("", "v1", "PodPortForwardOptions"),
    }
    entry: Json = {
        "name": f"{resource.plural}/{name}",
        "singularName": "",
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": _SUBRESOURCE_VERBS.get(name, ["get", "patch", "update"]),
    }
    if name in kinds:
        entry["group"], entry["version"], entry["kind"] = kinds[name]
    return entry


def _aggregated(groups: list[str]) -> Json:
    items = []
    for group in groups:
        made = "v1" if not group else next(version for name, version in _versions() if name == group)
        resources = [_aggregated_resource(resource) for resource in _of(group, made)]
        versions = [{"version": made, "resources": resources, "freshness": "Current"}]
        items.append({"metadata": {"name": group} if group else {}, "versions": versions})
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def _aggregated_resource(resource: Resource) -> Json:
    entry: Json = {
        "resource": resource.plural,
        "responseKind": {"group": resource.group, "version": resource.version, "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.subresources:
        kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
        entry["subresources"] = [
            {"subresource": name, "responseKind": kind, "verbs": _subresource_entry(resource, name)["verbs"]}
            for name in resource.subresources
        ]
    return entry
