"""Label and field selectors: parsed once per request, then asked for each object.

Grammar: k8s.io/apimachinery pkg/labels and pkg/fields.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from simulator.errors import bad_request
from simulator.resources import Resource
from simulator.types import Json

SET_BASED = re.compile(r"^\s*(?P<key>\S+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)\s*$")
KEY = re.compile(r"^([a-z0-9A-Z.-]+/)?[a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?$")
VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")


@dataclass(frozen=True, slots=True)
class Requirement:
    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: dict[str, str]) -> bool:
        match self.operator:
            case "in":
                return labels.get(self.key) in self.values
            case "notin":
                return labels.get(self.key) not in self.values
            case "exists":
                return self.key in labels
            case _:
                return self.key not in labels


@dataclass(frozen=True, slots=True)
class Selector:
    """What a list or watch wants to see. Falsy when it wants everything."""

    labels: tuple[Requirement, ...] = ()
    fields: tuple[tuple[str, str, bool], ...] = ()
    """(path, value, must be equal)"""

    def __bool__(self) -> bool:
        return bool(self.labels or self.fields)

    def matches(self, obj: Json) -> bool:
        if self.labels:
            labels = obj["metadata"].get("labels") or {}
            if not all(requirement.matches(labels) for requirement in self.labels):
                return False
        return all((field_value(obj, path) == value) is equal for path, value, equal in self.fields)

    @property
    def exact_labels(self) -> list[tuple[str, str]]:
        """Every (key, value) that a match must carry, for the label index."""
        return [
            (requirement.key, next(iter(requirement.values)))
            for requirement in self.labels
            if requirement.operator == "in" and len(requirement.values) == 1
        ]

    @property
    def exact_name(self) -> str | None:
        for path, value, equal in self.fields:
            if equal and path == "metadata.name":
                return value
        return None


def parse(resource: Resource, label_selector: str, field_selector: str) -> Selector:
    return Selector(_parse_labels(label_selector), _parse_fields(resource, field_selector))


def field_value(obj: Json, path: str) -> str:
    """A field as text; what is absent is the empty string, as in Kubernetes."""
    value: object = obj
    for part in path.split("."):
        if not isinstance(value, dict):
            return ""
        value = value.get(part)
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "false" if path == "spec.unschedulable" else ""
    if path == "source" and isinstance(value, dict):
        return str(value.get("component", ""))
    return str(value)


def _parse_labels(text: str) -> tuple[Requirement, ...]:
    return tuple(_requirement(part) for part in _split(text))


def _split(text: str) -> list[str]:
    """Split at commas that are not inside parentheses."""
    if not text.strip():
        return []
    parts, depth, start = [], 0, 0
    for index, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]


def _requirement(part: str) -> Requirement:
    if found := SET_BASED.match(part):
        values = frozenset(_checked(value.strip(), VALUE, part) for value in found["values"].split(","))
        return Requirement(_checked(found["key"], KEY, part), found["op"], values)
    for sign, operator in (("!=", "notin"), ("==", "in"), ("=", "in")):
        if sign in part:
            key, _, value = part.partition(sign)
            return Requirement(
                _checked(key.strip(), KEY, part), operator, frozenset([_checked(value.strip(), VALUE, part)])
            )
    name = part.strip()
    if name.startswith("!"):
        return Requirement(_checked(name[1:].strip(), KEY, part), "absent")
    return Requirement(_checked(name, KEY, part), "exists")


def _checked(text: str, pattern: re.Pattern[str], part: str) -> str:
    if pattern.match(text):
        return text
    raise bad_request(f"unable to parse requirement: invalid label selector near {part.strip()!r}")


def _parse_fields(resource: Resource, text: str) -> tuple[tuple[str, str, bool], ...]:
    supported: Callable[[str], bool] = {"metadata.name", "metadata.namespace", *resource.field_selectors}.__contains__
    terms = []
    for part in text.split(",") if text else []:
        sign = next((sign for sign in ("!=", "==", "=") if sign in part), None)
        if sign is None:
            raise bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
        path, _, value = part.partition(sign)
        if not supported(path):
            only = f'"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"'
            known = resource.custom or resource.field_selectors
            raise bad_request(f"field label not supported: {path}" if known else only)
        terms.append((path, value, sign != "!="))
    return tuple(terms)
