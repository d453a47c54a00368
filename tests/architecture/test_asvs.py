"""docs/asvs.md: what it names is there, and what it counts is what it has."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/asvs.md").read_text()
STATES = ("met", "partly", "not", "n/a")
# Of ASVS 5.0.0, level 1 and level 2.
REQUIREMENTS = 253

_ROW = re.compile(r"^\| (V[0-9]+\.[0-9]+\.[0-9]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
_COUNT = re.compile(r"^\| (met|partly|not|n/a) \| ([0-9]+) \|", re.MULTILINE)
_NAMED = re.compile(r"`([^`\s]+)`")
_PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*(?:::\w+)?")
_ROOTS = {"app", "agent", "bench", "deploy", "docs", "simulator", "testbed", "tests"}
_FILES = {"main.py", "Makefile", "pyproject.toml", "uv.lock", "SECURITY.md"}
ROWS = _ROW.findall(TEXT)


def test_every_requirement_is_there_once_and_in_order() -> None:
    ids = [tuple(map(int, id[1:].split("."))) for id, *_ in ROWS]
    assert ids == sorted(set(ids))
    assert len(ids) == REQUIREMENTS
    assert len(ids) == len([line for line in TEXT.splitlines() if line.startswith("| V")]), "a row that cannot be read"


def test_the_summary_counts_what_the_tables_have() -> None:
    found = Counter(state for _, _, state, _ in ROWS)
    assert set(found) <= set(STATES)
    assert {state: int(number) for state, number in _COUNT.findall(TEXT)} == {state: found[state] for state in STATES}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_is_named_is_there(row: tuple[str, str, str, str]) -> None:
    id, short, state, why = row
    assert len(short.split()) <= 12, f"{id}: shorter, please"
    assert why.strip(), id
    paths = [name for name in _NAMED.findall(why) if _is_path(name)]
    assert paths or state != "met", f"{id}: name the test or the code"
    for name in paths:
        path, _, test = name.partition("::")
        assert (ROOT / path).exists(), f"{id}: {path}"
        if test:
            assert re.search(rf"^(?:async )?def {test}\(", (ROOT / path).read_text(), re.MULTILINE), f"{id}: {name}"


def _is_path(name: str) -> bool:
    if not _PATH.fullmatch(name):
        return False
    path = name.partition("::")[0]
    return path in _FILES or ("/" in path and path.split("/")[0] in _ROOTS)
