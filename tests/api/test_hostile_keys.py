"""Text that can be no name or id reaches each database as a look-up that finds nothing, never as an error."""

import pytest

from tests.api.running import Api

_PATHS = [
    "%00",
    "a%00b",
    "%0d%0aSet-Cookie:x",
    "%ff",
    "%c3%a9",
    "%F0%9F%9A%80",
    "..%2f..%2fetc",
    "%2e%2e",
    "'",
    '"',
    "a%20b",
    "*",
    "0",
    "-1",
    "9" * 50,
    "x" * 100,
    "x" * 101,
    "x" * 5000,
    "{cluster}",
    "00000000-0000-0000-0000-000000000000",
    "urn:uuid:00000000-0000-0000-0000-000000000000",
    "%7B00000000-0000-0000-0000-000000000000%7D",
    "null",
    "%",
    "%zz",
    ";x=1",
]
_QUERIES = [
    "%00",
    "%ff",
    "é",
    "a%0d%0ab",
    "'",
    '"',
    "%",
    "*",
    "_",
    "\\",
    "x" * 64,
    "9" * 400,
    "-1",
    "",
    "\u202e",
    "1e400",
]


@pytest.mark.parametrize(
    "path",
    [
        "/clusters/{}",
        "/instances/{}",
        "/operations/{}",
        "/operations/{}/wait?timeout=0",
        "/users/{}",
        "/users/{}/quota",
    ],
)
async def test_paths_that_name_nothing(api: Api, path: str) -> None:
    for key in _PATHS:
        answer = await api.admin.get(path.format(key))
        assert answer.status_code in (404, 422), key
        if path == "/clusters/{}":
            assert (await api.admin.delete(path.format(key))).status_code in (404, 422), key
            operated = await api.admin.post(path.format(key) + "/operate", json={"operation": "stop"})
            assert operated.status_code in (404, 405, 422), key


@pytest.mark.parametrize("path", ["/clusters/", "/instances/", "/operations/", "/events/history", "/users/"])
async def test_queries_that_mean_nothing(api: Api, path: str) -> None:
    names = (
        "name",
        "label",
        "phase",
        "owner",
        "cluster",
        "cluster_id",
        "status",
        "kind",
        "limit",
        "cursor",
        "sort",
        "role",
    )
    for name in names:
        for value in _QUERIES:
            answer = await api.admin.get(f"{path}?{name}={value}")
            assert answer.status_code in (200, 404, 422), (name, value)
