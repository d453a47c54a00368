"""The columns that `kubectl get` prints, per kind. Others get Name and Age.

Source: k8s.io/kubernetes pkg/printers/internalversion and the additionalPrinterColumns of KubeVirt's CRDs.
"""

from collections.abc import Callable, Iterable
from typing import Any

from simulator.clock import seconds_since
from simulator.resources import (
    CONFIGMAPS,
    EVENTS,
    LEASES,
    LIMIT_RANGES,
    NAMESPACES,
    NETWORK_POLICIES,
    NODES,
    PODS,
    QUOTAS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
    VIRTUAL_MACHINE_INSTANCES,
    VIRTUAL_MACHINES,
    Resource,
)
from simulator.types import Json

Column = tuple[str, str, int]
"""Name, type, priority (above 0: only with -o wide)."""


def render(resource: Resource, objects: Iterable[Json], metadata: Json) -> Json:
    columns, cells = _TABLES.get(resource, (_DEFAULT_COLUMNS, _default))
    rows = [
        {
            "cells": cells(obj),
            "object": {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": obj["metadata"],
            },
        }
        for obj in objects
    ]
    definitions = [
        {
            "name": name,
            "type": kind,
            "format": "name" if name == "Name" else "",
            "description": name,
            "priority": priority,
        }
        for name, kind, priority in columns
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": definitions,
        "rows": rows,
    }


def duration(seconds: float) -> str:
    """Seconds as kubectl shows an age. Source: apimachinery duration.HumanDuration."""
    whole = max(int(seconds), 0)
    if whole < 120:
        return f"{whole}s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if minutes < 10:
        return f"{minutes}m{whole % 60}s" if whole % 60 else f"{minutes}m"
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    return f"{days}d"


def pod_status(pod: Json) -> str:
    """The STATUS column of a Pod."""
    status = pod.get("status") or {}
    text = status.get("reason") or status.get("phase") or ""
    for container in status.get("containerStatuses") or ():
        state = container.get("state") or {}
        waiting, ended = state.get("waiting"), state.get("terminated")
        if waiting and waiting.get("reason"):
            text = waiting["reason"]
        elif ended:
            text = ended.get("reason") or f"ExitCode:{ended.get('exitCode', 0)}"
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return str(text)


def _age(obj: Json) -> str:
    return duration(seconds_since(obj["metadata"]["creationTimestamp"]))


def _default(obj: Json) -> list[Any]:
    return [obj["metadata"]["name"], _age(obj)]


def _pod(obj: Json) -> list[Any]:
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    containers = status.get("containerStatuses") or []
    ready = sum(1 for container in containers if container.get("ready"))
    restarts = sum(container.get("restartCount", 0) for container in containers)
    node, nominated = spec.get("nodeName") or "<none>", "<none>"
    gates = spec.get("readinessGates") or []
    conditions = {item["type"]: item["status"] for item in status.get("conditions") or ()}
    met = sum(1 for gate in gates if conditions.get(gate.get("conditionType")) == "True")
    return [
        obj["metadata"]["name"],
        f"{ready}/{len(spec.get('containers') or ())}",
        pod_status(obj),
        str(restarts),
        _age(obj),
        status.get("podIP") or "<none>",
        node,
        nominated,
        f"{met}/{len(gates)}" if gates else "<none>",
    ]


def _namespace(obj: Json) -> list[Any]:
    return [obj["metadata"]["name"], obj["status"]["phase"], _age(obj)]


def _node(obj: Json) -> list[Any]:
    conditions = {item["type"]: item["status"] for item in obj["status"].get("conditions") or ()}
    ready = "Ready" if conditions.get("Ready") == "True" else "NotReady"
    if (obj.get("spec") or {}).get("unschedulable"):
        ready += ",SchedulingDisabled"
    return [obj["metadata"]["name"], ready, "<none>", _age(obj), obj["status"]["nodeInfo"]["kubeletVersion"]]


def _event(obj: Json) -> list[Any]:
    about = obj.get("involvedObject") or {}
    seen = obj.get("lastTimestamp") or obj["metadata"]["creationTimestamp"]
    target = f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}"
    return [duration(seconds_since(seen)), obj.get("type", ""), obj.get("reason", ""), target, obj.get("message", "")]


def _service(obj: Json) -> list[Any]:
    spec = obj["spec"]
    ports = ",".join(f"{port.get('port')}/{port.get('protocol')}" for port in spec.get("ports") or ()) or "<none>"
    return [obj["metadata"]["name"], spec["type"], spec.get("clusterIP") or "<none>", "<none>", ports, _age(obj)]


