"""Spans, where CMP_OTLP_ENDPOINT says whom to tell of them. Without it nothing of OpenTelemetry's SDK is imported.

A span is made only within a trace: of what a worker does unasked, nothing is told.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

_exporting: Any = None

# What FastAPI traces by itself; metrics and logs are ours.
OF_REQUESTS: Any = {
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
    "exclude": lambda scope: scope["path"] in ("/livez", "/readyz", "/metrics"),
}


def configure(endpoint: str | None, service: str) -> None:
    """Once for each process, before its app is made."""
    global _exporting
    if endpoint is not None:
        from app.telemetry.exporting import Exporting

        _exporting = Exporting(endpoint, service)


def close() -> None:
    """Sends what is left, for a few seconds at most."""
    if _exporting is not None:
        _exporting.close()


def span(name: str, **attributes: str) -> AbstractContextManager[None]:
    return nullcontext() if _exporting is None else _exporting.span(name, attributes)


def continued(name: str, traceparents: Iterable[str | None], **attributes: str) -> AbstractContextManager[None]:
    """In the trace that the first of them names, with links to the others; nothing where there is none."""
    return nullcontext() if _exporting is None else _exporting.continued(name, traceparents, attributes)


def set_attribute(name: str, value: str | int) -> None:
    """Of the span that is open."""
    if _exporting is not None:
        _exporting.set_attribute(name, value)


def headers() -> Mapping[str, str]:
    """What names the present trace to whom we call, as https://www.w3.org/TR/trace-context/ has it."""
    return {} if _exporting is None else _exporting.headers()


def traceparent() -> str | None:
    return headers().get("traceparent")


def trace_id() -> str | None:
    parent = traceparent()
    return None if parent is None else parent.split("-")[1]
