"""docs/how-to/add-an-instance-type.md, done to a copy of the repository: what comes of it is right, and it runs."""

import json
from pathlib import Path

import pytest

from tests.e2e import how_to
from tests.e2e.platform import Platform, running

NAME = "add-an-instance-type.md"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The how-to itself runs the tests that hold for every type."""
    return how_to.done(NAME, tmp_path_factory.mktemp("how-to"))


def test_what_comes_of_it_passes_the_checks(tree: Path) -> None:
    for check in ("ruff check .", "ruff format --check .", "mypy -p app -p tests.unit", "lint-imports"):
        how_to.run(tree, *f".venv/bin/{check}".split())
    how_to.run(tree, ".venv/bin/python", "docs/generate.py", "--check")
    golden = json.loads((tree / "tests/unit/instance_types/golden/batch.json").read_text())
    assert golden["spec"]["restartPolicy"] == "Never"


def test_it_runs_on_the_simulator(tree: Path, tmp_path: Path) -> None:
    with running(Platform(tmp_path / "data", kubernetes="simulator", root=tree)) as platform:
        pasted = how_to.run(
            tree,
            "bash",
            "-ec",
            how_to.requests(NAME),
            CMP_PORT=str(platform.port),
            CMP_DATA_DIR=str(platform.data_dir),
        )
    done, wrong = how_to.answers(pasted)[-2:]
    assert (done["status"], done["reason"]) == ("stopped", "completed")
    assert "start" in done["allowed_operations"]
    assert (wrong["status"], wrong["reason"]) == ("failed", "exited")
    assert "exit code 3" in wrong["message"]


def test_a_how_to_that_no_longer_fits_is_noticed() -> None:
    text = "a\nb\nc\nb\n"
    assert how_to.changed(text, " a\n+new\n-b\n c\n", "x") == "a\nnew\nc\nb\n"
    for diff in (" b\n+new\n", " z\n+new\n", " a\n c\n", "a\n"):
        with pytest.raises(AssertionError):
            how_to.changed(text, diff, "x")
