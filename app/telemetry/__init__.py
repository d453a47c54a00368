"""What CMP tells of itself: log lines, numbers, spans. Their names are here; who has something to tell imports them."""

from app.telemetry.logs import configure, request_id
from app.telemetry.version import VERSION

__all__ = ["VERSION", "configure", "request_id"]