def _quota(obj: Json) -> list[Any]:
    hard = (obj.get("status") or {}).get("hard") or {}
    used = (obj.get("status") or {}).get("used") or {}
    shown = {name: f"{name}: {used.get(name, '0')}/{limit}" for name, limit in sorted(hard.items())}
    limits = ", ".join(text for name, text in shown.items() if name.startswith("limits."))
    requests = ", ".join(text for name, text in shown.items() if not name.startswith("limits."))
    return [obj["metadata"]["name"], requests, limits, _age(obj)]


def _ready(obj: Json) -> str:
    for condition in (obj.get("status") or {}).get("conditions") or ():
        if condition["type"] == "Ready":
            return str(condition["status"])
    return ""


def _virtual_machine(obj: Json) -> list[Any]:
    status = (obj.get("status") or {}).get("printableStatus", "")
    return [obj["metadata"]["name"], _age(obj), status, _ready(obj)]


def _virtual_machine_instance(obj: Json) -> list[Any]:
    status = obj.get("status") or {}
    address = next((item.get("ipAddress", "") for item in status.get("interfaces") or ()), "")
    return [
        obj["metadata"]["name"],
        _age(obj),
        status.get("phase", ""),
        address,
        status.get("nodeName", ""),
        _ready(obj),
    ]


def _named(*cells: Callable[[Json], Any]) -> Callable[[Json], list[Any]]:
    """A row of the name, some cells, and the age."""
    return lambda obj: [obj["metadata"]["name"], *(cell(obj) for cell in cells), _age(obj)]


def _name_and_time(obj: Json) -> list[Any]:
    return [obj["metadata"]["name"], obj["metadata"]["creationTimestamp"]]


def _columns(*names: str) -> tuple[Column, ...]:
    return tuple((name, "string", 0) for name in names)


def _match_labels(obj: Json) -> str:
    labels = ((obj.get("spec") or {}).get("podSelector") or {}).get("matchLabels") or {}
    return ",".join(f"{key}={value}" for key, value in labels.items()) or "<none>"


_DEFAULT_COLUMNS: tuple[Column, ...] = (("Name", "string", 0), ("Age", "date", 0))
_TABLES: dict[Resource, tuple[tuple[Column, ...], Callable[[Json], list[Any]]]] = {
    PODS: (
        (
            ("Name", "string", 0), ("Ready", "string", 0), ("Status", "string", 0), ("Restarts", "string", 0),
            ("Age", "string", 0), ("IP", "string", 1), ("Node", "string", 1), ("Nominated Node", "string", 1),
            ("Readiness Gates", "string", 1),
        ),
        _pod,
    ),
    NAMESPACES: ((("Name", "string", 0), ("Status", "string", 0), ("Age", "string", 0)), _namespace),
    NODES: (
        (
            ("Name", "string", 0), ("Status", "string", 0), ("Roles", "string", 0), ("Age", "string", 0),
            ("Version", "string", 0),
        ),
        _node,
    ),
    EVENTS: (
        (
            ("Last Seen", "string", 0), ("Type", "string", 0), ("Reason", "string", 0), ("Object", "string", 0),
            ("Message", "string", 0),
        ),
        _event,
    ),
    SERVICES: (
        (
            ("Name", "string", 0), ("Type", "string", 0), ("Cluster-IP", "string", 0), ("External-IP", "string", 0),
            ("Port(s)", "string", 0), ("Age", "string", 0),
        ),
        _service,
    ),
    QUOTAS: ((("Name", "string", 0), ("Request", "string", 0), ("Limit", "string", 0), ("Age", "string", 0)), _quota),
    CONFIGMAPS: (_columns("Name", "Data", "Age"), _named(lambda obj: str(len(obj.get("data") or ())))),
    SECRETS: (
        _columns("Name", "Type", "Data", "Age"),
        _named(lambda obj: obj.get("type", ""), lambda obj: str(len(obj.get("data") or ()))),
    ),
    SERVICE_ACCOUNTS: (_columns("Name", "Secrets", "Age"), _named(lambda obj: str(len(obj.get("secrets") or ())))),
    LIMIT_RANGES: (_columns("Name", "Created At"), _name_and_time),
    NETWORK_POLICIES: (_columns("Name", "Pod-Selector", "Age"), _named(_match_labels)),
    LEASES: (_columns("Name", "Holder", "Age"), _named(lambda obj: obj["spec"].get("holderIdentity", ""))),
    VIRTUAL_MACHINES: (
        (("Name", "string", 0), ("Age", "date", 0), ("Status", "string", 0), ("Ready", "string", 0)),
        _virtual_machine,
    ),
    VIRTUAL_MACHINE_INSTANCES: (
        (
            ("Name", "string", 0), ("Age", "date", 0), ("Phase", "string", 0), ("IP", "string", 0),
            ("NodeName", "string", 0), ("Ready", "string", 0),
        ),
        _virtual_machine_instance,
    ),
}  # fmt: skip
