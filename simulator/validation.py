"""What Kubernetes refuses with 422: names, labels, annotations and the specs of the kinds CMP creates.

Answers lists of causes; raises nothing. Wording: k8s.io/apimachinery pkg/util/validation and the kinds' own validators.
"""

import re

from simulator import quantities
from simulator.errors import cause
from simulator.resources import NAMESPACES, PODS, SERVICES, VIRTUAL_MACHINES, Resource
from simulator.types import Json

LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
QUALIFIED = re.compile(r"^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")
LABEL_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
ANNOTATIONS_LIMIT = 256 * 1024

LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
QUALIFIED_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
OWNER_FIELDS = (
    ("apiVersion", "version must not be empty"),
    ("kind", "must not be empty"),
    ("name", "must not be empty"),
    ("uid", "must not be empty"),
)
RUN_STRATEGIES = ("Halted", "Manual", "Always", "RerunOnFailure", "Once", "WaitAsReceiver")


def metadata(resource: Resource, meta: Json) -> list[Json]:
    return [
        *_name(resource, meta["name"]),
        *_labels(meta.get("labels") or {}, "metadata.labels"),
        *_annotations(meta.get("annotations") or {}),
        *_owners(meta.get("ownerReferences") or []),
        *_finalizers(meta.get("finalizers") or []),
    ]


def spec(resource: Resource, obj: Json) -> list[Json]:
    if resource is PODS:
        return _pod(obj.get("spec") or {})
    if resource is VIRTUAL_MACHINES:
        return virtual_machine(obj.get("spec") or {})
    return []


def virtual_machine(vm: Json) -> list[Json]:
    """KubeVirt's validating webhook, as far as the fields a client of ours sets: source vms-admitter.go."""
    template = vm.get("template")
    if not isinstance(template, dict):
        return [cause("FieldValueRequired", "missing virtual machine template.", "spec.template")]
    strategy, running = vm.get("runStrategy"), vm.get("running")
    if strategy is not None and running is not None:
        message = (
            "Running and RunStrategy are mutually exclusive. "
            "Note that Running is deprecated, please use RunStrategy instead"
        )
        return [cause("FieldValueInvalid", message, "spec.running")]
    if strategy is None and running is None:
        return [cause("FieldValueInvalid", "RunStrategy must be specified", "spec.running")]
    if strategy is not None and strategy not in RUN_STRATEGIES:
        return [cause("FieldValueInvalid", f"Invalid RunStrategy ({strategy})", "spec.runStrategy")]
    domain = (template.get("spec") or {}).get("domain")
    if not isinstance(domain, dict):
        return [cause("FieldValueRequired", "missing domain specification", "spec.template.spec.domain")]
    return _volumes_exist(template["spec"]) + _domain(domain)


def _volumes_exist(instance: Json) -> list[Json]:
    found = []
    volumes = {volume.get("name") for volume in instance.get("volumes") or []}
    for index, disk in enumerate(((instance.get("domain") or {}).get("devices") or {}).get("disks") or []):
        if disk.get("name") not in volumes:
            field = f"spec.template.spec.domain.devices.disks[{index}].name"
            found.append(cause("FieldValueInvalid", f"{field} '{disk.get('name')}' not found.", field))
    networks = {network.get("name") for network in instance.get("networks") or []}
    for index, interface in enumerate(((instance.get("domain") or {}).get("devices") or {}).get("interfaces") or []):
        if interface.get("name") not in networks:
            field = f"spec.template.spec.domain.devices.interfaces[{index}].name"
            found.append(cause("FieldValueInvalid", f"{field} '{interface.get('name')}' not found.", field))
    return found


def _domain(domain: Json) -> list[Json]:
    found = []
    for section in ("requests", "limits"):
        for name, value in ((domain.get("resources") or {}).get(section) or {}).items():
            field = f"spec.template.spec.domain.resources.{section}.{name}"
            if not quantities.is_quantity(value) or quantities.parse(value) < 0:
                found.append(
                    cause("FieldValueInvalid", f"{field} '{value}': must be greater than or equal to 0.", field)
                )
    return found


def _name(resource: Resource, name: str) -> list[Json]:
    if resource in (NAMESPACES, SERVICES):
        return _dns(name, LABEL, 63, LABEL_TEXT)
    return _dns(name, SUBDOMAIN, 253, SUBDOMAIN_TEXT)


