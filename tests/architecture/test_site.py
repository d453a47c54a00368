"""The documentation site builds without a warning, holds every document, and brings nothing from elsewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_FETCHED = re.compile(
    r"""<(?:script|img|iframe)[^>]+src="(?:https?:)?//|<link[^>]+href="(?:https?:)?//|@import|url\(["']?https?:"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    strictly = ["--fail-on-warning", "--keep-going", "--quiet"]
    command = [sys.executable, "-m", "sphinx", *strictly, str(ROOT / "docs"), str(target)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return target


def test_every_document_is_in_it(site: Path) -> None:
    documents = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    pages = {path.relative_to(site) for path in site.rglob("*.html")}
    assert documents - pages == {Path("README.html")}, "that one is for who reads the repository"


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    assert _FETCHED.search('<script src="https://cdn.example/x.js">')
    files = [path for path in site.rglob("*") if path.suffix in (".html", ".css")]
    assert len(files) > 50
    assert [path.name for path in files if _FETCHED.search(path.read_text())] == []


def test_the_tutorial_is_the_readmes_tested_part(site: Path) -> None:
    text = (site / "first-hour.html").read_text()
    for heading in ("The first hour", "First requests"):
        assert re.search(rf"<h[12]>{heading}<", text), heading
    assert "What works today" not in text
