"""A terminal in which `cmpctl` is a command, with settings of nobody else's."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from testbed import Unavailable
from testbed.terminal import Terminal
from tests.e2e.platform import ROOT


@contextmanager
def with_cmpctl(folder: Path, **environment: str) -> Iterator[Terminal]:
    """Prints every screen that was waited for, without the tokens that were on it."""
    programs = folder / "bin"
    programs.mkdir()
    program = programs / "cmpctl"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cmpctl.main "$@"\n')
    program.chmod(0o755)
    environment |= {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "CMPCTL_HOME": str(folder / "home"),
        "BROWSER": "true",
        "LC_ALL": "C.UTF-8",
    }
    try:
        with Terminal(ROOT, environment) as opened:
            yield opened
            screens = "\n\n".join(f"{'-' * 80}\n{screen}" for screen in opened.screens)
            print(re.sub(r"cmp_[a-z]+_\S+", "cmp_…", screens))
    except Unavailable as reason:
        pytest.skip(f"no tmux: {reason}")
