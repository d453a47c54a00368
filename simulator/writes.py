"""create, update and the four kinds of patch, with everything an API server guards on the way.

Order as in k8s.io/apiserver: decode, identity, admission, validation, quota, then one write to the store.
"""

import uuid
from dataclasses import dataclass

from simulator import apply as server_side_apply
from simulator import defaults, managed_fields, patch, pods
from simulator.admission import Admission
from simulator.clock import stamp
from simulator.errors import (
    StatusError,
    already_exists,
    bad_request,
    cause,
    conflict,
    invalid,
    no_such_resource,
    not_found,
    stale,
)
from simulator.request import Request
from simulator.resources import LEASES, NAMESPACES, NODES, PODS, VIRTUAL_MACHINE_INSTANCES, Resource
from simulator.store import Store, Stored
from simulator.types import Json

IDENTITY = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
MEDIA_TYPES = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class Written:
    code: int
    stored: Stored


class Writes:
    def __init__(self, store: Store, admission: Admission) -> None:
        self._store = store
        self._admission = admission

    def create(self, request: Request) -> Written:
        resource = request.target
        obj = _decoded(resource, request.document())
        _place(request, obj)
        metadata = obj["metadata"]
        if metadata.get("resourceVersion"):
            raise StatusError(500, "", "resourceVersion should not be set on objects to be created")
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = f"{metadata['generateName'][:58]}{defaults.random_suffix()}"
        if not metadata.get("name"):
            text = "Required value: name or generateName is required"
            raise invalid(resource.group, resource.kind, "", [cause("FieldValueRequired", text, "metadata.name")])
        metadata.pop("managedFields", None)
        self.insert(resource, obj, request.manager, request.dry_run)
        return Written(201, self._commit(resource, obj, request.dry_run))

    def insert(self, resource: Resource, obj: Json, manager: str, dry_run: bool = False) -> None:
        """Make `obj` ready to be stored as a new object, or refuse it."""
        _give_identity(resource, obj)
        if resource.has_status:
            obj.pop("status", None)
        defaults.canonical(resource, obj)
        defaults.fill(resource, obj)
        metadata = obj["metadata"]
        if "managedFields" not in metadata:
            _set_owners(metadata, managed_fields.after_update(resource, None, obj, manager))
        self._admission.admit(resource, obj)
        exists = self._store.get(resource, (metadata.get("namespace", ""), metadata["name"])) is not None
        self._admission.charge(resource, obj, dry_run or exists)
        if exists:
            raise already_exists(resource.group, resource.plural, metadata["name"])

    def update(self, request: Request) -> Written:
        resource = request.target
        if resource is LEASES and self._store.get(resource, request.key) is None:
            return self.create(request)
        live = self._live(request)
        obj = _decoded(resource, request.document())
        _place(request, obj)
        if not obj["metadata"].get("resourceVersion") and resource.custom:
            text = "Invalid value: 0: must be specified for an update"
            found = [cause("FieldValueInvalid", text, "metadata.resourceVersion")]
            raise invalid(resource.group, resource.plural, request.name, found)
        return self._replace(request, live, obj)

    def patch(self, request: Request) -> Written:
        if request.content_type == "application/apply-patch+yaml":
            return self._apply(request)
        resource, live = request.target, self._live(request)
        body = request.json()
        if request.flag("force"):
            text = "Forbidden: may not be specified for non-apply patch"
            raise invalid("meta.k8s.io", "PatchOptions", "", [cause("FieldValueForbidden", text, "force")])
        before: Json = {"kind": resource.kind, "apiVersion": resource.api_version, **live.copy()}
        match request.content_type:
            case "application/json-patch+json":
                after = patch.json_patch(before, body)
            case "application/merge-patch+json":
                after = patch.merge(before, _object(body))
            case "application/strategic-merge-patch+json" if not resource.custom:
                after = patch.strategic(before, _object(body), resource.plural)
            case _:
                text = f"the body of the request was in an unknown format - accepted media types include: {MEDIA_TYPES}"
                message = text if resource.custom else "415: Unsupported Media Type"
                raise StatusError(415, "UnsupportedMediaType", message, None if resource.custom else {})
        obj = _decoded(resource, after)
        _place(request, obj)
        return self._replace(request, live, obj)

    def _apply(self, request: Request) -> Written:
        resource = request.target
        manager = request.query.get("fieldManager", "")
        if not manager:
            text = "Required value: is required for apply patch"
            raise invalid("meta.k8s.io", "PatchOptions", "", [cause("FieldValueRequired", text, "fieldManager")])
        body = _object(request.json())
        if not body.get("apiVersion") or not body.get("kind"):
            version = str(body.get("apiVersion", "/"))
            raise bad_request(f"invalid object type: {version}, Kind={body.get('kind', '')}")
        applied = _decoded(resource, body)
        if applied["metadata"].pop("managedFields", None):
            raise bad_request("metadata.managedFields must be nil")
        _place(request, applied)
        applied["metadata"].setdefault("name", request.name)
        defaults.canonical(resource, applied)
        live = self._store.get(resource, request.key)
        if live is None:
            return self._apply_new(request, applied, manager)
        merged = server_side_apply.apply(resource, live.obj, applied, manager, request.flag("force"))
        return self._replace(request, live, _private(merged), merged["metadata"]["managedFields"])

    def _apply_new(self, request: Request, applied: Json, manager: str) -> Written:
        resource = request.target
        if request.subresource:
            raise not_found(resource.group, resource.plural, request.name)
        if uid := applied["metadata"].get("uid"):
            why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            raise conflict(resource.group, resource.plural, request.name, why)
        applied["metadata"].pop("resourceVersion", None)
        obj = server_side_apply.apply(resource, None, applied, manager, force=False)
        self.insert(resource, obj, manager, request.dry_run)
        return Written(201, self._commit(resource, obj, request.dry_run))

    def _replace(self, request: Request, live: Stored, obj: Json, entries: list[Json] | None = None) -> Written:
        resource, subresource = request.target, request.subresource
        self._same_object(resource, live, obj["metadata"], request.verb == "patch")
        new = _limited_to(resource, live.obj, obj, subresource)
        metadata = new["metadata"]
        for field in IDENTITY:
            if field in live.obj["metadata"]:
                metadata[field] = live.obj["metadata"][field]
            else:
                metadata.pop(field, None)
        defaults.canonical(resource, new)
        defaults.fill_status(resource, new)
        _without_empty(metadata)
        _no_new_finalizers(resource, live.obj, metadata)
        self._admission.check(resource, new)
        if resource is PODS and not subresource:
            pods.check_update(live.obj, new)
        if resource is PODS and subresource == "resize":
            node = self._store.get(NODES, ("", new["spec"].get("nodeName", "")))
            pods.check_resize(live.obj, new, node.obj if node else None)
        if "generation" in live.obj["metadata"]:
            metadata["generation"] = live.obj["metadata"]["generation"] + int(_intent(new) != _intent(live.obj))
        if entries is None:
            entries = managed_fields.after_update(resource, live.obj, new, request.manager, subresource)
        _set_owners(metadata, entries)
        metadata["resourceVersion"] = live.obj["metadata"]["resourceVersion"]
        if new == live.obj or _only_times_differ(new, live.obj):
            return Written(200, live)
        return Written(200, self._commit(resource, new, request.dry_run))

    def _commit(self, resource: Resource, obj: Json, dry_run: bool) -> Stored:
        key = (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        _without_empty(obj["metadata"])
        if dry_run:
            return Stored(resource, key, obj, 0)
        if _may_go(resource, obj):
            return Stored(resource, key, obj, self._store.drop(resource, key).revision)
        return self._store.put(resource, obj)

    def _live(self, request: Request) -> Stored:
        resource = request.target
        if request.subresource not in ("", *resource.subresources):
            raise no_such_resource()
        live = self._store.get(resource, request.key)
        if live is None:
            raise not_found(resource.group, resource.plural, request.name)
        return live

    def _same_object(self, resource: Resource, live: Stored, metadata: Json, patching: bool) -> None:
        uid, revision = metadata.get("uid"), metadata.get("resourceVersion")
        if uid and uid != live.uid and patching:
            found = [cause("FieldValueInvalid", f'Invalid value: "{uid}": field is immutable', "metadata.uid")] * 2
            raise invalid(resource.group, resource.kind, live.key[1], found)
        if uid and uid != live.uid:
            place = f"/registry/{resource.plural}/{'/'.join(filter(None, live.key))}"
            why = (
                f"StorageError: invalid object, Code: 4, Key: {place}, ResourceVersion: 0, AdditionalErrorMsg: "
                f"Precondition failed: UID in precondition: {uid}, UID in object meta: {live.uid}"
            )
            raise conflict(resource.group, resource.plural, live.key[1], why)
        if revision and revision != live.obj["metadata"]["resourceVersion"]:
            raise stale(resource.group, resource.plural, live.key[1])


def _decoded(resource: Resource, body: Json) -> Json:
    """The body without kind and apiVersion, which must fit the resource."""
    obj = dict(body)
    kind, version = obj.pop("kind", None), obj.pop("apiVersion", None)
    if kind not in (None, resource.kind) or version not in (None, resource.api_version):
        raise _wrong_kind(resource, str(version or resource.api_version), str(kind or resource.kind), obj)
    metadata = obj.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise bad_request(f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}')
    obj["metadata"] = {name: value for name, value in (metadata or {}).items() if value is not None}
    _require_text(resource, obj["metadata"])
    return obj


def _wrong_kind(resource: Resource, version: str, kind: str, obj: Json) -> StatusError:
    if resource.custom and version != resource.api_version:
        return bad_request(
            f"the API version in the data ({version}) does not match the expected API version ({resource.api_version})"
        )
    if resource.custom:
        found = [cause("FieldValueInvalid", f'Invalid value: "{kind}": must be {resource.kind}', "kind")]
        return invalid(resource.group, kind, str((obj.get("metadata") or {}).get("name", "")), found)
    conversion = f"converting ({version}.{kind}) to (core.{resource.kind}): unknown conversion"
    return bad_request(f'{kind} in version "{version}" cannot be handled as a {resource.kind}: {conversion}')


def _require_text(resource: Resource, metadata: Json) -> None:
    """Names, labels and annotations are text; anything else cannot be decoded."""
    for field in ("name", "generateName", "namespace", "uid", "resourceVersion"):
        if not isinstance(metadata.get(field, ""), str):
            raise _undecodable(resource, metadata[field], field, "string")
    for field in ("labels", "annotations"):
        values = metadata.get(field, {})
        if not isinstance(values, dict):
            raise _undecodable(resource, values, field, "map[string]string")
        for value in values.values():
            if not isinstance(value, str):
                raise _undecodable(resource, value, field, "string")
    for field, kind in (("finalizers", "string"), ("ownerReferences", "v1.OwnerReference")):
        if not isinstance(metadata.get(field, []), list):
            raise _undecodable(resource, metadata[field], field, f"[]{kind}")


def _undecodable(resource: Resource, value: object, field: str, kind: str) -> StatusError:
    names = {bool: "bool", int: "number", float: "number", dict: "object", list: "array", str: "string"}
    given = names.get(type(value), "value")
    text = f"json: cannot unmarshal {given} into Go struct field ObjectMeta.metadata.{field} of type {kind}"
    return bad_request(
        f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: {text}'
    )


def _place(request: Request, obj: Json) -> None:
    """Name and namespace of the body and of the URL must agree."""
    metadata = obj["metadata"]
    if request.namespace:
        if metadata.setdefault("namespace", request.namespace) != request.namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    else:
        metadata.pop("namespace", None)
    if request.name and metadata.setdefault("name", request.name) != request.name:
        raise bad_request(
            f"the name of the object ({metadata['name']}) does not match the name on the URL ({request.name})"
        )


def _give_identity(resource: Resource, obj: Json) -> None:
    metadata = obj["metadata"]
    for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"):
        metadata.pop(field, None)
    metadata["uid"] = str(uuid.uuid4())
    metadata["creationTimestamp"] = stamp()
    if resource.has_generation:
        metadata["generation"] = 1


def _limited_to(resource: Resource, live: Json, obj: Json, subresource: str) -> Json:
    """Only what this endpoint may change: the status, or everything else."""
    if subresource == "status":
        metadata = dict(live["metadata"]) if resource.custom else obj["metadata"]
        return {**{key: value for key, value in live.items() if key != "status"}, "metadata": metadata,
                **({"status": obj["status"]} if "status" in obj else {})}  # fmt: skip
    keeps_status = resource.has_status or resource is VIRTUAL_MACHINE_INSTANCES
    if not keeps_status:
        return obj
    kept = {"status": live["status"]} if "status" in live else {}
    return {**{key: value for key, value in obj.items() if key != "status"}, **kept}


def _no_new_finalizers(resource: Resource, live: Json, metadata: Json) -> None:
    if not live["metadata"].get("deletionTimestamp"):
        return
    new = sorted(set(metadata.get("finalizers") or ()) - set(live["metadata"].get("finalizers") or ()))
    if new:
        shown = ", ".join(f'"{name}"' for name in new)
        text = (
            "Forbidden: no new finalizers can be added if the object is being deleted, "
            f"found new finalizers []string{{{shown}}}"
        )
        found = [cause("FieldValueForbidden", text, "metadata.finalizers")] * 2
        raise invalid(resource.group, resource.kind, metadata["name"], found)


def _may_go(resource: Resource, obj: Json) -> bool:
    """An object under deletion goes with its last finalizer, once its grace is over."""
    metadata = obj["metadata"]
    if not metadata.get("deletionTimestamp") or metadata.get("finalizers"):
        return False
    if resource is NAMESPACES:
        return not (obj.get("spec") or {}).get("finalizers")
    return not metadata.get("deletionGracePeriodSeconds")


def _set_owners(metadata: Json, entries: list[Json]) -> None:
    if entries:
        metadata["managedFields"] = entries
    else:
        metadata.pop("managedFields", None)


def _intent(obj: Json) -> Json:
    return {key: value for key, value in obj.items() if key not in ("metadata", "status")}


def _only_times_differ(new: Json, old: Json) -> bool:
    """A write that changes nothing but the times in managedFields is not a change."""
    return _timeless(new) == _timeless(old)


def _timeless(obj: Json) -> Json:
    entries = [{**known, "time": ""} for known in obj["metadata"].get("managedFields") or ()]
    return {**obj, "metadata": {**obj["metadata"], "managedFields": entries}}


def _object(body: object) -> Json:
    if not isinstance(body, dict):
        raise bad_request(
            "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"
        )
    return body


def _without_empty(metadata: Json) -> None:
    for field in [name for name, value in metadata.items() if value in ({}, [], "")]:
        del metadata[field]


def _private(obj: Json) -> Json:
    return {**obj, "metadata": dict(obj["metadata"])}
