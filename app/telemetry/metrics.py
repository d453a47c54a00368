"""Every number that CMP exports for Prometheus, with its labels; docs/metrics.md is generated from here.

A label's value is a word of ours: an enum's, a route's template, a kind of Kubernetes object; never what somebody sent.
Accounts are named too, no more than CMP_METRICS_ACCOUNTS of them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography import x509
from prometheus_client import (
    REGISTRY,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.models import Channel, DeliveryStatus, OperationKind, OperationStatus
from app.telemetry.version import VERSION

disable_created_metrics()  # type: ignore[no-untyped-call]

OTHER = "other"
OTHERS = "(others)"
"""No account's name: there are brackets in it."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET"})
_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SLOW = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)

_BUILD = Info("cmp_build", "Which CMP this process is.")
_BUILD.info({"version": VERSION})

_REQUESTS = Counter("cmp_http_requests", "Requests that were answered.", ["method", "route", "status"])
_REQUEST_SECONDS = Histogram(
    "cmp_http_request_duration_seconds",
    "From a request to the beginning of its answer, so that streams count too.",
    ["method", "route"],
    buckets=_QUICK,
)
EVENT_STREAMS = Gauge("cmp_event_streams_open", "Followers of events that this process has.")
INSTANCE_STREAMS = Gauge("cmp_instance_streams_open", "Streams to instances that this process has.", ["access"])

DATABASE_CONNECTIONS = Gauge(
    "cmp_database_connections",
    "Connections of this process to the database. pool: sqlalchemy, or the driver's own for the hot statements; "
    "replica-… for those of CMP_DATABASE_REPLICA_URL.",
    ["pool", "state"],
)
_KEPT = Counter("cmp_kept_answers", "Looks for an answer that was kept; same: nothing in it had changed.", ["same"])
_SAME, _CHANGED = _KEPT.labels("yes"), _KEPT.labels("no")
DATABASE_RETRIES = Counter("cmp_database_retries", "Transactions that were run again: deadlocks and conflicts.")

_READS = Counter(
    "cmp_database_reads",
    "Lists that were read where CMP_DATABASE_REPLICA_URL is set. why the primary: the replica was behind, away, or the "
    "read was in the way of what it replays (conflict).",
    ["server", "why"],
)

_KUBERNETES_REQUESTS = Counter(
    "cmp_kubernetes_requests", "Calls to Kubernetes; code `none`: not answered.", ["verb", "resource", "code"]
)
_KUBERNETES_SECONDS = Histogram(
    "cmp_kubernetes_request_duration_seconds",
    "How long calls to Kubernetes took; watches, which are long on purpose, are left out.",
    ["verb", "resource"],
    buckets=_QUICK,
)
CACHE_AGE = Gauge(
    "cmp_kubernetes_cache_age_seconds", "Since this worker last heard anything of that kind.", ["resource"]
)
CACHE_OBJECTS = Gauge("cmp_kubernetes_cache_objects", "Objects that this worker keeps a copy of.", ["resource"])

CERTIFICATE_EXPIRY = Gauge(
    "cmp_certificate_expiry_timestamp_seconds",
    "When a certificate ends. api: CMP_TLS_CERTIFICATE; kubernetes_client: the kubeconfig's; kubernetes_server: what "
    "the API server shows.",
    ["certificate"],
)

QUEUE_DEPTH = Gauge("cmp_reconcile_queue_depth", "Clusters that wait for a visit in this worker.")
VISITING = Gauge("cmp_reconcile_visiting", "Clusters that this worker visits at the moment.")
LEASES_HELD = Gauge("cmp_leases_held", "Leases of clusters that this worker holds.")
VISITS = Counter(
    "cmp_reconcile_visits",
    "Visits of clusters. lost: the lease ran out meanwhile; held: another worker had it; failed: an error.",
    ["outcome"],
)
VISIT_SECONDS = Histogram("cmp_reconcile_visit_duration_seconds", "How long visits took.", buckets=_QUICK)
LAG_SECONDS = Histogram(
    "cmp_reconcile_lag_seconds", "How late clusters were visited that were due.", buckets=(*_QUICK, 30.0, 60.0, 300.0)
)
RECONCILE_ERRORS = Counter(
    "cmp_reconcile_errors",
    "What a worker logged and goes on from: visit, poll for due clusters, chore, notify.",
    ["where"],
)
INVARIANT_VIOLATIONS = Counter(
    "cmp_invariant_violations",
    "What must never be and was found. quota_drift: counters off the ledger, repaired. orphan: a namespace of ours "
    "that no cluster has and no deletion explains, left alone.",
    ["invariant"],
)

DELIVERIES = Counter(
    "cmp_notification_tries",
    "Tries to deliver a notification, by how they ended; gave_up: messages that waited for a day, in vain.",
    ["channel", "outcome"],
)

_OPERATIONS = Counter("cmp_operations_finished", "Operations that ended.", ["kind", "outcome"])
_OPERATION_SECONDS = Histogram(
    "cmp_operation_duration_seconds", "From the wish to the end of its operation.", ["kind"], buckets=_SLOW
)
_TO_RUNNING = Histogram(
    "cmp_time_to_running_seconds",
    "From the wish for a cluster, for more of it or for a start, until all of that was seen to run.",
    ["instance_type"],
    buckets=_SLOW,
)
_RUNS_AFTERWARDS = frozenset({OperationKind.CLUSTER_CREATE, OperationKind.CLUSTER_SCALE, OperationKind.INSTANCE_START})
_ENDS = (OperationStatus.SUCCEEDED, OperationStatus.FAILED, OperationStatus.CANCELLED)

