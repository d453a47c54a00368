"""Merge patch (RFC 7386), JSON patch (RFC 6902) and strategic merge patch.

Every function answers a new object and leaves its arguments alone; server-side apply is in apply.py.
"""

from typing import Any

import orjson

from simulator.errors import StatusError, bad_request
from simulator.types import Json

MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "imagePullSecrets": "name",
    "conditions": "type",
    "ownerReferences": "uid",
    "hostAliases": "ip",
    "podIPs": "ip",
    "hostIPs": "ip",
    "schedulingGates": "name",
    "resourceClaims": "name",
    "secrets": "name",
    "addresses": "type",
    "taints": "key",
}
PRIMITIVE_LISTS = frozenset({"finalizers"})


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def strategic(target: Any, patch: Any, plural: str = "") -> Any:
    """Maps merge, lists with a merge key merge by it, other lists are replaced; `$patch` directives are obeyed."""
    if not isinstance(patch, dict):
        return patch
    if patch.get("$patch") == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    if patch.get("$patch") == "delete":
        return {}
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if key == "$patch" or key == "$retainKeys" or key.startswith("$setElementOrder/"):
            continue
        if key.startswith("$deleteFromPrimitiveList/"):
            field = key.partition("/")[2]
            result[field] = [item for item in result.get(field) or [] if item not in value]
            continue
        if value is None:
            result.pop(key, None)
        elif isinstance(value, list):
            result[key] = _strategic_list(key, result.get(key) or [], value, plural)
        else:
            result[key] = strategic(result.get(key), value, plural)
    retained = patch.get("$retainKeys")
    return {key: result[key] for key in retained if key in result} if retained else result


def merge_key(field: str, plural: str) -> str | None:
    """The key by which a list is merged strategically, if it is."""
    if field == "ports":
        return "port" if plural == "services" else "containerPort"
    return MERGE_KEYS.get(field)


def json_patch(target: Json, operations: Any) -> Json:
    """RFC 6902; a failed `test` and an impossible path are 422, as in Kubernetes."""
    if not isinstance(operations, list):
        raise bad_request("error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    document: Json = orjson.loads(orjson.dumps(target))
    for operation in operations:
        if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
            raise bad_request("error decoding patch: a JSON patch is a list of operations with op and path")
        document = _apply_operation(document, operation)
    return document


def _strategic_list(field: str, current: list[Any], patch: list[Any], plural: str) -> list[Any]:
    if field in PRIMITIVE_LISTS:
        return [*current, *(item for item in patch if item not in current)]
    key = merge_key(field, plural)
    if key is None or not all(isinstance(item, dict) for item in patch):
        return patch
    if any(item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if item.get("$patch") != "replace"]
    result = list(current)
    for item in patch:
        index = next((i for i, old in enumerate(result) if old.get(key) == item.get(key)), None)
        if item.get("$patch") == "delete":
            if index is not None:
                del result[index]
        elif index is None:
            result.append(strategic({}, item, plural))
        else:
            result[index] = strategic(result[index], item, plural)
    return result


def _apply_operation(document: Json, operation: Json) -> Json:
    kind, path = operation.get("op"), _pointer(operation["path"])
    match kind:
        case "test":
            if _lookup(document, path, operation["path"]) != operation.get("value"):
                raise _unprocessable(f"testing value {operation['path']} failed: test failed")
        case "add":
            return _add(document, path, operation.get("value"), operation["path"])
        case "replace":
            return _replace(document, path, operation.get("value"))
        case "remove":
            _remove(document, path, operation["path"])
        case "move" | "copy":
            source = _pointer(str(operation.get("from", "")))
            value = orjson.loads(orjson.dumps(_lookup(document, source, str(operation.get("from")))))
            if kind == "move":
                _remove(document, source, str(operation.get("from")))
            return _add(document, path, value, operation["path"])
        case _:
            raise bad_request(f"Unexpected kind: {kind}")
    return document


def _pointer(text: str) -> list[str]:
    if text and not text.startswith("/"):
        raise bad_request(f"invalid JSON pointer {text!r}")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _lookup(document: Any, path: list[str], shown: str, failure: str = "path does not exist: ") -> Any:
    value = document
    for part in path:
        try:
            value = value[int(part)] if isinstance(value, list) else value[part]
        except (KeyError, IndexError, ValueError, TypeError):
            raise _unprocessable(f"{failure}{shown}: missing value") from None
    return value


def _add(document: Json, path: list[str], value: Any, shown: str) -> Json:
    if not path:
        return value if isinstance(value, dict) else {}
    parent = _lookup(document, path[:-1], shown, "add operation does not apply: doc is missing path: ")
    if isinstance(parent, list):
        try:
            index = len(parent) if path[-1] == "-" else int(path[-1])
        except ValueError:
            raise _unprocessable(f"add operation does not apply: bad index in {shown}") from None
        if not 0 <= index <= len(parent):
            raise _unprocessable(f"add operation does not apply: index out of bounds: {shown}")
        parent.insert(index, value)
    elif isinstance(parent, dict):
        parent[path[-1]] = value
    else:
        raise _unprocessable(f"add operation does not apply: {shown} is inside a value")
    return document


def _replace(document: Json, path: list[str], value: Any) -> Json:
    if not path:
        return value if isinstance(value, dict) else {}
    parent = _lookup(document, path[:-1], "/".join(path))
    try:
        parent[int(path[-1]) if isinstance(parent, list) else path[-1]] = value
    except (ValueError, IndexError, TypeError):
        raise _unprocessable(f"replace operation does not apply: {'/'.join(path)}") from None
    return document


def _remove(document: Json, path: list[str], shown: str) -> None:
    failure = "remove operation does not apply: doc is missing key: "
    _lookup(document, path, shown, failure)
    if not path:
        raise _unprocessable(f"{failure}{shown}")
    parent = _lookup(document, path[:-1], shown, failure)
    del parent[int(path[-1]) if isinstance(parent, list) else path[-1]]


def _unprocessable(why: str) -> StatusError:
    """An API server does not say why; `why` is for whoever reads the simulator's code or debugs it."""
    error = StatusError(422, "Invalid", "the server rejected our request due to an error in our request", {})
    error.add_note(why)
    return error
