"""The audit trail: who tried what."""

import json
from typing import Any, cast

import click

from cmpctl.output import Column, Output, outputs
from cmpctl.session import Session, pass_session

_COLUMNS = [
    Column("when", lambda row: row["created_at"][:19].replace("T", " ")),
    Column("who", lambda row: row["actor"] or "nobody"),
    Column("method", "method"),
    Column("path", "path"),
    Column("outcome", "outcome"),
    Column("status", "status"),
    Column("from", "address", wide=True),
    Column("credential", "credential", wide=True),
    Column("request", "request_id", wide=True),
    Column("id", "id", wide=True),
]
_VERIFIED = [Column("entries", "entries"), Column("broken at", "broken_at"), Column("unkeyed", "unkeyed")]


def _filters(command: Any) -> Any:
    for option in (
        click.option("--until", metavar="TIME", help="RFC 3339."),
        click.option("--since", metavar="TIME", help="RFC 3339, such as 2027-01-31T08:00:00Z."),
        click.option("--request-id", help="Of one request."),
        click.option("--outcome", help="done, refused, failed, pending or unknown."),
        click.option("--method", help="POST, PUT, PATCH, DELETE, GET or WEBSOCKET."),
        click.option("--actor", help="A username."),
        click.option("--everyones", is_flag=True, help="Everybody's (administrators, operators)."),
    ):
        command = option(command)
    return command


@click.group()
def audit() -> None:
    """Who tried what, from where, and what became of it."""


@audit.command("list")
@click.option("-n", "--last", default=50, type=click.IntRange(1, 500), show_default=True, help="How many.")
@_filters
@outputs(_COLUMNS, name="id")
@pass_session
def list_entries(session: Session, output: Output, last: int, **asked: Any) -> None:
    """List entries, newest first."""
    query = {key: value for key, value in asked.items() if value}
    output.listed(lambda: cast(Any, session.client.audit.list(limit=last, **query).page()["items"]))


@audit.command()
@_filters
@pass_session
def export(session: Session, **asked: Any) -> None:
    """All of it, a line of JSON for each entry."""
    for entry in session.client.audit.export(**{key: value for key, value in asked.items() if value}):
        click.echo(json.dumps(entry))


@audit.command()
@outputs(_VERIFIED, listing=False, name="entries")
@pass_session
def verify(session: Session, output: Output) -> None:
    """Whether the trail still fits together. Exits with 1 where it does not."""
    found = session.client.audit.verify()
    output.shown(cast(Any, found))
    if found["broken_at"] is not None:
        raise click.exceptions.Exit(1)
