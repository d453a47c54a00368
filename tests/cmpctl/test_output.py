"""How things are printed."""

import csv
import json
import os
import pty
import subprocess
import sys
from contextlib import suppress

import click
import pytest
import yaml

from cmpctl.output import Column, Output
from tests.cmpctl.command import Cmpctl

_ROWS = [
    {"name": "web", "phase": "running", "count": 3, "note": "a, b", "message": "all \x1b[31mis\x07 well"},
    {"name": "lab", "phase": "failed", "count": 0, "note": None, "message": None},
]
_COLUMNS = [
    Column("name", "name"),
    Column("phase", "phase"),
    Column("count", "count"),
    Column("note", "note", wide=True),
    Column("message", "message"),
]


def _what_was_written(reader: int) -> str:
    """To a terminal whose other end is closed: one read gives what one write wrote, not all."""
    pieces = []
    with suppress(OSError), os.fdopen(reader, "rb", buffering=0) as terminal:
        while piece := terminal.read(10_000):
            pieces.append(piece)
    return b"".join(pieces).decode()


def printed(capsys: pytest.CaptureFixture[str], format: str = "table", **how: object) -> str:
    given = {"named": (), "filters": (), "headers": True, "watch": False, "name": "name", **how}
    Output(format, _COLUMNS, **given).listed(lambda: _ROWS)  # type: ignore[arg-type]
    return capsys.readouterr().out


def test_tables(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys).splitlines()[0].split() == ["NAME", "PHASE", "COUNT", "MESSAGE"]
    assert printed(capsys, "wide").splitlines()[0].split() == ["NAME", "PHASE", "COUNT", "NOTE", "MESSAGE"]
    assert printed(capsys, headers=False).splitlines()[1].split() == ["lab", "failed", "0"]
    assert printed(capsys, named=("count", "name")).splitlines() == ["COUNT  NAME", "3      web", "0      lab"]


def test_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(printed(capsys, "json")) == _ROWS
    assert yaml.safe_load(printed(capsys, "yaml")) == _ROWS
    assert printed(capsys, "name") == "web\nlab\n"
    head, first, _ = csv.reader(printed(capsys, "csv").splitlines())
    assert head == ["name", "phase", "count", "note", "message"]
    assert first[3] == "a, b"


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (["phase=running"], "web\n"),
        (["phase!=running"], "lab\n"),
        (["name~a"], "lab\n"),
        (["name~e", "count=3"], "web\n"),
        (["count=7"], ""),
    ],
)
def test_filters(capsys: pytest.CaptureFixture[str], filters: list[str], names: str) -> None:
    assert printed(capsys, "name", filters=filters) == names


def test_a_filter_that_is_none() -> None:
    with pytest.raises(click.UsageError):
        Output("table", _COLUMNS, (), ["phase"], True, False, "name").listed(lambda: _ROWS)


def test_what_the_server_says_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    assert "all ?[31mis? well" in printed(capsys)


def test_no_colours_in_a_pipe(ada: Cmpctl) -> None:
    ada("launch", "web", "--cpu", "0.1", "--memory", "64Mi")
    assert "\x1b" not in ada("ps").out + ada("clusters", "show", "web").out
    assert "\x1b" not in ada("clusters", "show", "never", code=5).err


def test_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last column gives way."""
    monkeypatch.setenv("COLUMNS", "30")
    reader, writer = pty.openpty()
    with os.fdopen(writer, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr("sys.stdout", terminal)
        Output("table", _COLUMNS, (), (), True, False, "name").listed(lambda: _ROWS)
    lines = click.unstyle(_what_was_written(reader)).splitlines()
    assert max(map(len, lines)) == 30
    assert lines[1].endswith("…")


@pytest.mark.parametrize("bare", ["", "1"])
@pytest.mark.parametrize("words", [("ps",), ("clusters", "list", "--filter", "name"), ("users", "show", "never")])
def test_colours_on_a_terminal(ada: Cmpctl, words: tuple[str, ...], bare: str) -> None:
    if ada.gone("/clusters/colours"):
        ada("launch", "colours", "--cpu", "0.1", "--memory", "64Mi")
    reader, writer = pty.openpty()
    environment = {**os.environ, "CMPCTL_URL": ada.url, "CMPCTL_TOKEN": str(ada.token), "NO_COLOR": bare}
    line = [sys.executable, "-m", "cmpctl.main", *words]
    subprocess.run(line, env=environment, stdout=writer, stderr=writer, check=False, timeout=30)
    os.close(writer)
    text = _what_was_written(reader)
    assert text
    if bare:
        assert "\x1b" not in text
    elif "name" not in words:  # a usage error has no colours
        assert "\x1b[" in text


def test_watching_prints_again_only_on_a_change(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([_ROWS, _ROWS, _ROWS[:1], _ROWS[:1]])
    monkeypatch.setattr("cmpctl.output.time.sleep", lambda _: None)
    with pytest.raises(StopIteration):
        Output("name", _COLUMNS, (), (), True, True, "name").listed(lambda: next(answers))
    assert capsys.readouterr().out == "web\nlab\nweb\n"


def test_what_was_typed_before_the_connection_is_kept() -> None:
    code = "import os, sys, time; from cmpctl.terminal import _raw\n"
    code += "print('ready', flush=True); time.sleep(0.5)\nwith _raw(True): print(os.read(0, 100), file=sys.stderr)"
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline() == b"ready\n"
        os.write(ours, b"ls\n")
        assert child.stderr.read() == b"b'ls\\n'\n"
    os.close(ours)
    os.close(theirs)
