"""Image references in full, and patterns that cannot be tricked: for any registry, path, tag, digest and spelling."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.rules import images

DIGEST = "sha256:" + "0123456789abcdef" * 4
_WORD = st.text("ab0", min_size=1, max_size=3)
_PART = st.builds("".join, st.tuples(_WORD, st.sampled_from(["", "-b", ".a", "_0", "__a"])))
_PATH = st.lists(_PART, min_size=1, max_size=3).map("/".join)
_HOST = st.builds(
    "".join, st.tuples(st.sampled_from(["r", "a.b", "docker.io", "x-1"]), st.sampled_from([".example", ".io:5", ":80"]))
)
_ANY_HOST = _HOST | st.sampled_from(
    ["localhost", "Team", "docker.io", "index.docker.io", "Docker.IO", "R.Example", "a"]
)
_TAG = st.text("aZ0_.-", min_size=1, max_size=4).map("v".__add__)
_VERSION = st.sampled_from(["", f"@{DIGEST}"]) | _TAG.map(":{}".format) | _TAG.map((":{}@" + DIGEST).format)
_NAME = (
    _PATH | st.builds("{}/{}".format, _ANY_HOST, _PATH) | st.sampled_from(["docker.io", "R.example", "Nginx", "a:1"])
)
_REFERENCE = st.builds("{}{}".format, _NAME, _VERSION).filter(images.is_reference)
_PATTERN = _REFERENCE | _NAME.map("{}/*".format).filter(images.is_pattern) | st.just("*")


@pytest.mark.parametrize(
    ("reference", "full"),
    [
        ("nginx", "docker.io/library/nginx"),
        ("nginx:1.29", "docker.io/library/nginx:1.29"),
        ("library/nginx", "docker.io/library/nginx"),
        ("docker.io/nginx", "docker.io/library/nginx"),
        ("index.docker.io/nginx", "docker.io/library/nginx"),
        ("Docker.IO/library/nginx", "docker.io/library/nginx"),
        ("team/app", "docker.io/team/app"),
        ("registry.example/app", "registry.example/app"),
        ("Registry.Example/app:V1", "registry.example/app:V1"),
        ("registry:5000/app", "registry:5000/app"),
        ("registry.example:5000", "docker.io/library/registry.example:5000"),
        ("localhost/app", "localhost/app"),
        ("Team/app", "Team/app"),
        (f"nginx:1.29@{DIGEST}", f"docker.io/library/nginx:1.29@{DIGEST}"),
    ],
)
def test_a_reference_in_full(reference: str, full: str) -> None:
    assert images.is_reference(reference)
    assert str(images.parse(reference)) == full


@pytest.mark.parametrize(
    ("pattern", "fits", "does_not"),
    [
        ("*", ["nginx", "registry.example/a/b:c", f"x@{DIGEST}"], []),
        (
            "registry.example/team/*",
            ["registry.example/team/app", "REGISTRY.example/team/a/b:v1", f"registry.example/team/app@{DIGEST}"],
            [
                "registry.example/team",
                "registry.example/teams/app",
                "registry.example/other/team/app",
                "registry.example.evil.com/team/app",
                "evil.registry.example/team/app",
                "registry.example:5000/team/app",
                "registry-example/team/app",
                "docker.io/registry.example/team/app",
                "team/app",
            ],
        ),
        (
            "registry.example/*",
            ["registry.example/app", "registry.example/a/b/c:1"],
            ["registry.example.evil.com/app", "registry.example:443/app", "registry.example:1", "registry.example"],
        ),
        ("registry.example:5000/*", ["registry.example:5000/a"], ["registry.example/a", "registry.example:5000"]),
        ("docker.io/*", ["nginx", "team/app", "index.docker.io/a/b/c"], ["registry.example/nginx"]),
        ("library/*", ["nginx", "docker.io/nginx:1"], ["team/nginx"]),
        (
            "nginx",
            ["nginx", "nginx:1.29", "docker.io/library/nginx:1", f"nginx@{DIGEST}"],
            ["nginx-evil", "team/nginx", "quay.example/nginx", "nginx/nginx", "NGINX/nginx"],
        ),
        ("nginx:latest", ["nginx", "library/nginx:latest"], ["nginx:1", f"nginx:latest@{DIGEST}", f"nginx@{DIGEST}"]),
        (f"nginx@{DIGEST}", [f"nginx@{DIGEST}", f"nginx:any@{DIGEST}"], ["nginx", f"nginx@sha256:{'1' * 64}"]),
    ],
)
def test_what_a_pattern_allows(pattern: str, fits: list[str], does_not: list[str]) -> None:
    assert images.is_pattern(pattern)
    assert all(images.is_reference(reference) for reference in [*fits, *does_not])
    assert [reference for reference in fits if not images.allowed(reference, [pattern])] == []
    assert [reference for reference in does_not if images.allowed(reference, [pattern])] == []


@pytest.mark.parametrize(
    "text",
    ["", "**", "registry.example*", "registry.example/team*", "*/app", "registry.example/*/app", "nginx:*", 
     "registry.example/../*", "/*", "registry.example//*", "nginx:1.29 ", " *", "*\n", "a/*/*"],
)  # fmt: skip
def test_what_is_no_pattern(text: str) -> None:
    assert not images.is_pattern(text)


@given(_REFERENCE)
def test_in_full_it_means_the_same(reference: str) -> None:
    whole = images.parse(reference)
    assert images.parse(str(whole)) == whole
    assert images.is_reference(str(whole))


@given(_REFERENCE)
def test_every_reference_is_a_pattern_for_itself(reference: str) -> None:
    assert images.is_pattern(reference)
    assert images.allowed(reference, [reference])
    assert images.allowed(str(images.parse(reference)), [reference])


@given(_HOST, _PATH, _VERSION)
def test_below_a_prefix_is_allowed_however_it_is_spelled(host: str, path: str, version: str) -> None:
    for spelled in (host, host.upper(), host.title()):
        assert images.allowed(f"{spelled}/{path}/app{version}", [f"{host}/{path}/*"])


@given(_PATTERN, _REFERENCE)
def test_what_is_allowed_lies_where_the_pattern_says(pattern: str, reference: str) -> None:
    """An independent reading: by the text in full."""
    if pattern == "*" or not images.allowed(reference, [pattern]):
        return
    where, given_name = images.parse(pattern), str(images.parse(reference))
    if pattern.endswith("/*"):
        prefix = f"{where.registry}/{where.repository.removesuffix('*')}"
        assert prefix.endswith("/")
        assert given_name.startswith(prefix)
    else:
        assert re.split(r"@|:(?!.*/)", given_name)[0] == f"{where.registry}/{where.repository}"


@given(_HOST, _PATH, _VERSION, st.sampled_from(["x", "-x", ".x", ".evil.com", ":8", "0"]))
def test_a_longer_registry_is_another_registry(host: str, path: str, version: str, more: str) -> None:
    for registry in (f"{host.partition(':')[0]}{more}", f"{more.partition(':')[0].strip('-.')}.{host}"):
        forged = f"{registry}/{path}/app{version}"
        if images.is_reference(forged) and registry != host:
            assert not images.allowed(forged, [f"{host}/*", f"{host}/{path}/*", f"{host}/{path}/app"])


@given(_HOST, _PATH, _TAG)
def test_a_tag_says_nothing_beside_a_digest(host: str, path: str, tag: str) -> None:
    assert not images.allowed(f"{host}/{path}:{tag}@{DIGEST}", [f"{host}/{path}:{tag}"])


@given(_REFERENCE)
def test_nothing_is_allowed_by_no_pattern(reference: str) -> None:
    assert not images.allowed(reference, [])
