"""deploy/compose.yaml, as Compose's own loader understands it, with the page's settings."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.settings import Settings
from testbed import Unavailable, build
from tests.e2e.platform import ROOT

_PAGE = ROOT / "docs/how-to/run-with-compose.md"
_OURS = ("api-1", "api-2", "worker")

pytestmark = pytest.mark.kubernetes  # where the binaries of the testbed are built


@pytest.fixture(scope="module")
def loader() -> Path:
    try:
        return build.directory(build.COMPOSE) / "compose-config"
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    (block,) = re.findall(r"^```ini\n(.*?)^```$", _PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "deploy/.env").write_text(block)
    return tmp_path / "deploy"


def test_it_is_what_the_page_says(loader: Path, folder: Path) -> None:
    services = _loaded(loader, folder)["services"]
    for name in _OURS:
        service = services[name]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        for setting in service["environment"]:
            assert setting.removeprefix("CMP_").lower() in Settings.model_fields
        Settings.model_validate(
            {setting.removeprefix("CMP_").lower(): value for setting, value in service["environment"].items()}
        )
    assert services["worker"]["command"] == ["-m", "app.worker"]
    assert [name for name, service in services.items() if service.get("ports")] == ["nginx", "prometheus"]
    assert services["prometheus"]["ports"][0]["host_ip"] == "127.0.0.1"


def test_nginx_knows_exactly_the_api_processes(loader: Path, folder: Path) -> None:
    project = _loaded(loader, folder)
    upstream = project["configs"]["upstream"]["content"]
    assert re.findall(r"server (\S+):8000", upstream) == [
        name for name in project["services"] if name.startswith("api")
    ]
    same = (ROOT / "deploy/nginx/upstream.conf").read_text()
    for number in (1, 2):
        upstream = upstream.replace(f"api-{number}:8000", f"127.0.0.1:{7990 + 10 * number}")
    assert upstream.split() == re.sub("#.*", "", same).split()


def test_what_is_missing_is_named(loader: Path, folder: Path) -> None:
    (folder / ".env").write_text("")
    refused = subprocess.run([loader, "compose.yaml"], cwd=folder, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    for name in ("CMP_PUBLIC_URL", "CMP_SECRET_KEY", "POSTGRES_PASSWORD"):
        assert f"required variable {name} is missing" in refused.stderr


def test_a_word_that_compose_does_not_know_is_refused(loader: Path, folder: Path) -> None:
    text = (folder / "compose.yaml").read_text()
    (folder / "compose.yaml").write_text(text.replace("stop_grace_period", "stop_grace_time"))
    assert subprocess.run([loader, "compose.yaml"], cwd=folder, capture_output=True, check=False).returncode == 1


def _loaded(loader: Path, folder: Path) -> dict[str, Any]:
    done = subprocess.run([loader, "compose.yaml"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))
