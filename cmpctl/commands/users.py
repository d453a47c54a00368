"""Users: for administrators, and to look at for operators."""

import sys
from typing import Any, cast

import click

from cmpctl import progress, sizes
from cmpctl.completion import user_names
from cmpctl.output import Column, Output, ago, mib, outputs
from cmpctl.session import Session, pass_session

_DIMENSIONS = ("cpu", "memory", "instances", "clusters", "storage")


def _use(name: str) -> Any:
    def found(row: Any) -> str:
        used, limit = row[f"used_{name}"], row[f"quota_{name}"]
        if name in ("memory", "storage"):
            return f"{mib(used)}/{mib(limit)}"
        return f"{used:g}/{limit:g}"

    return found


COLUMNS = [
    Column("name", "username"),
    Column("role", "role"),
    Column("state", lambda row: "disabled" if row["disabled"] else "enabled"),
    *[Column(name, _use(name), wide=name == "storage") for name in _DIMENSIONS],
    Column("age", ago("created_at")),
    Column("kind", "kind", wide=True),
    Column("strategy", "quota_strategy", wide=True),
    Column("password", "has_password", wide=True),
    Column("id", "id", wide=True),
]
_MADE = [Column("name", "username"), Column("role", "role"), Column("id", "id"), Column("token", "token")]
_IDENTITIES = [
    Column("id", "id"),
    Column("issuer", "issuer"),
    Column("subject", "subject"),
    Column("age", ago("created_at")),
]


@click.group()
def users() -> None:
    """Users, their limits and how they come in (administrators)."""


def limits(command: Any) -> Any:
    """The options that set quotas."""
    for option in (
        click.option("--strategy", help="allocated: what exists is charged; running: what runs."),
        click.option("--storage", help="Persistent volumes: 64Gi, or MiB."),
        click.option("--clusters", type=int, help="How many."),
        click.option("--instances", type=int, help="How many."),
        click.option("--memory", help="64Gi, or MiB."),
        click.option("--cpu", help="Cores."),
    ):
        command = option(command)
    return command


def _limits(given: dict[str, Any]) -> dict[str, Any]:
    found = {
        "quota_cpu": sizes.cores(given["cpu"]) if given["cpu"] else None,
        "quota_memory": sizes.amount(given["memory"]) if given["memory"] else None,
        "quota_storage": sizes.amount(given["storage"]) if given["storage"] else None,
        "quota_instances": given["instances"],
        "quota_clusters": given["clusters"],
        "quota_strategy": given["strategy"],
    }
    return {key: value for key, value in found.items() if value is not None}


@users.command("list")
@click.argument("name", required=False)
@click.option("--role", help="admin, operator, user or viewer.")
@click.option("--near", type=click.IntRange(1, 100), metavar="PERCENT", help="Who uses so much of a limit.")
@outputs(COLUMNS, name="username")
@pass_session
def list_users(session: Session, output: Output, name: str | None, role: Any, near: int | None) -> None:
    """List users; NAME is a part of the name."""

    def fetch() -> Any:
        found = session.client.users.list(name=name, role=role, limit=500)
        return [row for row in found if near is None or _share(row) * 100 >= near]

    output.listed(fetch)


@users.command()
@click.argument("user", shell_complete=user_names)
@outputs([*COLUMNS, Column("updated", "updated_at")], listing=False, name="username")
@pass_session
def show(session: Session, output: Output, user: str) -> None:
    """One user."""
    output.shown(cast(Any, session.client.users.get(user)))


@users.command()
@click.argument("username")
@click.option("--role", default="user", help="admin, operator, user or viewer.", show_default=True)
@click.option("--service", is_flag=True, help="A program's account: tokens, no password.")
@limits
@outputs(_MADE, listing=False, name="username")
@pass_session
def create(session: Session, output: Output, username: str, role: str, service: bool, **given: Any) -> None:
    """Make a user. The token is shown this once."""
    body: Any = {"username": username, "role": role, **_limits(given)} | ({"kind": "service"} if service else {})
    output.shown(cast(Any, session.client.users.create(body)))


