"""Image references as the kubelet takes them, and which of them a list of patterns allows.

A pattern is `*` for every image, `registry.example/team/*` for all below, or a reference: without a tag or digest it
stands for all of them. References and patterns are compared in full: `nginx` is docker.io/library/nginx:latest.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

_REGISTRY = "docker.io"
_ALIASES = {"index.docker.io": _REGISTRY}
_OFFICIAL = "library"
_HOST = r"[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?(:[0-9]{1,5})?"
_PART = r"[a-z0-9]([-._a-z0-9]*[a-z0-9])?"
_NAME = rf"({_HOST}/)?{_PART}(/{_PART})*"
_VERSION = r"(:[A-Za-z0-9_][-.A-Za-z0-9_]{0,127})?(@sha256:[a-f0-9]{64})?"
REFERENCE_PATTERN = rf"^{_NAME}{_VERSION}$"
ALLOWED_PATTERN = rf"^(\*|{_HOST}(/{_PART})*/\*|{_NAME}{_VERSION})$"


@dataclass(frozen=True, slots=True)
class Reference:
    """In full. With a digest the tag says nothing: the digest alone decides what runs."""

    registry: str
    repository: str
    tag: str | None
    digest: str | None

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"


def is_reference(text: str) -> bool:
    """Whether it reads as a container image reference: name[:tag][@sha256:digest]."""
    return re.fullmatch(REFERENCE_PATTERN, text) is not None


def is_pattern(text: str) -> bool:
    return re.fullmatch(ALLOWED_PATTERN, text) is not None


def parse(reference: str) -> Reference:
    """By the rules of github.com/distribution/reference, which the kubelet and containerd stand on."""
    name, _, digest = reference.partition("@")
    name, tag = _tag_of(name)
    registry, repository = _registry_of(name)
    return Reference(registry, repository, tag, digest or None)


def allowed(reference: str, patterns: Collection[str]) -> bool:
    if "*" in patterns:
        return True
    given = parse(reference)
    return any(_fits(given, parse(pattern)) for pattern in patterns)


def _fits(given: Reference, pattern: Reference) -> bool:
    if given.registry != pattern.registry:
        return False
    if pattern.repository.endswith("*"):
        return given.repository.startswith(pattern.repository[:-1])
    if given.repository != pattern.repository:
        return False
    if pattern.digest is not None:
        return given.digest == pattern.digest
    return pattern.tag is None or (given.digest is None and (given.tag or "latest") == pattern.tag)


def _tag_of(name: str) -> tuple[str, str | None]:
    before, colon, tag = name.rpartition(":")
    return (before, tag) if colon and "/" not in tag else (name, None)


def _registry_of(name: str) -> tuple[str, str]:
    """The first part is a registry where it could be no part of a repository: a dot, a port, a capital, localhost."""
    first, slash, rest = name.partition("/")
    if not slash or not (re.search(r"[.:A-Z]", first) or first == "localhost"):
        registry, repository = _REGISTRY, name
    else:
        # Host names know no capitals; but where a capital is all that makes it one, it must stay.
        host = first.lower() if re.search(r"[.:]", first) else first
        registry, repository = _ALIASES.get(host, host), rest
    if registry == _REGISTRY and "/" not in repository and repository != "*":
        repository = f"{_OFFICIAL}/{repository}"
    return registry, repository
