"""The dashboards in deploy/monitoring/dashboards, as tables: what Grafana reads is made from here by `make docs`."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

_BY_ACCOUNT = "max by (account, dimension)"
_ERRORS = 'rate(cmp_http_requests_total{status=~"5.."}[$__rate_interval])'
_ANSWERED = "rate(cmp_http_request_duration_seconds_bucket[$__rate_interval])"
_WIDTH, _HEIGHT, _ACROSS = 8, 8, 3


class Panel(NamedTuple):
    """`queries`: PromQL, and what each line is called. `unit`: Grafana's word for it."""

    title: str
    unit: str
    queries: Sequence[tuple[str, str]]


def _quantiles(metric: str, by: str) -> list[tuple[str, str]]:
    inner = f"sum by (le{', ' + by if by else ''}) (rate({metric}_bucket[$__rate_interval]))"
    label = f" {{{{{by}}}}}" if by else ""
    return [(f"histogram_quantile({q}, {inner})", f"p{round(q * 100)}{label}") for q in (0.5, 0.99)]


def _rate(metric: str, by: str, label: str) -> list[tuple[str, str]]:
    return [(f"sum by ({by}) (rate({metric}[$__rate_interval]))", label)]


PLATFORM = [
    Panel("Instances", "short", [("max by (instance_type, status) (cmp_instances)", "{{instance_type}} {{status}}")]),
    Panel("Clusters", "short", [("max by (instance_type, phase) (cmp_clusters)", "{{instance_type}} {{phase}}")]),
    Panel("Open operations", "short", [("max by (kind) (cmp_operations_open)", "{{kind}}")]),
    Panel("Time to running", "s", _quantiles("cmp_time_to_running_seconds", "instance_type")),
    Panel(
        "Operations that ended",
        "ops",
        _rate("cmp_operations_finished_total", "kind, outcome", "{{kind}} {{outcome}}"),
    ),
    Panel("Duration of operations", "s", _quantiles("cmp_operation_duration_seconds", "kind")),
    Panel("Oldest open operation", "s", [("max by (kind) (cmp_operations_oldest_seconds)", "{{kind}}")]),
    Panel(
        "Share of quotas that is used",
        "percentunit",
        [
            (
                f"topk(20, {_BY_ACCOUNT} (cmp_quota_used) / {_BY_ACCOUNT} (cmp_quota_limit > 0))",
                "{{account}} {{dimension}}",
            )
        ],
    ),
    Panel(
        "Invariants",
        "short",
        [("sum by (invariant) (increase(cmp_invariant_violations_total[1d]))", "{{invariant}}")],
    ),
]
API = [
    Panel("Requests", "reqps", _rate("cmp_http_requests_total", "status", "{{status}}")),
    Panel(
        "Share of answers that are errors of ours",
        "percentunit",
        [
            (
                f"(sum({_ERRORS}) or vector(0)) / sum(rate(cmp_http_requests_total[$__rate_interval]))",
                "errors",
            )
        ],
    ),
    Panel("Time to answer", "s", _quantiles("cmp_http_request_duration_seconds", "")),
    Panel(
        "Time to answer, the slowest routes",
        "s",
        [
            (
                f"topk(10, histogram_quantile(0.9, sum by (le, method, route) ({_ANSWERED})))",
                "{{method}} {{route}}",
            )
        ],
    ),
    Panel("Followers of events", "short", [("sum by (instance) (cmp_event_streams_open)", "{{instance}}")]),
    Panel("Streams to instances", "short", [("sum by (access) (cmp_instance_streams_open)", "{{access}}")]),
    Panel(
        "Connections to the database",
        "short",
        [("sum by (job, pool, state) (cmp_database_connections)", "{{job}} {{pool}} {{state}}")],
    ),
    Panel("Transactions run again", "ops", _rate("cmp_database_retries_total", "job", "{{job}}")),
    Panel("Processor time", "short", _rate("process_cpu_seconds_total", "instance", "{{instance}}")),
]
WORKERS = [
    Panel("Workers", "short", [("max by (kubernetes) (cmp_workers)", "Kubernetes is {{kubernetes}}")]),
    Panel("Overdue clusters", "s", [("max(cmp_clusters_overdue_seconds)", "the longest")]),
    Panel("Lag of visits", "s", _quantiles("cmp_reconcile_lag_seconds", "")),
    Panel("Visits", "ops", _rate("cmp_reconcile_visits_total", "outcome", "{{outcome}}")),
    Panel("Duration of visits", "s", _quantiles("cmp_reconcile_visit_duration_seconds", "")),
    Panel(
        "Queue and leases",
        "short",
        [
            ("sum by (instance) (cmp_reconcile_queue_depth)", "{{instance}} waiting"),
            ("sum by (instance) (cmp_leases_held)", "{{instance}} held"),
        ],
    ),
    Panel("Errors", "ops", _rate("cmp_reconcile_errors_total", "where", "{{where}}")),
    Panel(
        "Calls to Kubernetes",
        "reqps",
        _rate("cmp_kubernetes_requests_total", "verb, resource, code", "{{verb}} {{resource}} {{code}}"),
    ),
    Panel("Time of calls to Kubernetes", "s", _quantiles("cmp_kubernetes_request_duration_seconds", "verb")),
    Panel(
        "Age of what is known of Kubernetes",
        "s",
        [("max by (resource) (cmp_kubernetes_cache_age_seconds)", "{{resource}}")],
    ),
    Panel("Objects that are known", "short", [("max by (resource) (cmp_kubernetes_cache_objects)", "{{resource}}")]),
    Panel(
        "Days that certificates last",
        "d",
        [
            (
                "min by (certificate) (cmp_certificate_expiry_timestamp_seconds - time()) / 86400",
                "{{certificate}}",
            )
        ],
    ),
]
DASHBOARDS = {
    "platform": ("CMP: the platform", PLATFORM),
    "api": ("CMP: the API", API),
    "workers": ("CMP: workers", WORKERS),
}


def text(name: str) -> str:
    """One of them as Grafana imports it; its data source is asked for."""
    title, panels = DASHBOARDS[name]
    board = {
        "uid": f"cmp-{name}",
        "title": title,
        "tags": ["cmp"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "",
        "templating": {
            "list": [{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
        },
        "panels": [_panel(number, panel) for number, panel in enumerate(panels)],
    }
    return json.dumps(board, indent=1) + "\n"


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${source}"}
    row, column = divmod(number, _ACROSS)
    return {
        "id": number + 1,
        "title": panel.title,
        "type": "timeseries",
        "datasource": source,
        "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(65 + place), "datasource": source, "expr": expression, "legendFormat": legend}
            for place, (expression, legend) in enumerate(panel.queries)
        ],
    }
