"""One request, understood: which verb on which resource, with what options.

Parses the path and the query the way a Kubernetes API server does; decides nothing.
"""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import orjson
import yaml

from simulator import protobuf
from simulator.errors import StatusError, bad_request, cause, invalid, no_such_resource
from simulator.resources import BY_PLURAL, KUBEVIRT_SUBRESOURCE_GROUP, Resource
from simulator.types import Json, Key

YAML_TYPES = ("application/yaml", "application/apply-patch+yaml")
MUTATING = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(slots=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[bytes, bytes]
    body: bytes = b""
    verb: str = ""
    resource: Resource | None = None
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    kubevirt: bool = False
    """The path is below subresources.kubevirt.io."""
    pairs: list[tuple[str, str]] = field(default_factory=list)
    """The query as it was sent, where names may come more than once."""

    @property
    def target(self) -> Resource:
        if self.resource is None:
            raise no_such_resource()
        return self.resource

    @property
    def key(self) -> Key:
        return self.namespace, self.name

    @property
    def mutating(self) -> bool:
        return self.verb in MUTATING

    @property
    def dry_run(self) -> bool:
        value = self.query.get("dryRun", "")
        if value not in ("", "All"):
            options = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}
            text = f'Unsupported value: ["{value}"]: supported values: "All"'
            found = [cause("FieldValueNotSupported", text, "dryRun")]
            raise invalid("meta.k8s.io", options.get(self.verb, "DeleteOptions"), "", found)
        return value == "All"

    @property
    def content_type(self) -> str:
        return self.headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip()

    @property
    def accept(self) -> str:
        return self.headers.get(b"accept", b"").decode("latin-1")

    @property
    def user_agent(self) -> str:
        return self.headers.get(b"user-agent", b"").decode("latin-1")

    @property
    def manager(self) -> str:
        """The field manager: asked for, or the first part of the user agent."""
        return self.query.get("fieldManager") or self.user_agent.partition("/")[0] or "unknown"

    def flag(self, name: str) -> bool:
        return self.query.get(name, "").lower() in ("1", "true", "t")

    def every(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key == name]

    def number(self, name: str) -> int | None:
        text = self.query.get(name)
        if text is None or text == "":
            return None
        try:
            return int(text)
        except ValueError:
            raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None

    def json(self) -> Any:
        """The decoded body; 415 for what is not JSON, 400 for what cannot be read."""
        kind = self.content_type
        if kind in YAML_TYPES:
            return _yaml(self.body)
        if "protobuf" in kind:
            return _protobuf(self.body, kind)
        if kind not in ("", "application/json") and self.verb != "patch":
            raise _unsupported(kind)
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise bad_request(f"{self._expected}couldn't get version/kind; json parse error: {error}") from None

    @property
    def _expected(self) -> str:
        if self.resource is None or self.verb == "patch":
            return ""
        return f"the object provided is unrecognized (must be of type {self.resource.kind}): "

    def document(self) -> Json:
        body = self.json()
        if not isinstance(body, dict):
            raise bad_request(f"{self._expected}couldn't get version/kind; json parse error: expected an object")
        return body


def parse(method: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]]) -> Request:
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else []
    request = Request(method, path, dict(pairs), dict(headers), pairs=pairs)
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        _locate(request, "", parts[1], parts[2:])
    elif parts[0] == "apis" and len(parts) > 3:
        _locate(request, parts[1], parts[2], parts[3:])
    return request


def _locate(request: Request, group: str, version: str, parts: list[str]) -> None:
    if (group, version) == KUBEVIRT_SUBRESOURCE_GROUP:
        request.kubevirt = True
        group, version = "kubevirt.io", "v1"
    if parts[0] == "watch":
        request.query["watch"] = "1"
        parts = parts[1:]
    if parts[:1] == ["namespaces"] and len(parts) > 2 and parts[2] not in ("status", "finalize"):
        request.namespace = parts[1]
        parts = parts[2:]
    if not parts:
        return
    resource = BY_PLURAL.get((group, version, parts[0]))
    deep = request.kubevirt and parts[2:3] in (["portforward"], ["vnc"])
    if resource is None or (len(parts) > 3 and not deep):
        return
    if len(parts) > 1 and resource.namespaced and not request.namespace:
        return
    if request.namespace and not resource.namespaced:
        return
    request.resource = resource
    request.name = parts[1] if len(parts) > 1 else ""
    request.subresource = "/".join(parts[2:])
    request.verb = _verb(request)


def _verb(request: Request) -> str:
    named = bool(request.name)
    match request.method:
        case "GET" | "HEAD":
            if request.flag("watch"):
                return "watch"
            return "get" if named else "list"
        case "POST":
            return "create"
        case "PUT":
            return "update"
        case "PATCH":
            return "patch"
        case "DELETE":
            return "delete" if named else "deletecollection"
        case _:
            return ""


def _yaml(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return yaml.safe_load(body)
    except yaml.YAMLError as error:
        raise bad_request(f"error decoding YAML: {error}") from None


def _protobuf(body: bytes, kind: str) -> Json:
    try:
        decoded = protobuf.decode(body)
    except ValueError as error:
        raise bad_request(f"couldn't get version/kind; {error}") from None
    if decoded is None:
        raise _unsupported(kind)
    return decoded


def _unsupported(kind: str) -> StatusError:
    message = (
        f"the body of the request was in an unknown format - accepted media types include: application/json ({kind})"
    )
    return StatusError(415, "UnsupportedMediaType", message)
