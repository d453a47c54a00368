"""`cmpctl` run in this process as a shell would run it: its words, its input, what it said, how it ended."""

import logging
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from cmpctl.client.client import Client
from cmpctl.main import main
from tests.cmpctl.record import Record
from tests.e2e.platform import free_port

PATIENCE = 20.0
MAIL_PORT = free_port()
_begin = Client.__init__


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@dataclass(frozen=True)
class Cmpctl:
    """One person at one machine. Called with words it runs them; what begins with `get` asks CMP without it."""

    url: str
    home: Path
    record: Record
    token: str | None = field(default=None, repr=False)
    name: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    def elsewhere(self, **environment: str) -> "Cmpctl":
        """The same, with more in the environment."""
        return replace(self, environment={**self.environment, **environment})

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.request(method, f"{self.url}/api/v1{path}", headers=headers, timeout=60, **more)

    def get(self, path: str, **query: Any) -> Any:
        answer = self.request("GET", path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def gone(self, path: str) -> bool:
        return self.request("GET", path).status_code == 404

    def __call__(
        self,
        *words: str,
        code: int = 0,
        input: str = "",
        until: Callable[[Said], object] | None = None,
        typed: str | None = None,
        ends: int = 130,
    ) -> Said:
        """`until`: once that holds of what was said, `typed` is typed; without it, Ctrl-C, which `ends` it so."""
        clients: list[Client] = []

        def noted(client: Client, *args: Any, **kwargs: Any) -> None:
            _begin(client, *args, **kwargs)
            clients.append(client)

        with _terminal(input) as terminal, pytest.MonkeyPatch.context() as patch, self.record.noting() as done:
            for name, value in self._environment().items():
                patch.setenv(name, value)
            patch.setattr(Client, "__init__", noted)
            patch.setattr(logging.root, "handlers", [])  # pytest's own: --debug makes another
            try:
                with terminal.watched(until, typed):
                    main(list(words))
            except SystemExit as end:
                ended = end.code
            for client in clients:
                client.close()
            logging.root.setLevel(logging.WARNING)
            sys.stdout.flush()
            said = replace(terminal.said(), code=int(ended or 0))
        wanted = ends if until and typed is None else code
        assert said.code == wanted, f"cmpctl {' '.join(words)}: {said.code}\n{said.out}\n{said.err}"
        if said.code != 2:
            self.record.keep(done)
        return said

    def _environment(self) -> dict[str, str]:
        found = {"CMPCTL_HOME": str(self.home), "CMPCTL_PROFILE": "", "CMPCTL_URL": "", "CMPCTL_TOKEN": ""}
        if self.token is not None:
            found |= {"CMPCTL_URL": self.url, "CMPCTL_TOKEN": self.token}
        return found | self.environment


class _Terminal:
    def __init__(self, folder: Path, keyboard: int) -> None:
        self.paths = (folder / "out", folder / "err")
        self._keyboard = keyboard

    def said(self) -> Said:
        """So far, as far as it was flushed."""
        return Said(0, *(path.read_text(errors="replace") for path in self.paths))

    @contextmanager
    def watched(self, until: Callable[[Said], object] | None, typed: str | None) -> Iterator[None]:
        if until is None:
            os.close(self._keyboard)
            yield
            return
        watcher = threading.Thread(target=self._watch, args=(until, typed))
        watcher.start()
        try:
            yield
        finally:
            watcher.join()

    def _watch(self, until: Callable[[Said], object], typed: str | None) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and not until(self.said()):
            time.sleep(0.02)
        if typed is None:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        else:
            os.write(self._keyboard, typed.encode())
        os.close(self._keyboard)


@contextmanager
def _terminal(input: str) -> Iterator[_Terminal]:
    """A pipe and files in the places of stdin, stdout and stderr: the process's and Python's."""
    with tempfile.TemporaryDirectory() as name:
        reading, keyboard = os.pipe()
        os.write(keyboard, input.encode())
        terminal = _Terminal(Path(name), keyboard)
        before, kept = (sys.stdin, sys.stdout, sys.stderr), [os.dup(number) for number in range(3)]
        files = [os.fdopen(reading), *(path.open("w") for path in terminal.paths)]
        try:
            for number, file in enumerate(files):
                os.dup2(file.fileno(), number)
            sys.stdin, sys.stdout, sys.stderr = files
            yield terminal
        finally:
            sys.stdin, sys.stdout, sys.stderr = before
            for number, descriptor in enumerate(kept):
                os.dup2(descriptor, number)
                os.close(descriptor)
            for file in files:
                file.close()
