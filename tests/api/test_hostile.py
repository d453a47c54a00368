"""Whatever is sent, the answer is a refusal in CMP's own words: never a 5xx, and nothing that was sent comes back."""

import json
import logging
from typing import Any

import pytest
import structlog

from app import telemetry
from tests.api.running import Api, wish

KINDS = ("sqlite",)  # what reaches the database is in test_hostile_keys.py
_CANARY = "qzx7canary"
_POSTS = {
    "/clusters/": wish("hostile"),
    "/clusters/delete": {"ids": ["web"]},
    "/instances/operate": {"operation": "stop", "ids": ["web-instance-1"]},
    "/instances/web-instance-1/operate": {"operation": "stop"},
    "/users/": {"username": "hostile"},
}
# Not JSON, or what two readers of JSON could take for different things.
_MALFORMED: list[bytes] = [
    b"{",
    b'{"name": }',
    b"{'name': 'x'}",
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    '{"name": "x"}'.encode("utf-16"),
    b'{"name": "\\ud800"}',
    b'{"\\ud800": 1}',
    b'{"name": "a", "name": "b"}',
    b'{"instance_count": 1e400}',
    b'{"instance_count": -1e400}',
    b'{"instance_count": NaN}',
    b'{"instance_count": Infinity}',
    b'{"instance_count": ' + b"9" * 5000 + b"}",
    b"[" * 100_000,
    b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
]
_BODIES: list[bytes] = [
    *_MALFORMED,
    b"",
    b"null",
    b"[]",
    b'"text"',
    b"1",
    b'{"name": "\\u0000"}',
    b'{"instance_count": 1' + b"0" * 400 + b"}",
    b'{"labels": {' + b",".join(b'"k%d": "v"' % n for n in range(5000)) + b"}}",
    b'{"name": "' + b"a" * 500_000 + b'"}',
]
_VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    1.0,
    1.5,
    2**31,
    2**63,
    2**64,
    10**30,
    -(10**30),
    1e308,
    5e-324,
    "",
    " ",
    "10",
    "1_0",
    " 7 ",
    "-1",
    "1e3",
    "0x10",
    "\u0000",
    "a\u0000b",
    "\r\n",
    "é",
    "e\u0301",
    "\u202e",
    "\u200b",
    "\ufeff",
    "٣",
    "x" * 10_000,
    "kube-system",
    "Web",
    "-web",
    "web-",
    "a.b",
    "../etc",
    "%00",
    "'; DROP TABLE users; --",
    "${jndi:ldap://x}",
    "{{7*7}}",
    [],
    {},
    [1],
    {"a": 1},
    [None],
    ["\u0000"],
    ["x"] * 501,
]


