"""The whole of it under load: dashboards have data, alerts fire and end, one wish is one trace. `make test-stack`."""

import contextlib
import itertools
import json
import math
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from stack import Stack
from testbed import Unavailable
from testbed.processes import free_port
from testbed.traces import Collector
from tests.stack import faults

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "deploy/monitoring"
QUERIES = [
    (board.stem, panel["title"], target["expr"])
    for board in sorted((MONITORING / "dashboards").glob("*.json"))
    for panel in json.loads(board.read_text())["panels"]
    for target in panel["targets"]
]
ALERTS = set(re.findall(r"alert: (\w+)", (MONITORING / "alerts.yaml").read_text()))
TOGETHER: dict[str, faults.Fault] = {
    "CmpQuotaNearLimit": faults.full_quota,
    "CmpCreationFailing": faults.refused_pods,
    "CmpOperationsStuck": faults.unanswered_pods,
    "CmpReconcileLag": faults.locked_row,
    "CmpInvariantViolated": faults.orphan,
    "CmpCertificateExpiry": faults.short_certificate,
}
_RANGE = "20s"
_ROOM = 16
pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


def hasty(rules: str) -> str:
    """The same rules, that look back and wait for seconds instead of minutes, for minutes instead of hours."""
    return re.sub(r"(\[|for: )(\d+)([mh])", lambda said: f"{said[1]}{said[2]}{ {'m': 's', 'h': 'm'}[said[3]] }", rules)


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    try:
        with Collector() as started:
            yield started
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def stack(collector: Collector) -> Iterator[Stack]:
    settings = {
        "CMP_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "CMP_LOG_FORMAT": "json",
        "CMP_LEASE_SECONDS": "2",
        "CMP_ORPHAN_GRACE_SECONDS": "1",
        "CMP_SWEEP_SECONDS": "20",
        "CMP_WORKER_CONCURRENCY": str(_ROOM),
        **{f"CMP_DEFAULT_QUOTA_{name}": "400" for name in ("CPU", "CLUSTERS", "INSTANCES")},
        **{f"CMP_RATE_{name}": "0" for name in ("ADDRESS", "TOKEN", "ACCOUNT")},
    }
    rules = hasty((MONITORING / "alerts.yaml").read_text())
    try:
        with Stack(free_port(), seconds=1, rules=rules, settings=settings, certificate_days=13) as started:
            yield started
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {stack.token_file.read_text().strip()}"}
    with httpx.Client(base_url=f"{stack.url}/api/v1", headers=headers, timeout=60) as made:
        yield made


@pytest.fixture
def load(client: httpx.Client) -> Iterator[threading.Thread]:
    """Lists all the time; makes clusters of two and deletes them."""
    over, name = threading.Event(), f"load-{uuid.uuid4().hex[:8]}"

    def work() -> None:
        for number in itertools.count():
            if over.is_set():
                return
            with contextlib.suppress(httpx.HTTPError):
                for _ in range(5):
                    client.get("/clusters/")
                if number % 5 == 0:
                    client.post("/clusters/", json={"name": f"{name}-{number}", "instance_count": 2, **faults.WISH})
                    client.delete(f"/clusters/{name}-{number - 20}")
            time.sleep(0.1)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield thread
    over.set()
    thread.join(120)


@pytest.mark.usefixtures("load")
def test_every_query_of_every_dashboard_has_data(stack: Stack) -> None:
    def empty() -> list[tuple[str, str]]:
        return [(board, title) for board, title, expression in QUERIES if not _has_data(stack, expression)]

    _eventually(lambda: not empty(), lambda: f"no data: {empty()}", 90)
    assert stack.prometheus.query('count(up{job=~"cmp-.*"} == 1)')[0]["value"][1] == "4"


