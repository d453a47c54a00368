"""docs/document.md: what it names is there, and only what is not yet there goes without a test."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_ROW = re.compile(r"^\| (?!asked|recommended|---)([^|]+) \| ([^|]+) \| ([^|]*)\|$", re.MULTILINE)
ROWS = _ROW.findall((ROOT / "docs/document.md").read_text())


def test_every_row_is_read() -> None:
    lines = [line for line in (ROOT / "docs/document.md").read_text().splitlines() if line.startswith("| ")]
    assert len(ROWS) == len([line for line in lines if not line.startswith(("| asked", "| recommended"))]) > 50


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_is_named_is_there(row: tuple[str, str, str]) -> None:
    _, where, tests = row
    for named in re.findall(r"`([^`]+)`", where + tests):
        path, _, test = named.partition("::")
        if not named.startswith("CMP_"):
            assert (ROOT / path).is_file(), named
            assert not test or f"def {test}(" in (ROOT / path).read_text(), named
    assert tests.strip() or where.startswith("not yet"), "name its test, or say that it is not there"
    for test in re.findall(r"`([^`]+)`", tests):
        assert test.startswith("tests/"), test
