"""Into instances: logs, commands, consoles, ssh, ports."""

import re
import shlex
import sys
from typing import Any

import click

from cmpctl import resolve
from cmpctl.commands.instances import instances
from cmpctl.completion import instance_names, target_names
from cmpctl.session import Session, pass_session

_SPAN = re.compile(r"(\d+)([smhd]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


class _Span(click.ParamType[int]):
    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = _SPAN.fullmatch(str(value))
        if not found:
            self.fail(f"{value!r} is no span of time; try 30s, 5m, 2h or 1d.", param, ctx)
        return int(found[1]) * _SECONDS[found[2]]


@click.command()
@click.argument("target", shell_complete=target_names)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on.")
@click.option("-p", "--previous", is_flag=True, help="Of the run before: why it crashed.")
@click.option("--tail", type=click.IntRange(min=0), metavar="LINES", help="The last lines only.")
@click.option("--since", type=_Span(), help="What is younger: 30s, 5m, 2h.")
@click.option("--timestamps", is_flag=True, help="Begin each line with its time.")
@pass_session
def logs(
    session: Session, target: str, follow: bool, previous: bool, tail: int | None, since: int | None, timestamps: bool
) -> None:
    """What an instance says. Of a cluster, what each of its instances says."""
    options = {
        "follow": follow or None,
        "previous": previous or None,
        "tail": tail,
        "since_seconds": since,
        "timestamps": timestamps or None,
    }
    cluster, single = resolve.target(session.client, target)
    found = [single] if single is not None else cluster["instances"] if cluster is not None else []
    if follow and len(found) > 1:
        found = [resolve.one_instance(session.client, target)]
    for one in found:
        head = f"{one['instance_name']} | ".encode() if len(found) > 1 else b""
        _copied(session.client.instances.logs(one["id"], **options), head)


@click.command("exec", context_settings={"ignore_unknown_options": True})
@click.argument("instance", shell_complete=instance_names)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("-i", "--stdin", is_flag=True, help="Give it this command's input.")
@click.option("-t/-T", "--tty/--no-tty", default=None, help="With a terminal; by itself where there is one here.")
@pass_session
def execute(session: Session, instance: str, command: tuple[str, ...], stdin: bool, tty: bool | None) -> None:
    """Run COMMAND in a container, a shell without one. Exits as the command does.

    \b
    cmpctl exec web-instance-1
    cmpctl exec web-instance-1 -- nginx -T
    cmpctl exec -i web-instance-1 -- tee /tmp/file < file
    """
    from cmpctl import terminal

    found = resolve.one_instance(session.client, instance)
    _open(found, "exec", "A command cannot be run in it now. VMs have a console: cmpctl console")
    both = sys.stdin.isatty() and sys.stdout.isatty()
    with_tty = both and not stdin if tty is None else tty
    words = list(command) or ["sh"]
    sys.exit(terminal.execute(session.client, found["id"], words, tty=with_tty, stdin=stdin or with_tty))


@click.command()
@click.argument("instance", shell_complete=instance_names)
@pass_session
def console(session: Session, instance: str) -> None:
    """The serial console of a VM. Ctrl-] leaves it."""
    from cmpctl import terminal

    found = resolve.one_instance(session.client, instance)
    _open(found, "console", "Its console cannot be opened now. Containers take commands: cmpctl exec")
    connected = f"Connected to {found['instance_name']}. Ctrl-] leaves."
    terminal.console(session.client, found["id"], lambda: session.say(connected))
    session.say("")


@click.command("port-forward")
@click.argument("instance", shell_complete=instance_names)
@click.argument("ports", nargs=-1, required=True, metavar="[LOCAL:]PORT...")
@click.option("--stdio", is_flag=True, help="One connection, on stdin and stdout: for ssh's ProxyCommand.")
@pass_session
def port_forward(session: Session, instance: str, ports: tuple[str, ...], stdio: bool) -> None:
    """Bring TCP ports of an instance to 127.0.0.1, until Ctrl-C. LOCAL 0 takes any that is free."""
    from cmpctl import terminal

    pairs = [_ports(word) for word in ports]
    found = resolve.one_instance(session.client, instance)
    _open(found, "port_forward", "Its ports cannot be reached now.")
    if stdio:
        terminal.one_connection(session.client, found["id"], pairs[0][1])
        return
    terminal.forward(session.client, found["id"], pairs, session.say)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("instance", shell_complete=instance_names)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option("-l", "--login", metavar="USER", help="As whom; without it as ssh decides.")
@click.option("--port", default=22, show_default=True, help="The guest's port.")
@click.option("--print", "show", is_flag=True, help="Print the command instead of running it.")
@pass_session
def ssh(session: Session, instance: str, arguments: tuple[str, ...], login: str | None, port: int, show: bool) -> None:
    """Run ssh to an instance. It goes through CMP: nothing else has to be reachable. ARGUMENTS go to ssh."""
    import os

    name, _, host = instance.rpartition("@")
    found = resolve.one_instance(session.client, host)
    proxy = [*_this_program(session), "port-forward", "--stdio", found["id"], str(port)]
    command = ["ssh", "-o", f"ProxyCommand={shlex.join(proxy)}", "-o", f"HostKeyAlias={found['id']}"]
    command += ["-l", login or name] if login or name else []
    command += [found["instance_name"], *arguments]
    if show:
        click.echo(shlex.join(command))
        return
    try:
        os.execvp("ssh", command)  # noqa: S606
    except FileNotFoundError as error:
        raise click.ClickException("There is no ssh here. Install OpenSSH's client.") from error


@instances.command()
@click.argument("instance", shell_complete=instance_names)
@click.argument("file", type=click.Path(dir_okay=False, writable=True))
@pass_session
def screenshot(session: Session, instance: str, file: str) -> None:
    """What the screen of a VM shows, as a PNG file."""
    found = resolve.one_instance(session.client, instance)
    with click.open_file(file, "wb") as target:
        target.write(session.client.instances.screenshot(found["id"]))


for _command in (logs, execute, console, port_forward, ssh):
    instances.add_command(_command)


def _open(found: Any, capability: str, words: str) -> None:
    if not found["capabilities"].get(capability):
        raise click.ClickException(f"{found['instance_name']} is {found['status']}. {words}")


def _ports(word: str) -> tuple[int, int]:
    local, _, port = word.rpartition(":")
    if not port.isdigit() or not (local or port).isdigit():
        raise click.UsageError(f"A port is a number, or LOCAL:PORT, such as 8080:80, not {word!r}.")
    return int(local or port), int(port)


def _copied(chunks: Any, head: bytes) -> None:
    out = sys.stdout.buffer
    if not head:
        for chunk in chunks:
            out.write(chunk)
            out.flush()
        return
    for line in b"".join(chunks).splitlines():
        out.write(head + line + b"\n")


def _this_program(session: Session) -> list[str]:
    chosen = ["--profile", session.profile] if session.profiles.get(session.profile) else []
    return [sys.executable, "-m", "cmpctl.main", "-q", *chosen]
