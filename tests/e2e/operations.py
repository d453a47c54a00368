"""Every operation in every state: one table, tried on the simulator and on the real engines alike."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import httpx

from app.models import InstanceOperation as Op
from app.models import InstanceStatus as Is
from tests.e2e.kube_eyes import KubeEyes
from tests.e2e.platform import eventually

# What an operation leads to; what is not here answers 409, names what is possible, and changes nothing. What held an
# instance in its state goes on: restarted, it starts again and no more.
_CONTAINER: Mapping[Is, Mapping[Op, Is]] = {
    Is.FAILED: {Op.STOP: Is.STOPPED, Op.RESTART: Is.STARTING, Op.REPLACE: Is.STARTING},
    Is.PENDING: {Op.STOP: Is.STOPPED, Op.REPLACE: Is.PENDING},
    Is.STARTING: {Op.STOP: Is.STOPPED, Op.RESTART: Is.STARTING, Op.REPLACE: Is.STARTING},
    Is.RUNNING: {
        Op.STOP: Is.STOPPED,
        Op.SUSPEND: Is.SUSPENDED,
        Op.RESTART: Is.RUNNING,
        Op.REPLACE: Is.RUNNING,
    },
    Is.STOPPING: {Op.START: Is.RUNNING},
    Is.STOPPED: {Op.START: Is.RUNNING, Op.REPLACE: Is.RUNNING},
    Is.SUSPENDING: {Op.STOP: Is.STOPPED, Op.RESUME: Is.RUNNING},
    Is.SUSPENDED: {
        Op.STOP: Is.STOPPED,
        Op.RESUME: Is.RUNNING,
        Op.RESTART: Is.RUNNING,
        Op.REPLACE: Is.RUNNING,
    },
    Is.DELETING: {},
}
# Whether a machine may move depends on where it runs: that has tests of its own.
_VM = {
    **_CONTAINER,
    Is.RUNNING: {
        Op.STOP: Is.STOPPED,
        Op.SUSPEND: Is.SUSPENDED,
        Op.RESTART: Is.RUNNING,
        Op.REBOOT: Is.RUNNING,
        Op.REPLACE: Is.RUNNING,
    },
}
LEADS_TO = {"container": _CONTAINER, "vm": _VM}
# No node has room for it, and its owner may have it.
HUGE = {"memory_per_instance": "2Ti"}
UNAVAILABLE = "testbed/web:does-not-exist"
LIMITS = {"quota_cpu": 16, "quota_memory": "16Ti"}
_LONGEST = 180.0
# What holds an instance from its beginning on in the state for which it was made.
_WHY = {Is.PENDING: "unschedulable", Is.STARTING: "image_pull", Is.FAILED: "image_pull"}
_WAYS: Mapping[Is, dict[str, Any]] = {
    Is.STOPPED: {"operation": "stop"},
    Is.STOPPING: {"operation": "stop", "grace_seconds": 20},
    Is.SUSPENDED: {"operation": "suspend"},
    Is.SUSPENDING: {"operation": "suspend"},
}


@dataclass(frozen=True)
class Engine:
    """What runs instances of one kind: `runs` is the body of a cluster whose instances run, `deaf` of one whose do not
    end when they are asked to.

    While `holds` of a state is open, an instance that is on its way through that state stays in it.
    """

    eyes: KubeEyes
    runs: Mapping[str, Any]
    deaf: Mapping[str, Any]
    holds: Mapping[Is, Callable[[], AbstractContextManager[None]]] = field(default_factory=dict)

    @property
    def table(self) -> Mapping[Is, Mapping[Op, Is]]:
        return LEADS_TO[self.runs["instance_type"]]

    def body(self, state: Is) -> dict[str, Any]:
        if state in (Is.FAILED, Is.STARTING):
            return {**self.runs, "image": UNAVAILABLE}
        if state is Is.PENDING:
            return {**self.runs, **HUGE}
        return dict(self.deaf if state in (Is.STOPPING, Is.DELETING) else self.runs)

    def running(self, namespace: str, name: str) -> str | None:
        """The uid of what runs as this instance in Kubernetes, or is about to."""
        machine = self.runs["instance_type"] == "vm"
        group, kind = ("apis/kubevirt.io/v1", "virtualmachineinstances") if machine else ("api/v1", "pods")
        found = self.eyes.get(f"/{group}/namespaces/{namespace}/{kind}/{name}")
        return None if found is None else str(found["metadata"]["uid"])


async def differences(client: httpx.AsyncClient, engine: Engine) -> list[str]:
    """Sentences about where this engine differs from the table."""
    # What fails takes its time: it is made first, and tried last.
    await _made(client, engine, Is.FAILED)
    states = [state for state in engine.table if state is not Is.FAILED]
    found = [await _tried(client, engine, state) for state in (*states, Is.FAILED)]
    await asyncio.gather(*(_gone(client, state) for state in engine.table))
    return [sentence for row in found for sentence in row]


async def refusals(client: httpx.AsyncClient, name: str, state: str, possible: list[str]) -> list[str]:
    """Sentences about operations that are not `possible` in this state and are not refused as they should be."""
    found: list[str] = []
    for operation in Op:
        before = await _shown(client, name)
        if operation in possible or (operation is Op.MIGRATE and operation in before[1]):
            continue
        answer = await client.post(f"/instances/{name}/operate", json={"operation": operation})
        said = answer.json()
        told = [each for each in said.get("allowed_operations", ()) if each != Op.MIGRATE]
        if (answer.status_code, said.get("current_status"), told) != (409, state, possible):
            found.append(f"{state}, {operation}: {answer.status_code} {answer.text}")
        elif (after := await _shown(client, name)) != before:
            found.append(f"{state}, {operation}: refused, and yet {before} became {after}")
    return found


async def _tried(client: httpx.AsyncClient, engine: Engine, state: Is) -> list[str]:
    try:
        differs = await _row(client, engine, state)
    except AssertionError as error:
        differs = [f"{state}: {error}"]
    print(f"{state}: tried; differences: {differs}", flush=True)
    await client.delete(f"/clusters/each-{state}")
    return differs


async def _row(client: httpx.AsyncClient, engine: Engine, state: Is) -> list[str]:
    if state is not Is.FAILED:
        await _made(client, engine, state)
    cluster = (await client.get(f"/clusters/each-{state}")).json()
    names = [each["instance_name"] for each in cluster["instances"]]
    first = state if state in _WHY else Is.RUNNING
    await asyncio.gather(*(_becomes(client, name, first, _WHY.get(state)) for name in names))
    with engine.holds.get(state, nullcontext)():
        await asyncio.gather(*(_sent(client, name, state) for name in names))
        found = await refusals(client, names[0], state, list(engine.table[state]))
        before = [await asyncio.to_thread(engine.running, cluster["namespace"], name) for name in names]
        asked = [
            await client.post(f"/instances/{name}/operate", json={"operation": operation})
            for operation, name in zip(engine.table[state], names, strict=False)
        ]
    for (operation, leads_to), answer, uid in zip(engine.table[state].items(), asked, before, strict=False):
        if answer.status_code != 200:
            found.append(f"{state}, {operation}: {answer.status_code} {answer.text}")
            continue
        try:
            await _comes_to(client, engine, cluster["namespace"], answer.json(), leads_to, uid)
        except AssertionError as error:
            found.append(f"{state}, {operation}: {error}")
    return found


async def _made(client: httpx.AsyncClient, engine: Engine, state: Is) -> None:
    body = {**engine.body(state), "name": f"each-{state}", "instance_count": max(1, len(engine.table[state]))}
    made = await client.post("/clusters/", json=body)
    assert made.status_code == 201, made.text


async def _sent(client: httpx.AsyncClient, name: str, state: Is) -> None:
    """From running, or from the state that it was made for, to the one in which it then stays."""
    if state is Is.DELETING:
        answer = await client.delete(f"/clusters/each-{state}")
        assert answer.status_code == 202, answer.text
    elif state in _WAYS:
        answer = await client.post(f"/instances/{name}/operate", json=_WAYS[state])
        assert answer.status_code == 200, answer.text
    await _becomes(client, name, state)


async def _becomes(client: httpx.AsyncClient, name: str, state: Is, reason: str | None = None) -> None:
    async def is_so() -> bool:
        shown = (await client.get(f"/instances/{name}")).json()
        return shown.get("status") == state and reason in (None, shown["reason"])

    try:
        await eventually(is_so, f"{name} is {state}", _LONGEST)
    except AssertionError as error:
        raise AssertionError(f"{error}: {(await client.get(f'/instances/{name}')).text}") from error


async def _comes_to(
    client: httpx.AsyncClient, engine: Engine, namespace: str, asked: Mapping[str, Any], leads_to: Is, uid: str | None
) -> None:
    """There, and in Kubernetes: what was restarted is another one."""
    name, operation = asked["instance"]["instance_name"], asked["operation"]

    async def arrived() -> bool:
        shown = (await client.get(f"/instances/{name}")).json()
        done = (await client.get(f"/operations/{operation['id']}")).json()
        assert done["status"] in ("pending", "running", "succeeded"), done
        if shown["status"] != leads_to or (done["status"] == "succeeded") is (leads_to in (Is.STARTING, Is.PENDING)):
            return False
        there = await asyncio.to_thread(engine.running, namespace, name)
        return there not in (None, uid) if operation["kind"] in ("instance.restart", "instance.replace") else True

    try:
        await eventually(arrived, f"it is {leads_to}", _LONGEST)
    except AssertionError as error:
        raise AssertionError(f"{error}: {(await client.get(f'/instances/{name}')).text}") from error


async def _gone(client: httpx.AsyncClient, state: Is) -> None:
    async def is_so() -> bool:
        return (await client.get(f"/clusters/each-{state}")).status_code == 404

    await eventually(is_so, f"what was {state} is gone", _LONGEST)


async def _shown(client: httpx.AsyncClient, name: str) -> Any:
    """What an operation would change."""
    instance = (await client.get(f"/instances/{name}")).json()
    operations = (await client.get("/operations/", params={"instance_id": instance["id"]})).json()["items"]
    return [instance["status"], instance["allowed_operations"], [each["id"] for each in operations]]
