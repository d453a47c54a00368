"""The platform: how it is, and its keys."""

from typing import Any, cast

import click

from cmpctl.commands.users import users
from cmpctl.output import Column, Output, outputs
from cmpctl.session import Session, pass_session

_HEALTH = [
    Column("part", "part"),
    Column("state", lambda row: "ok" if row["ok"] else "failed"),
    Column("detail", "detail"),
]
_REPORT = [
    Column("workers", lambda row: "\n".join(f"{one['host']} pid {one['pid']}  {_at(one)}" for one in row["workers"])),
    Column("at clusters", "leases_held"),
    Column("must be so", lambda row: "\n".join(map(_invariant, row["invariants"]))),
    Column("repaired", lambda row: "\n".join(f"{one['kind']}  {one['message'] or ''}" for one in row["repairs"])),
]
_RESEALED = [Column("resealed", "resealed"), Column("unreadable", "unreadable")]


@click.group()
def admin() -> None:
    """The platform: health, users, keys."""


admin.add_command(users)


@admin.command()
@outputs(_HEALTH, name="part")
@pass_session
def health(session: Session, output: Output) -> None:
    """Every part and how it is. Exits with 1 where one is not well."""
    found = session.client.platform.health()
    output.listed(lambda: [{"part": name, **cast(Any, part)} for name, part in found["parts"].items()])
    if found["status"] != "ok":
        raise click.exceptions.Exit(1)


@admin.command()
@outputs(_REPORT, listing=False, name="leases_held")
@pass_session
def report(session: Session, output: Output) -> None:
    """Who is at work, and whether what must be so is so. Exits with 1 where it is not."""
    found = session.client.platform.report()
    output.shown(cast(Any, found))
    if not all(one["holds"] for one in found["invariants"]):
        raise click.exceptions.Exit(1)


@admin.group()
def keys() -> None:
    """The keys that access tokens are signed with, and secrets sealed with."""


@keys.command()
@click.option("--withdraw", is_flag=True, help="And take none that the earlier ones signed.")
@pass_session
def rotate(session: Session, withdraw: bool) -> None:
    """Sign access tokens with a new key."""
    session.client.platform.rotate_signing_keys(withdraw=withdraw or None)
    session.say("A new key signs from now on.")


@keys.command()
@outputs(_RESEALED, listing=False, name="resealed")
@pass_session
def reseal(session: Session, output: Output) -> None:
    """Seal every secret with the newest key."""
    output.shown(cast(Any, session.client.platform.reseal_secrets()))


def _at(worker: Any) -> str:
    return worker["kubernetes_error"] or worker["kubernetes"] or "connecting"


def _invariant(one: Any) -> str:
    return f"{'yes' if one['holds'] else 'NO '}  {one['name']}{': ' + ', '.join(one['found']) if one['found'] else ''}"
