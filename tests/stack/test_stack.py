"""The whole of it under load: dashboards have data, alerts fire and end, one wish is one trace. `make test-stack`."""

import contextlib
import itertools
import json
import math
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from stack import Stack
from testbed import Unavailable
from testbed.processes import free_port
from testbed.traces import Collector

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "deploy/monitoring"
QUERIES = [
    (board.stem, panel["title"], target["expr"])
    for board in sorted((MONITORING / "dashboards").glob("*.json"))
    for panel in json.loads(board.read_text())["panels"]
    for target in panel["targets"]
]
WISH = {"instance_type": "container", "cpu_per_instance": "100m", "memory_per_instance": 64, "image": "nginx:latest"}
_RANGE = "20s"
pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


def hasty(rules: str) -> str:
    """The same rules, that look back for seconds and wait for seconds."""
    return re.sub(r"\[\d+[mh]\]", f"[{_RANGE}]", re.sub(r"for: \d+m", "for: 2s", rules))


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
        **{f"CMP_RATE_{name}": "0" for name in ("ADDRESS", "TOKEN", "ACCOUNT")},
    }
    rules = hasty((MONITORING / "alerts.yaml").read_text())
    try:
        with Stack(free_port(), seconds=1, rules=rules, settings=settings) as started:
            yield started
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {stack.token_file.read_text().strip()}"}
    with httpx.Client(base_url=f"{stack.url}/api/v1", headers=headers, timeout=60) as made:
        yield made


@pytest.fixture(scope="module")
def load(client: httpx.Client) -> Iterator[threading.Thread]:
    """Lists all the time; makes clusters of two and deletes them."""
    over = threading.Event()

    def work() -> None:
        for number in itertools.count():
            if over.is_set():
                return
            with contextlib.suppress(httpx.HTTPError):
                for _ in range(5):
                    client.get("/clusters/")
                if number % 5 == 0:
                    client.post("/clusters/", json={"name": f"load-{number}", "instance_count": 2, **WISH})
                    client.delete(f"/clusters/load-{number - 20}")
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


def test_a_wish_is_followed_through_both_kinds_of_process(
    stack: Stack, client: httpx.Client, collector: Collector
) -> None:
    _ends(stack, "CmpKubernetesUnreachable")
    made = client.post("/clusters/", json={"name": "followed", "instance_count": 1, **WISH}, params={"wait": 60})
    assert made.json()["phase"] == "running", made.text
    operation = made.json()["operation"]["id"]

    def whole() -> bool:
        visits = [span for span in collector.spans() if span.attributes.get("operation_id") == operation]
        of_it = [span for span in collector.spans() if visits and span.trace == visits[0].trace]
        return {"POST /api/v1/clusters/", "reconcile", "kubernetes create pods"} <= {span.name for span in of_it} and {
            span.service for span in of_it
        } == {"cmp-api", "cmp-worker"}

    _eventually(whole, lambda: "no trace from the API to a Pod", 30)


def _has_data(stack: Stack, expression: str) -> bool:
    found = stack.prometheus.query(expression.replace("$__rate_interval", _RANGE))
    return any(not math.isnan(float(sample["value"][1])) for sample in found)


def _fires(stack: Stack, alert: str) -> None:
    _eventually(lambda: alert in stack.prometheus.firing(), lambda: f"{alert} does not fire", 90)


def _ends(stack: Stack, alert: str) -> None:
    _eventually(lambda: alert not in stack.prometheus.firing(), lambda: f"{alert} does not end", 120)


def _eventually(look: Callable[[], bool], what: Callable[[], str], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, what()
        time.sleep(0.5)
