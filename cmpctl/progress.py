"""Waiting for operations and seeing what goes on: a live line for each instance, plain lines where no terminal is.

Ctrl-C ends the looking, never the work.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import click

from cmpctl.client.errors import NotFound, OperationFailed, StillRunning
from cmpctl.output import age

if TYPE_CHECKING:
    from rich.console import Group

    from cmpctl.client.models import InstanceRead, OperationRead
    from cmpctl.session import Session

DETACHED, FAILED, TIMED_OUT = 130, 9, 10
_SHOWN = 12
_VERBS = {"cluster.create": "creating", "cluster.delete": "deleting", "cluster.scale": "scaling"}
_SETTLED = ("running", "stopped", "suspended")


def finish(
    session: Session, operations: Sequence[OperationRead], *, wait: bool, timeout: float | None, undo: str = ""
) -> None:
    """Waits for all of them, if one is to. Ends the command where one failed, or the time is over."""
    if not wait:
        for operation in operations:
            session.say(f"{_what(operation)}: begun. Watch it: cmpctl wait {operation['id']}")
        return
    view = _Live(session) if sys.stderr.isatty() and not session.quiet else _Plain(session)
    failed: list[OperationRead] = []
    deadline = None if timeout is None else time.monotonic() + timeout
    waited = None
    try:
        with view.shown():
            for operation in operations:
                waited = operation
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                try:
                    view.update(session.client.wait(operation, timeout=left, progress=view.update))
                except OperationFailed as error:
                    view.update(error.operation)
                    failed.append(error.operation)
    except KeyboardInterrupt:
        _say_how_to_go_on(session, "Detached. It goes on without you.", waited, undo)
        sys.exit(DETACHED)
    except StillRunning as error:
        _say_how_to_go_on(session, str(error), error.operation, undo)
        sys.exit(TIMED_OUT)
    if failed:
        for operation in failed:
            _say_why(operation)
        sys.exit(FAILED)


class _View:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._began = time.monotonic()
        self.operation: OperationRead | None = None
        self.instances: list[InstanceRead] = []

    def shown(self) -> Any:
        return nullcontext()

    def update(self, operation: OperationRead) -> None:
        self.operation = operation
        self.instances = self._look(operation)
        self.draw()

    def draw(self) -> None:
        raise NotImplementedError

    def _look(self, operation: OperationRead) -> list[InstanceRead]:
        """Those that the operation is about; of many, the ones that are not as they should be come first."""
        calls = self._session.client.instances
        try:
            if operation["instance_id"]:
                return [calls.get(operation["instance_id"])]
            found = calls.list(cluster=operation["cluster_id"], limit=50).page()["items"]
            if operation["total"] > 50:
                found = [*calls.list(cluster=operation["cluster_id"], status="failed", limit=5).page()["items"], *found]
        except NotFound:
            return []
        return found


class _Live(_View):
    """On a terminal."""

    def shown(self) -> Any:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(console=Console(stderr=True), refresh_per_second=8, get_renderable=self._drawn)
        return self._live

    def draw(self) -> None:
        self._live.refresh()

    def _drawn(self) -> Group:
        from rich.console import Group
        from rich.text import Text

        if self.operation is None:
            return Group()
        seconds = age(time.monotonic() - self._began)
        head = Text(
            f"{_mark(self.operation)} {_what(self.operation)}  {_count(self.operation)}  {seconds}", style="bold"
        )
        lines = [Text.assemble("  ", *_line(one), overflow="ellipsis", no_wrap=True) for one in self._chosen()]
        more = len(self.instances) - len(lines)
        return Group(head, *lines, *([Text(f"  … and {more} more", style="dim")] if more > 0 else []))

    def _chosen(self) -> list[InstanceRead]:
        if len(self.instances) <= _SHOWN:
            return self.instances
        return sorted(self.instances, key=lambda one: one["status"] in _SETTLED)[:_SHOWN]


class _Plain(_View):
    """In a pipe or a log: a line for each change."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._said: dict[str, str] = {}

    def draw(self) -> None:
        assert self.operation is not None
        for one in self.instances[:_SHOWN]:
            self._once(one["id"], f"{one['instance_name']}: {one['status']}{_why(one)}")
        self._once(
            self.operation["id"], f"{_what(self.operation)}: {self.operation['status']} {_count(self.operation)}"
        )

    def _once(self, key: str, line: str) -> None:
        if self._said.get(key) != line:
            self._said[key] = line
            self._session.say(line)


def _line(one: InstanceRead) -> list[Any]:
    colour = {"running": "green", "failed": "red", "stopped": "dim", "suspended": "cyan"}.get(one["status"], "yellow")
    return [f"{one['instance_name']}  ", (one["status"], colour), _why(one)]


def _why(one: InstanceRead) -> str:
    why = one["message"] or one["reason"]
    return f"  {' '.join(why.split())}" if why else ""


def _what(operation: OperationRead) -> str:
    kind = operation["kind"]
    verb = _VERBS.get(kind) or f"{kind.partition('.')[2]} of"
    return f"{verb} {operation['instance_name'] or operation['cluster_name']}"


def _count(operation: OperationRead) -> str:
    return f"{operation['done']}/{operation['total']}"


def _mark(operation: OperationRead) -> str:
    return {"succeeded": "✔", "failed": "✘", "cancelled": "✘"}.get(operation["status"], "…")


def _say_how_to_go_on(session: Session, words: str, operation: OperationRead | None, undo: str) -> None:
    session.say(words)
    if operation is not None:
        session.say(f"Watch it again: cmpctl wait {operation['id']}")
    if undo:
        session.say(f"Undo it:        {undo}")


def _say_why(operation: OperationRead) -> None:
    why = operation["message"] or operation["reason"] or "no reason is known"
    click.echo(f"Error: {_what(operation)} {operation['status']}: {why}", err=True)
    name = operation["instance_name"]
    look = f"logs {name}" if name else f"clusters show {operation['cluster_name']}"
    click.echo(f"Next: cmpctl {look}", err=True)


def waits(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--async` and `--timeout`, as `wait` and `timeout`."""
    command = click.option(
        "--timeout", type=click.FloatRange(min=0), help="Seconds to wait at most; exit code 10 then."
    )(command)
    return click.option("--async", "wait", flag_value=False, default=True, help="Do not wait: say how to watch it.")(
        command
    )
