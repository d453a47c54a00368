"""What CMP tells of itself: log lines, numbers, spans. Their names are here; who has something to tell imports them."""

from pathlib import Path

from app.settings import Settings
from app.telemetry import logs, metrics, traces
from app.telemetry.logs import level_by_signal, request_id
from app.telemetry.version import VERSION

__all__ = ["VERSION", "end", "level_by_signal", "request_id", "start"]


def start(settings: Settings, service: str, certificate: Path | None = None) -> None:
    """First of all in a process. `certificate`: what it serves HTTPS with. Raises ValueError for what cannot be."""
    logs.configure(settings.log_level, settings.log_format)
    traces.configure(settings.otlp_endpoint, service)
    metrics.serve(settings.metrics_host, settings.metrics_port, certificate)


def end() -> None:
    traces.close()