for _channel in Channel:
    for _outcome in (DeliveryStatus.DELIVERED, "failed", DeliveryStatus.GAVE_UP):
        DELIVERIES.labels(_channel, _outcome)
# What alerts compare with its own past must be there before it first happens.
for _kind in OperationKind:
    for _end in _ENDS:
        _OPERATIONS.labels(_kind, _end)
for _counter, _words in (
    (VISITS, ("settled", "lost", "held", "failed")),
    (RECONCILE_ERRORS, ("visit", "poll", "chore", "notify")),
    (INVARIANT_VIOLATIONS, ("quota_drift", "orphan")),
):
    for _word in _words:
        _counter.labels(_word)

PLATFORM_FAMILIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "cmp_clusters": ("Clusters.", ("instance_type", "phase")),
    "cmp_instances": ("Instances.", ("instance_type", "status")),
    "cmp_operations_open": ("Operations that have not ended.", ("kind",)),
    "cmp_operations_oldest_seconds": ("Since the oldest of those was wished.", ("kind",)),
    "cmp_clusters_overdue": ("Clusters that are due and that no worker has.", ()),
    "cmp_clusters_overdue_seconds": ("How long the longest overdue of them is.", ()),
    "cmp_notifications_waiting": ("Notifications that are not delivered yet.", ("channel",)),
    "cmp_notifications_overdue_seconds": (
        "How long the longest due of them has been waiting for its turn.",
        ("channel",),
    ),
    "cmp_leases": ("Clusters that some worker has.", ()),
    "cmp_workers": (
        "Workers that were at work within the last minute; kubernetes: whether they can read it, `up` or `away`.",
        ("kubernetes",),
    ),
    "cmp_quota_used": (
        f"What accounts are charged for; cores, bytes. The nearest to a limit are named, the rest are {OTHERS}.",
        ("account", "dimension"),
    ),
    "cmp_quota_limit": ("What accounts may be charged for, likewise.", ("account", "dimension")),
    "cmp_survey_timestamp_seconds": ("When this worker last read all of these from the database.", ()),
}


class Platform(Collector):
    """What is true of the whole installation, as this worker read it last. Every worker says the same: take the max."""

    def __init__(self) -> None:
        self._families: list[Metric] = []

    def show(self, readings: Mapping[str, Mapping[tuple[str, ...], float]]) -> None:
        """By name, then by label values."""
        families: list[Metric] = []
        for name, values in readings.items():
            words, labels = PLATFORM_FAMILIES[name]
            family = GaugeMetricFamily(name, words, labels=labels)
            for words_of_it, value in values.items():
                family.add_metric(words_of_it, value)
            families.append(family)
        self._families = families

    def describe(self) -> Iterable[Metric]:
        return [GaugeMetricFamily(name, words, labels=labels) for name, (words, labels) in PLATFORM_FAMILIES.items()]

    def collect(self) -> Iterable[Metric]:
        return self._families


PLATFORM = Platform()
REGISTRY.register(PLATFORM)


@dataclass(frozen=True, slots=True)
class Family:
    name: str
    type: str
    labels: tuple[str, ...]
    meaning: str


def families() -> list[Family]:
    """All that is exported, in the order of this file."""
    own = [value for value in globals().values() if isinstance(value, MetricWrapperBase)]
    found = []
    for metric in own:
        described = next(iter(metric.describe()))
        suffix = {"counter": "_total", "info": "_info"}.get(described.type, "")
        found.append(
            Family(described.name + suffix, described.type, tuple(metric._labelnames), described.documentation)
        )
    platform = [Family(name, "gauge", labels, words) for name, (words, labels) in PLATFORM_FAMILIES.items()]
    return found + platform


def kept(same: bool) -> None:
    (_SAME if same else _CHANGED).inc()


def read_from(server: Literal["primary", "replica"], why: Literal["", "behind", "away", "conflict"] = "") -> None:
    _READS.labels(server, why).inc()


def request_answered(method: str, route: str, status: int, seconds: float) -> None:
    method = method if method in _METHODS else OTHER
    _REQUESTS.labels(method, route, str(status)).inc()
    _REQUEST_SECONDS.labels(method, route).observe(seconds)


def kubernetes_answered(verb: str, resource: str, code: int, seconds: float) -> None:
    _KUBERNETES_REQUESTS.labels(verb, resource, str(code or "none")).inc()
    if verb != "watch":
        _KUBERNETES_SECONDS.labels(verb, resource).observe(seconds)


def operation_ended(kind: str, outcome: str, instance_type: str, seconds: float) -> None:
    _OPERATIONS.labels(kind, outcome).inc()
    _OPERATION_SECONDS.labels(kind).observe(seconds)
    if outcome == OperationStatus.SUCCEEDED and kind in _RUNS_AFTERWARDS:
        _TO_RUNNING.labels(instance_type).observe(seconds)


def exposed(accept: str) -> tuple[bytes, str]:
    """All of it as text, in the form that was asked for, and which that is."""
    encode, media_type = choose_encoder(accept)
    return encode(REGISTRY), media_type


def serve(host: str, port: int | None, certificate: Path | None = None) -> int | None:
    """On a port and a thread of its own, whatever the rest of the process does; answers which port.

    `certificate`: PEM, of which the end is measured. Raises ValueError.
    """
    if certificate is not None:
        ends = x509.load_pem_x509_certificates(certificate.read_bytes())[0].not_valid_after_utc
        CERTIFICATE_EXPIRY.labels("api").set(ends.timestamp())
    if port is None:
        return None
    try:
        return int(start_http_server(port, host)[0].server_port)
    except OSError as error:
        raise ValueError(f"CMP_METRICS_PORT: {host}:{port} cannot be listened on ({error.strerror})") from error
