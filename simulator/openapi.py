"""Just enough OpenAPI for kubectl to create and apply with its default validation: every kind, any fields.

kubectl asks version 3 whether a kind's PATCH knows `fieldValidation`; when it does, validation is the server's.
"""

import hashlib

import orjson

from simulator.resources import RESOURCES, Resource
from simulator.types import Json

PROTOBUF_V2 = b"\x0a\x032.0"
"""A Swagger 2.0 document without definitions, in the encoding that kubectl asks for."""
PATCHES = ("application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json")


def find(path: str, accept: str) -> tuple[bytes, str] | None:
    """(document, content type) for a path below /openapi."""
    if path == "/openapi/v2":
        if "protobuf" in accept:
            return PROTOBUF_V2, "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
        info = {"title": "Kubernetes", "version": "simulated"}
        document = {"swagger": "2.0", "info": info, "paths": {}, "definitions": {}}
        return orjson.dumps(document), "application/json"
    if path == "/openapi/v3":
        return orjson.dumps({"paths": {_place(group): _link(group) for group in _groups()}}), "application/json"
    for group in _groups():
        if path == f"/openapi/v3/{_place(group)}":
            return orjson.dumps(_document(group)), "application/json"
    return None


def _groups() -> list[tuple[str, str]]:
    return list(dict.fromkeys((resource.group, resource.version) for resource in RESOURCES))


def _place(group: tuple[str, str]) -> str:
    return f"apis/{group[0]}/{group[1]}" if group[0] else f"api/{group[1]}"


def _link(group: tuple[str, str]) -> Json:
    digest = hashlib.sha256(repr(_document(group)).encode()).hexdigest().upper()
    return {"serverRelativeURL": f"/openapi/v3/{_place(group)}?hash={digest}"}


def _document(group: tuple[str, str]) -> Json:
    paths: Json = {}
    schemas: Json = {}
    for resource in RESOURCES:
        if (resource.group, resource.version) == group:
            paths |= _paths(resource)
            schemas[_schema_name(resource)] = _schema(resource)
    info = {"title": "Kubernetes", "version": "simulated"}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}


def _schema_name(resource: Resource) -> str:
    return f"io.simulated.{resource.group or 'core'}.{resource.version}.{resource.kind}"


def _kind(resource: Resource) -> Json:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def _schema(resource: Resource) -> Json:
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    properties: Json = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}
    properties |= {"metadata": anything, "spec": anything, "status": anything}
    return {
        "type": "object",
        "description": f"{resource.kind}, accepted with any fields.",
        "properties": properties,
        "x-kubernetes-preserve-unknown-fields": True,
        "x-kubernetes-group-version-kind": [_kind(resource)],
    }


def _paths(resource: Resource) -> Json:
    scope = "/namespaces/{namespace}" if resource.namespaced else ""
    collection = f"{resource.prefix}{scope}/{resource.plural}"
    answer = {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{_schema_name(resource)}"}}}}
    parameters = [
        {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
        for name in ("dryRun", "fieldManager", "fieldValidation")
    ]

    def operation(action: str) -> Json:
        return {
            "parameters": parameters,
            "responses": {"200": {"description": "OK", **answer}},
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": _kind(resource),
        }

    body = {"content": {kind: {"schema": {"type": "object"}} for kind in PATCHES}}
    return {
        collection: {"get": operation("list"), "post": operation("post")},
        f"{collection}/{{name}}": {
            "get": operation("get"),
            "put": operation("put"),
            "patch": {**operation("patch"), "requestBody": body},
            "delete": operation("delete"),
        },
    }
