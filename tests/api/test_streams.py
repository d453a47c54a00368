"""How many streams there may be, and what ends them: limits, suspension, rights that are taken away, the process."""

import asyncio

import pytest
import sqlalchemy as sa

from app.database import Session
from app.models import Instance
from tests.api.echo import EXEC, EchoReach, becomes, dial, reaching, recorded, refused, running_instance
from tests.api.running import Api
from tests.conftest import Databases

KINDS = ("sqlite",)


async def test_as_many_as_there_may_be(world: tuple[Api, EchoReach]) -> None:
    api, _ = world
    ada, bob = await api.user(), await api.user()
    name, other = await running_instance(api, ada), await running_instance(api, bob)
    mine = [await dial(ada, name, EXEC) for _ in range(3)]
    for answer in (await refused(ada, name, EXEC), await ada.get(f"/instances/{name}/logs")):
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many")
    theirs = await dial(bob, other, EXEC)
    assert "as many streams open as it may" in (await refused(bob, other, EXEC)).json()["detail"]
    await mine[0].leave()
    again = await dial(ada, name, EXEC)
    for dialog in (*mine[1:], again, theirs):
        await dialog.leave()
    assert (await ada.get(f"/instances/{name}/logs")).status_code == 200


async def test_a_refusal_by_kubernetes_is_recorded(world: tuple[Api, EchoReach]) -> None:
    api, reach = world
    ada = await api.user()
    name = await running_instance(api, ada)
    reach.refuses = "It is suspended: resume it first."
    assert (await refused(ada, name, EXEC)).json()["detail"] == reach.refuses
    _, closed = await recorded(ada, 2)
    assert (closed["reason"], reach.refuses in closed["message"]) == ("refused", True)


@pytest.mark.parametrize("status", ["suspending", "suspended"])
async def test_suspending_ends_what_is_open_but_logs(world: tuple[Api, EchoReach], status: str) -> None:
    api, _ = world
    ada = await api.user()
    name = await running_instance(api, ada)
    dialog = await dial(ada, name, EXEC)
    await becomes(api, name, status)
    assert await dialog.closed() == (4002, "The instance is suspended: resume it, then connect again.")
    assert (await recorded(ada, 2))[1]["reason"] == "suspended"
    assert (await ada.get(f"/instances/{name}/logs")).status_code == 200


async def test_a_replaced_token_and_a_disabled_user_end_what_they_opened(world: tuple[Api, EchoReach]) -> None:
    api, _ = world
    ada, bob = await api.user(), await api.user()
    first, second = await running_instance(api, ada), await running_instance(api, bob)
    theirs = await dial(ada, first, EXEC), await dial(bob, second, EXEC)
    await ada.post("/users/me/token")
    await api.admin.patch(f"/users/{bob.name}", json={"disabled": True})
    for dialog in theirs:
        assert (await dialog.closed())[0] == 4004


async def test_an_instance_that_is_gone_ends_its_streams(world: tuple[Api, EchoReach]) -> None:
    api, _ = world
    ada = await api.user()
    name = await running_instance(api, ada)
    dialog = await dial(ada, name, EXEC)

    async def once(session: Session) -> None:
        await session.execute(sa.delete(Instance).where(Instance.instance_name == name))

    await api.database.run(once)
    assert await dialog.closed() == (4003, "There is no such instance any more.")


@pytest.mark.parametrize(
    ("limit", "code", "outcome"), [("stream_idle_seconds", 4000, "idle"), ("stream_lifetime_seconds", 4001, "lifetime")]
)
async def test_what_is_silent_or_old_ends(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory, limit: str, code: int, outcome: str
) -> None:
    async with reaching(await databases.migrated(), tmp_path_factory.mktemp("data"), **{limit: 0.3}) as (api, _):
        ada = await api.user()
        dialog = await dial(ada, await running_instance(api, ada), EXEC)
        assert (await dialog.closed())[0] == code
        assert (await recorded(ada, 2))[1]["reason"] == outcome


async def test_the_process_ends(world: tuple[Api, EchoReach]) -> None:
    api, reach = world
    ada = await api.user()
    name = await running_instance(api, ada)
    dialog = await dial(ada, name, EXEC)
    following = asyncio.create_task(ada.get(f"/instances/{name}/logs", params={"follow": True}))
    await reach.reading.wait()
    api.state.streams.end()
    assert await dialog.closed() == (1001, "This CMP process is ending: connect again.")
    assert (await following).text == f"{name}\n"
    assert reach.logs_open == 0
    late = await dial(ada, name, EXEC)
    assert late.refusal is not None
    assert late.refusal.status_code == 503
