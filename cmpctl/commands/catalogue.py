"""The catalogue: sizes and images by name, and what may be chosen beside them."""

from typing import Any, cast

import click

from cmpctl import sizes
from cmpctl.completion import flavour_names, image_names
from cmpctl.output import Column, Output, mib, outputs
from cmpctl.session import Session, pass_session

_COMMON = [
    Column("type", lambda row: row["instance_type"] or "any"),
    Column("default", lambda row: "yes" if row["default"] else ""),
    Column("enabled", "enabled", wide=True),
    Column("deprecated", "deprecated"),
    Column("description", "description"),
]
_FLAVOURS = [
    Column("name", "name"),
    Column("cpu", "cpu"),
    Column("memory", lambda row: mib(row["memory"])),
    *_COMMON,
    Column("instancetype", "instancetype", wide=True),
    Column("preference", "preference", wide=True),
    Column("runtime class", "runtime_class", wide=True),
]
_IMAGES = [Column("name", "name"), *_COMMON, Column("reference", "reference")]
_POLICY = [Column("custom sizes", "custom_sizes"), Column("allowed images", lambda row: row["allowed_images"] or "any")]


def _shared(command: Any) -> Any:
    """What administrators may say of either."""
    for option in (
        click.option("--default/--no-default", default=None, help="Taken where nobody chooses."),
        click.option("--enabled/--disabled", default=None, help="Whether users see it."),
        click.option("--deprecated", metavar="WHY", help="Still works, with this said; '' takes it back."),
        click.option("--description", help="What it is for."),
    ):
        command = option(command)
    return command


def _given(options: dict[str, Any]) -> Any:
    found = {key: value for key, value in options.items() if value is not None}
    return found | ({"deprecated": None} if found.get("deprecated") == "" else {})


@click.group()
def flavours() -> None:
    """Sizes by name."""


@flavours.command("list")
@click.option("-t", "--type", "instance_type", help="container or vm.")
@outputs(_FLAVOURS)
@pass_session
def list_flavours(session: Session, output: Output, instance_type: Any) -> None:
    """List them."""
    output.listed(lambda: cast(Any, session.client.flavours.list(instance_type=instance_type, limit=500)))


@flavours.command("show")
@click.argument("flavour", shell_complete=flavour_names)
@outputs(_FLAVOURS, listing=False)
@pass_session
def show_flavour(session: Session, output: Output, flavour: str) -> None:
    """One of them."""
    output.shown(cast(Any, session.client.flavours.get(flavour)))


@flavours.command("create")
@click.argument("name")
@click.option("--cpu", required=True, help="Cores: 0.5 or 500m.")
@click.option("--memory", required=True, help="512Mi, 4Gi, or MiB.")
@click.option("-t", "--type", "instance_type", help="Only for container or vm.")
@click.option("--instancetype", help="VMs: a VirtualMachineClusterInstancetype.")
@click.option("--preference", help="VMs: a VirtualMachineClusterPreference.")
@click.option("--runtime-class", help="Containers: a RuntimeClass.")
@_shared
@outputs(_FLAVOURS, listing=False)
@pass_session
def create_flavour(session: Session, output: Output, cpu: str, memory: str, **given: Any) -> None:
    """Offer a size (administrators)."""
    body = _given(given) | {"cpu": sizes.cores(cpu), "memory": sizes.amount(memory)}
    output.shown(cast(Any, session.client.flavours.create(body)))


@flavours.command("change")
@click.argument("flavour", shell_complete=flavour_names)
@_shared
@pass_session
def change_flavour(session: Session, flavour: str, **given: Any) -> None:
    """Deprecate, hide or describe it, or make it the default (administrators)."""
    session.client.flavours.change(flavour, _given(given))
    session.say(f"{flavour} is changed.")


@flavours.command("delete")
@click.argument("flavour", shell_complete=flavour_names)
@pass_session
def delete_flavour(session: Session, flavour: str) -> None:
    """Take it out of the catalogue (administrators). Clusters keep their size."""
    session.client.flavours.delete(flavour)
    session.say(f"{flavour} is deleted.")


@click.group()
def images() -> None:
    """Images by name."""


@images.command("list")
@click.option("-t", "--type", "instance_type", help="container or vm.")
@outputs(_IMAGES)
@pass_session
def list_images(session: Session, output: Output, instance_type: Any) -> None:
    """List them."""
    output.listed(lambda: cast(Any, session.client.images.list(instance_type=instance_type, limit=500)))


@images.command("show")
@click.argument("image", shell_complete=image_names)
@outputs(_IMAGES, listing=False)
@pass_session
def show_image(session: Session, output: Output, image: str) -> None:
    """One of them."""
    output.shown(cast(Any, session.client.images.get(image)))


@images.command("create")
@click.argument("name")
@click.argument("reference")
@click.option("-t", "--type", "instance_type", required=True, help="container or vm.")
@_shared
@outputs(_IMAGES, listing=False)
@pass_session
def create_image(session: Session, output: Output, **given: Any) -> None:
    """Offer an image (administrators)."""
    output.shown(cast(Any, session.client.images.create(_given(given))))


@images.command("change")
@click.argument("image", shell_complete=image_names)
@click.option("--reference", help="What it refers to from now on; clusters keep theirs.")
@_shared
@pass_session
def change_image(session: Session, image: str, **given: Any) -> None:
    """Deprecate, hide or describe it, or change what it refers to (administrators)."""
    session.client.images.change(image, _given(given))
    session.say(f"{image} is changed.")


@images.command("delete")
@click.argument("image", shell_complete=image_names)
@pass_session
def delete_image(session: Session, image: str) -> None:
    """Take it out of the catalogue (administrators)."""
    session.client.images.delete(image)
    session.say(f"{image} is deleted.")


@click.group(invoke_without_command=True)
@outputs(_POLICY, listing=False, name="custom_sizes")
@click.pass_context
def policy(context: click.Context, output: Output) -> None:
    """What may be chosen beside the catalogue."""
    session = context.find_object(Session)
    if context.invoked_subcommand is None and session is not None:
        output.shown(cast(Any, session.client.policy.get()))


@policy.command("change")
@click.option("--custom-sizes/--no-custom-sizes", default=None, help="Whether sizes beside the flavours may be chosen.")
@click.option("--allow-image", multiple=True, metavar="PATTERN", help="Which references may be chosen; '' is any.")
@pass_session
def change_policy(session: Session, custom_sizes: bool | None, allow_image: tuple[str, ...]) -> None:
    """Change that (administrators)."""
    body: dict[str, Any] = {"custom_sizes": custom_sizes} if custom_sizes is not None else {}
    if allow_image:
        body["allowed_images"] = [pattern for pattern in allow_image if pattern]
    if not body:
        raise click.UsageError("Say what is to be different: --custom-sizes, --no-custom-sizes or --allow-image.")
    session.client.policy.change(cast(Any, body))
    session.say("The policy is changed.")
