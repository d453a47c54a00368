"""Which commands and options were given, and which calls were made for them."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import click
import pytest

from cmpctl import generate
from cmpctl.client.client import Client
from cmpctl.client.core import Call, Send
from cmpctl.main import root

# OpenAPI does not describe WebSockets.
WAYS = (
    "WEBSOCKET /api/v1/instances/{instance}/console",
    "WEBSOCKET /api/v1/instances/{instance}/exec",
    "WEBSOCKET /api/v1/instances/{instance}/port-forward/{port}",
    "WEBSOCKET /api/v1/instances/{instance}/vnc",
)


@dataclass
class Used:
    commands: set[str] = field(default_factory=set)
    parameters: set[tuple[int, str]] = field(default_factory=set)
    """The command's identity: one that is in two places is one."""
    calls: set[str] = field(default_factory=set)
    """Method and path, as they were sent."""


class Record:
    def __init__(self) -> None:
        self._used = Used()

    def keep(self, used: Used) -> None:
        self._used.commands |= used.commands
        self._used.parameters |= used.parameters
        self._used.calls |= used.calls

    @contextmanager
    def noting(self) -> Iterator[Used]:
        used = Used()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(click.Parameter, "handle_parse_result", _noting_parameters(used))
            patch.setattr(Client, "_do", _noting_steps(used))
            patch.setattr(Client, "opened", _noting_calls(used, Client.opened))
            patch.setattr(Client, "connected", _noting_ways(used, Client.connected))
            yield used

    def commands_left(self) -> list[str]:
        return sorted({path for path, _ in _tree(root, "cmpctl")} - self._used.commands)

    def parameters_left(self) -> list[str]:
        commands = {id(command): (path, command) for path, command in _tree(root, "cmpctl")}
        return sorted(
            f"{path} {word}"
            for key, (path, command) in commands.items()
            for parameter in command.params
            for word in _words(parameter)
            if (key, word) not in self._used.parameters
        )

    def operations_left(self) -> set[str]:
        """Of the API, those that no command called."""
        patterns = {name: _pattern(name) for name in operations()}
        # `me` is no user's name: what is exact comes before what has places.
        names = sorted(patterns, key=lambda name: name.count("{"))
        called = {
            next((name for name in names if patterns[name].fullmatch(call)), f"{call}: no operation of the API")
            for call in self._used.calls
        }
        return set(names) ^ called


def operations() -> list[str]:
    return [*(f"{method} {path}" for method, path, _ in generate.operations()), *WAYS]


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile("[^/]+".join(re.escape(part) for part in re.split(r"{\w+}", name)))


def _tree(command: click.Command, path: str, known: set[int] | None = None) -> Iterator[tuple[str, click.Command]]:
    """A group that is in two places is gone into once."""
    known = set() if known is None else known
    yield path, command
    if id(command) not in known:
        known.add(id(command))
        for name, member in getattr(command, "commands", {}).items():
            yield from _tree(member, f"{path} {name}", known)


def _words(parameter: click.Parameter) -> list[str]:
    """An option that says yes or no is two."""
    return [parameter.opts[0], *parameter.secondary_opts[:1]]


def _noting_parameters(used: Used) -> Any:
    handle = click.Parameter.handle_parse_result

    def noted(self: click.Parameter, ctx: click.Context, opts: Mapping[str, Any], args: list[str]) -> Any:
        if not ctx.resilient_parsing:
            used.commands.add(ctx.command_path)
            value = opts.get(str(self.name))
            if isinstance(value, str | tuple | list | bool | int) and value != ():
                word = self.secondary_opts[0] if value is False and self.secondary_opts else self.opts[0]
                used.parameters.add((id(ctx.command), word))
        return handle(self, ctx, opts, args)

    return noted


def _noting_steps(used: Used) -> Any:
    do = Client._do

    def noted(self: Client, step: Any) -> Any:
        if isinstance(step, Send):
            used.calls.add(f"{step.call.method} {step.call.path}")
        return do(self, step)

    return noted


def _noting_calls(used: Used, opened: Any) -> Any:
    def noted(self: Client, call: Call, *args: Any) -> Any:
        used.calls.add(f"{call.method} {call.path}")
        return opened(self, call, *args)

    return noted


def _noting_ways(used: Used, connected: Any) -> Any:
    def noted(self: Client, path: str, *args: Any) -> Any:
        used.calls.add(f"WEBSOCKET {path}")
        return connected(self, path, *args)

    return noted