@users.command()
@click.argument("user", shell_complete=user_names)
@click.option("--role", help="admin, operator, user or viewer.")
@limits
@pass_session
def change(session: Session, user: str, role: str | None, **given: Any) -> None:
    """Change a user's role or limits."""
    body: Any = _limits(given) | ({"role": role} if role else {})
    if not body:
        raise click.UsageError("Say what is to be different: --role, --cpu, --memory, …")
    session.client.users.change(user, body)
    session.say(f"{user} is changed.")


@users.command()
@click.argument("user", shell_complete=user_names)
@click.option("--stop", is_flag=True, help="Stop the user's instances too.")
@pass_session
def disable(session: Session, user: str, stop: bool) -> None:
    """Let a user in no more; what they have stays."""
    session.client.users.change(user, {"disabled": True, "instances": "stop" if stop else "keep"})
    session.say(f"{user} is disabled.")


@users.command()
@click.argument("user", shell_complete=user_names)
@pass_session
def enable(session: Session, user: str) -> None:
    """Let a user in again."""
    session.client.users.change(user, {"disabled": False})
    session.say(f"{user} is enabled.")


@users.command()
@click.argument("user", shell_complete=user_names)
@click.option("--clusters", type=click.Choice(["delete", "transfer"]), help="What becomes of the user's clusters.")
@click.option("--to", help="With --clusters transfer: whose they are then.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@progress.waits
@pass_session
def delete(
    session: Session, user: str, clusters: Any, to: str | None, yes: bool, wait: bool, timeout: float | None
) -> None:
    """Delete a user. With --clusters delete, once their clusters are gone."""
    found = session.client.users.get(user)
    session.confirm(f"This deletes the user {found['username']}.", found["username"], yes)
    leaving = session.client.users.delete(found["id"], clusters=clusters, to=to)
    if leaving is not None:
        progress.finish(session, leaving["operations"], wait=wait, timeout=timeout)
        if not wait:
            session.say(f"When that is done: cmpctl users delete {found['username']}")
            return
        session.client.users.delete(found["id"])
    session.say(f"{found['username']} is deleted.")


@users.command("password")
@click.argument("user", shell_complete=user_names)
@click.option("--remove", is_flag=True, help="Take it away instead.")
@click.option("--stdin", is_flag=True, help="Read it from stdin, in one line.")
@pass_session
def password(session: Session, user: str, remove: bool, stdin: bool) -> None:
    """Set a user's password."""
    if remove:
        session.client.users.remove_password(user)
        session.say(f"{user} has no password any more.")
        return
    asked = click.prompt("New password", hide_input=True, confirmation_prompt=True, err=True) if not stdin else ""
    session.client.users.set_password(user, {"password": sys.stdin.readline().rstrip("\n") if stdin else asked})
    session.say(f"{user}'s password is set.")


@users.group("identities")
def identities() -> None:
    """Whom single sign-on takes for a user."""


@identities.command("list")
@click.argument("user", shell_complete=user_names)
@outputs(_IDENTITIES, name="id")
@pass_session
def list_identities(session: Session, output: Output, user: str) -> None:
    """Linked subjects."""
    output.listed(lambda: cast(Any, session.client.identities.list(user)))


@identities.command()
@click.argument("user", shell_complete=user_names)
@click.argument("issuer")
@click.argument("subject")
@outputs(_IDENTITIES, listing=False, name="id")
@pass_session
def link(session: Session, output: Output, user: str, issuer: str, subject: str) -> None:
    """Let the provider's SUBJECT in as USER."""
    output.shown(cast(Any, session.client.identities.link(user, {"issuer": issuer, "subject": subject})))


@identities.command()
@click.argument("user", shell_complete=user_names)
@click.argument("identity")
@pass_session
def unlink(session: Session, user: str, identity: str) -> None:
    """Take it away again."""
    session.client.identities.unlink(user, identity)
    session.say("Unlinked.")


def _share(row: Any) -> float:
    return max(
        (row[f"used_{name}"] / row[f"quota_{name}"] for name in _DIMENSIONS if row[f"quota_{name}"]), default=0.0
    )
