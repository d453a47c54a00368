"""What CMP tells of itself: log lines, numbers, spans. Their names are here; who has something to tell imports them."""

from app.settings import Settings
from app.telemetry import logs, metrics, traces
from app.telemetry.logs import level_by_signal, request_id
from app.telemetry.version import VERSION

__all__ = ["VERSION", "end", "level_by_signal", "request_id", "start"]


def start(settings: Settings, service: str) -> None:
    """First of all in a process. Raises ValueError for what cannot be."""
    logs.configure(settings.log_level, settings.log_format)
    traces.configure(settings.otlp_endpoint, service)
    metrics.serve(settings.metrics_host, settings.metrics_port, settings.tls_certificate)


def end() -> None:
    traces.close()
