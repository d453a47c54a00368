"""Instances: list, show, delete, and what can be done to them."""

from collections.abc import Iterable
from typing import Any, cast

import click

from cmpctl import progress, resolve
from cmpctl.commands.clusters import bulk
from cmpctl.completion import cluster_names, instance_names, target_names
from cmpctl.output import Column, Output, ago, mib, outputs
from cmpctl.session import Session, pass_session

_WORDS = {
    "start": "Start what is stopped.",
    "stop": "Stop: containers end, VMs shut down. Disks stay.",
    "suspend": "Freeze with memory kept; the quota stays taken.",
    "resume": "Go on after suspend.",
    "restart": "Stop and start again.",
    "reboot": "VMs: ask the guest to reboot.",
    "migrate": "VMs: move to another node while running.",
    "replace": "Make it anew, from its image.",
}
COLUMNS = [
    Column("name", "instance_name"),
    Column("status", "status"),
    Column("cpu", "cpu"),
    Column("memory", lambda row: mib(row["memory"])),
    Column("ip", "ip"),
    Column("restarts", "restarts"),
    Column("age", ago("created_at")),
    Column("node", "node", wide=True),
    Column("can", "allowed_operations", wide=True),
    Column("id", "id", wide=True),
    Column("message", lambda row: row["message"] or row["reason"]),
]
_DETAIL = [
    *[column for column in COLUMNS if column.name != "age"],
    Column("created", "created_at"),
    Column("kubernetes", "k8s_resource"),
    Column("access", "access"),
    Column("capabilities", lambda row: [name for name, value in row["capabilities"].items() if value]),
    Column("restart required", lambda row: row["restart_required"] or None),
    Column("guest", "guest"),
]
_USAGE = [
    Column("cpu", "cpu"),
    Column("memory", lambda row: mib(row["memory"])),
    Column("window", lambda row: f"{row['window_seconds']:g} s"),
    Column("measured", "timestamp"),
]


@click.group()
def instances() -> None:
    """Instances: list, show, operate, reach, delete."""


@instances.command("list")
@click.argument("name", required=False)
@click.option("--cluster", shell_complete=cluster_names, help="Of this cluster.")
@click.option("--status", help="pending, starting, running, stopping, stopped, suspended, failed, …")
@click.option("-t", "--type", "instance_type", help="container or vm.")
@outputs(COLUMNS, name="instance_name")
@pass_session
def list_instances(session: Session, output: Output, **asked: Any) -> None:
    """List instances; NAME is a part of the name."""
    query = {key: value for key, value in asked.items() if value is not None}
    if "cluster" in query:
        query["cluster"] = resolve.cluster(session.client, query["cluster"])["id"]
    output.listed(lambda: cast(Iterable[Any], session.client.instances.list(limit=500, **query)))


@instances.command()
@click.argument("instance", shell_complete=instance_names)
@outputs(_DETAIL, listing=False, name="instance_name")
@pass_session
def show(session: Session, output: Output, instance: str) -> None:
    """Everything about an instance."""
    output.shown(cast(Any, resolve.instance(session.client, instance)))


@instances.command()
@click.argument("instance", shell_complete=instance_names)
@outputs(_USAGE, listing=False, name="timestamp")
@pass_session
def usage(session: Session, output: Output, instance: str) -> None:
    """What an instance uses, as last measured."""
    found = resolve.one_instance(session.client, instance)
    output.shown(cast(Any, session.client.instances.usage(found["id"])))


@instances.command()
@click.argument("names", nargs=-1, required=True, metavar="INSTANCES...", shell_complete=instance_names)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@progress.waits
@pass_session
def delete(session: Session, names: tuple[str, ...], yes: bool, wait: bool, timeout: float | None) -> None:
    """Take instances away from their cluster, with what is on their disks."""
    begun = []
    for key in names:
        found = resolve.instance(session.client, key, exact=True)
        name = found["instance_name"]
        session.confirm(f"This deletes {name} and what is on its disks.", name, yes)
        begun.append(session.client.instances.delete(found["id"])["operation"])
    progress.finish(session, begun, wait=wait, timeout=timeout)


def _verb(operation: str, words: str) -> click.Command:
    @click.command(operation, help=f"{words} A cluster's name means all its instances.")
    @click.argument("targets", nargs=-1, required=True, shell_complete=target_names)
    @progress.waits
    @pass_session
    def command(
        session: Session, targets: tuple[str, ...], wait: bool, timeout: float | None, grace: int | None = None
    ) -> None:
        _operate(session, operation, targets, grace, wait, timeout)

    if operation in ("stop", "restart"):
        command = click.option("--grace", type=int, metavar="SECONDS", help="In which it must have ended; 0 at once.")(
            command
        )
    return command


VERBS = [_verb(operation, words) for operation, words in _WORDS.items()]
for _command in VERBS:
    instances.add_command(_command)


def _operate(
    session: Session, operation: str, targets: tuple[str, ...], grace: int | None, wait: bool, timeout: float | None
) -> None:
    """One target that is an instance: its own answer. Else each is tried, whatever becomes of the others."""
    more = {"grace_seconds": grace} if grace is not None else {}
    found = [resolve.target(session.client, key) for key in targets]
    if len(found) == 1 and found[0][1] is not None:
        single = session.client.instances.operate(found[0][1]["id"], cast(Any, {"operation": operation} | more))
        progress.finish(session, [single["operation"]], wait=wait, timeout=timeout)
        return
    items: list[Any] = []
    for cluster, _ in found:
        if cluster is not None:
            body: Any = {"operation": operation} | more
            items += session.client.clusters.operate(cluster["id"], body)["items"]
    names = [instance["instance_name"] for _, instance in found if instance is not None]
    if names:
        items += session.client.instances.operate_many(cast(Any, {"operation": operation, "ids": names} | more))[
            "items"
        ]
    failed = sum(item["problem"] is not None for item in items)
    bulk(session, {"items": items, "failed": failed}, wait, timeout)
