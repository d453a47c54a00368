"""Every operation in every state that lasts: one table, tried on the simulator and on the real engines alike."""

from typing import Any

import httpx

RUNNING, STOPPED, SUSPENDED = "running", "stopped", "suspended"
# What an operation leads to; what is not here answers 409, names what is possible, and changes nothing.
_CONTAINER = {
    RUNNING: {"stop": STOPPED, "suspend": SUSPENDED, "restart": RUNNING},
    STOPPED: {"start": RUNNING},
    SUSPENDED: {"stop": STOPPED, "resume": RUNNING, "restart": RUNNING},
}
LEADS_TO = {"container": _CONTAINER, "vm": _CONTAINER | {RUNNING: _CONTAINER[RUNNING] | {"reboot": RUNNING}}}
OPERATIONS = ("start", "stop", "suspend", "resume", "restart", "reboot")
_WAY = {
    (RUNNING, STOPPED): "stop",
    (RUNNING, SUSPENDED): "suspend",
    (STOPPED, RUNNING): "start",
    (SUSPENDED, RUNNING): "resume",
}


async def tried(client: httpx.AsyncClient, name: str, kind: str) -> dict[str, dict[str, str]]:
    """What each operation led to, by state, in the form of LEADS_TO; the instance runs when this begins.

    Whether a machine may move depends on where it runs: that has tests of its own.
    """
    found: dict[str, dict[str, str]] = {state: {} for state in LEADS_TO[kind]}
    for state in found:
        for operation in OPERATIONS:
            await _brought(client, name, state)
            answer = await operated(client, name, operation)
            if answer.status_code == 409:
                problem = answer.json()
                assert problem["current_status"] == state, problem
                possible = [other for other in problem["allowed_operations"] if other != "migrate"]
                assert possible == list(LEADS_TO[kind][state]), problem
                assert (await client.get(f"/instances/{name}")).json()["status"] == state
                continue
            assert answer.status_code == 200, answer.text
            assert answer.json()["operation"]["status"] == "succeeded", answer.text
            found[state][operation] = answer.json()["instance"]["status"]
    return found


async def operated(client: httpx.AsyncClient, name: str, operation: str) -> httpx.Response:
    body: dict[str, Any] = {"operation": operation}
    return await client.post(f"/instances/{name}/operate", params={"wait": 150}, json=body, timeout=170)


async def _brought(client: httpx.AsyncClient, name: str, state: str) -> None:
    while (now := (await client.get(f"/instances/{name}")).json()["status"]) != state:
        step = _WAY.get((now, state)) or _WAY[(now, RUNNING)]
        answer = await operated(client, name, step)
        assert answer.status_code == 200, answer.text
        assert answer.json()["operation"]["status"] == "succeeded", answer.text
