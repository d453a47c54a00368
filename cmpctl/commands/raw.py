"""Beside the nouns: any request, versions, completion."""

import json
import sys
from typing import Any

import click

from cmpctl import VERSION, sizes
from cmpctl.session import Session, pass_session

_INSTALL = {
    "bash": 'eval "$(cmpctl completion bash)"    # in ~/.bashrc',
    "zsh": 'eval "$(cmpctl completion zsh)"    # in ~/.zshrc',
    "fish": "cmpctl completion fish > ~/.config/fish/completions/cmpctl.fish",
}


@click.command()
@click.argument("path")
@click.option("-X", "--method", help="Without it GET, or POST where there is a body.")
@click.option("-d", "--data", metavar="JSON|@FILE|-", help="The body.")
@click.option("-q", "--query", multiple=True, metavar="KEY=VALUE")
@click.option("-i", "--include", is_flag=True, help="The status and the headers too, on stderr.")
@pass_session
def api(
    session: Session, path: str, method: str | None, data: str | None, query: tuple[str, ...], include: bool
) -> None:
    """Any request: cmpctl api /api/v1/users/me. The answer's body goes to stdout."""
    from cmpctl.client.core import Call

    body = None
    if data is not None:
        text = sys.stdin.read() if data == "-" else sizes.contents(data)
        try:
            body = json.loads(text)
        except ValueError as error:
            raise click.UsageError(f"The body is not JSON: {error}.") from error
    verb = (method or ("GET" if body is None else "POST")).upper()
    if not path.startswith("/"):
        path = f"/api/v1/{path}"
    answer = session.client.answer(Call(verb, path, sizes.pairs(query), json=body))
    if include:
        click.echo(f"HTTP {answer.status}", err=True)
        for name, value in answer.headers.items():
            click.echo(f"{name}: {value}", err=True)
    found: Any = answer.data()
    if isinstance(found, bytes):
        sys.stdout.buffer.write(found)
    elif found is not None:
        click.echo(json.dumps(found, indent=2))


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@pass_session
def version(session: Session, as_json: bool) -> None:
    """This cmpctl's version, and CMP's."""
    from cmpctl.client.errors import CmpError

    found: dict[str, Any] = {"cmpctl": VERSION, "server": None}
    if session.profiles.get(session.profile) is not None or not as_json:
        try:
            found["server"] = session.client.platform.health()["version"]
        except (CmpError, click.ClickException) as error:
            session.say(str(error))
    if as_json:
        click.echo(json.dumps(found))
        return
    click.echo(f"cmpctl {VERSION}")
    if found["server"] is not None:
        click.echo(f"CMP    {found['server']} at {session.url}")


@click.command()
@click.argument("shell", type=click.Choice(sorted(_INSTALL)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """What makes SHELL complete commands and names. How to install it is said on stderr."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(context.find_root().command, {}, "cmpctl", "_CMPCTL_COMPLETE").source())
    if sys.stdout.isatty():
        click.echo(f"# {_INSTALL[shell]}", err=True)