@pytest.mark.parametrize("path", list(_POSTS))
async def test_bodies_that_are_no_requests(api: Api, path: str) -> None:
    for body in _BODIES:
        for kind in ("application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
            headers = {"Content-Type": kind} if kind else {}
            answer = await api.admin.post(path, content=body, headers=headers)
            malformed = body in _MALFORMED and kind == "application/json"
            assert answer.status_code in ((400,) if malformed else (400, 413, 415, 422)), (body[:60], kind)


_SETTINGS: list[Any] = [
    _CANARY,
    {_CANARY: 1},
    {"env": {_CANARY: 5}},
    {"env": {f"-{_CANARY}": "v"}},
    {"secret_env": {"A": [_CANARY]}},
    {"secret_env": {_CANARY: 5}},
    {"env": {"A": "x"}, "secret_env": {"A": _CANARY}, "registry": {"password": _CANARY}},
    {"registry": {"server": f"{_CANARY} ", "username": _CANARY, "password": _CANARY}},
    {"registry": {"server": "registry.example", "username": "ada", "password": [_CANARY]}},
    {"volumes": [{"type": _CANARY, "name": _CANARY}]},
    {"volumes": [{"type": "persistent", "name": _CANARY, "mount_path": _CANARY, "size": _CANARY}]},
    {"health": {"liveness": {"command": [_CANARY], "tcp": 80}}},
    {"cloud_init": {"user_data": [_CANARY]}},
    {"cloud_init": {_CANARY: _CANARY}},
    {"ssh_keys": [_CANARY]},
    {"kernel_boot": {"image": f"{_CANARY} ", "kernel_path": _CANARY}},
    {"root_disk": {"type": "image", "size": "1Gi", "storage_class": f"-{_CANARY}"}},
]
_OPTIONAL = (
    "image",
    "labels",
    "instance_count",
    "role",
    "quota_cpu",
    "quota_memory",
    "quota_clusters",
    "quota_strategy",
)
# The few that do belong.
_FITTING: dict[str, list[Any]] = {
    "cpu_per_instance": [1.0, 1.5, "10"],
    "memory_per_instance": ["10"],
    "instance_count": [1.0],
    "image": [None, "10", "1_0", "1e3", "0x10", "x", "kube-system", "a.b"],
    "username": ["10", "1_0", "1e3", "0x10", "kube-system", "a.b"],
    "ids": [["\u0000"]],  # what can be no name finds nothing
    "labels": [{}],
    "quota_cpu": [None, 0, 1.0, 1.5, "10"],
    "quota_memory": [None, 0, 1.0, "10", 2**31],
    "quota_clusters": [None, 0, 1.0],
}


@pytest.mark.parametrize("path", list(_POSTS))
async def test_values_that_do_not_belong(api: Api, path: str) -> None:
    body = _POSTS[path]
    no_such_field = {*_OPTIONAL} - set(schema_of(api, path)["properties"])
    for field in {*body, *_OPTIONAL}:
        fitting = [] if field in no_such_field else list(map(repr, _FITTING.get(field, [])))
        taken = []
        for value in _VALUES:
            # With a key that is refused nothing is made, and the refusal tells that the body was taken.
            answer = await api.admin.post(path, json=body | {field: value}, headers={"Idempotency-Key": ""})
            assert answer.status_code == 422, (field, value)
            if "errors" not in answer.json():
                taken.append(repr(value))
        assert taken == [repr(value) for value in _VALUES if repr(value) in fitting], field


def schema_of(api: Api, path: str) -> dict[str, Any]:
    described = api.app.openapi()
    template = path.replace("web-instance-1", "{instance}")
    body = described["paths"][f"/api/v1{template}"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return dict(described["components"]["schemas"][body["$ref"].rsplit("/", 1)[1]])


async def test_a_change_of_a_user_refuses_what_does_not_belong(api: Api) -> None:
    user = await api.user()
    before = (await api.admin.get(f"/users/{user.name}")).json()
    for field in (
        "quota_cpu",
        "quota_memory",
        "quota_instances",
        "quota_clusters",
        "role",
        "quota_strategy",
        "disabled",
    ):
        for value in _VALUES:
            answer = await api.admin.patch(f"/users/{user.name}", json={field: value})
            taken = [None, True, 0, 1.0, 1.5, "10", 2**31]
            assert answer.status_code in ((200, 422) if str(value) in map(str, taken) else (422,)), (field, value)
    after = (await api.admin.get(f"/users/{user.name}")).json()
    assert after["id"] == before["id"]


async def test_headers_that_mean_nothing(api: Api) -> None:
    values = [b"\xff", b"\x00", b"x" * 600, b"'", b'"', b"*,*", b'W/"', b"wait=99999999999", b"wait=-1", b"\xc3\xa9"]
    for name in (b"If-Match", b"If-None-Match", b"Prefer", b"Last-Event-ID", b"Accept", b"Authorization", b"Range"):
        for value in values:
            answer = await api.admin.delete("/clusters/nothing", headers={name: value})
            assert answer.status_code in (401, 404, 422), (name, value)
            assert (await api.admin.get("/clusters/", headers={name: value})).status_code in (200, 304, 401, 422)


@pytest.mark.parametrize("path", list(_POSTS))
async def test_nothing_that_was_sent_comes_back(api: Api, path: str) -> None:
    body: dict[str, Any] = _POSTS[path] | {"labels": {"k": "v"}, "image": "nginx"}
    bad = [_CANARY + "\u0000", {_CANARY: [_CANARY]}, [_CANARY], _CANARY + "é" * 500, f"x {_CANARY}"]
    sent: list[dict[str, Any]] = [body | {field: value} for field in body for value in bad if field != "ids"]
    sent += [
        body | {_CANARY: 1},
        {_CANARY: {_CANARY: _CANARY}},
        body | {"labels": {_CANARY: 5}},
        *(body | {"container": settings} for settings in _SETTINGS),
        *(body | {"instance_type": "vm", "vm": settings} for settings in _SETTINGS),
        body | {"labels": {_CANARY: "not a label"}},
        body | {"labels": {"-" + _CANARY: "v"}},
        body | {"labels": {"é" + _CANARY: "v"}},
    ]
    for request in sent:
        answer = await api.admin.post(path, json=request)
        assert answer.status_code == 422
        assert _CANARY not in answer.text + str(answer.headers)
    for raw in (
        f"{_CANARY}",
        f'{{"name": {_CANARY}}}',
        f'{{"a": "\\{_CANARY}"}}',
        f'{{"{_CANARY}": 1, "{_CANARY}": 1}}',
    ):
        answer = await api.admin.post(path, content=raw, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400
        assert _CANARY not in answer.text
    for query in (f"{_CANARY}=1", f"limit={_CANARY}", f"cursor={_CANARY}", f"sort={_CANARY}", f"cluster_id={_CANARY}"):
        for listed in ("/clusters/", "/events/history", "/operations/"):
            answer = await api.admin.get(f"{listed}?{query}")
            assert answer.status_code == 422
            assert _CANARY not in answer.text
    for missing in (f"/clusters/{_CANARY}", f"/operations/{_CANARY}", f"/{_CANARY}", f"/users/{_CANARY}"):
        assert _CANARY not in (await api.admin.get(missing)).text


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(api: Api) -> None:
    answer = await api.admin.post("/clusters/", content=b"x" * (api.state.settings.max_body_bytes + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")

    async def endless() -> Any:
        for _ in range(40):
            yield b" " * 65536

    answer = await api.admin.post("/clusters/", content=endless(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


async def test_what_nobody_foresaw_is_a_problem_with_its_request_id(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaks(*_: object, **__: object) -> None:
        raise RuntimeError(f"internal detail {_CANARY}")

    monkeypatch.setattr("app.services.users.load", breaks)
    monkeypatch.setattr("app.routers.problems.log", logging.getLogger("cmp.http"))  # rich takes seconds to draw it
    unchecked = api.caller(api.admin.token)
    unchecked.event_hooks = {"response": []}
    answer = await unchecked.get("/users/me", headers={"X-Request-ID": "find-me"})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["code"], answer.json()["request_id"]) == ("internal", "find-me")
    assert answer.headers["x-request-id"] == "find-me"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert _CANARY not in answer.text


async def test_a_log_line_is_one_event_and_holds_no_token(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    telemetry.logs.configure("debug", "json")
    try:
        sent = 0
        ours = [f"cmp_{kind}_{'C' * 43}" for kind in ("pat", "ses", "ref", "sec", "dev")]
        ours.append(f"eyJhbGciOiJFZDI1NTE5In0.eyJ{'C' * 43}.{'C' * 86}")
        for key in ("a%0d%0ab", "%00", "\u2028", "%1b[31m", api.admin.token, '"},{"a":"', *ours):
            for headers in (
                {},
                {"X-Request-ID": f"x {api.admin.token}"},
                {"Authorization": f"Token {api.admin.token}"},
            ):
                await api.admin.get(f"/clusters/{key}", headers=headers)
                sent += 1
        await api.admin.post("/users/me/token", headers={"Authorization": "Bearer cmp_pat_" + "B" * 43})
        written = capsys.readouterr().err.splitlines()
    finally:
        structlog.reset_defaults()
        root.handlers, root.level = handlers, level
    lines = [json.loads(line) for line in written]
    assert len([line for line in lines if line["event"] == "request"]) == sent + 1
    assert api.admin.token not in "".join(written)
    assert not any(secret * 43 in "".join(written) for secret in "BC")
