"""The few programs that every simulated container has: echo, cat, sleep, exit, true, false, hostname, stty, yes and sh.

Enough to try a terminal without one; nothing is run.
"""

import asyncio
import shlex
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

Out = Callable[[int, bytes], Awaitable[None]]
STDOUT, STDERR = 1, 2
PIECE = 16 * 1024


class NotFound(Exception):
    """The container has no such program."""


@dataclass
class Terminal:
    """What a command is connected to. Input ends with None."""

    out: Out
    tty: bool = False
    input: asyncio.Queue[bytes | None] = field(default_factory=lambda: asyncio.Queue(4))
    width: int = 0
    height: int = 0
    closed: bool = False

    async def read(self) -> bytes:
        """Nothing at the end."""
        if self.closed:
            return b""
        data = await self.input.get()
        self.closed = data is None
        return data or b""

    async def say(self, text: str, channel: int = STDOUT) -> None:
        if self.tty:
            channel, text = STDOUT, text.replace("\n", "\r\n")
        await self.out(channel, text.encode())


async def run(hostname: str, words: list[str], terminal: Terminal) -> int:
    """The exit code. Raises NotFound."""
    name = words[0].rpartition("/")[2]
    if name == "busybox" and len(words) > 1:
        return await run(hostname, words[1:], terminal)
    match name:
        case "sh" if words[1:2] == ["-c"] and len(words) > 2:
            return await _script(hostname, words[2], terminal)
        case "sh":
            return await _interactive(hostname, terminal)
        case "echo":
            await terminal.say(" ".join(words[1:]) + "\n")
        case "hostname":
            await terminal.say(f"{hostname}\n")
        case "stty":
            await terminal.say(f"{terminal.height} {terminal.width}\n")
        case "sleep":
            await asyncio.sleep(float(words[1]) if len(words) > 1 else 0)
        case "cat":
            while data := await terminal.read():
                await terminal.out(STDOUT, data)
        case "yes":
            while True:
                await terminal.out(STDOUT, b"y\n" * (PIECE // 2))
        case "exit":
            return int(words[1]) % 256 if len(words) > 1 else 0
        case "false":
            return 1
        case "true":
            return 0
        case _:
            raise NotFound(words[0])
    return 0


async def _script(hostname: str, script: str, terminal: Terminal) -> int:
    code = 0
    for line in script.replace("\n", ";").split(";"):
        words = shlex.split(line)
        if not words:
            continue
        told = terminal
        if ">&2" in words:
            words.remove(">&2")
            told = Terminal(lambda _channel, data: terminal.out(STDERR, data), input=terminal.input)
        if words[0] == "exit":
            return int(words[1]) % 256 if len(words) > 1 else code
        try:
            code = await run(hostname, words, told)
        except NotFound:
            await terminal.say(f"sh: {words[0]}: not found\n", STDERR)
            code = 127
    return code


async def _interactive(hostname: str, terminal: Terminal) -> int:
    """Lines until `exit` or the end; on a terminal with a prompt and an echo of what is typed."""
    code, rest = 0, b""
    await _prompt(terminal)
    while data := await terminal.read():
        if terminal.tty:
            await terminal.out(STDOUT, data.replace(b"\r", b"\r\n").replace(b"\n", b"\r\n"))
        *lines, rest = (rest + data.replace(b"\r", b"\n")).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace").strip()
            if text.split()[:1] == ["exit"]:
                return await _script(hostname, text, terminal) if len(text.split()) > 1 else code
            code = await _script(hostname, text, terminal)
            if ";" in text and "exit" in text:
                return code
            await _prompt(terminal)
    return code


async def _prompt(terminal: Terminal) -> None:
    if terminal.tty:
        await terminal.say("/ # ")
