"""Sharing clusters with others, and giving them away."""

from typing import Any, cast

import click

from cmpctl import resolve
from cmpctl.completion import cluster_names, user_names
from cmpctl.output import Column, Output, ago, mib, outputs
from cmpctl.session import Session, pass_session

_GRANTS = [
    Column("user", "username"),
    Column("level", "level"),
    Column("by", "granted_by"),
    Column("age", ago("created_at")),
]
_TRANSFERS = [
    Column("id", lambda row: row["id"][:13]),
    Column("cluster", "cluster_name"),
    Column("from", "owner"),
    Column("to", "to"),
    Column("needs", lambda row: f"{row['needs']['cpu']:g} cores, {mib(row['needs']['memory'])}"),
    Column("age", ago("created_at")),
    Column("uuid", "id", wide=True),
]


@click.group()
def share() -> None:
    """Share clusters: with whom, and as what."""


@share.command("list")
@click.argument("cluster", shell_complete=cluster_names)
@outputs(_GRANTS, name="username")
@pass_session
def list_grants(session: Session, output: Output, cluster: str) -> None:
    """Whom a cluster is shared with."""
    found = resolve.cluster(session.client, cluster)
    output.listed(lambda: cast(Any, session.client.grants.list(found["id"])))


@share.command()
@click.argument("cluster", shell_complete=cluster_names)
@click.argument("user", shell_complete=user_names)
@outputs(_GRANTS, listing=False, name="username")
@pass_session
def show(session: Session, output: Output, cluster: str, user: str) -> None:
    """What USER may with a cluster."""
    output.shown(cast(Any, session.client.grants.get(resolve.cluster(session.client, cluster)["id"], user)))


@share.command()
@click.argument("cluster", shell_complete=cluster_names)
@click.argument("user", shell_complete=user_names)
@click.argument("level", default="view", type=click.Choice(["view", "operate", "manage"]))
@pass_session
def add(session: Session, cluster: str, user: str, level: Any) -> None:
    """Let USER view, operate or manage a cluster. Given again, it changes the level."""
    found = resolve.cluster(session.client, cluster)
    session.client.grants.put(found["id"], user, {"level": level})
    session.say(f"{user} may now {level} {found['name']}.")


@share.command()
@click.argument("cluster", shell_complete=cluster_names)
@click.argument("user", shell_complete=user_names)
@pass_session
def remove(session: Session, cluster: str, user: str) -> None:
    """Share it with USER no longer."""
    found = resolve.cluster(session.client, cluster)
    session.client.grants.delete(found["id"], user)
    session.say(f"{found['name']} is not shared with {user} any more.")


@click.group()
def transfers() -> None:
    """Give clusters to others, and take what is offered."""


@transfers.command("list")
@outputs(_TRANSFERS, name="id")
@pass_session
def list_transfers(session: Session, output: Output) -> None:
    """What you offer, and what is offered to you."""
    output.listed(lambda: cast(Any, session.client.transfers.list()))


@transfers.command("show")
@click.argument("transfer")
@outputs(_TRANSFERS, listing=False, name="id")
@pass_session
def show_transfer(session: Session, output: Output, transfer: str) -> None:
    """One offer."""
    output.shown(cast(Any, session.client.transfers.get(_found(session, transfer)["id"])))


@transfers.command()
@click.argument("cluster", shell_complete=cluster_names)
@click.argument("user", shell_complete=user_names)
@click.option("--now", is_flag=True, help="At once, without asking them (administrators).")
@pass_session
def offer(session: Session, cluster: str, user: str, now: bool) -> None:
    """Offer a cluster to USER, who takes it with `cmpctl transfers accept`."""
    found = resolve.cluster(session.client, cluster)
    if now:
        session.client.transfers.move(found["id"], {"to": user})
        session.say(f"{found['name']} is {user}'s now.")
        return
    made = session.client.transfers.offer(found["id"], {"to": user})
    session.say(f"{found['name']} is offered to {user}. They type: cmpctl transfers accept {made['id'][:13]}")


@transfers.command()
@click.argument("transfer")
@pass_session
def accept(session: Session, transfer: str) -> None:
    """Take a cluster that is offered to you; it counts on your quota then."""
    taken = session.client.transfers.accept(_found(session, transfer)["id"])
    session.say(f"{taken['name']} is yours now.")


@transfers.command()
@click.argument("transfer")
@pass_session
def decline(session: Session, transfer: str) -> None:
    """Decline an offer, or withdraw one's own."""
    found = _found(session, transfer)
    session.client.transfers.delete(found["id"])
    session.say(f"The offer of {found['cluster_name']} is no more.")


def _found(session: Session, key: str) -> Any:
    """By the cluster's name, or the beginning of the offer's id."""
    rows: list[Any] = list(session.client.transfers.list())
    named = [row for row in rows if row["cluster_name"] == key]
    return named[0] if len(named) == 1 else resolve.begun(key, "offer", None, lambda: rows)
