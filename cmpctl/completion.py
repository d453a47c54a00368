"""Names for the shell to complete with, asked of CMP and remembered for a moment."""

import json
import time
from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem

from cmpctl.profiles import folder
from cmpctl.session import Session

_FRESH = 15.0
_Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _names(noun: str, field: str) -> _Complete:
    def complete(context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
        session = context.find_object(Session)
        if session is None:
            params = context.find_root().params
            session = Session(params.get("profile"), True, False)
        found = _remembered(session, noun, field)
        return [CompletionItem(name) for name in found if name.startswith(begun)]

    return complete


def _both(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    return cluster_names(context, parameter, begun) + instance_names(context, parameter, begun)


cluster_names = _names("clusters", "name")
instance_names = _names("instances", "instance_name")
flavour_names = _names("flavours", "name")
image_names = _names("images", "name")
operation_ids = _names("operations", "id")
ssh_key_names = _names("ssh_keys", "name")
user_names = _names("users", "username")
target_names = _both


def _remembered(session: Session, noun: str, field: str) -> list[str]:
    """A shell that completes shows no errors: where CMP does not answer there is nothing to choose from."""
    import hashlib

    from cmpctl.client.errors import CmpError

    try:
        url = session.url
    except click.ClickException:
        return []
    key = hashlib.sha256(f"{url} {session.profile} {noun}".encode()).hexdigest()[:16]
    path = folder() / "names" / f"{key}.json"
    if path.exists() and time.time() - path.stat().st_mtime < _FRESH:
        known: list[str] = json.loads(path.read_text())
        return known
    try:
        session.client.patience = 0
        rows: Any = getattr(session.client, noun).list(limit=500).page()["items"]
    except CmpError:
        return []
    found = [row[field] for row in rows]
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(json.dumps(found))
    return found
