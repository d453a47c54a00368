"""The build names what is missing and what to do; it never ends in a traceback."""

from pathlib import Path

import pytest

from testbed import Unavailable, build


def test_a_given_directory_that_is_incomplete_is_refused_with_the_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in build.FILES[1:]:
        (tmp_path / name).touch()
    monkeypatch.setenv("CMP_TESTBED_BIN", str(tmp_path))
    with pytest.raises(Unavailable, match=rf"\({build.FILES[0]} in .*complete it or unset it"):
        build.build()


def test_a_given_directory_that_is_complete_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in build.FILES:
        (tmp_path / name).touch()
    monkeypatch.setenv("CMP_TESTBED_BIN", str(tmp_path))
    assert build.build() == build.directory() == tmp_path


def test_an_empty_cache_says_how_to_fill_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CMP_TESTBED_BIN", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(Unavailable, match="python -m testbed build"):
        build.directory()


@pytest.mark.parametrize(
    ("installed", "setting", "value"),
    [
        ("go1.26.3", "GOTOOLCHAIN", "local"),
        ("go1.24.4", "GOTOOLCHAIN", "go1.26.8"),
        ("go1.27.0", "GOEXPERIMENT", "nojsonv2"),
    ],
)
def test_each_go_is_made_to_build_correctly(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, installed: str, setting: str, value: str
) -> None:
    _pretend_go(monkeypatch, tmp_path, f"echo {installed}")
    assert build.go_environment()[setting] == value


@pytest.mark.parametrize("program", ["echo go1.19.8", "echo broken >&2; exit 1"])
def test_a_go_that_cannot_do_is_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str
) -> None:
    _pretend_go(monkeypatch, tmp_path, program)
    with pytest.raises(Unavailable, match=r"install Go 1\.26"):
        build.go_environment()


def _pretend_go(monkeypatch: pytest.MonkeyPatch, folder: Path, program: str) -> None:
    go = folder / "go"
    go.write_text(f"#!/bin/sh\n{program}\n")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
