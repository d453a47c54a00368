"""Faults on demand: rules that say which requests go wrong, how, how often, and by which seed.

A rule is JSON with these fields, all but `kind` optional:

* what it hits: `verb` (get list watch create update patch delete deletecollection, or "*"), `resource` (plural),
  `subresource`, `namespace` and `name` (shell patterns), `user_agent` (shell pattern);
* how often: `probability` (0..1, with `seed`), `count` (stops after so many), `skip` (lets so many pass first);
* `kind`:
  - answers: `429` (with `retry_after` seconds), `500` `502` `503` `504` `401` `403` `404` `409` `410`;
  - `timeout` (no answer until the client gives up), `slow` (`seconds` before the request is looked at);
  - `reset_before` (connection reset, nothing done), `reset_after` (done, the reply is lost), `half_open` (done, no
    reply, the connection stays);
  - `truncated` (a complete HTTP reply whose JSON is cut in half);
  - `stale_list` (get and list answer the state of `behind` revisions ago, if history still has it);
  - of watches: `watch_drop` (ends after `after` events), `watch_reset` (the same, as a connection reset), `watch_stall`
    (sends no byte any more after `after` events, not even bookmarks), `watch_duplicate` (each event twice),
    `watch_reorder` (neighbouring events of different objects swapped), `watch_410` (an ERROR 410 in the stream after
    `after` events), `watch_lose` (every event after `after` vanishes, bookmarks go on).
"""

import itertools
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from simulator.errors import StatusError, expired, failure
from simulator.request import Request
from simulator.types import Json

ANSWERS = ("429", "500", "502", "503", "504", "401", "403", "404", "409", "410")
WATCH_KINDS = (
    "watch_drop",
    "watch_reset",
    "watch_stall",
    "watch_duplicate",
    "watch_reorder",
    "watch_410",
    "watch_lose",
)
OTHERS = ("timeout", "slow", "reset_before", "reset_after", "half_open", "truncated", "stale_list")
KINDS = (*ANSWERS, *OTHERS, *WATCH_KINDS)
REASONS = {
    "401": ("Unauthorized", "Unauthorized"),
    "403": ("Forbidden", "forbidden by a fault rule"),
    "404": ("NotFound", "the server could not find the requested resource"),
    "409": ("Conflict", "Operation cannot be fulfilled: the object has been modified"),
    "500": ("InternalError", "Internal error occurred: injected"),
    "502": ("", "bad gateway"),
    "503": ("ServiceUnavailable", "the server is currently unable to handle the request"),
    "504": ("Timeout", "Timeout: request did not complete within the allotted timeout"),
}
_TYPES: dict[str, tuple[type, ...]] = {
    "kind": (str, int), "verb": (str,), "resource": (str,), "subresource": (str,), "namespace": (str,), "name": (str,),
    "user_agent": (str,), "probability": (int, float), "seed": (int,), "count": (int,), "skip": (int,),
    "seconds": (int, float), "retry_after": (int,), "after": (int,), "behind": (int,),
}  # fmt: skip


@dataclass(slots=True)
class Rule:
    id: str
    kind: str
    verb: str = "*"
    resource: str = "*"
    subresource: str = "*"
    namespace: str = "*"
    name: str = "*"
    user_agent: str = "*"
    probability: float = 1.0
    seed: int = 0
    count: int | None = None
    skip: int = 0
    seconds: float = 30.0
    retry_after: int = 1
    after: int = 0
    behind: int = 20
    hits: int = 0
    seen: int = 0
    chance: random.Random = field(default_factory=random.Random, repr=False)

    def applies(self, request: Request) -> bool:
        """Whether this request is hit. Counts it."""
        if not self._matches(request):
            return False
        self.seen += 1
        if self.seen <= self.skip or (self.count is not None and self.hits >= self.count):
            return False
        if self.probability < 1.0 and self.chance.random() >= self.probability:
            return False
        self.hits += 1
        return True

    def shown(self) -> Json:
        return {name: getattr(self, name) for name in self.__slots__ if name != "chance"}

    def _matches(self, request: Request) -> bool:
        watching = request.verb == "watch"
        if self.kind in WATCH_KINDS and not watching:
            return False
        if self.kind in ("reset_after", "half_open", "truncated") and watching:
            return False
        if self.kind == "stale_list" and request.verb not in ("get", "list"):
            return False
        plural = request.resource.plural if request.resource else ""
        return (
            self.verb in ("*", request.verb)
            and fnmatchcase(plural, self.resource)
            and fnmatchcase(request.subresource, self.subresource)
            and fnmatchcase(request.namespace, self.namespace)
            and fnmatchcase(request.name, self.name)
            and fnmatchcase(request.user_agent, self.user_agent)
        )


class Faults:
    def __init__(self) -> None:
        self._rules: dict[str, Rule] = {}
        self._ids = itertools.count(1)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def add(self, body: Json) -> Rule:
        """A new rule from JSON; ValueError when it cannot be one."""
        unknown = sorted(set(body) - set(_TYPES))
        if unknown:
            raise ValueError(f"unknown fields: {', '.join(unknown)}; known: {', '.join(sorted(_TYPES))}")
        if str(body.get("kind")) not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}")
        for name, value in body.items():
            expected = _TYPES[name]
            if not isinstance(value, expected) or isinstance(value, bool):
                raise ValueError(f"{name} has the wrong type")
        rule = Rule(**{**body, "kind": str(body["kind"]), "id": str(next(self._ids))})
        rule.chance = random.Random(rule.seed)  # noqa: S311 - chance that can be replayed
        self._rules[rule.id] = rule
        return rule

    def remove(self, rule: str) -> bool:
        return self._rules.pop(rule, None) is not None

    def clear(self) -> None:
        self._rules.clear()

    def all(self) -> Iterable[Rule]:
        return self._rules.values()

    def hit(self, request: Request) -> Rule | None:
        """The first rule that hits this request."""
        for rule in self._rules.values():
            if rule.applies(request):
                return rule
        return None


def answer(rule: Rule) -> StatusError:
    """The refusal of a rule whose kind is a status code."""
    if rule.kind == "410":
        return expired("The resourceVersion for the provided watch is too old.")
    if rule.kind == "429":
        error = StatusError(429, "TooManyRequests", "Too many requests, please try again later.")
        error.status = failure(429, "TooManyRequests", str(error), {"retryAfterSeconds": rule.retry_after})
        error.retry_after = rule.retry_after
        return error
    reason, message = REASONS[rule.kind]
    return StatusError(int(rule.kind), reason, message)
