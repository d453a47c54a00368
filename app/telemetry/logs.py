"""Logs, and the names in them. One line is one event: JSON for machines, colours for a terminal.

Values that could be secrets are cut out here, whoever logs them.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any, Literal

import structlog

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

_SECRET_NAMES = re.compile(r"token|secret|password|authorization|cookie", re.IGNORECASE)
# All that begins as app/auth/credentials.py and app/auth/keys.py have it.
_SECRET_VALUES = re.compile(r"(cmp_[a-z]{3}_)[A-Za-z0-9_-]{8,}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*")


def configure(level: str, form: Literal["auto", "json", "console"]) -> None:
    """Set logging up for the process. `auto` is console on a terminal and JSON elsewhere."""
    human = form == "console" or (form == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_request_id,
        structlog.processors.StackInfoRenderer(),
        _redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
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
    root.setLevel(level.upper())
    for noisy in (
        "alembic",
        "uvicorn",
        "uvicorn.error",
        "uvicorn.access",
        "asyncio",
        "aiosqlite",
        "kubernetes_asyncio",
    ):
        logging.getLogger(noisy).handlers = []
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
        logging.getLogger(noisy).propagate = True


def _add_request_id(_logger: Any, _method: str, record: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    current = request_id.get()
    if current is not None:
        record.setdefault("request_id", current)
    return record


def _redact(_logger: Any, _method: str, record: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in record.items():
        if _SECRET_NAMES.search(name) and isinstance(value, str):
            record[name] = "***"
        elif isinstance(value, str):
            record[name] = _SECRET_VALUES.sub(r"\1***", value)
    return record
