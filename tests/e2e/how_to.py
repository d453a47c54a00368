"""A copy of the repository to which a how-to was done, as it stands there.

Of its code blocks, ```diff <path> changes a file where its context stands exactly once, ```<language> <path> makes
one, and ```sh is pasted into a shell.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.e2e.platform import ROOT

_BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = "\n## Try it\n"


def done(folder: Path, *names: str) -> Path:
    """The copy, with all done that comes before the heading `Try it`, one how-to after the other."""
    tree = _copied(folder)
    for language, path, text in (block for name in names for block in _BLOCK.findall(_text(name).split(_HEADING)[0])):
        if language == "sh":
            run(tree, "bash", "-ec", text)
        elif language == "diff":
            (tree / path).write_text(changed((tree / path).read_text(), text, path))
        else:
            assert not (tree / path).exists(), f"{path} is there already"
            (tree / path).write_text(text)
    return tree


def requests(name: str) -> str:
    """What is to be pasted to try it."""
    return shell(_text(name).split(_HEADING)[1])


def shell(text: str) -> str:
    return "\n".join(block for language, _, block in _BLOCK.findall(text) if language == "sh")


def changed(before: str, diff: str, path: str) -> str:
    lines = [(line[:1], line[1:]) for line in diff.splitlines(keepends=True)]
    assert {mark for mark, _ in lines} <= {" ", "+", "-"}, f"{path}: a line of the diff begins otherwise"
    old = "".join(line for mark, line in lines if mark != "+")
    new = "".join(line for mark, line in lines if mark != "-")
    places = f"\n{before}".count(f"\n{old}")
    assert places == 1, f"{path}: what the how-to changes stands there {places} times:\n{old}"
    return f"\n{before}".replace(f"\n{old}", f"\n{new}")[1:]


def run(tree: Path, *command: str, **environment: str) -> str:
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("CMP_", "PYTEST_"))}
    finished = subprocess.run(
        command, cwd=tree, env=plain | environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert finished.returncode == 0, f"{command}:\n{finished.stdout[-8000:]}\n{finished.stderr[-4000:]}"
    return finished.stdout


def answers(text: str) -> list[dict[str, Any]]:
    """The JSON objects that were printed one after the other."""
    decoder = json.JSONDecoder()
    found = []
    while text := text.strip():
        answer, end = decoder.raw_decode(text)
        found.append(answer)
        text = text[end:]
    return found


def _text(name: str) -> str:
    return (ROOT / "docs/how-to" / name).read_text()


def _copied(folder: Path) -> Path:
    """Of what git knows and of what is new, as it stands, in a repository of its own; with our Python."""
    tree = folder / "tree"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.check_output(listed, cwd=ROOT, text=True).split("\0"):
        if name and (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tree / name)
    (tree / ".venv").symlink_to(sys.prefix)
    run(tree, "bash", "-ec", "git init -q . && git add -A")
    return tree
