"""The SSH keys that one saved for VMs."""

import sys
from typing import Any, cast

import click

from cmpctl import sizes
from cmpctl.completion import ssh_key_names
from cmpctl.output import Column, Output, ago, outputs
from cmpctl.session import Session, pass_session

_COLUMNS = [
    Column("name", "name"),
    Column("kind", lambda row: row["public_key"].split(" ")[0]),
    Column("fingerprint", "fingerprint"),
    Column("age", ago("created_at")),
    Column("public key", "public_key", wide=True),
    Column("uuid", "id", wide=True),
]


@click.group("ssh-keys")
def ssh_keys() -> None:
    """Public keys that VMs are given by name: cmpctl launch … --ssh-key NAME."""


@ssh_keys.command("list")
@outputs(_COLUMNS)
@pass_session
def list_keys(session: Session, output: Output) -> None:
    """Your saved keys."""
    output.listed(lambda: cast(Any, session.client.ssh_keys.list(limit=500)))


@ssh_keys.command()
@click.argument("name")
@click.argument("file", default="-")
@outputs(_COLUMNS, listing=False)
@pass_session
def add(session: Session, output: Output, name: str, file: str) -> None:
    """Save the public key in FILE, or from stdin, as NAME.

    \b
    cmpctl ssh-keys add laptop ~/.ssh/id_ed25519.pub
    """
    key = sizes.public(sys.stdin.read().strip() if file == "-" else sizes.contents(f"@{file}"))
    output.shown(cast(Any, session.client.ssh_keys.create({"name": name, "public_key": key})))


@ssh_keys.command()
@click.argument("key", shell_complete=ssh_key_names)
@outputs(_COLUMNS, listing=False)
@pass_session
def show(session: Session, output: Output, key: str) -> None:
    """One key, by its name or id."""
    output.shown(cast(Any, session.client.ssh_keys.get(key)))


@ssh_keys.command()
@click.argument("key", shell_complete=ssh_key_names)
@pass_session
def delete(session: Session, key: str) -> None:
    """Delete a key, by its name or id. VMs that were given it keep it."""
    session.client.ssh_keys.delete(key)
    session.say(f"{key} is deleted. VMs that were given it keep it.")
