"""A terminal to type into and to look at: a shell in tmux, 80 columns wide, which nobody else has."""

import os
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from typing import Self

from testbed import packages
from testbed.processes import Scratch

_PROMPT = "$ "


class Terminal:
    """Raises Unavailable when tmux cannot be had here. `screens` are those that `seen` waited for, as text."""

    def __init__(self, folder: Path, environment: dict[str, str], columns: int = 80, lines: int = 30) -> None:
        self._folder = folder
        self._environment = environment
        self._size = ["-x", str(columns), "-y", str(lines)]
        self.screens: list[str] = []

    def __enter__(self) -> Self:
        self._scratch = Scratch("terminal")
        socket = str(self._scratch.path / "tmux")
        installed = shutil.which("tmux")
        tmux = [installed] if installed else packages.command(packages.unpacked("tmux"), "usr/bin/tmux")
        self._tmux = [*tmux, "-S", socket, "-f", "/dev/null"]
        given = [f"{name}={value}" for name, value in self._environment.items()]
        shell = ["env", *given, f"PS1={_PROMPT}", "bash", "--noprofile", "--norc"]
        self._run("new-session", "-d", *self._size, "-c", str(self._folder), shlex.join(shell))
        self.done()
        return self

    def __exit__(self, *_: object) -> None:
        self._run("kill-server")
        self._scratch.remove()

    def type(self, line: str) -> None:
        """As a person: the keys, then Enter."""
        self._run("send-keys", "-l", line)
        self.press("Enter")

    def press(self, *keys: str) -> None:
        """In tmux' words: Enter, C-c, C-d."""
        self._run("send-keys", *keys)

    def screen(self) -> str:
        return self._run("capture-pane", "-p").rstrip("\n")

    def seen(self, words: str, seconds: float = 60.0) -> str:
        """The screen as soon as it shows `words`."""
        deadline = time.monotonic() + seconds
        while words not in (screen := self.screen()):
            if time.monotonic() > deadline:
                raise AssertionError(f"not seen within {seconds} s: {words!r}\n{screen}")
            time.sleep(0.05)
        self.screens.append(screen)
        return screen

    def done(self, seconds: float = 60.0) -> str:
        """The screen when the prompt is back."""
        deadline = time.monotonic() + seconds
        while (screen := self.screen()).split("\n")[-1] != _PROMPT.rstrip():
            if time.monotonic() > deadline:
                raise AssertionError(f"no prompt within {seconds} s\n{screen}")
            time.sleep(0.05)
        self.screens.append(screen)
        return screen

    def run(self, line: str, seconds: float = 60.0) -> str:
        """Types `line` on an empty screen and answers what it came to."""
        self._run("send-keys", "-R")
        self._run("clear-history")
        self.press("C-l")
        time.sleep(0.1)
        self.type(line)
        time.sleep(0.2)
        return self.done(seconds)

    def _run(self, *words: str) -> str:
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        line = [*self._tmux, *words]
        return subprocess.run(line, check=True, capture_output=True, text=True, timeout=20, env=environment).stdout
