"""The how-tos that add something, done to a copy of the repository: what comes of them is right, and it runs."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e import how_to
from tests.e2e.platform import Platform, running, simulator

TYPE, QUOTA, FIELD = "add-an-instance-type.md", "add-a-kind-of-quota.md", "add-a-field.md"
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The how-tos themselves run the tests of what they add."""
    return how_to.done(tmp_path_factory.mktemp("how-to"), QUOTA, FIELD, TYPE)


def test_what_comes_of_it_passes_the_checks(tree: Path) -> None:
    for check in (
        "ruff check .",
        "ruff format --check .",
        "mypy -p app -p tests.unit -m tests.api.test_quota_of_volumes",
        "lint-imports",
    ):
        how_to.run(tree, *f".venv/bin/{check}".split())
    how_to.run(tree, ".venv/bin/python", "docs/generate.py", "--check")
    golden = tree / "tests/unit/instance_types/golden"
    assert json.loads((golden / "batch.json").read_text())["spec"]["restartPolicy"] == "Never"
    assert json.loads((golden / "container-full.json").read_text())["spec"]["terminationGracePeriodSeconds"] == 5


def test_they_run_on_the_simulator(tree: Path, tmp_path: Path) -> None:
    with (
        simulator() as kubernetes,
        running(
            Platform(tmp_path / "data", kubernetes, root=tree, extra={"CMP_DEFAULT_QUOTA_VOLUMES": "7"})
        ) as platform,
    ):
        batches, patient = _tried(platform, TYPE), _tried(platform, FIELD)[-1]
        pod = httpx.get(f"{kubernetes}/api/v1/namespaces/patient-ns/pods/patient-instance-1").raise_for_status().json()
        admin = {"Authorization": f"Bearer {platform.token}"}
        quota = httpx.get(f"{platform.url}/api/v1/users/me/quota", headers=admin).raise_for_status().json()
    done, wrong = batches[-2:]
    assert (done["status"], done["reason"]) == ("stopped", "completed")
    assert "start" in done["allowed_operations"]
    assert (wrong["status"], wrong["reason"]) == ("failed", "exited")
    assert "exit code 3" in wrong["message"]
    assert patient["container"]["stop_seconds"] == pod["spec"]["terminationGracePeriodSeconds"] == 120
    assert (quota["total"]["volumes"], quota["used"]["volumes"]) == (7, 0)


def _tried(platform: Platform, name: str) -> list[dict[str, Any]]:
    environment = {"CMP_PORT": str(platform.port), "CMP_DATA_DIR": str(platform.data_dir)}
    return how_to.answers(how_to.run(platform.root, "bash", "-ec", how_to.requests(name), **environment))


def test_a_how_to_that_no_longer_fits_is_noticed() -> None:
    text = "a\nb\nc\nb\n"
    assert how_to.changed(text, " a\n+new\n-b\n c\n", "x") == "a\nnew\nc\nb\n"
    for diff in (" b\n+new\n", " z\n+new\n", " a\n c\n", "a\n"):
        with pytest.raises(AssertionError):
            how_to.changed(text, diff, "x")
