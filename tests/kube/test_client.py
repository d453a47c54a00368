"""One call: what is tried again and what is not, timeouts, credentials."""

import base64
import stat
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from aiohttp import web

from app.kube.client import KubeClient, Limits
from app.kube.credentials import KubeTarget
from app.kube.errors import BadTarget, Refusal, Unreachable
from app.kube.kinds import NAMESPACE, POD, VIRTUAL_MACHINE, VIRTUAL_MACHINE_INSTANCE
from tests.kube import tls
from tests.kube.scripted import Server, hangs_up, page, pod, refuses, says, serving, streams

QUICK = Limits(connect=1, read=0.2, total=0.5, attempts=3, backoff=0.01, longest_backoff=0.02, patience=5)
PODS = "/api/v1/namespaces/ns/pods"
POD_A = f"{PODS}/a"
RESTART = "/apis/subresources.kubevirt.io/v1/namespaces/ns/virtualmachines/a/restart"


@asynccontextmanager
async def connected(limits: Limits = QUICK, **more: Any) -> AsyncIterator[tuple[Server, KubeClient]]:
    async with serving() as server:
        client = await KubeClient.connect(KubeTarget.url(server.url), limits=limits, **more)
        try:
            yield server, client
        finally:
            await client.close()


async def test_calls_are_raw_json_with_our_name() -> None:
    seen: list[tuple[str, str, int]] = []

    def watch(verb: str, resource: str, code: int, seconds: float) -> None:
        assert seconds >= 0
        seen.append((verb, resource, code))

    async with connected(version="1.2.3", observe_call=watch) as (server, client):
        server.on("POST", PODS, says(pod("a", 1), 201))
        server.on("GET", POD_A, says(pod("a", 1)))
        server.on("PATCH", POD_A, says(pod("a", 2)))
        server.on("DELETE", POD_A, says(pod("a", 3)))
        assert (await client.create(POD, "ns", {"kind": "Pod"}, "cmp"))["metadata"]["name"] == "a"
        assert (await client.get(POD, "ns", "a"))["metadata"]["uid"] == "uid-a"
        await client.apply(POD, "ns", "a", {"kind": "Pod"}, "cmp")
        await client.merge(POD, "ns", "a", {"kind": "Pod"}, "cmp")
        await client.delete(POD, "ns", "a", "uid-a")
        create, get, apply, merge, delete = server.asked
        assert create.headers["User-Agent"] == "cmp/1.2.3"
        assert create.query == {"fieldManager": "cmp"}
        assert create.headers["Content-Type"] == "application/json"
        assert get.body is None
        assert apply.headers["Content-Type"] == "application/apply-patch+yaml"
        assert apply.query == {"fieldManager": "cmp", "force": "true"}
        assert merge.headers["Content-Type"] == "application/merge-patch+json"
        assert delete.body == {"preconditions": {"uid": "uid-a"}, "propagationPolicy": "Background"}
        assert seen == [
            ("create", "pods", 201),
            ("get", "pods", 200),
            ("apply", "pods", 200),
            ("patch", "pods", 200),
            ("delete", "pods", 200),
        ]


async def test_subresources_answer_with_nothing() -> None:
    async with connected() as (server, client):
        server.on("PUT", RESTART, says(b"", 202))
        assert await client.put(VIRTUAL_MACHINE, "ns", "a", "restart", {}, repeatable=False) == {}


def test_paths() -> None:
    assert NAMESPACE.path(None, "web-ns") == "/api/v1/namespaces/web-ns"
    assert POD.collection() == "/api/v1/pods"
    assert VIRTUAL_MACHINE.path("ns", "a") == "/apis/kubevirt.io/v1/namespaces/ns/virtualmachines/a"
    assert VIRTUAL_MACHINE.path("ns", "a", "restart") == RESTART
    pause = VIRTUAL_MACHINE_INSTANCE.path("ns", "a", "pause")
    assert pause == "/apis/subresources.kubevirt.io/v1/namespaces/ns/virtualmachineinstances/a/pause"
    assert POD.path("a/b", "c?d") == "/api/v1/namespaces/a%2Fb/pods/c%3Fd"


async def test_a_refusal_carries_the_status() -> None:
    async with connected() as (server, client):
        server.on("GET", POD_A, refuses(403, "Forbidden", "exceeded quota"))
        with pytest.raises(Refusal) as caught:
            await client.get(POD, "ns", "a")
        assert (caught.value.code, caught.value.reason, caught.value.message) == (403, "Forbidden", "exceeded quota")
        assert server.count("GET") == 1


