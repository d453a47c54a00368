"""What goes wrong for each alert, until the block ends: in a process, in Kubernetes, in a row, in what is wished."""

import asyncio
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import asyncpg
import httpx
from sqlalchemy import make_url

from stack import Stack
from testbed.processes import Process

WISH = {"instance_type": "container", "cpu_per_instance": "100m", "memory_per_instance": 64, "image": "nginx:latest"}
Fault = Callable[[Stack, httpx.Client], AbstractContextManager[None]]


@contextmanager
def full_quota(_stack: Stack, client: httpx.Client) -> Iterator[None]:
    """Somebody who may have one instance has one."""
    username = f"full-{uuid.uuid4().hex[:8]}"
    made = client.post("/users/", json={"username": username, "quota_instances": 1}).raise_for_status().json()
    theirs = {"Authorization": f"Bearer {made['token']}"}
    client.post("/clusters/", json={"name": "whole", "instance_count": 1, **WISH}, headers=theirs).raise_for_status()
    yield
    client.delete("/clusters/whole", headers=theirs).raise_for_status()


@contextmanager
def refused_pods(stack: Stack, client: httpx.Client) -> Iterator[None]:
    """Kubernetes makes none of them."""
    with _kubernetes(stack, kind="403", verb="create", resource="pods", namespace="refused-*"):
        _wish(client, "refused", 5)
        yield


@contextmanager
def unanswered_pods(stack: Stack, client: httpx.Client) -> Iterator[None]:
    """Kubernetes does not answer about one; its wish is made two hours old."""
    with _kubernetes(stack, kind="503", verb="create", resource="pods", namespace="stuck-*"):
        _wish(client, "stuck", 1)
        with _told(
            stack,
            "UPDATE operations SET created_at = created_at - interval '2 hours' "
            "WHERE cluster_id = (SELECT id FROM clusters WHERE name = 'stuck-0')",
        ):
            yield


@contextmanager
def locked_row(stack: Stack, client: httpx.Client) -> Iterator[None]:
    """A cluster that is settled, then held by somebody's open transaction: no worker gets it."""
    _wish(client, "held", 1, wait=60)
    with _told(stack, "BEGIN; SELECT 1 FROM clusters WHERE name = 'held-0' FOR UPDATE"):
        yield


@contextmanager
def orphan(stack: Stack, client: httpx.Client) -> Iterator[None]:
    """A namespace as of a cluster that the database has lost."""
    _wish(client, "kept", 1, wait=60)
    namespaces = f"{stack.kubernetes_url}/api/v1/namespaces"
    [labels] = [
        item["metadata"]["labels"]
        for item in httpx.get(namespaces).raise_for_status().json()["items"]
        if item["metadata"]["name"].startswith("kept-0")
    ]
    metadata = {"name": "lost", "labels": {**labels, "cmp.io/cluster": str(uuid.uuid4())}}
    httpx.post(namespaces, json={"metadata": metadata}).raise_for_status()
    yield
    httpx.delete(f"{namespaces}/lost").raise_for_status()


@contextmanager
def short_certificate(stack: Stack, _client: httpx.Client) -> Iterator[None]:
    """As the stack started with."""
    yield
    stack.renew_certificate(90)


@contextmanager
def busy_workers(stack: Stack, client: httpx.Client, room: int) -> Iterator[None]:
    """Kubernetes is slow with the Pods of as many clusters as both workers have `room` for."""
    with _kubernetes(stack, kind="slow", verb="create", resource="pods", namespace="slow-*", seconds=3) as hits:
        _wish(client, f"slow-{uuid.uuid4().hex[:6]}", 2 * room)
        while hits() < 1.5 * room:
            time.sleep(0.1)
        yield


@contextmanager
def frozen(processes: Sequence[Process]) -> Iterator[None]:
    for process in processes:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process.pid, signal.SIGCONT)


@contextmanager
def _kubernetes(stack: Stack, **rule: Any) -> Iterator[Callable[[], int]]:
    """A fault of the simulator; how many calls it has hit."""
    faults = f"{stack.kubernetes_url}/__simulator__/faults"
    number = httpx.post(faults, json=rule).raise_for_status().json()["id"]
    yield lambda: sum(rule["hits"] for rule in httpx.get(faults).json()["items"] if rule["id"] == number)
    httpx.delete(f"{faults}/{number}").raise_for_status()


def _wish(client: httpx.Client, name: str, count: int, wait: int = 0) -> None:
    for number in range(count):
        body = {"name": f"{name}-{number}", "instance_count": 1, **WISH}
        client.post("/clusters/", json=body, params={"wait": wait} if wait else {}).raise_for_status()


@contextmanager
def _told(stack: Stack, sql: str) -> Iterator[None]:
    """On a connection that stays open until the block ends."""
    url = make_url(stack.database.url("cmp")).set(drivername="postgresql").render_as_string(hide_password=False)
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(url))
        try:
            runner.run(connection.execute(sql))
            yield
        finally:
            runner.run(connection.close())
