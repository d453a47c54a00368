"""The documents name what is there: paths, links, decisions."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
DECISIONS = sorted((ROOT / "docs/adr").glob("[0-9]*.md"))
# Named only where they come to be when CMP runs.
MADE_LATER = (".cmp/", ".uv/", ".venv/")

_IN_BACKTICKS = re.compile(r"`([^`\s]+)`")
_ANYWHERE = re.compile(r"(?<![\w./~-])(?:app|bench|deploy|docs|simulator|testbed|tests)/[\w./-]*[\w/]")
_ROOT_FILE = re.compile(r"[\w-]+\.(?:py|md|toml|lock|ini)|Makefile")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("name", ["README.md", "docs/map.md"])
def test_paths_that_are_named_are_there(name: str) -> None:
    text = (ROOT / name).read_text()
    named = {path for path in _IN_BACKTICKS.findall(text) if _is_path(path)} | set(_ANYWHERE.findall(text))
    assert len(named) > 5, "the pattern finds no paths any more"
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    links = [link for link in _LINK.findall(document.read_text()) if "://" not in link]
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_each_decision_has_a_number_of_its_own_that_its_heading_repeats() -> None:
    numbers = [path.name[:4] for path in DECISIONS]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
    headings = [path.read_text().split("\n", 1)[0] for path in DECISIONS]
    assert [heading[:7] for heading in headings] == [f"# {number}." for number in numbers]


def test_each_decision_is_in_the_index() -> None:
    index = (ROOT / "docs/adr/README.md").read_text()
    for path in DECISIONS:
        title = path.read_text().split("\n", 1)[0].partition(". ")[2]
        assert f"| [{path.name[:4]}]({path.name}) | {title} |" in index


def test_decisions_that_the_code_names_are_there() -> None:
    numbers = {path.name[:4] for path in DECISIONS}
    for source in [ROOT / "main.py", *(ROOT / "app").rglob("*.py")]:
        named = set(re.findall(r"docs/adr/(\d{4})", source.read_text()))
        assert named <= numbers, f"{source.relative_to(ROOT)} names a decision that is not there"


def _is_path(text: str) -> bool:
    if text.startswith(MADE_LATER) or re.search(r"[^\w./-]", text) or text.startswith("/"):
        return False
    return "/" in text or _ROOT_FILE.fullmatch(text) is not None
