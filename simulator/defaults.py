"""What the API server fills in when an object arrives: defaults and the fields that admission sets.

Changes the object it is given (a private copy of the request body). Source: the v1 defaulting functions of each kind.
"""

import base64
import secrets

from simulator import quantities
from simulator.errors import bad_request
from simulator.resources import (
    CLAIMS,
    LIMIT_RANGES,
    NAMESPACES,
    NETWORK_POLICIES,
    PODS,
    QUOTAS,
    SECRETS,
    SERVICES,
    VIRTUAL_MACHINES,
    Resource,
)
from simulator.types import Json

TOLERATIONS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
OMITTED_WHEN_EMPTY = frozenset(
    {
        "args", "command", "env", "envFrom", "hostAliases", "imagePullSecrets", "initContainers", "limits",
        "nodeSelector", "ports", "readinessGates", "requests", "schedulingGates", "tolerations", "volumeDevices",
        "volumeMounts", "volumes",
    }
)  # fmt: skip
CLAIM_PROTECTION = "kubernetes.io/pvc-protection"
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a mount path


def fill(resource: Resource, obj: Json) -> None:
    """The defaults of the kind, which its writer then owns."""
    if resource is PODS:
        _pod(obj)
    elif resource is NAMESPACES:
        obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = obj["metadata"]["name"]
    elif resource is SERVICES:
        _service(obj)
    elif resource is SECRETS:
        _secret(obj)
    elif resource is CLAIMS:
        obj.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    elif resource is NETWORK_POLICIES:
        obj.setdefault("spec", {}).setdefault("podSelector", {})
        obj["spec"].setdefault("policyTypes", ["Ingress", "Egress"] if "egress" in obj["spec"] else ["Ingress"])
    elif resource is LIMIT_RANGES:
        for limit in (obj.get("spec") or {}).get("limits") or ():
            if limit.get("type") == "Container" and limit.get("default"):
                limit["defaultRequest"] = {**limit["default"], **(limit.get("defaultRequest") or {})}


def admit(resource: Resource, obj: Json) -> None:
    """What admission and the kind's own rules add, which nobody owns."""
    if resource is PODS:
        _admit_pod(obj)
    elif resource is NAMESPACES:
        obj.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
        obj["status"] = {"phase": "Active"}
    elif resource is SERVICES:
        _admit_service(obj)
    elif resource is CLAIMS:
        obj["metadata"].setdefault("finalizers", []).append(CLAIM_PROTECTION)
        obj["status"] = {"phase": "Pending"}
    elif resource is QUOTAS:
        obj["status"] = {}


def fill_status(resource: Resource, obj: Json) -> None:
    """The one default that KubeVirt's CRD gives a status."""
    if resource is VIRTUAL_MACHINES and isinstance(obj.get("status"), dict):
        obj["status"] = {"printableStatus": "Stopped", **obj["status"]}


def canonical(resource: Resource, obj: Json) -> None:
    """Write it as typed kinds answer it: quantities in one way, nothing empty. Custom kinds keep what was sent."""
    for name in ("data", "stringData", "binaryData"):
        if obj.get(name) == {} and not resource.custom:
            del obj[name]
    if resource is PODS:
        _without_empty(obj.get("spec") or {})
        spec = obj.get("spec") or {}
        for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
            for section in ("limits", "requests"):
                _canonical_values((container.get("resources") or {}).get(section), resource)
    elif resource is QUOTAS:
        _canonical_values((obj.get("spec") or {}).get("hard"), resource)
    elif resource is LIMIT_RANGES:
        for limit in (obj.get("spec") or {}).get("limits") or ():
            for section in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio"):
                _canonical_values(limit.get(section), resource)


def _without_empty(spec: Json) -> None:
    """Lists and maps that a Pod's Go type leaves out when they are empty."""
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    parts = [spec, *containers, *(container["resources"] for container in containers if container.get("resources"))]
    for part in parts:
        for name in [name for name, value in part.items() if value in ({}, [], None) and name in OMITTED_WHEN_EMPTY]:
            del part[name]


