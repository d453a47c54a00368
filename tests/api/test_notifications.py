"""Who wants to be told is told: subscriptions, messages in the transaction of their events, tries, thresholds."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from standardwebhooks import Webhook

from app.delivery import Mail, Webhooks
from app.delivery.mail import Server
from app.models import Delivery, Event, Subscription
from app.reconciler import sweeps
from app.reconciler.notifier import Notifier
from app.rules.addresses import Fence
from app.rules.sealing import new_key
from app.services import notifications as service
from app.store import events, notifications
from tests.api.running import Api, Caller, running_api
from tests.delivery.receiver import MailServer, Receiver, mail_server, receiving
from tests.e2e.platform import eventually

LOOPBACK = ["127.0.0.0/8"]
FIRST_PAUSE = 0.05


@pytest.fixture(scope="module")
async def api(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    settings: dict[str, Any] = {
        "secret_key": SecretStr(new_key()),
        "webhook_http": True,
        "webhook_cidrs": LOOPBACK,
        "smtp_host": "127.0.0.1",
    }
    async with running_api(database_url, tmp_path_factory.mktemp("data"), **settings) as api:
        yield api


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@contextlib.asynccontextmanager
async def notifying(api: Api, mails: MailServer | None = None, seconds: float = 2.0) -> AsyncIterator[Notifier]:
    webhooks = Webhooks(Fence(but=LOOPBACK), http=True, seconds=seconds, version="0")
    server = Server("127.0.0.1", mails.port, "none", None, None, "cmp@example.org", 5.0) if mails else None
    notifier = Notifier(
        api.database, webhooks, Mail(server), api.state.sealer, seconds=seconds, first_pause=FIRST_PAUSE
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.reconciler.notifier._IDLE_SECONDS", 0.05)
        task = asyncio.create_task(notifier.run())
        try:
            yield notifier
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def subscribe(caller: Caller, target: str, *topics: str, channel: str = "webhook") -> dict[str, Any]:
    body = {"channel": channel, "target": target} | ({"topics": list(topics)} if topics else {})
    answer = await caller.post("/notifications/", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def fail(api: Api, caller: Caller, count: int = 1, status: str = "failed") -> None:
    """As settling a visit would write that instances failed."""
    rows = [
        {"kind": "instance.status", "actor": "platform", "owner_id": uuid.UUID(caller.id), "status": status,
         "instance_name": f"web-instance-{n}", "message": f"it failed {n}"}
        for n in range(count)
    ]  # fmt: skip
    await api.database.run(lambda session: events.add_many(session, rows))


async def deliveries(caller: Caller, subscription: dict[str, Any]) -> list[dict[str, Any]]:
    return list((await caller.get(f"/notifications/{subscription['id']}/deliveries")).json()["items"])


async def ended(caller: Caller, subscription: dict[str, Any], status: str = "delivered") -> dict[str, Any]:
    async def look() -> Any:
        found = await deliveries(caller, subscription)
        return found and all(one["status"] == status for one in found) and found[0]

    return dict(await eventually(look, f"all of it {status}", 20))


async def test_what_is_signed_arrives_and_says_what_became_of_it(api: Api, receiver: Receiver) -> None:
    caller = await api.user()
    made = await subscribe(caller, receiver.url, "instance.failed")
    await fail(api, caller, 30)
    await fail(api, caller, status="running")
    async with notifying(api):
        found = await ended(caller, made)
        assert (await caller.post(f"/notifications/{made['id']}/test")).status_code == 200
        await eventually(lambda: _truth(len(receiver.seen) == 2), "the ping", 10)
    (headers, body), (_, ping) = receiver.seen
    told = Webhook(made["secret"]).verify(body, headers)
    assert (told["type"], told["data"]["count"], len(told["data"]["events"])) == ("instance.failed", 30, 20)
    first = told["data"]["events"][0]
    assert (first["kind"], first["instance_name"], first["status"]) == ("instance.status", "web-instance-0", "failed")
    assert b'"type":"ping"' in ping
    assert headers["webhook-id"] == found["id"]
    assert (found["attempts"], found["said"], found["next_try_at"]) == (1, "HTTP 204", None)
    assert "secret" not in (await caller.get(f"/notifications/{made['id']}")).json()


async def test_only_with_the_transaction(api: Api, receiver: Receiver) -> None:
    caller = await api.user()
    made = await subscribe(caller, receiver.url)
    with contextlib.suppress(ZeroDivisionError):
        async with api.database.transaction() as session:
            row = {"kind": "cluster.phase", "actor": "platform", "owner_id": uuid.UUID(caller.id), "status": "failed"}
            await events.add_many(session, [row])
            raise ZeroDivisionError
    assert await deliveries(caller, made) == []


async def test_whoever_does_not_want_to_know_costs_no_statement(api: Api) -> None:
    """What creates a cluster is no topic; for what is one, a look whether anybody wants it is all."""
    caller, said = await api.user(), []

    def note(*what: Any) -> None:
        said.append(what[2])

    engine = api.database.engine.sync_engine
    sa.event.listen(engine, "before_cursor_execute", note)
    await caller.cluster()
    assert [text for text in said if "subscriptions" in text or "deliveries" in text] == []
    await fail(api, caller)
    sa.event.remove(engine, "before_cursor_execute", note)
    assert len([text for text in said if "subscriptions" in text or "deliveries" in text]) == 1


async def test_tried_again_until_it_is_taken(api: Api, receiver: Receiver) -> None:
    caller = await api.user()
    made = await subscribe(caller, receiver.url, "instance.failed")
    receiver.answers = [500, 503, 302]
    await fail(api, caller)
    async with notifying(api):
        found = await ended(caller, made)
        assert found["attempts"] == 4
        assert receiver.ids() == [found["id"]] * 4
        again = await caller.post(f"/notifications/{made['id']}/deliveries/{found['id']}/resend")
        assert (again.json()["status"], again.json()["attempts"]) == ("waiting", 0)
        assert (await ended(caller, made))["attempts"] == 1
    assert receiver.ids() == [found["id"]] * 5
    stamps = [int(headers["webhook-timestamp"]) for headers, _ in receiver.seen]
    assert stamps == sorted(stamps)


async def test_one_that_hangs_holds_up_nobody(api: Api, receiver: Receiver) -> None:
    caller, others = await api.user(), [await api.user() for _ in range(3)]
    async with receiving() as hanging:
        hanging.slow = 30.0
        stuck = await subscribe(caller, hanging.url, "instance.failed")
        made = [await subscribe(one, receiver.url, "instance.failed") for one in others]
        for one in [caller] * 10 + others:
            await fail(api, one)
        async with notifying(api, seconds=1.0):
            started = asyncio.get_running_loop().time()
            for one, subscription in zip(others, made, strict=True):
                await ended(one, subscription)
            took = asyncio.get_running_loop().time() - started
            assert took < 2.5
            tried = [one for one in await deliveries(caller, stuck) if one["attempts"]]
            assert {one["said"] for one in tried} <= {"no answer in time"}
        assert len(hanging.seen) <= 3, "one at a time, and a rest after each failure"
        assert len(await deliveries(caller, stuck)) == 10
        assert (await caller.delete(f"/notifications/{stuck['id']}")).status_code == 204
    async with api.database.reading() as session:
        rows = sa.select(sa.func.count()).where(Delivery.subscription_id == uuid.UUID(stuck["id"]))
        assert await session.scalar(rows) == 0


async def test_given_up_after_a_day(api: Api, receiver: Receiver) -> None:
    caller = await api.user()
    made = await subscribe(caller, receiver.url, "instance.failed")
    receiver.answers = [500]
    await fail(api, caller)
    await fail(api, caller)
    yesterday = datetime.now(UTC) - timedelta(hours=25)
    async with api.database.transaction() as session:
        mine = sa.update(Delivery).where(Delivery.subscription_id == uuid.UUID(made["id"]))
        await session.execute(mine.values(since=yesterday))
    async with notifying(api):
        found = await ended(caller, made, "gave_up")
        assert found["next_try_at"] is None
    assert len(receiver.seen) == 1, "what waited behind it is given up with it"
    assert (await caller.get(f"/notifications/{made['id']}")).json()["failures"] == 1
    month = {"history_days": 30, "audit_days": 30, "idempotency_hours": 24}
    await sweeps.prune(api.database, **month)
    assert len(await deliveries(caller, made)) == 2
    async with api.database.transaction() as session:
        await session.execute(mine.values(since=yesterday - timedelta(days=30)))
    await sweeps.prune(api.database, **month)
    assert await deliveries(caller, made) == []


async def test_of_two_workers_one_sends(api: Api, receiver: Receiver) -> None:
    callers = [await api.user() for _ in range(5)]
    made = [await subscribe(one, receiver.url, "instance.failed") for one in callers]
    for one in callers * 4:
        await fail(api, one)
    async with notifying(api), notifying(api), notifying(api):
        for one, subscription in zip(callers, made, strict=True):
            await ended(one, subscription)
    assert len(receiver.seen) == len(set(receiver.ids())) == 20


async def test_a_lease_that_ran_out_is_anothers(api: Api, receiver: Receiver) -> None:
    caller = await api.user()
    made = await subscribe(caller, receiver.url, "instance.failed")
    await fail(api, caller)
    id, dead, token = uuid.UUID(made["id"]), uuid.uuid4(), uuid.uuid4()

    async def claim(token: uuid.UUID, seconds: float) -> list[uuid.UUID]:
        return await api.database.run(
            lambda session: notifications.claim(session, token, limit=100, lease_seconds=seconds)
        )

    assert id in await claim(dead, 0.3)
    assert id not in await claim(token, 30)
    await asyncio.sleep(0.4)
    assert id in await claim(token, 30)
    late = await api.database.run(lambda session: notifications.next_of(session, id, dead, lease_seconds=9))
    assert late is None
    await api.database.run(lambda session: notifications.release(session, id, dead, failures=7))
    async with api.database.reading() as session:
        row = (await session.execute(sa.select(Subscription).where(Subscription.id == id))).scalar_one()
        assert (row.lease_token, row.failures) == (token, 0)
    await api.database.run(lambda session: notifications.release(session, id, token, failures=0))
    async with notifying(api):
        await ended(caller, made)


async def test_a_threshold_is_told_of_once_whoever_looks(api: Api, receiver: Receiver) -> None:
    caller = await api.user(quota_clusters=10)
    made = await subscribe(caller, receiver.url, "quota.threshold")
    for _ in range(7):
        await caller.cluster()
    await sweeps.thresholds(api.database)
    assert await deliveries(caller, made) == []

    async def create_and_look() -> None:
        await caller.cluster()
        await asyncio.gather(*(sweeps.thresholds(api.database) for _ in range(4)))

    await asyncio.gather(*(create_and_look() for _ in range(3)))
    assert await _told(api, caller) == [("100", "clusters")] or await _told(api, caller) == [
        ("80", "clusters"),
        ("100", "clusters"),
    ]
    told = len(await _told(api, caller))
    await asyncio.gather(*(sweeps.thresholds(api.database) for _ in range(8)))
    assert len(await _told(api, caller)) == told
    async with notifying(api):
        await ended(caller, made)
    last = Webhook(made["secret"]).verify(receiver.seen[-1][1], receiver.seen[-1][0])["data"]["events"][0]
    assert last["message"] == "100 % of the quota of clusters is reached: 10 of 10"


async def test_mail_only_to_whoever_confirmed_it(api: Api) -> None:
    caller = await api.user()
    async with mail_server() as mails, notifying(api, mails):
        made = await subscribe(caller, "ops@example.org", "instance.failed", channel="email")
        assert (made["confirmed"], made["secret"]) == (False, None)
        await fail(api, caller)
        path = f"/notifications/{made['id']}"
        assert (await caller.post(f"{path}/test")).json()["code"] == "wrong_state"
        await eventually(lambda: _truth(mails.to("ops@example.org")), "the code", 10)
        (asked,) = mails.to("ops@example.org")
        code = asked.get_content().split(made["id"])[1].split()[0]
        wrong = await caller.post(f"{path}/confirm", json={"code": "no" + code})
        assert wrong.status_code == 422
        assert (await caller.post(f"{path}/confirm", json={"code": code})).json()["confirmed"] is True
        assert (await caller.post(f"{path}/confirm", json={"code": "again"})).json()["confirmed"] is True
        await fail(api, caller)
        await eventually(lambda: _truth(len(mails.to("ops@example.org")) == 2), "the mail", 10)
        assert mails.to("ops@example.org")[1]["Subject"] == "CMP: instance.failed: web-instance-0"
        (delivered, *_) = await deliveries(caller, made)
        assert delivered["said"] == "the mail server has it"
        first = (await deliveries(caller, made))[-1]["id"]
        assert (await caller.post(f"{path}/deliveries/{first}/resend")).json()["code"] == "wrong_state"


async def test_nobody_is_asked_again_and_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MOST_ADDRESSES", 2)
    caller = await api.user()
    for n in range(3):
        body = {"channel": "email", "target": f"victim{n}@example.org"}
        answer = await caller.post("/notifications/", json=body)
        if n < 2:
            assert (await caller.delete(f"/notifications/{answer.json()['id']}")).status_code == 204
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many")
    assert (await caller.get("/notifications/")).json()["items"] == []


async def test_nobody_is_mailed_the_same_code_again_and_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MOST_ADDRESSES", 2)
    caller = await api.user()
    made = (await caller.post("/notifications/", json={"channel": "email", "target": "victim@example.org"})).json()
    path = f"/notifications/{made['id']}/deliveries"
    (asked,) = (await caller.get(path)).json()["items"]
    answers = [(await caller.post(f"{path}/{asked['id']}/resend")).status_code for _ in range(3)]
    assert answers == [200, 429, 429]


async def test_what_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caller, other = await api.user(), await api.user()
    wrong = ("ftp://ops.example.org", "https://u:p@ops.example.org", "https://", "http://10.0.0.1/", "https://[::]/")
    for target in wrong:
        answer = await caller.post("/notifications/", json={"channel": "webhook", "target": target})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
        assert target not in answer.text
    answer = await caller.post("/notifications/", json={"channel": "email", "target": "nobody"})
    assert answer.status_code == 422
    monkeypatch.setattr(service, "MOST", 1)
    made = await subscribe(caller, "https://ops.example.org/?key=canary%20of%20the%20webhook")
    full = await caller.post("/notifications/", json={"channel": "webhook", "target": "https://ops.example.org/"})
    assert full.status_code == 409
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/test"), ("GET", "/deliveries")):
        answer = await other.request(method, f"/notifications/{made['id']}{path}")
        missing = await other.request(method, f"/notifications/{uuid.uuid4()}{path}")
        assert answer.status_code == missing.status_code == 404
        assert answer.json()["detail"] == missing.json()["detail"]
    history = (await caller.get("/events/history")).text
    assert "webhook to ops.example.org" in history
    assert "canary" not in history


async def test_whoever_leaves_or_is_disabled_is_not_told(api: Api, receiver: Receiver) -> None:
    caller = await api.user()
    made = await subscribe(caller, receiver.url)
    await fail(api, caller)
    assert (await api.admin.patch(f"/users/{caller.id}", json={"disabled": True})).status_code == 200
    await fail(api, caller)
    async with api.database.reading() as session:
        mine = sa.select(sa.func.count()).where(Delivery.subscription_id == uuid.UUID(made["id"]))
        assert await session.scalar(mine) == 1
    await sweeps.thresholds(api.database)
    assert (await api.admin.delete(f"/users/{caller.id}")).status_code == 204
    async with api.database.reading() as session:
        assert await session.scalar(mine) == 0
        kept = sa.select(sa.func.count()).where(Subscription.id == uuid.UUID(made["id"]))
        assert await session.scalar(kept) == 0


async def test_without_mail_or_a_key(api: Api, databases: Any, tmp_path: Any) -> None:
    async with running_api(await databases.migrated(), tmp_path) as bare:
        answer = await bare.admin.post("/notifications/", json={"channel": "email", "target": "ops@example.org"})
        assert (answer.status_code, answer.json()["code"]) == (409, "unsupported")
        keyless = databases.kind != "sqlite"
        answer = await bare.admin.post(
            "/notifications/", json={"channel": "webhook", "target": "https://x.example.org/"}
        )
        assert answer.status_code == (409 if keyless else 201)


async def test_the_secret_is_shown_once(api: Api) -> None:
    caller = await api.user()
    body = {"channel": "webhook", "target": "https://ops.example.org/"}
    first, second = [
        await caller.post("/notifications/", json=body, headers={"Idempotency-Key": "once"}) for _ in range(2)
    ]
    assert first.json()["secret"].startswith("whsec_")
    assert second.json() == first.json() | {"secret": None}
    async with api.database.reading() as session:
        kept = await session.scalar(
            sa.select(Subscription.secret).where(Subscription.id == uuid.UUID(first.json()["id"]))
        )
    assert first.json()["secret"] not in str(kept)


async def _told(api: Api, caller: Caller) -> list[tuple[str | None, str | None]]:
    statement = sa.select(Event.status, Event.reason).where(
        Event.owner_id == uuid.UUID(caller.id), Event.kind == "quota.threshold"
    )
    async with api.database.reading() as session:
        return [(row.status, row.reason) for row in await session.execute(statement.order_by(Event.id))]


async def _truth(of: Any) -> bool:
    return bool(of)