async def test_plain_text_is_a_refusal_too() -> None:
    async with connected() as (server, client):
        server.on("GET", POD_A, says(b"no agent\n", 500))
        with pytest.raises(Refusal, match="no agent"):
            await client.get(POD, "ns", "a")


@pytest.mark.parametrize(
    "trouble",
    [hangs_up(), refuses(500, "InternalError"), refuses(503), says(b"x", 502), says(b"{cut", 200), says(b"{cut", 403)],
)
async def test_what_is_safe_to_repeat_is_repeated(trouble: Any) -> None:
    async with connected() as (server, client):
        server.on("DELETE", POD_A, trouble, trouble, says(pod("a", 1)))
        await client.delete(POD, "ns", "a", "uid-a")
        assert server.count("DELETE") == 3


async def test_patience_ends() -> None:
    async with connected() as (server, client):
        server.on("DELETE", POD_A, refuses(503, "ServiceUnavailable", "down"))
        with pytest.raises(Unreachable, match="503 down"):
            await client.delete(POD, "ns", "a", "uid-a")
        assert server.count("DELETE") == QUICK.attempts


@pytest.mark.parametrize("trouble", [hangs_up(), refuses(500, "InternalError"), refuses(504, "Timeout"), streams()])
async def test_a_restart_is_sent_once(trouble: Any) -> None:
    """Also on a connection that was used before, where aiohttp would repeat a PUT by itself."""
    async with connected() as (server, client):
        server.on("GET", POD_A, says(pod("a", 1)))
        server.on("PUT", RESTART, trouble)
        await client.get(POD, "ns", "a")
        with pytest.raises(Unreachable):
            await client.put(VIRTUAL_MACHINE, "ns", "a", "restart", {}, repeatable=False)
        assert server.count("PUT") == 1


async def test_429_was_not_carried_out_and_is_waited_for() -> None:
    async with connected() as (server, client):
        server.on("PUT", RESTART, refuses(429, Retry_After="1"), says(b"", 202))
        server.on("GET", POD_A, says(pod("a", 1)))
        started = time.monotonic()
        await client.put(VIRTUAL_MACHINE, "ns", "a", "restart", {}, repeatable=False)
        assert time.monotonic() - started >= 1.0, "Retry-After is honoured"
        assert server.count("PUT") == 2


async def test_429_quiets_every_call() -> None:
    async with connected(Limits(attempts=1)) as (server, client):
        server.on("DELETE", POD_A, refuses(429, Retry_After="1"))
        server.on("GET", POD_A, says(pod("a", 1)))
        with pytest.raises(Unreachable) as caught:
            await client.delete(POD, "ns", "a", "uid-a")
        assert caught.value.retry_after == 1.0
        started = time.monotonic()
        await client.get(POD, "ns", "a")
        assert time.monotonic() - started >= 0.9


async def test_nobody_listens() -> None:
    async with serving() as server:
        url = server.url
    client = await KubeClient.connect(KubeTarget.url(url), limits=QUICK)
    with pytest.raises(Unreachable):
        await client.put(VIRTUAL_MACHINE, "ns", "a", "restart", {}, repeatable=False)
    with pytest.raises(Unreachable):
        await client.version()
    await client.close()


async def test_a_server_that_never_answers() -> None:
    async with connected() as (server, client):
        server.on("GET", "/version", streams())
        with pytest.raises(Unreachable):
            await client.version()


async def test_redirects_are_not_followed() -> None:
    async with connected() as (server, client):
        server.on("GET", POD_A, says(b"", 302, Location="http://127.0.0.1:1/"))
        with pytest.raises(Refusal):
            await client.get(POD, "ns", "a")


def kubeconfig(path: Path, server: str, user: dict[str, Any]) -> Path:
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "garden",
                "contexts": [{"name": "garden", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": {"server": server}}],
                "users": [{"name": "u", "user": user}],
            }
        )
    )
    return path


def only_for(token: str) -> Callable[[web.Request], Any]:
    async def answer(request: web.Request) -> web.StreamResponse:
        allowed = request.headers.get("Authorization") == f"Bearer {token}"
        return await (says({"gitVersion": "v1.36.2"}) if allowed else refuses(401, "Unauthorized"))(request)

    return answer


async def test_kubeconfig_with_a_token(tmp_path: Path) -> None:
    async with serving() as server:
        server.on("GET", "/version", only_for("first"))
        path = kubeconfig(tmp_path / "config", server.url, {"token": "first"})
        client = await KubeClient.connect(KubeTarget.kubeconfig(path))
        assert client.description == f"context garden at {server.url}"
        assert await client.version() == "v1.36.2"
        await client.close()


