"""From an understood request to a finished reply, with no waiting: every verb of the Kubernetes API is decided here.

Knows nothing of sockets, faults or watch streams.
"""

import logging
from dataclasses import dataclass, field

import orjson

from simulator import deletes, discovery, openapi, present, reads
from simulator.errors import StatusError, bad_request, failure, no_such_resource, not_found, success
from simulator.kubevirt_subresources import KubevirtSubresources
from simulator.pod_subresources import PodSubresources
from simulator.request import Request
from simulator.resources import ACCESS_REVIEWS, NAMESPACES, PODS, VIRTUAL_MACHINE_INSTANCES
from simulator.world import World
from simulator.writes import Written

log = logging.getLogger("simulator.api")
JSON = "application/json"
NOT_ACCEPTABLE = "406: Not Acceptable\n\nAvailable representations: application/json, application/json;stream=watch"
NOTHING_ACCEPTABLE = "406: Not Acceptable\n\nAvailable representations: "
ACCESS_REVIEW = {"kind": ACCESS_REVIEWS.kind, "apiVersion": ACCESS_REVIEWS.api_version, "metadata": {}}


@dataclass(slots=True)
class Reply:
    status: int
    body: bytes
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)


class Api:
    def __init__(self, world: World, pods: PodSubresources, kubevirt: KubevirtSubresources) -> None:
        self._world = world
        self._pods = pods
        self._kubevirt = kubevirt

    def answer(self, request: Request) -> Reply:
        """The reply to anything but a watch. Never raises."""
        try:
            return self._answer(request)
        except StatusError as error:
            return refusal(error)
        except Exception as error:
            log.exception("cannot answer %s %s", request.method, request.path)
            return status_reply(failure(500, "InternalError", f"Internal error occurred: {error}"))

    def _answer(self, request: Request) -> Reply:
        if request.resource is None:
            return self._elsewhere(request)
        if request.resource is ACCESS_REVIEWS:
            return self._review(request)
        if request.kubevirt:
            return self._kubevirt_verb(request)
        if request.resource is PODS and request.subresource in ("log", "eviction", "binding", "exec", "portforward"):
            return self._pod_verb(request)
        if request.subresource and request.subresource not in request.resource.subresources:
            raise no_such_resource()
        misplaced = bool(request.name) is (request.verb == "create") and request.verb in ("create", "update", "patch")
        if request.verb not in request.resource.verbs or misplaced:
            raise _method_not_allowed()
        if not present.acceptable(request.accept):
            raise StatusError(406, "NotAcceptable", NOT_ACCEPTABLE, {})
        match request.verb:
            case "get":
                return Reply(200, reads.get(self._world.store, request))
            case "list":
                return Reply(200, reads.list_objects(self._world.store, request))
            case "create":
                return _written(request, self._world.writes.create(request))
            case "update" if request.subresource == "finalize":
                return self._finalize(request)
            case "update":
                return _written(request, self._world.writes.update(request))
            case "patch":
                return _written(request, self._world.writes.patch(request))
            case "delete":
                return self._delete(request)
            case _:
                return self._delete_collection(request)

    def _elsewhere(self, request: Request) -> Reply:
        path = request.path.rstrip("/") or "/"
        if path in ("/healthz", "/livez", "/readyz") or path.startswith(("/healthz/", "/livez/", "/readyz/")):
            return Reply(200, b"ok", "text/plain; charset=utf-8")
        if path == "/version":
            return _json(200, discovery.version())
        if path == "/":
            return _json(200, {"paths": ["/api", "/apis", "/healthz", "/openapi/v2", "/openapi/v3", "/version"]})
        if found := openapi.find(path, request.accept):
            return Reply(200, found[0], found[1])
        if document := discovery.find(path, request.accept):
            return Reply(200, orjson.dumps(document[0]), document[1])
        if discovery.find("/".join(path.split("/")[: 3 if path.startswith("/api/") else 4]), ""):
            raise no_such_resource()
        return Reply(404, b"404 page not found\n", "text/plain; charset=utf-8")

    def _review(self, request: Request) -> Reply:
        if request.verb != "create":
            raise _method_not_allowed()
        return _json(201, {**ACCESS_REVIEW, **request.document(), "status": {"allowed": True}})

    def _kubevirt_verb(self, request: Request) -> Reply:
        untyped = request.method == "PUT" or request.subresource == "vnc/screenshot"
        if untyped and request.accept and "*/*" not in request.accept:
            # virt-api's verbs and screens have no type of their own to offer.
            return Reply(406, NOTHING_ACCEPTABLE.encode(), "text/plain; charset=utf-8")
        if request.method == "PUT":
            return Reply(self._kubevirt.put(request), b"")
        if request.subresource == "vnc/screenshot" and request.resource is VIRTUAL_MACHINE_INSTANCES:
            return Reply(200, self._kubevirt.screenshot(request), "image/png")
        return _json(200, self._kubevirt.get(request))

    def _pod_verb(self, request: Request) -> Reply:
        match (request.subresource, request.method):
            case ("log", "GET"):
                return Reply(200, self._pods.log(request).encode(), "text/plain")
            case ("eviction", "POST"):
                return _json(201, self._pods.evict(request))
            case ("binding", "POST"):
                return _json(201, self._pods.bind(request))
            case ("exec" | "portforward", _):
                self._pods.named(request)
                raise bad_request("Upgrade request required")
            case _:
                raise _method_not_allowed()

    def _finalize(self, request: Request) -> Reply:
        """Only the finalizers of a namespace's spec change here."""
        live = reads.find(self._world.store, request)
        body = request.document()
        spec = {**(live.obj.get("spec") or {}), "finalizers": (body.get("spec") or {}).get("finalizers") or []}
        obj = {**live.obj, "metadata": dict(live.obj["metadata"]), "spec": spec}
        metadata = obj["metadata"]
        if metadata.get("deletionTimestamp") and not spec["finalizers"] and not metadata.get("finalizers"):
            return Reply(200, self._world.store.drop(NAMESPACES, live.key).document)
        return Reply(200, self._world.store.put(NAMESPACES, obj).document)

    def _delete(self, request: Request) -> Reply:
        resource = request.target
        stored = self._world.store.get(resource, request.key)
        if stored is None or request.subresource:
            raise not_found(resource.group, resource.plural, request.name)
        done = self._world.deletes.delete(stored, deletes.options_of(request))
        if done.gone and not resource.returns_deleted:
            return _json(200, success(resource.group, resource.plural, request.name, done.stored.uid))
        return Reply(200, done.stored.document)

    def _delete_collection(self, request: Request) -> Reply:
        options = deletes.options_of(request)
        found = reads.select(self._world.store, request)
        done = [self._world.deletes.delete(stored, options).stored for stored in found]
        metadata = {"resourceVersion": str(self._world.store.revision)}
        return Reply(200, present.many(request.target, done, metadata, "plain"))


def _method_not_allowed() -> StatusError:
    message = "the server does not allow this method on the requested resource"
    return StatusError(405, "MethodNotAllowed", message, {})


def refusal(error: StatusError) -> Reply:
    reply = status_reply(error.status)
    if error.retry_after is not None:
        reply.headers["retry-after"] = str(error.retry_after)
    return reply


def status_reply(status: dict[str, object]) -> Reply:
    code = status["code"]
    assert isinstance(code, int)
    return _json(code, status)


def _written(request: Request, written: Written) -> Reply:
    return Reply(written.code, present.one(written.stored, present.form(request.accept)))


def _json(status: int, body: object) -> Reply:
    return Reply(status, orjson.dumps(body))
