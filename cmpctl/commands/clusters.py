"""Clusters: launch, list, show, change, scale, remove."""

import sys
from collections.abc import Callable, Iterable
from typing import Any, cast

import click

from cmpctl import progress, resolve, sizes
from cmpctl.completion import cluster_names, flavour_names, image_names, ssh_key_names, target_names
from cmpctl.output import Column, Output, ago, mib, outputs
from cmpctl.session import Session, pass_session

COLUMNS = [
    Column("name", "name"),
    Column("type", "instance_type"),
    Column("ready", lambda row: f"{row['ready_instances']}/{row['instance_count']}"),
    Column("phase", "phase"),
    Column("cpu", "cpu_per_instance"),
    Column("memory", lambda row: mib(row["memory_per_instance"])),
    Column("age", ago("created_at")),
    Column("owner", "owner", wide=True),
    Column("access", "access", wide=True),
    Column("namespace", "namespace", wide=True),
    Column("labels", "labels", wide=True),
    Column("id", "id", wide=True),
    Column("image", lambda row: row["image_name"] or row["image"]),
    Column("message", "message", wide=True),
]
_DETAIL = [
    *[column for column in COLUMNS if column.name not in ("ready", "age")],
    Column("flavour", "flavour"),
    Column("created", "created_at"),
    Column("settings", lambda row: _settings(row)),
    Column("you may", "allowed_actions"),
    Column("instances", lambda row: "\n".join(_instance_line(one) for one in row["instances"])),
    Column("operation", lambda row: _operation_line(row["operation"])),
]


@click.group(name="clusters")
def clusters() -> None:
    """Clusters: create, list, show, change, scale, delete, wait."""