@pytest.mark.usefixtures("load")
def test_kubernetes_is_away_and_comes_back(stack: Stack) -> None:
    assert "CmpKubernetesUnreachable" not in stack.prometheus.firing()
    stack.kubernetes_away()
    _fires(stack, "CmpKubernetesUnreachable")
    stack.kubernetes_back()
    _ends(stack, "CmpKubernetesUnreachable")


@pytest.mark.usefixtures("load")
def test_the_database_is_away_and_comes_back(stack: Stack) -> None:
    assert "CmpApiErrors" not in stack.prometheus.firing()
    stack.database.kill()
    _fires(stack, "CmpApiErrors")
    stack.database.restart()
    _ends(stack, "CmpApiErrors")


def test_no_worker_is_awake(stack: Stack) -> None:
    with faults.frozen(stack.workers):
        _fires(stack, "CmpNoWorker")
    _ends(stack, "CmpNoWorker")


def test_a_worker_sleeps_longer_than_its_leases(stack: Stack, client: httpx.Client) -> None:
    """What it had is the other one's by then. Again, where that was not seen for as long as the alert waits."""
    for _ in range(3):
        with faults.busy_workers(stack, client, _ROOM), faults.frozen(stack.workers[:1]):
            time.sleep(5)
        with contextlib.suppress(AssertionError):
            _fires(stack, "CmpLeasesFlapping", 12)
            break
    else:
        pytest.fail("CmpLeasesFlapping does not fire")
    _ends(stack, "CmpLeasesFlapping")


def test_the_other_alerts(stack: Stack, client: httpx.Client) -> None:
    """None of these faults hides another, so that they are waited for together."""
    seen: set[str] = set()

    def all_seen() -> bool:
        seen.update(stack.prometheus.firing())
        return seen >= set(TOGETHER)

    with contextlib.ExitStack() as going_on:
        for fault in TOGETHER.values():
            going_on.enter_context(fault(stack, client))
        _eventually(all_seen, lambda: f"{set(TOGETHER) - seen} do not fire", 180)
    for alert in TOGETHER:
        _ends(stack, alert)


def test_a_wish_is_followed_through_both_kinds_of_process(
    stack: Stack, client: httpx.Client, collector: Collector
) -> None:
    _ends(stack, "CmpKubernetesUnreachable")
    made = client.post("/clusters/", json={"name": "followed", "instance_count": 1, **faults.WISH}, params={"wait": 60})
    assert made.json()["phase"] == "running", made.text
    operation = made.json()["operation"]["id"]

    def whole() -> bool:
        visits = [span for span in collector.spans() if span.attributes.get("operation_id") == operation]
        of_it = [span for span in collector.spans() if visits and span.trace == visits[0].trace]
        return {"POST /api/v1/clusters/", "reconcile", "kubernetes create pods"} <= {span.name for span in of_it} and {
            span.service for span in of_it
        } == {"cmp-api", "cmp-worker"}

    _eventually(whole, lambda: "no trace from the API to a Pod", 30)


def test_no_alert_was_left_out(stack: Stack) -> None:
    """By Prometheus' own account of this run."""
    fired = stack.prometheus.query('group by (alertname) (max_over_time(ALERTS{alertstate="firing"}[1h]))')
    assert {sample["metric"]["alertname"] for sample in fired} == ALERTS
    assert stack.prometheus.firing() == set()


def _has_data(stack: Stack, expression: str) -> bool:
    found = stack.prometheus.query(expression.replace("$__rate_interval", _RANGE))
    return any(not math.isnan(float(sample["value"][1])) for sample in found)


def _fires(stack: Stack, alert: str, seconds: float = 150) -> None:
    _eventually(lambda: alert in stack.prometheus.firing(), lambda: f"{alert} does not fire", seconds)


def _ends(stack: Stack, alert: str) -> None:
    _eventually(lambda: alert not in stack.prometheus.firing(), lambda: f"{alert} does not end", 120)


def _eventually(look: Callable[[], bool], what: Callable[[], str], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, what()
        time.sleep(0.5)
