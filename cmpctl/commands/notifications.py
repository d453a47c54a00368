"""Where one is told of failures and of one's quota."""

from typing import Any, cast

import click

from cmpctl import resolve
from cmpctl.output import Column, Output, ago, outputs
from cmpctl.session import Session, pass_session

TOPICS = ("quota.threshold", "cluster.failed", "instance.failed", "operation.failed")
_COLUMNS = [
    Column("id", lambda row: row["id"][:13]),
    Column("channel", "channel"),
    Column("target", "target"),
    Column("topics", "topics"),
    Column("confirmed", "confirmed"),
    Column("failures", "failures"),
    Column("age", ago("created_at")),
    Column("uuid", "id", wide=True),
]
_MADE = [Column(name, name) for name in ("id", "target", "topics", "confirmed", "secret")]
_DELIVERIES = [
    Column("id", lambda row: row["id"][:13]),
    Column("topic", "topic"),
    Column("status", "status"),
    Column("tries", "attempts"),
    Column("said", "said"),
    Column("next", lambda row: (row["next_try_at"] or "")[:19].replace("T", " ")),
    Column("age", ago("created_at")),
    Column("uuid", "id", wide=True),
]


@click.group()
def notifications() -> None:
    """Be told of failures and of your quota, by webhook or mail."""


@notifications.command("list")
@outputs(_COLUMNS, name="id")
@pass_session
def list_subscriptions(session: Session, output: Output) -> None:
    """Where you are told of what."""
    output.listed(lambda: cast(Any, session.client.notifications.list(limit=500)))


@notifications.command()
@click.argument("target")
@click.option("--topic", multiple=True, type=click.Choice(TOPICS), help="Of what; without it, of everything.")
@outputs(_MADE, listing=False, name="id")
@pass_session
def create(session: Session, output: Output, target: str, topic: tuple[str, ...]) -> None:
    """Be told at TARGET: an https:// URL, or a mail address. A URL's secret is shown this once."""
    channel = "webhook" if "://" in target else "email"
    body: Any = {"channel": channel, "target": target, "topics": list(topic or TOPICS)}
    made = session.client.notifications.create(body)
    output.shown(cast(Any, made))
    if not made["confirmed"]:
        session.say(f"A code was sent there. Then: cmpctl notifications confirm {made['id']} CODE")


@notifications.command()
@click.argument("subscription")
@outputs(_COLUMNS, listing=False, name="id")
@pass_session
def show(session: Session, output: Output, subscription: str) -> None:
    """One subscription."""
    output.shown(cast(Any, session.client.notifications.get(_id(session, subscription))))


@notifications.command()
@click.argument("subscription")
@click.argument("code")
@pass_session
def confirm(session: Session, subscription: str, code: str) -> None:
    """Confirm a mail address with the code that was sent there."""
    found = session.client.notifications.confirm(_id(session, subscription), {"code": code})
    session.say(f"{found['target']} is confirmed.")


@notifications.command()
@click.argument("subscription")
@outputs(_DELIVERIES, listing=False, name="id")
@pass_session
def test(session: Session, output: Output, subscription: str) -> None:
    """Be sent a ping now."""
    output.shown(cast(Any, session.client.notifications.test(_id(session, subscription))))


@notifications.command()
@click.argument("subscription")
@outputs(_DELIVERIES, name="id")
@pass_session
def deliveries(session: Session, output: Output, subscription: str) -> None:
    """What was sent, newest first, and what became of it."""
    id = _id(session, subscription)
    output.listed(lambda: cast(Any, session.client.notifications.deliveries(id, limit=500)))


@notifications.command()
@click.argument("subscription")
@click.argument("delivery")
@outputs(_DELIVERIES, listing=False, name="id")
@pass_session
def resend(session: Session, output: Output, subscription: str, delivery: str) -> None:
    """Send a message again, under the id that it had."""
    id = _id(session, subscription)
    calls = session.client.notifications
    found: Any = resolve.begun(delivery, "delivery", None, lambda: cast(Any, calls.deliveries(id, limit=500)), "id")
    output.shown(cast(Any, calls.resend(id, found["id"])))


@notifications.command()
@click.argument("subscription")
@pass_session
def delete(session: Session, subscription: str) -> None:
    """Be told there no more."""
    session.client.notifications.delete(_id(session, subscription))
    session.say("You are told there no more.")


def _id(session: Session, key: str) -> str:
    rows = session.client.notifications.list(limit=500)
    found: Any = resolve.begun(key, "subscription", None, lambda: cast(Any, rows), "id")
    return str(found["id"])