def _options(*options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@click.command("launch")
@click.argument("name")
@_options(
    click.option("-t", "--type", "instance_type", default="container", help="container or vm.", show_default=True),
    click.option("-n", "--count", default=1, type=click.IntRange(min=1), help="How many instances.", show_default=True),
    click.option("--cpu", help="Cores of each: 0.5 or 500m."),
    click.option("--memory", help="Memory of each: 512Mi, 4Gi, or a number of MiB."),
    click.option("--flavour", "--flavor", shell_complete=flavour_names, help="A size by its name, instead of the two."),
    click.option("--image", shell_complete=image_names, help="A name of the catalogue, or a reference."),
    click.option("-l", "--label", multiple=True, metavar="KEY=VALUE", help="May be given more than once, as the next."),
    click.option("-e", "--env", multiple=True, metavar="KEY=VALUE", help="KEY alone takes its value from here."),
    click.option("--secret-env", multiple=True, metavar="KEY=VALUE", help="Kept sealed; KEY alone as with --env."),
    click.option("-p", "--port", multiple=True, metavar="PORT[/udp]", help="A port that it listens on."),
    click.option("--volume", multiple=True, metavar="NAME:PATH:SIZE", help="A disk kept while the instance exists."),
    click.option("--scratch", multiple=True, metavar="NAME:PATH[:SIZE]", help="Space that ends with the Pod."),
    click.option("--restart", type=click.Choice(["always", "on-failure", "never"]), help="When the process ends."),
    click.option("--user", type=int, help="The numeric user that the process runs as."),
    click.option("--workdir", help="The directory that it begins in."),
    click.option(
        "--ssh-key",
        multiple=True,
        metavar="NAME|FILE|KEY",
        shell_complete=ssh_key_names,
        help="VMs: who may log in. A saved key's name, a .pub file (wins where there is one), or a whole public key.",
    ),
    click.option("--cloud-init", metavar="@FILE", help="VMs: user data."),
    click.option(
        "--max-unavailable", type=click.IntRange(min=1), help="How many may be down while a change goes round."
    ),
)
@click.argument("command", nargs=-1)
@progress.waits
@outputs(_DETAIL, listing=False)
@click.option("--idempotency-key", help="Repeating the command with the same key makes nothing twice.")
@pass_session
def launch(
    session: Session,
    output: Output,
    wait: bool,
    timeout: float | None,
    idempotency_key: str | None,
    **given: Any,
) -> None:
    """Make a cluster and wait until it runs. What follows -- is the command to run instead of the image's own.

    \b
    cmpctl launch web --cpu 0.5 --memory 512Mi --image nginx --count 3 --port 80
    cmpctl launch lab --type vm --flavour small --image ubuntu-24.04 --ssh-key laptop
    """
    made = session.client.clusters.create(cast(Any, sizes.wish(given)), idempotency_key=idempotency_key)
    _finished(session, output, made, wait, timeout, undo=f"cmpctl rm {made['name']}")


@click.command("ps")
@click.argument("name", required=False)
@click.option("--phase", help="pending, provisioning, running, degraded, failed or deleting.")
@click.option("-t", "--type", "instance_type", help="container or vm.")
@click.option("-l", "--label", multiple=True, metavar="KEY=VALUE", help="All of them must match.")
@click.option("--owner", help="A user's; * for everybody's (administrators, operators).")
@click.option("--shared", is_flag=True, help="What others share with you.")
@click.option("--sort", type=click.Choice(["name", "-name", "created_at", "-created_at"]), help="- is downwards.")
@outputs(COLUMNS)
@pass_session
def ps(session: Session, output: Output, **asked: Any) -> None:
    """List clusters; NAME is a part of the name."""
    query = {key: value for key, value in asked.items() if value not in (None, (), False)}
    output.listed(lambda: cast(Iterable[Any], session.client.clusters.list(limit=500, **query)))


@clusters.command()
@click.argument("cluster", shell_complete=cluster_names)
@outputs(_DETAIL, listing=False)
@pass_session
def show(session: Session, output: Output, cluster: str) -> None:
    """Everything about a cluster, its instances included."""
    output.shown(cast(Any, resolve.cluster(session.client, cluster)))


@clusters.command()
@click.argument("cluster", shell_complete=cluster_names)
@click.option("--image", shell_complete=image_names, help="A name of the catalogue, or a reference.")
@click.option("--cpu", help="Cores of each: 0.5 or 500m.")
@click.option("--memory", help="Memory of each: 512Mi, 4Gi, or a number of MiB.")
@click.option("--flavour", "--flavor", shell_complete=flavour_names, help="A size by its name, instead of the two.")
@click.option("-l", "--label", multiple=True, metavar="KEY=VALUE", help="KEY- takes one away.")
@click.option("-e", "--env", multiple=True, metavar="KEY=VALUE", help="Containers. KEY- takes one away.")
@click.option("--max-unavailable", type=click.IntRange(min=1), help="How many may be down while the change goes round.")
@progress.waits
@outputs(_DETAIL, listing=False)
@pass_session
def change(session: Session, output: Output, cluster: str, wait: bool, timeout: float | None, **given: Any) -> None:
    """Change a cluster: image, size, labels, environment. For everything else see `cmpctl apply`."""
    found = resolve.cluster(session.client, cluster)
    changed = session.client.clusters.change(found["id"], cast(Any, sizes.change(given)))
    _finished(session, output, changed, wait, timeout)


@click.command()
@click.argument("cluster", shell_complete=cluster_names)
@click.argument("count", type=click.IntRange(min=1), required=False)
@click.option("--remove", multiple=True, metavar="INSTANCE", help="The instances that are to go, instead of a number.")
@progress.waits
@outputs(_DETAIL, listing=False)
@pass_session
def scale(
    session: Session,
    output: Output,
    cluster: str,
    count: int | None,
    remove: tuple[str, ...],
    wait: bool,
    timeout: float | None,
) -> None:
    """Give a cluster COUNT instances. The highest numbers go first, unless --remove names others."""
    if count is None and not remove:
        raise click.UsageError("Say how many instances it is to have: cmpctl scale web 5, or name some with --remove.")
    found = resolve.cluster(session.client, cluster)
    body: dict[str, Any] = {"instance_count": count} if count is not None else {}
    body |= {"remove": list(remove)} if remove else {}
    scaled = session.client.clusters.scale(found["id"], cast(Any, body))
    undo = f"cmpctl scale {found['name']} {found['instance_count']}"
    _finished(session, output, scaled, wait, timeout, undo=undo)


@click.command("rm")
@click.argument("targets", nargs=-1, required=True, shell_complete=target_names)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@progress.waits
@pass_session
def remove(session: Session, targets: tuple[str, ...], yes: bool, wait: bool, timeout: float | None) -> None:
    """Delete clusters or instances. Asks for each name; what is on their disks goes too."""
    _each(session, targets, lambda key: _removed(session, key, yes), wait, timeout)


@clusters.command("delete")
@click.argument("names", nargs=-1, required=True, metavar="CLUSTERS...", shell_complete=cluster_names)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@progress.waits
@pass_session
def delete(session: Session, names: tuple[str, ...], yes: bool, wait: bool, timeout: float | None) -> None:
    """Delete clusters with all that is on them. Asks for each name; with --yes they go in one request."""
    if yes and len(names) > 1:
        done = session.client.clusters.delete_many({"ids": list(names)})
        bulk(session, done, wait, timeout)
        return
    _each(session, names, lambda key: _deleted(session, key, yes), wait, timeout)


clusters.add_command(launch, "create")
clusters.add_command(ps, "list")
clusters.add_command(scale)


@clusters.command("wait")
@click.argument("cluster", shell_complete=cluster_names)
@click.option("--timeout", type=click.FloatRange(min=0), help="Seconds to wait at most; exit code 10 then.")
@pass_session
def wait_for(session: Session, cluster: str, timeout: float | None) -> None:
    """Wait for a cluster's newest operation."""
    found = resolve.cluster(session.client, cluster)
    if found["operation"] is not None:
        progress.finish(session, [found["operation"]], wait=True, timeout=timeout)


@clusters.command("operate")
@click.argument("cluster", shell_complete=cluster_names)
@click.argument("operation")
@click.option("--grace", type=int, metavar="SECONDS", help="For stop and restart; 0 is at once.")
@progress.waits
@pass_session
def operate(
    session: Session, cluster: str, operation: str, grace: int | None, wait: bool, timeout: float | None
) -> None:
    """Do OPERATION with all instances: start, stop, suspend, resume, restart, reboot, migrate, replace."""
    found = resolve.cluster(session.client, cluster)
    body: Any = {"operation": operation} | ({"grace_seconds": grace} if grace is not None else {})
    bulk(session, session.client.clusters.operate(found["id"], body), wait, timeout)


def bulk(session: Session, done: Any, wait: bool, timeout: float | None) -> None:
    """Waits for what went through; says what did not, and ends the command with 1 then."""
    for item in done["items"]:
        if item["problem"] is not None:
            click.echo(f"Error: {item['id']}: {item['problem']['detail']}", err=True)
    begun = [item["operation"] for item in done["items"] if item["operation"] is not None]
    progress.finish(session, begun, wait=wait, timeout=timeout)
    if done["failed"]:
        click.echo(f"{done['failed']} of {len(done['items'])} failed.", err=True)
        sys.exit(1)


def _each(session: Session, keys: tuple[str, ...], work: Any, wait: bool, timeout: float | None) -> None:
    """Goes on after a failure, says each, and ends with 1 then; with one key the failure is the command's."""
    from cmpctl import trouble
    from cmpctl.client.errors import CmpError

    if len(keys) == 1:
        progress.finish(session, [work(keys[0])], wait=wait, timeout=timeout)
        return
    begun, failed = [], 0
    for key in keys:
        try:
            begun.append(work(key))
        except (CmpError, click.ClickException) as error:
            failed += 1
            words = error.format_message() if isinstance(error, click.ClickException) else trouble.lines(error)[0]
            click.echo(f"{key}: {words}", err=True)
    progress.finish(session, begun, wait=wait, timeout=timeout)
    if failed:
        click.echo(f"{failed} of {len(keys)} failed.", err=True)
        sys.exit(1)


def _removed(session: Session, key: str, yes: bool) -> Any:
    found, single = resolve.target(session.client, key, exact=True)
    if found is not None:
        return _gone(session, found, yes)
    assert single is not None
    name = single["instance_name"]
    session.confirm(f"This deletes {name} and what is on its disks.", name, yes)
    return session.client.instances.delete(single["id"])["operation"]


def _deleted(session: Session, key: str, yes: bool) -> Any:
    return _gone(session, resolve.cluster(session.client, key, exact=True), yes)


def _gone(session: Session, found: Any, yes: bool) -> Any:
    name, count = found["name"], found["instance_count"]
    session.confirm(f"This deletes {name}, its {count} instances and what is on their disks.", name, yes)
    return session.client.clusters.delete(found["id"])["operation"]


def _finished(
    session: Session, output: Output, cluster: Any, wait: bool, timeout: float | None, undo: str = ""
) -> None:
    operation = cluster["operation"]
    if operation is not None and operation["status"] in ("pending", "running"):
        progress.finish(session, [operation], wait=wait, timeout=timeout, undo=undo)
        cluster = session.client.clusters.get(cluster["id"]) if wait else cluster
    if output.format != "table" or output.named:
        output.shown(cluster)


def _settings(row: Any) -> str:
    found = row.get("container") or row.get("vm") or {}
    return "\n".join(f"{name}: {sizes.short(value)}" for name, value in found.items() if value not in (None, [], {}))


def _instance_line(one: Any) -> str:
    why = one["message"] or one["reason"] or ""
    return f"{one['instance_name']}  {one['status']}  {one['ip'] or ''}  {why}".rstrip()


def _operation_line(operation: Any) -> str:
    if operation is None:
        return ""
    why = operation["message"] or operation["reason"] or ""
    done = f"{operation['done']}/{operation['total']}"
    return f"{operation['kind']} {operation['status']} {done}  {why}".rstrip()