@pytest.mark.parametrize("expiry", ["", ',"expirationTimestamp":"2999-01-01T00:00:00Z"'])
async def test_kubeconfig_with_an_exec_plugin_that_has_a_new_token(tmp_path: Path, expiry: str) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("first\nsecond\nthird\n")
    plugin = tmp_path / "plugin"
    status = f'{{"token":"%s"{expiry}}}'
    credential = f'{{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{status}}}'
    plugin.write_text(f"#!/bin/sh\nt=$(head -n1 {tokens}); sed -i 1d {tokens}; printf '{credential}' \"$t\"\n")
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    user = {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin), "interactiveMode": "Never"}
    }
    async with serving() as server:
        server.on("GET", "/version", only_for("second"))
        client = await KubeClient.connect(KubeTarget.kubeconfig(kubeconfig(tmp_path / "config", server.url, user)))
        assert await client.version() == "v1.36.2"
        assert await client.version() == "v1.36.2"
        assert tokens.read_text() == "third\n", "asked at the start and after the 401, no oftener"
        await client.close()


async def test_a_401_that_stays(tmp_path: Path) -> None:
    async with serving() as server:
        server.on("GET", "/version", refuses(401, "Unauthorized"))
        path = kubeconfig(tmp_path / "config", server.url, {"token": "first"})
        client = await KubeClient.connect(KubeTarget.kubeconfig(path))
        with pytest.raises(Refusal) as caught:
            await client.version()
        assert caught.value.code == 401
        await client.close()


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "there is no kubeconfig at"), ("{}", "cannot be used"), ("a: [", "cannot be used")],
)
async def test_a_kubeconfig_that_cannot_be_used(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)
    with pytest.raises(BadTarget, match=words):
        await KubeClient.connect(KubeTarget.kubeconfig(path))


async def test_not_in_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(BadTarget, match="in-cluster"):
        await KubeClient.connect(KubeTarget.in_cluster())


async def test_lists_and_watches_say_who_we_are(tmp_path: Path) -> None:
    async with serving() as server:
        server.on("GET", "/api/v1/pods", page([], "1"))
        server.on("WATCH", "/api/v1/pods", streams(b'{"a":1}\n{"b"', b":2}\n\n", then="end"))
        path = kubeconfig(tmp_path / "config", server.url, {"token": "first"})
        client = await KubeClient.connect(KubeTarget.kubeconfig(path))
        await client.page(POD, None, {})
        lines = [line async for line in client.lines(POD, None, {"watch": "1"}, idle=5, total=5)]
        assert [orjson.loads(line) for line in lines] == [{"a": 1}, {"b": 2}]
        assert [asked.headers["Authorization"] for asked in server.asked] == ["Bearer first"] * 2
        await client.close()


async def test_half_a_line_is_no_line(tmp_path: Path) -> None:
    async with connected() as (server, client):
        server.on("WATCH", "/api/v1/pods", streams(b'{"a":1}\n{"b"', then="end"))
        lines = client.lines(POD, None, {"watch": "1"}, idle=5, total=5)
        assert await anext(lines) == b'{"a":1}'
        with pytest.raises(Unreachable, match="in the middle"):
            await anext(lines)


async def test_certificates_of_both_sides(tmp_path: Path) -> None:
    authority = tls.Authority()
    async with serving(authority.server_context(tmp_path)) as server:
        server.on("GET", "/version", says({"gitVersion": "v1.36.2"}))
        certificate, key = authority.client()
        user = {"client-certificate-data": _encoded(certificate), "client-key-data": _encoded(key)}
        path = kubeconfig(tmp_path / "config", server.url, user)
        shown = yaml.safe_load(path.read_text())
        shown["clusters"][0]["cluster"]["certificate-authority-data"] = _encoded(authority.certificate)
        path.write_text(yaml.safe_dump(shown))
        client = await KubeClient.connect(KubeTarget.kubeconfig(path))
        assert await client.version() == "v1.36.2"
        ends = await client.credentials.certificates()
        assert set(ends) == {"kubernetes_client", "kubernetes_server"}
        assert all(timedelta(0) < end - datetime.now(UTC) <= timedelta(hours=1) for end in ends.values())
        await client.close()

        del shown["clusters"][0]["cluster"]["certificate-authority-data"]
        path.write_text(yaml.safe_dump(shown))
        stranger = await KubeClient.connect(KubeTarget.kubeconfig(path), limits=QUICK)
        with pytest.raises(Unreachable):
            await stranger.version()
        with pytest.raises(Unreachable, match="certificate"):
            await stranger.credentials.certificates()
        await stranger.close()


def _encoded(text: bytes) -> str:
    return base64.b64encode(text).decode()
