"""Clusters from files: what is in the file is what is to be."""

import sys
from pathlib import Path
from typing import Any, cast

import click

from cmpctl import progress, sizes
from cmpctl.session import Session, pass_session

_MAPS = ("labels", "env")
_NEVER = ("name", "instance_type", "instance_count")


@click.command()
@click.option("-f", "--file", "files", multiple=True, required=True, metavar="FILE|-", help="YAML or JSON; - is stdin.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done. Exits with 0.")
@click.option("--send-secrets", is_flag=True, help="Send secret_env and cloud_init though their names are the same.")
@progress.waits
@pass_session
def apply(
    session: Session,
    files: tuple[str, ...],
    dry_run: bool,
    send_secrets: bool,
    wait: bool,
    timeout: float | None,
) -> None:
    """Make clusters as files say. New ones are made, others changed and scaled; nothing is deleted.

    A file holds what POST /api/v1/clusters/ takes; several are divided by ---. What a file leaves out stays as it is;
    labels and env are whole: what they leave out is taken away.
    """
    wishes = [wish for file in files for wish in _read(file)]
    begun: list[Any] = []
    for wish in wishes:
        begun += _applied(session, wish, dry_run, send_secrets)
    if begun:
        progress.finish(session, begun, wait=wait, timeout=timeout)


def _applied(session: Session, wish: dict[str, Any], dry_run: bool, send_secrets: bool) -> list[Any]:
    from cmpctl.client.errors import NotFound

    name = wish["name"]
    try:
        found: Any = session.client.clusters.get(name)
    except NotFound:
        click.echo(click.style(f"+ {name}", fg="green") + f"  {_summary(wish)}")
        return [] if dry_run else [session.client.clusters.create(cast(Any, wish))["operation"]]
    if wish.get("instance_type", found["instance_type"]) != found["instance_type"]:
        raise click.ClickException(
            f"{name} is of type {found['instance_type']}, and a type never changes. Delete it first."
        )
    patch = changes(found, _with_keys(session, wish), send_secrets)
    count = wish.get("instance_count", found["instance_count"])
    if not patch and count == found["instance_count"]:
        click.echo(f"= {name}")
        return []
    click.echo(click.style(f"~ {name}", fg="yellow"))
    for line in _lines(found, patch):
        click.echo(f"    {line}")
    if count != found["instance_count"]:
        click.echo(f"    instance_count: {found['instance_count']} -> {count}")
    begun: list[Any] = []
    if patch and not dry_run:
        begun.append(session.client.clusters.change(found["id"], cast(Any, patch))["operation"])
        if count != found["instance_count"]:
            progress.finish(session, begun, wait=True, timeout=None)
            begun = []
    if count != found["instance_count"] and not dry_run:
        begun.append(session.client.clusters.scale(found["id"], {"instance_count": count})["operation"])
    return [one for one in begun if one is not None]


def _with_keys(session: Session, wish: dict[str, Any]) -> dict[str, Any]:
    """The names of saved SSH keys as CMP keeps them: the keys. One that is unknown stays, for the API to refuse."""
    keys = (wish.get("vm") or {}).get("ssh_keys") or []
    if all(" " in key for key in keys):
        return wish
    saved = {one["name"]: one["public_key"] for one in session.client.ssh_keys.list(limit=500)}
    return {**wish, "vm": {**wish["vm"], "ssh_keys": list(dict.fromkeys(saved.get(key, key) for key in keys))}}


def changes(found: dict[str, Any], wish: dict[str, Any], send_secrets: bool) -> dict[str, Any]:
    """A merge patch that makes what is `found` what is wished; empty where it is."""
    patch = {}
    for key, value in wish.items():
        if key in _NEVER:
            continue
        if key == "image" and value == found["image_name"]:
            continue
        if key in ("container", "vm"):
            inner = _settings(found.get(key) or {}, value, send_secrets)
            if inner:
                patch[key] = inner
        elif key in _MAPS:
            inner = _map(found[key], value)
            if inner:
                patch[key] = inner
        elif not _covers(key, found.get(key), value):
            patch[key] = value
    return patch


def _settings(found: dict[str, Any], wish: dict[str, Any], send_secrets: bool) -> dict[str, Any]:
    patch = {}
    for key, value in wish.items():
        if key in _MAPS:
            inner = _map(found.get(key) or {}, value)
            if inner:
                patch[key] = inner
        elif key in ("secret_env", "cloud_init"):
            if send_secrets or sorted(value) != sorted(found.get(key) or []):
                patch[key] = value
        elif key == "registry":
            if send_secrets or not _covers(key, found.get(key), {k: v for k, v in value.items() if k != "password"}):
                patch[key] = value
        elif not _covers(key, found.get(key), value):
            patch[key] = value
    return patch


def _map(found: dict[str, Any], wish: dict[str, Any]) -> dict[str, Any]:
    gone = {key: None for key in found if key not in wish}
    return gone | {key: value for key, value in wish.items() if found.get(key) != value}


def _covers(key: str, found: Any, wish: Any) -> bool:
    """Whether `found` is what is wished, with what CMP filled in."""
    if isinstance(wish, dict) and isinstance(found, dict):
        return all(_covers(name, found.get(name), value) for name, value in wish.items())
    if isinstance(wish, list) and isinstance(found, list):
        return len(wish) == len(found) and all(_covers(key, *pair) for pair in zip(found, wish, strict=True))
    if key in ("cpu_per_instance",):
        return bool(sizes.in_cores(found) == sizes.in_cores(wish))
    if key in ("memory_per_instance", "size"):
        return bool(sizes.in_mib(found) == sizes.in_mib(wish))
    return bool(found == wish)


def _lines(found: dict[str, Any], patch: dict[str, Any], head: str = "") -> list[str]:
    lines = []
    for key, value in patch.items():
        before = found.get(key) if isinstance(found, dict) else None
        if key in ("secret_env", "cloud_init", "registry"):
            lines.append(f"{head}{key}: given anew")
        elif isinstance(value, dict) and isinstance(before, dict):
            lines += _lines(before, value, f"{head}{key}.")
        else:
            lines.append(f"{head}{key}: {sizes.short(before)} -> {sizes.short(value)}")
    return lines


def _summary(wish: dict[str, Any]) -> str:
    size = wish.get("flavour") or f"{wish.get('cpu_per_instance')} cores, {wish.get('memory_per_instance')}"
    kind = wish.get("instance_type", "container")
    return f"{wish.get('instance_count', 1)} × {kind}, {size}, {wish.get('image', 'the default image')}"


def _read(file: str) -> list[dict[str, Any]]:
    import yaml

    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
        found = [one for one in yaml.safe_load_all(text) if one is not None]
    except OSError as error:
        raise click.UsageError(f"{file} cannot be read: {error.strerror}.") from error
    except yaml.YAMLError as error:
        raise click.UsageError(f"{file} is not YAML: {error}") from error
    for one in found:
        if not isinstance(one, dict) or not isinstance(one.get("name"), str):
            raise click.UsageError(f"{file}: every cluster is a mapping that has a name.")
    return found
