"""Operations and events: what was begun, what goes on, what happened."""

from collections.abc import Iterable
from typing import Any, cast

import click

from cmpctl import progress, resolve
from cmpctl.completion import cluster_names, operation_ids
from cmpctl.output import Column, Output, age, ago, outputs
from cmpctl.session import Session, pass_session

COLUMNS = [
    Column("id", lambda row: row["id"][:13]),
    Column("kind", "kind"),
    Column("what", lambda row: row["instance_name"] or row["cluster_name"]),
    Column("status", "status"),
    Column("done", lambda row: f"{row['done']}/{row['total']}"),
    Column("age", ago("created_at")),
    Column("by", "actor"),
    Column("request", "request_id", wide=True),
    Column("uuid", "id", wide=True),
    Column("message", lambda row: row["message"] or row["reason"]),
]
_DETAIL = [
    Column("id", "id"),
    *[column for column in COLUMNS if column.name not in ("id", "uuid", "age")],
    Column("took", lambda row: _took(row)),
    Column("created", "created_at"),
    Column("finished", "finished_at"),
]
_EVENTS = [
    Column("when", lambda row: row["created_at"][:19].replace("T", " ")),
    Column("kind", "kind"),
    Column("what", lambda row: row["instance_name"] or row["cluster_name"]),
    Column("status", "status"),
    Column("by", "actor"),
    Column("id", "id", wide=True),
    Column("request", "request_id", wide=True),
    Column("message", lambda row: row["message"] or row["reason"]),
]


@click.group()
def operations() -> None:
    """Operations: what was begun, by whom, and what became of it."""


@operations.command("list")
@click.option("--status", help="pending, running, succeeded, failed or cancelled.")
@click.option("--kind", help="cluster.create, instance.stop, …")
@click.option("--cluster", shell_complete=cluster_names, help="Of this cluster.")
@click.option("--everyones", is_flag=True, help="Everybody's (administrators, operators).")
@click.option("-n", "--last", default=50, type=click.IntRange(1, 500), show_default=True, help="How many.")
@outputs(COLUMNS, name="id")
@pass_session
def list_operations(session: Session, output: Output, last: int, cluster: str | None, **asked: Any) -> None:
    """List operations, newest first."""
    query = {key: value for key, value in asked.items() if value}
    if cluster is not None:
        query["cluster_id"] = resolve.cluster(session.client, cluster)["id"]
    output.listed(lambda: cast(Any, session.client.operations.list(limit=last, **query).page()["items"]))


@operations.command()
@click.argument("operation", shell_complete=operation_ids)
@outputs(_DETAIL, listing=False, name="id")
@pass_session
def show(session: Session, output: Output, operation: str) -> None:
    """Who, what, when, and what became of it."""
    output.shown(cast(Any, _found(session, operation)))


@click.command()
@click.argument("operation", nargs=-1, required=True, shell_complete=operation_ids)
@click.option("--timeout", type=click.FloatRange(min=0), help="Seconds to wait at most; exit code 10 then.")
@pass_session
def wait(session: Session, operation: tuple[str, ...], timeout: float | None) -> None:
    """Wait for operations. Ctrl-C ends the waiting, not the work."""
    found = [_found(session, one) for one in operation]
    progress.finish(session, found, wait=True, timeout=timeout)


operations.add_command(wait)


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens from now on, until Ctrl-C.")
@click.option("--cluster", shell_complete=cluster_names, help="Of this cluster.")
@click.option("--everyones", is_flag=True, help="Everybody's (administrators, operators).")
@click.option("--after", type=int, metavar="ID", help="With --follow: those after this event first.")
@click.option("-n", "--last", default=50, type=click.IntRange(1, 500), show_default=True, help="How many past ones.")
@outputs(_EVENTS, name="id")
@pass_session
def events(
    session: Session,
    output: Output,
    follow: bool,
    cluster: str | None,
    everyones: bool,
    after: int | None,
    last: int,
) -> None:
    """What happened; with --follow, what happens. JSON is a line for each event then."""
    id = resolve.cluster(session.client, cluster)["id"] if cluster is not None else None
    if not follow:
        query: dict[str, Any] = {"cluster_id": id, "everyones": everyones or None}
        output.listed(lambda: cast(Any, session.client.events.history(limit=last, **query).page()["items"]))
        return
    stream = session.client.events.follow(cluster_id=id, everyones=everyones or None, after=after)
    output.streamed(cast(Iterable[Any], stream))


def _found(session: Session, key: str) -> Any:
    from cmpctl.client.errors import Invalid, NotFound

    try:
        return session.client.operations.get(key)
    except (NotFound, Invalid):
        by_id = session.client.operations.list(limit=500)
        found = resolve.begun(key, "operation", None, lambda: cast(Any, by_id), name="id")
        return session.client.operations.get(found["id"])


def _took(row: Any) -> str | None:
    from datetime import datetime

    if row["finished_at"] is None:
        return None
    took = datetime.fromisoformat(row["finished_at"]) - datetime.fromisoformat(row["created_at"])
    return f"{took.total_seconds():.1f} s" if took.total_seconds() < 60 else age(took.total_seconds())
