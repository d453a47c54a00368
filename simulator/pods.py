"""The API's rules for Pods after they exist: which fields of a spec may still change."""

from simulator.errors import cause, forbidden, invalid
from simulator.quantities import parse
from simulator.quota import pod_total
from simulator.types import Json

TEXT = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
    "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
MUTABLE = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates")


def check_update(old: Json, new: Json) -> None:
    """422 when anything but images and a few scalars of the spec differs."""
    if _fixed(old["spec"]) == _fixed(new.get("spec") or {}):
        return
    raise invalid("", "Pod", new["metadata"]["name"], [cause("FieldValueForbidden", TEXT, "spec")])


def check_resize(old: Json, new: Json, node: Json | None) -> None:
    """422 when anything but the size of a container differs, or its QoS class would; 403 when its node is too small.

    Source: kubernetes plugin/pkg/admission/podresize at v1.36.
    """
    if _sizeless(old["spec"]) != _sizeless(new.get("spec") or {}):
        text = "Forbidden: only cpu and memory resources are mutable"
        raise invalid("", "Pod", new["metadata"]["name"], [cause("FieldValueForbidden", text, "spec")])
    if guaranteed(old["spec"]) != guaranteed(new["spec"]):
        text = "Invalid value: Pod QOS Class may not change as a result of resizing"
        raise invalid("", "Pod", new["metadata"]["name"], [cause("FieldValueInvalid", text, "spec")])

    if node is not None and old["spec"] != new["spec"]:
        _check_capacity(new, (node.get("status") or {}).get("allocatable") or {})


def _check_capacity(pod: Json, allocatable: Json) -> None:
    lacking = []
    for name, scale in (("cpu", 1000), ("memory", 1)):
        asked, there = pod_total(pod["spec"], "requests", name), parse(allocatable.get(name, "0"))
        if asked > there:
            lacking.append(f"{name}, requested: {int(asked * scale)}, allocatable: {int(there * scale)}")
    if lacking:
        why = f"node didn't have enough allocatable resources: {'; '.join(lacking)}"
        found = [{"reason": "NodeCapacity"}]
        raise forbidden("", "pods", pod["metadata"]["name"], why, found)


def guaranteed(spec: Json) -> bool:
    sizes = [container.get("resources") or {} for container in spec["containers"]]
    return all(size.get("limits") and size.get("limits") == size.get("requests") for size in sizes)


def _sizeless(spec: Json) -> Json:
    bare = [{key: value for key, value in item.items() if key != "resources"} for item in spec.get("containers") or ()]
    return {**spec, "containers": bare}


def _fixed(spec: Json) -> Json:
    fixed = {key: value for key, value in spec.items() if key not in MUTABLE}
    for field in ("containers", "initContainers"):
        if field in fixed:
            fixed[field] = [{key: value for key, value in item.items() if key != "image"} for item in fixed[field]]
    return fixed