def _dns(name: str, pattern: re.Pattern[str], limit: int, text: str) -> list[Json]:
    found = []
    if not pattern.match(name):
        found.append(cause("FieldValueInvalid", f'Invalid value: "{name}": {text}', "metadata.name"))
    if len(name) > limit:
        message = f'Invalid value: "{name}": must be no more than {limit} characters'
        found.append(cause("FieldValueInvalid", message, "metadata.name"))
    return found


def _labels(labels: Json, field: str) -> list[Json]:
    found = []
    for key, value in labels.items():
        found.extend(_qualified_name(key, field))
        if not isinstance(value, str) or not LABEL_VALUE.match(value):
            found.append(cause("FieldValueInvalid", f'Invalid value: "{value}": {VALUE_TEXT}', field))
        elif len(value) > 63:
            message = f'Invalid value: "{value}": must be no more than 63 bytes'
            found.append(cause("FieldValueInvalid", message, field))
    return found


def _annotations(annotations: Json) -> list[Json]:
    found = [item for key in annotations for item in _qualified_name(key.lower(), "metadata.annotations")]
    if sum(len(key) + len(str(value)) for key, value in annotations.items()) > ANNOTATIONS_LIMIT:
        message = f"Too long: may not be more than {ANNOTATIONS_LIMIT} bytes"
        found.append(cause("FieldValueTooLong", message, "metadata.annotations"))
    return found


def _finalizers(finalizers: list[str]) -> list[Json]:
    known = {"orphan", "foregroundDeletion", "kubernetes"}
    found = []
    for index, name in enumerate(finalizers):
        field = f"metadata.finalizers[{index}]"
        if not _is_qualified(name):
            found.append(cause("FieldValueInvalid", f'Invalid value: "{name}": {QUALIFIED_TEXT}', field))
        elif "/" not in name and name not in known:
            text = "name is neither a standard finalizer name nor is it fully qualified"
            found.append(cause("FieldValueInvalid", f'Invalid value: "{name}": {text}', field))
    return found


def _owners(owners: list[Json]) -> list[Json]:
    found = []
    for field, text in OWNER_FIELDS:
        for owner in owners:
            if not owner.get(field):
                message = f'Invalid value: "": {text}'
                found.append(cause("FieldValueInvalid", message, f"metadata.ownerReferences.{field}"))
    return found


def _qualified_name(key: str, field: str) -> list[Json]:
    if _is_qualified(key):
        return []
    return [cause("FieldValueInvalid", f'Invalid value: "{key}": {QUALIFIED_TEXT}', field)]


def _is_qualified(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    if slash and (not SUBDOMAIN.match(prefix) or len(prefix) > 253):
        return False
    return len(name) <= 63 and bool(QUALIFIED.match(name))


def _pod(pod: Json) -> list[Json]:
    containers = pod.get("containers") or []
    if not containers:
        return [cause("FieldValueRequired", "Required value", "spec.containers")]
    found: list[Json] = []
    seen: set[str] = set()
    for index, container in enumerate(containers):
        field = f"spec.containers[{index}]"
        name = container.get("name", "")
        if not name:
            found.append(cause("FieldValueRequired", "Required value", f"{field}.name"))
        elif not LABEL.match(name) or len(name) > 63:
            found.append(cause("FieldValueInvalid", f'Invalid value: "{name}": {LABEL_TEXT}', f"{field}.name"))
        elif name in seen:
            found.append(cause("FieldValueDuplicate", f'Duplicate value: "{name}"', f"{field}.name"))
        seen.add(name)
        if not container.get("image"):
            found.append(cause("FieldValueRequired", "Required value", f"{field}.image"))
        found.extend(_resources(container.get("resources") or {}, f"{field}.resources"))
    if pod.get("restartPolicy", "Always") not in ("Always", "OnFailure", "Never"):
        message = f'Unsupported value: "{pod["restartPolicy"]}": supported values: "Always", "OnFailure", "Never"'
        found.append(cause("FieldValueNotSupported", message, "spec.restartPolicy"))
    return found


def _resources(resources: Json, field: str) -> list[Json]:
    found = []
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for section, values in (("limits", limits), ("requests", requests)):
        for name, value in values.items():
            if quantities.is_quantity(value) and quantities.parse(value) < 0:
                message = f'Invalid value: "{value}": must be greater than or equal to 0'
                found.append(cause("FieldValueInvalid", message, f"{field}.{section}[{name}]"))
    for name, value in requests.items():
        limit = limits.get(name)
        if limit is not None and quantities.parse(value) > quantities.parse(limit):
            message = f'Invalid value: "{value}": must be less than or equal to {name} limit of {limit}'
            found.append(cause("FieldValueInvalid", message, f"{field}.requests"))
    return found
