"""What CMP tells of itself: log lines, numbers, spans. Their names are here; who has something to tell imports them."""

from app.telemetry.logs import configure, level_by_signal, request_id
from app.telemetry.version import VERSION

__all__ = ["VERSION", "configure", "level_by_signal", "request_id"]
