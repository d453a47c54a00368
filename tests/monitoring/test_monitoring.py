"""Alerts by promtool, dashboards by their form: each is tested, explained, and asks for what is there."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.telemetry import metrics
from testbed import Unavailable, packages

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "deploy/monitoring"
RULES = MONITORING / "alerts.yaml"
TESTS = MONITORING / "alerts.test.yaml"
ALERTS: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
]
BOARDS = sorted((MONITORING / "dashboards").glob("*.json"))
# Of the processes themselves, by Prometheus' library and by Prometheus.
OTHERS = {"process_cpu_seconds_total", "up"}
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count")}
_NAME = re.compile(r"\b(?:cmp|process)_[a-z_]+|\bup\b")


@pytest.fixture(scope="module")
def promtool() -> list[str | Path]:
    try:
        return packages.command(packages.unpacked("prometheus"), "usr/bin/promtool")
    except Unavailable as reason:
        pytest.skip(str(reason))


def run(promtool: list[str | Path], *words: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*promtool, *words], cwd=MONITORING, capture_output=True, text=True, check=False)


def test_the_alerts_fire_when_they_should_and_only_then(promtool: list[str | Path]) -> None:
    for words in (("check", "config", "prometheus.yaml"), ("test", "rules", TESTS.name)):
        done = run(promtool, *words)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", [rule["alert"] for rule in ALERTS])
@pytest.mark.parametrize("broken", ["vector(1) < 0", "vector(1)"], ids=["never", "always"])
def test_an_alert_that_is_wrong_is_found(promtool: list[str | Path], alert: str, broken: str, tmp_path: Path) -> None:
    text = yaml.safe_load(RULES.read_text())
    (rule,) = [rule for group in text["groups"] for rule in group["rules"] if rule["alert"] == alert]
    rule["expr"] = broken
    (tmp_path / RULES.name).write_text(yaml.safe_dump(text))
    (tmp_path / TESTS.name).write_text(TESTS.read_text())
    done = run(promtool, "test", "rules", tmp_path / TESTS.name)
    assert done.returncode != 0
    assert alert in done.stdout + done.stderr


def test_each_alert_has_its_page_and_each_page_its_alert() -> None:
    pages = {path.stem: path.read_text() for path in (ROOT / "docs/runbooks").glob("*.md")}
    assert set(pages) == {rule["alert"] for rule in ALERTS}
    for rule in ALERTS:
        name = rule["alert"]
        assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert pages[name].startswith(f"# {name}\n")
        assert "\n## What it means\n" in pages[name]


@pytest.mark.parametrize("board", BOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_whole(board: Path, promtool: list[str | Path], tmp_path: Path) -> None:
    """Panels have their own ids and places; each query is PromQL."""
    content = json.loads(board.read_text())
    panels = content["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)
    assert [variable["name"] for variable in content["templating"]["list"]] == ["source"]
    rules = [{"record": f"q:{place}", "expr": expression} for place, expression in enumerate(queries(board))]
    asked = tmp_path / "queries.yaml"
    asked.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = run(promtool, "check", "rules", asked)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_asked_for_is_exported() -> None:
    """That these are exported by the processes, too, is seen in tests/e2e/test_telemetry.py."""
    exported = set(OTHERS)
    for family in metrics.families():
        exported |= {family.name + suffix for suffix in _SUFFIXES.get(family.type, ("",))}
    asked = {name for text in texts() for name in _NAME.findall(text)}
    assert asked - exported == set()
    assert len(asked) > 20, "the pattern finds no metrics any more"


def test_what_runbooks_ask_for_is_exported() -> None:
    names = {family.name for family in metrics.families()} | OTHERS
    for page in (ROOT / "docs/runbooks").glob("*.md"):
        for name in _NAME.findall(page.read_text()):
            if name not in ("up",):
                assert name.removesuffix("_bucket") in names, page.name


def texts() -> list[str]:
    return [rule["expr"] for rule in ALERTS] + [query for board in BOARDS for query in queries(board)]


def queries(board: Path) -> list[str]:
    panels = json.loads(board.read_text())["panels"]
    return [target["expr"].replace("$__rate_interval", "5m") for panel in panels for target in panel["targets"]]
