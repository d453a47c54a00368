"""Who one is: login, logout, whoami, profiles, quota, password."""

import sys
import time
from pathlib import Path
from typing import Any, cast

import click

from cmpctl import trouble
from cmpctl.client.credentials import Credentials
from cmpctl.output import Column, Output, outputs
from cmpctl.session import Session, pass_session

_DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
_ME = [
    Column("username", "username"),
    Column("role", "role"),
    Column("kind", "kind"),
    Column("id", "id"),
    Column("url", "url"),
    Column("profile", "profile"),
    Column("may", lambda row: "\n".join(row["permissions"])),
]
_QUOTA = [
    Column("strategy", "strategy"),
    Column("total", "total"),
    Column("used", "used"),
    Column("left", "available"),
]
_PROFILES = [Column("current", "current"), Column("name", "name"), Column("url", "url"), Column("user", "username")]


@click.command()
@click.argument("url", required=False)
@click.option(
    "--token", prompt="Token", prompt_required=False, hide_input=True, help="Use a token; - reads it from stdin."
)
@click.option("--token-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Use the token in it.")
@click.option("--ca-file", type=click.Path(exists=True, dir_okay=False), help="Trust this authority's certificates.")
@click.option("--no-browser", is_flag=True, help="Only print where to go.")
@click.option("--scope", help="Ask for less: read, operate, write, admin; several with spaces.")
@pass_session
def login(
    session: Session,
    url: str | None,
    token: str | None,
    token_file: Path | None,
    ca_file: str | None,
    no_browser: bool,
    scope: str | None,
) -> None:
    """Sign in to the CMP at URL: in a browser, or with a token."""
    url = (url or session.url).rstrip("/")
    if not url.startswith(("http://", "https://")):
        url = f"https://{url}"
    if token_file is not None:
        token = token_file.read_text().strip()
    elif token == "-":  # noqa: S105
        token = sys.stdin.readline().strip()
    name = session.profile
    profile: dict[str, Any] = {"url": url} | ({"ca_file": str(Path(ca_file).resolve())} if ca_file else {})
    if token is not None:
        profile["token"] = token
    else:
        profile |= _in_a_browser(session, url, ca_file, no_browser, scope)
    bearer = Credentials(profile.get("token") or profile["access_token"])
    me = session.client_for(url, credentials=bearer, ca_file=ca_file).users.me()
    session.profiles.put(name, profile | {"username": me["username"]})
    session.profiles.use(name)
    session.say(f"Signed in to {url} as {me['username']} ({me['role']}), profile {name}.")


@click.command()
@click.option("--all", "everywhere", is_flag=True, help="Of every profile.")
@pass_session
def logout(session: Session, everywhere: bool) -> None:
    """Sign out: the sign-in ends at CMP too. A token that was given stays in force; only this machine forgets it."""
    from cmpctl.client.core import Call

    for name in session.profiles.names() if everywhere else [session.profile]:
        profile = session.profiles.get(name) or {}
        if profile.get("refresh_token"):
            form = {"token": profile["refresh_token"]}
            client = session.client_for(profile["url"], token=None, ca_file=profile.get("ca_file"))
            client.send(Call("POST", "/oauth/revoke", form=form))
        session.profiles.remove(name)
        session.say(f"Signed out of {profile.get('url', name)}.")


@click.command()
@outputs(_ME, listing=False, name="username")
@pass_session
def whoami(session: Session, output: Output) -> None:
    """Who you are, where, and what you may."""
    me = session.client.users.me()
    output.shown({**cast(Any, me), "url": session.url, "profile": session.profile})


@click.command()
@click.argument("user", required=False)
@outputs(_QUOTA, listing=False, name="strategy")
@pass_session
def quota(session: Session, output: Output, user: str | None) -> None:
    """What you may use, use, and have left. With USER, another's (administrators, operators)."""
    found: Any = session.client.users.quota(user) if user else session.client.users.my_quota()
    if output.format not in ("table", "wide") or output.named:
        output.shown(found)
        return
    for name, limit in found["total"].items():
        numbers = {"used": found["used"][name], "limit": limit, "remaining": found["available"][name]}
        click.echo(trouble.bar(name, numbers))
    if found["strategy"] == "running":
        click.echo("  CPU and memory are charged while instances run.")


@click.command()
@click.option("--stdin", is_flag=True, help="Read it from stdin, in one line; the present one, if any, in a second.")
@pass_session
def password(session: Session, stdin: bool) -> None:
    """Set or change your password."""
    me = session.client.users.me()
    if stdin:
        lines = [line.rstrip("\n") for line in sys.stdin.readlines()]
        new, present = lines[0], lines[1] if len(lines) > 1 else None
    else:
        present = click.prompt("Present password", hide_input=True, err=True) if me["has_password"] else None
        new = click.prompt("New password", hide_input=True, confirmation_prompt=True, err=True)
    session.client.users.set_my_password({"password": new, "current_password": present})
    session.say("The password is set.")


@click.group(invoke_without_command=True)
@outputs(_PROFILES)
@click.pass_context
def profiles(context: click.Context, output: Output) -> None:
    """Which CMPs you are signed in to. The current one is used unless --profile names another."""
    if context.invoked_subcommand is not None:
        return
    session = context.find_object(Session)
    assert session is not None
    known = session.profiles.read()
    output.listed(
        lambda: [
            {"name": name, "current": name == known["current"], "url": one.get("url"), "username": one.get("username")}
            for name, one in sorted(known["profiles"].items())
        ]
    )


@profiles.command()
@click.argument("name")
@pass_session
def use(session: Session, name: str) -> None:
    """Make NAME the current profile."""
    if session.profiles.get(name) is None:
        raise click.ClickException(f"There is no profile {name}. Make it: cmpctl --profile {name} login URL")
    session.profiles.use(name)


@profiles.command()
@click.argument("name")
@pass_session
def forget(session: Session, name: str) -> None:
    """Forget a profile, without signing out at CMP."""
    session.profiles.remove(name)


def _in_a_browser(
    session: Session, url: str, ca_file: str | None, no_browser: bool, scope: str | None
) -> dict[str, Any]:
    """OAuth's device flow (RFC 8628): the browser may be on another machine."""
    import webbrowser

    from cmpctl.client.core import Call
    from cmpctl.client.errors import Refused

    client = session.client_for(url, token=None, ca_file=ca_file)
    form = {"client_id": "cmpctl"} | ({"scope": scope} if scope else {})
    began = client.send(Call("POST", "/oauth/device_authorization", form=form))
    click.echo(f"Open {began['verification_uri']} and enter {began['user_code']}", err=True)
    if not no_browser:
        webbrowser.open(began["verification_uri_complete"])
    pause = began["interval"]
    deadline = time.monotonic() + began["expires_in"]
    while time.monotonic() < deadline:
        time.sleep(pause)
        form = {"grant_type": _DEVICE, "device_code": began["device_code"], "client_id": "cmpctl"}
        try:
            granted = client.send(Call("POST", "/oauth/token", form=form))
        except Refused as error:
            if error.code not in ("authorization_pending", "slow_down"):
                raise
            pause += 5 if error.code == "slow_down" else 0
            continue
        ends = time.time() + granted["expires_in"]
        return {
            "access_token": granted["access_token"],
            "refresh_token": granted["refresh_token"],
            "expires_at": ends,
        }
    raise click.ClickException("Nobody entered the code in time. Begin again: cmpctl login")
