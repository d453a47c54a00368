"""Logs, and the names in them. One line is one event: JSON for machines, colours for a terminal.

Values that could be secrets are cut out here, whoever logs them. What others than us log is never more than warnings:
SQL and its values are among the rest.
"""

import asyncio
import logging
import re
import signal
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any, Literal

import structlog

from app.telemetry import traces

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

_OURS = ("app", "cmp")
_SECRET_NAMES = re.compile(r"token|secret|password|authorization|cookie", re.IGNORECASE)
# All that begins as app/auth/credentials.py and app/auth/keys.py have it.
_SECRET_VALUES = re.compile(r"(cmp_[a-z]{3}_)[A-Za-z0-9_-]{8,}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*")


def configure(level: str, form: Literal["auto", "json", "console"]) -> None:
    """Set logging up for the process. `auto` is console on a terminal and JSON elsewhere."""
    human = form == "console" or (form == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_ids,
        structlog.processors.StackInfoRenderer(),
        _redact,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        cache_logger_on_first_use=True,
    )
    last: list[Any] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]  # no values of variables
        if human
        else [structlog.processors.format_exc_info, _redact, structlog.processors.JSONRenderer()]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers = []
    _set_level(level)


def level_by_signal(loop: asyncio.AbstractEventLoop, level: str) -> None:
    """While the process runs: SIGUSR1, and everything is logged; SIGUSR2, and it is `level` again."""
    loop.add_signal_handler(signal.SIGUSR1, _set_level, "debug")
    loop.add_signal_handler(signal.SIGUSR2, _set_level, level)


def _set_level(level: str) -> None:
    wanted = logging.getLevelNamesMapping()[level.upper()]
    logging.getLogger().setLevel(max(logging.WARNING, wanted))
    for name in _OURS:
        logging.getLogger(name).setLevel(wanted)


def _add_ids(_logger: Any, _method: str, record: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    current = request_id.get()
    if current is not None:
        record.setdefault("request_id", current)
    trace_id = traces.trace_id()
    if trace_id is not None:
        record.setdefault("trace_id", trace_id)
    return record


def _redact(_logger: Any, _method: str, record: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in record.items():
        if _SECRET_NAMES.search(name) and isinstance(value, str):
            record[name] = "***"
        elif isinstance(value, str):
            record[name] = _SECRET_VALUES.sub(r"\1***", value)
    return record