def _canonical_values(values: Json | None, resource: Resource) -> None:
    if not values:
        return
    for name, value in values.items():
        if not quantities.is_quantity(value):
            raise bad_request(
                f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
                "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
            )
        values[name] = quantities.canonical(value)


def _pod(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    for name, value in (
        ("restartPolicy", "Always"),
        ("terminationGracePeriodSeconds", 30),
        ("dnsPolicy", "ClusterFirst"),
        ("securityContext", {}),
        ("schedulerName", "default-scheduler"),
        ("enableServiceLinks", True),
    ):
        spec.setdefault(name, value)
    if spec.get("serviceAccountName"):
        spec["serviceAccount"] = spec["serviceAccountName"]
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        _container(container)


def _admit_pod(obj: Json) -> None:
    spec = obj["spec"]
    spec.setdefault("serviceAccountName", "default")
    spec["serviceAccount"] = spec["serviceAccountName"]
    spec.setdefault("priority", 0)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    _tolerate_lost_nodes(spec)
    if spec.get("automountServiceAccountToken", True):
        _mount_token(spec)
    obj["status"] = {"phase": "Pending", "qosClass": qos_class(spec)}


def qos_class(spec: Json) -> str:
    guaranteed, any_set = True, False
    for container in spec.get("containers", ()):
        resources = container.get("resources") or {}
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        any_set = any_set or bool(limits or requests)
        for name in ("cpu", "memory"):
            if name not in limits or requests.get(name) != limits[name]:
                guaranteed = False
    if not any_set:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _tolerate_lost_nodes(spec: Json) -> None:
    tolerations = spec.setdefault("tolerations", [])
    for key in TOLERATIONS:
        if not any(
            item.get("key") in (key, None, "") and item.get("effect") in ("NoExecute", None) for item in tolerations
        ):
            tolerations.append({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})


def _container(container: Json) -> None:
    image = str(container.get("image", ""))
    tag = image.rpartition("/")[2].partition(":")[2]
    pull = "Always" if "@" not in image and tag in ("", "latest") else "IfNotPresent"
    container.setdefault("imagePullPolicy", pull)
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    resources = container.setdefault("resources", {})
    for name, value in (resources.get("limits") or {}).items():
        resources.setdefault("requests", {}).setdefault(name, value)
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")


def _mount_token(spec: Json) -> None:
    if any(str(volume.get("name", "")).startswith("kube-api-access-") for volume in spec.get("volumes") or ()):
        return
    name = f"kube-api-access-{random_suffix()}"
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {
            "downwardAPI": {
                "items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]
            }
        },
    ]
    spec.setdefault("volumes", []).append({"name": name, "projected": {"sources": sources, "defaultMode": 420}})
    for container in spec.get("containers", ()):
        container.setdefault("volumeMounts", []).append({"name": name, "readOnly": True, "mountPath": TOKEN_PATH})


def _service(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    if spec["type"] != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))


def _admit_service(obj: Json) -> None:
    spec = obj["spec"]
    if spec["type"] != "ExternalName":
        number = secrets.randbelow(60_000)
        address = spec.setdefault("clusterIP", f"10.96.{number // 250}.{number % 250 + 1}")
        spec.setdefault("clusterIPs", [address])
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
    obj["status"] = {"loadBalancer": {}}


def _secret(obj: Json) -> None:
    obj.setdefault("type", "Opaque")
    for name, text in (obj.pop("stringData", None) or {}).items():
        obj.setdefault("data", {})[name] = base64.b64encode(str(text).encode()).decode()


def random_suffix(length: int = 5) -> str:
    """Letters that Kubernetes uses for generated names: no vowels, no look-alikes."""
    return "".join(secrets.choice("bcdfghjklmnpqrstvwxz2456789") for _ in range(length))
