"""The simulator's own endpoint, below /__simulator__/: faults, journal, nodes, clock, and what only a test would do.

GET    /faults               all rules                    POST /faults {rule}   add one (fields: see faults.py)
DELETE /faults               remove all                   DELETE /faults/{id}   remove one
GET    /journal?since=N      mutating calls after N       DELETE /journal       forget them
POST   /nodes {"name", "cpu"?, "memory"?, "pods"?}        add a node
PATCH  /nodes/{name} {"cpu"?, "memory"?, "pods"?}         change what it offers
POST   /nodes/{name}/down    lose it                      POST /nodes/{name}/up find it again
GET    /clock                                             PUT  /clock {"speed": 2}
GET    /settings                                          PATCH /settings {"start_delay": 1.5, "node_agent": false}
POST   /compact              forget watch history: older resource versions answer 410 from now on
POST   /watches/close        end every open watch, as an API server that restarts does
POST   /pods/{namespace}/{name}/evict {"reason"?}         node-pressure eviction: the Pod fails with this reason
GET    /stats                revision, counts, open watches
"""

from collections.abc import Callable
from dataclasses import asdict, fields

import orjson

from simulator.api import Reply
from simulator.faults import Faults
from simulator.journal import Journal
from simulator.nodes import Nodes
from simulator.pod_subresources import PodSubresources
from simulator.request import Request
from simulator.resources import PODS
from simulator.settings import Settings
from simulator.types import Json
from simulator.watch import Watches
from simulator.world import World

UNCHANGEABLE = ("nodes", "node_shape", "seed", "speed", "history", "journal_kept")


class Admin:
    def __init__(
        self, world: World, rules: Faults, journal: Journal, nodes: Nodes, watches: Watches, pods: PodSubresources
    ) -> None:
        self._world = world
        self._faults = rules
        self._journal = journal
        self._nodes = nodes
        self._watches = watches
        self._pods = pods

    def answer(self, request: Request) -> Reply:
        parts = request.path.strip("/").split("/")[1:]
        try:
            body = orjson.loads(request.body) if request.body.strip() else {}
            if not isinstance(body, dict):
                raise ValueError("the body must be a JSON object")
            found = self._route(request, parts, body)
        except (ValueError, TypeError) as error:
            return _json(400, {"error": str(error)})
        return _json(404, {"error": "no such endpoint", "help": __doc__}) if found is None else _json(200, found)

    def _route(self, request: Request, parts: list[str], body: Json) -> Json | None:
        match [request.method, *parts]:
            case [_, "faults", *rest]:
                return self._rules(request.method, rest, body)
            case ["GET", "journal"]:
                return {"items": self._journal.since(request.number("since") or 0)}
            case ["DELETE", "journal"]:
                return _done(self._journal.reset)
            case [_, "nodes", *rest]:
                return self._node(request.method, rest, body)
            case ["GET", "clock"]:
                return {"speed": self._world.clock.speed, "now": self._world.clock.now()}
            case ["PUT", "clock"]:
                self._world.clock.speed = max(float(body["speed"]), 0.0)
                return {"speed": self._world.clock.speed}
            case ["GET", "settings"]:
                return asdict(self._world.settings)
            case ["PATCH", "settings"]:
                return self._change_settings(body)
            case ["POST", "compact"]:
                for collection in self._world.store.collections.values():
                    collection.forget()
                    collection.floor = self._world.store.revision
                return {}
            case ["POST", "watches", "close"]:
                return _done(self._watches.close_all)
            case ["POST", "pods", namespace, name, "evict"]:
                return self._evict(namespace, name, body)
            case ["GET", "stats"]:
                return self._stats()
        return None

    def _rules(self, method: str, rest: list[str], body: Json) -> Json | None:
        match [method, *rest]:
            case ["GET"]:
                return {"items": [rule.shown() for rule in self._faults.all()]}
            case ["POST"]:
                return self._faults.add(body).shown()
            case ["DELETE"]:
                return _done(self._faults.clear)
            case ["DELETE", rule]:
                return {} if self._faults.remove(rule) else None
        return None

    def _node(self, method: str, rest: list[str], body: Json) -> Json | None:
        offered: dict[str, str] = {name: str(body[name]) for name in ("cpu", "memory", "pods") if name in body}
        match [method, *rest]:
            case ["POST"]:
                shape = self._world.settings.node_shape
                cpu, memory = offered.get("cpu", shape.cpu), offered.get("memory", shape.memory)
                self._nodes.add(str(body["name"]), cpu, memory, int(offered.get("pods", shape.pods)))
                return {}
            case ["PATCH", name]:
                return {} if self._nodes.resize(name, offered) else None
            case ["POST", name, "down"]:
                return {} if self._nodes.down(name) else None
            case ["POST", name, "up"]:
                return {} if self._nodes.up(name) else None
        return None

    def _change_settings(self, body: Json) -> Json:
        known = {field.name for field in fields(Settings)} - set(UNCHANGEABLE)
        for name, value in body.items():
            if name not in known:
                raise ValueError(f"{name} cannot be changed while running")
            kind = type(getattr(self._world.settings, name))
            if isinstance(value, bool) is not (kind is bool) or not isinstance(value, bool | int | float):
                raise ValueError(f"{name} has the wrong type")
            setattr(self._world.settings, name, kind(value))
        return asdict(self._world.settings)

    def _evict(self, namespace: str, name: str, body: Json) -> Json | None:
        pod = self._world.store.get(PODS, (namespace, name))
        if pod is None:
            return None
        text = "The node was low on resource: memory."
        self._pods.evict_by_node(pod, str(body.get("reason", "Evicted")), text)
        return {}

    def _stats(self) -> Json:
        collections = self._world.store.collections
        counts = {resource.plural: len(held.objects) for resource, held in collections.items()}
        return {"revision": self._world.store.revision, "objects": counts, "watches": len(self._watches.open)}


def _done(action: Callable[[], None]) -> Json:
    action()
    return {}


def _json(status: int, body: object) -> Reply:
    return Reply(status, orjson.dumps(body))
