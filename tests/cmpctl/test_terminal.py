"""A day at a terminal: real keystrokes in tmux, what is on the screen, 80 columns wide."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from testbed.terminal import Terminal
from tests.e2e.platform import ROOT, free_port
from tests.e2e.terminals import with_cmpctl

WIDTH = 80


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with with_cmpctl(tmp_path) as opened:
        yield opened


@pytest.fixture
def running(terminal: Terminal, console_dir: Path, tmp_path: Path) -> Iterator[str]:
    """The address of what `make run` serves, in a terminal of its own; it finds the console built."""
    if shutil.which("make") is None:
        pytest.skip("no make")
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "CMP_PORT": str(port),
        "CMP_DATA_DIR": str(tmp_path),
    }
    with Terminal(ROOT, environment) as server:
        server.type("make run")
        server.seen("First request", 240)
        yield f"http://127.0.0.1:{port}"
        server.press("C-c")
        server.done(60)


def test_a_day(terminal: Terminal, running: str, browser: Browser, tmp_path: Path) -> None:
    screen = terminal.run("cmpctl ps")
    assert "Next: cmpctl login" in screen
    screen = terminal.run(f"cmpctl login {running} --token-file {tmp_path / 'admin-token'}")
    assert "as admin (admin)" in screen
    assert "TOKEN" in terminal.run("cmpctl users create ada --cpu 2 --memory 2Gi")
    assert "TOKEN" in terminal.run("cmpctl users create grace")
    terminal.run("printf 'four words nobody guesses\\n' | cmpctl users password ada --stdin")
    _sign_in(terminal, browser, running)

    terminal.type("clear; cmpctl launch web --cpu 0.5 --memory 256Mi --image nginx --count 3")
    watching = terminal.seen("creating web")
    assert "web-instance-" in terminal.seen("web-instance-")
    screen = terminal.seen("✔ creating web  3/3")
    assert "web-instance-3  running" in screen
    _fits(watching)
    _fits(screen)

    screen = terminal.run("cmpctl ps")
    assert "web   container  3/3    running" in screen
    assert "web-instance-4  running" in terminal.run("cmpctl scale web 4")

    screen = terminal.run("cmpctl scale web 9")
    assert "Error: This does not fit your quota" in " ".join(screen.split())
    assert "cpu       █" in screen
    assert "Next: cmpctl quota" in screen
    _fits(screen)
    assert "2 of 2 used" in terminal.run("cmpctl quota")

    _detach(terminal)

    terminal.run("cmpctl share add web grace operate")
    assert "operate" in terminal.run("cmpctl share list web")

    terminal.type("clear; cmpctl rm web")
    terminal.seen("Type web to go on")
    terminal.type("no")
    terminal.seen("Nothing was done.")
    terminal.type("clear; cmpctl rm web")
    terminal.seen("Type web to go on")
    terminal.type("web")
    terminal.seen("✔ deleting web")
    assert "0 of 2 used" in terminal.run("cmpctl quota")


def _sign_in(terminal: Terminal, browser: Browser, url: str) -> None:
    """Through the browser, as `cmpctl login` says."""
    terminal.type(f"clear; cmpctl --profile ada login {url}")
    screen = terminal.seen("and enter ")
    code = screen.partition("and enter ")[2].split()[0]
    page = browser.new_page()
    page.goto(f"{url}/device?user_code={code}")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill("four words nobody guesses")
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("button", name="Let it in").click()
    terminal.seen("as ada (user), profile ada.", 30)


def _detach(terminal: Terminal) -> None:
    """One that never gets ready says why; Ctrl-C leaves it to itself, and says how to come back."""
    terminal.run("cmpctl scale web 3")
    terminal.type("clear; cmpctl launch shop --cpu 0.1 --memory 64Mi --image shop:does-not-exist")
    waiting = terminal.seen("The image cannot be pulled")
    _fits(waiting)
    terminal.press("C-c")
    screen = terminal.done()
    assert "Detached. It goes on without you." in screen
    assert "Undo it:        cmpctl rm shop" in screen
    again = next(line for line in screen.splitlines() if line.startswith("Watch it again: ")).partition(": ")[2]
    terminal.type(f"clear; {again}")
    terminal.seen("creating shop")
    terminal.press("C-c")
    assert "Detached" in terminal.done()
    assert "deleting shop" in terminal.run("cmpctl rm shop --yes")


def _fits(screen: str) -> None:
    assert max(map(len, screen.splitlines())) <= WIDTH
