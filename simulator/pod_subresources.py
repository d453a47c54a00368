"""Subresources of Pods that are neither spec nor status: log, eviction, binding."""

import time
from collections.abc import Callable

import orjson

from simulator.clock import stamp
from simulator.deletes import Deletes, options_of
from simulator.errors import StatusError, bad_request, cause, conflict, invalid, not_found
from simulator.request import Request
from simulator.resources import PODS
from simulator.scheduler import Scheduler
from simulator.store import Stored
from simulator.types import Json
from simulator.world import World, condition, with_conditions


class PodSubresources:
    def __init__(self, world: World, deletes: Deletes, scheduler: Scheduler) -> None:
        self._world = world
        self._deletes = deletes
        self._scheduler = scheduler

    def log(self, request: Request) -> str:
        """What the container said: a few lines that name it."""
        pod, status = self._spoken(request)
        lines = self._lines(pod, status, request)
        return "".join(f"{line}\n" for line in lines)

    def follow(self, request: Request) -> tuple[Stored, Callable[[], list[str]]]:
        """The Pod, and what it has said up to now: one more line each second."""
        pod, status = self._spoken(request)
        began, already = time.monotonic(), self._lines(pod, status, request)

        def lines() -> list[str]:
            more = range(4, 4 + int(time.monotonic() - began))
            return already + [_line(pod, status, number, request) for number in more]

        return pod, lines

    def named(self, request: Request) -> tuple[Stored, str]:
        """The Pod and the name of the container that is meant."""
        pod = self._find(request)
        spec = pod.obj["spec"]
        names = [container["name"] for container in (*spec["containers"], *(spec.get("initContainers") or ()))]
        name = request.query.get("container") or names[0]
        if name not in names:
            raise bad_request(f"container {name} is not valid for pod {pod.key[1]}")
        return pod, name

    def _spoken(self, request: Request) -> tuple[Stored, Json]:
        """The Pod and the status of the container that is meant."""
        pod, name = self.named(request)
        _check_options(request)
        names = [container["name"] for container in pod.obj["spec"]["containers"]]
        statuses = {status["name"]: status for status in pod.obj["status"].get("containerStatuses") or ()}
        if name not in statuses and name != names[0] and statuses:
            return pod, {"name": name, "restartCount": 0}  # a helper beside the others
        status = statuses.get(name) or {"name": name, "state": {"waiting": {}}}
        waiting = status["state"].get("waiting")
        ended = request.flag("previous") and (status.get("lastState") or {}).get("terminated")
        if request.flag("previous") and not ended:
            raise bad_request(f'previous terminated container "{name}" in pod "{pod.key[1]}" not found')
        if waiting is not None and not ended and not (status.get("lastState") or {}).get("terminated"):
            why = waiting.get("reason", "ContainerCreating")
            raise bad_request(f'container "{name}" in pod "{pod.key[1]}" is waiting to start: {why}')
        return pod, status

    def _lines(self, pod: Stored, status: Json, request: Request) -> list[str]:
        lines = [_line(pod, status, number, request) for number in range(1, 4)]
        tail = request.number("tailLines")
        return lines if tail is None else lines[len(lines) - min(tail, len(lines)) :]

    def evict(self, request: Request) -> Json:
        pod = self._find(request)
        body = request.document()
        options = Request(request.method, request.path, request.query, {})
        if body.get("deleteOptions"):
            options.body = orjson.dumps(body["deleteOptions"])
        wanted = options_of(options)
        if not wanted.dry_run:
            target = condition("DisruptionTarget", "True", "EvictionByEvictionAPI", "Eviction API: evicting")
            conditions = with_conditions(pod.obj["status"].get("conditions"), target)
            pod = self._world.set_status(pod, conditions=conditions)
        self._deletes.delete(pod, wanted)
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}

    def bind(self, request: Request) -> Json:
        pod = self._find(request)
        node = str((request.document().get("target") or {}).get("name", ""))
        if not node:
            raise StatusError(422, "Invalid", "target.name: Required value", {})
        if pod.obj["spec"].get("nodeName"):
            why = f"pod {pod.key[1]} is already assigned to node {pod.obj['spec']['nodeName']!r}"
            raise conflict("", "pods/binding", pod.key[1], why)
        self._scheduler.bind(pod, node)
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}

    def evict_by_node(self, pod: Stored, reason: str, message: str) -> None:
        """What a node under pressure does: the Pod fails and stays as a record."""
        current = self._world.current(pod)
        if current is None:
            return
        target = condition("DisruptionTarget", "True", "TerminationByKubelet", message)
        conditions = with_conditions(current.obj["status"].get("conditions"), target)
        ended = [
            {**status, "ready": False, "started": False, "state": {"terminated": {"exitCode": 137, "reason": "Error"}}}
            for status in current.obj["status"].get("containerStatuses") or ()
        ]
        fields: Json = {"containerStatuses": ended} if ended else {}
        self._world.set_status(current, phase="Failed", reason=reason, message=message, conditions=conditions, **fields)

    def _find(self, request: Request) -> Stored:
        pod = self._world.store.get(PODS, request.key)
        if pod is None:
            raise not_found("", "pods", request.name)
        return pod


def _check_options(request: Request) -> None:
    found = []
    tail, since = request.number("tailLines"), request.number("sinceSeconds")
    if tail is not None and tail < 0:
        found.append(
            cause("FieldValueInvalid", f"Invalid value: {tail}: must be greater than or equal to 0", "tailLines")
        )
    if since is not None and since < 1:
        found.append(cause("FieldValueInvalid", f"Invalid value: {since}: must be greater than 0", "sinceSeconds"))
    if since is not None and "sinceTime" in request.query:
        why = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
        found.append(cause("FieldValueForbidden", why, "[]"))
    if found:
        raise invalid("", "PodLogOptions", request.name, found)


def _line(pod: Stored, status: Json, number: int, request: Request) -> str:
    said = f"{pod.key[1]} {status['name']}: line {number}"
    return f"{stamp()} {said}" if request.flag("timestamps") else said
