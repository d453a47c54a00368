"""The API's rules for Pods after they exist: which fields of a spec may still change."""

from simulator.errors import cause, invalid
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


def check_resize(old: Json, new: Json) -> None:
    """422 when anything but the size of a container differs, or its QoS class would."""
    if _sizeless(old["spec"]) != _sizeless(new.get("spec") or {}):
        text = "Forbidden: only cpu and memory resources are mutable"
        raise invalid("", "Pod", new["metadata"]["name"], [cause("FieldValueForbidden", text, "spec")])
    if guaranteed(old["spec"]) != guaranteed(new["spec"]):
        text = "Invalid value: Pod QOS Class may not change as a result of resizing"
        raise invalid("", "Pod", new["metadata"]["name"], [cause("FieldValueInvalid", text, "spec")])


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
