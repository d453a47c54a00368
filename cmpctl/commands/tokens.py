"""One's tokens and sign-ins."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import click

from cmpctl import resolve
from cmpctl.output import Column, Output, ago, outputs
from cmpctl.session import Session, pass_session

COLUMNS = [
    Column("id", lambda row: row["id"][:13]),
    Column("name", "name"),
    Column("kind", "kind"),
    Column("scopes", lambda row: row["scopes"] or "all"),
    Column("used", ago("last_used_at")),
    Column("expires", lambda row: (row["expires_at"] or "never")[:16].replace("T", " ")),
    Column("age", ago("created_at")),
    Column("hint", "hint", wide=True),
    Column("uuid", "id", wide=True),
]
_MADE = [
    Column("id", "id"),
    Column("name", "name"),
    Column("token", "token"),
    Column("client id", "client_id"),
    Column("client secret", "client_secret"),
    Column("expires", "expires_at"),
]


@click.group()
def tokens() -> None:
    """Tokens and sign-ins. Administrators see and make others' with --user."""


@tokens.command("list")
@click.option("--user", help="Another's (administrators, operators).")
@click.option("--kind", help="bearer, client, oauth or browser.")
@outputs(COLUMNS)
@pass_session
def list_tokens(session: Session, output: Output, user: str | None, kind: Any) -> None:
    """List tokens and sign-ins."""
    output.listed(lambda: cast(Any, _listed(session, user, kind)))


@tokens.command()
@click.argument("name")
@click.option("--kind", default="bearer", type=click.Choice(["bearer", "client"]), show_default=True)
@click.option("--scope", multiple=True, help="read, operate, write, admin; none is all that you may.")
@click.option("--days", type=click.IntRange(min=1), help="It ends after so many days; without it never.")
@click.option("--user", help="For another (administrators).")
@outputs(_MADE, listing=False)
@pass_session
def create(
    session: Session,
    output: Output,
    name: str,
    kind: Any,
    scope: tuple[str, ...],
    days: int | None,
    user: str | None,
) -> None:
    """Make a token. Its secret is shown this once."""
    ends = (datetime.now(UTC) + timedelta(days=days)).isoformat() if days is not None else None
    body: Any = {"name": name, "kind": kind, "scopes": list(scope) or None, "expires_at": ends}
    calls = session.client.tokens
    output.shown(cast(Any, calls.create_for(user, body) if user else calls.create(body)))


@tokens.command()
@click.argument("token")
@click.option("--user", help="Another's (administrators).")
@pass_session
def revoke(session: Session, token: str, user: str | None) -> None:
    """End a token or a sign-in, by its name or id."""
    named = [row for row in _listed(session, user, None) if row["name"] == token]
    if len(named) > 1:
        raise resolve.Ambiguous(f"{len(named)} are called {token}. Give an id: cmpctl tokens list")
    found: Any = (
        named[0] if named else resolve.begun(token, "token", None, lambda: cast(Any, _listed(session, user, None)))
    )
    if user:
        session.client.tokens.revoke_of(user, found["id"])
    else:
        session.client.tokens.revoke(found["id"])
    session.say(f"{found['name']} is in force no more.")


@tokens.command("replace")
@click.option("--user", help="Another's (administrators).")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@pass_session
def replace(session: Session, user: str | None, yes: bool) -> None:
    """Replace the token that an account was made with; the one before ends. The new one goes to stdout, once."""
    who = user or session.client.users.me()["username"]
    session.confirm(f"This ends the account token of {who}.", who, yes)
    found = session.client.users.replace_token(user) if user else session.client.users.replace_my_token()
    click.echo(found["token"])


def _listed(session: Session, user: str | None, kind: Any) -> Any:
    calls = session.client.tokens
    return calls.list_of(user, kind=kind, limit=500) if user else calls.list(kind=kind, limit=500)
