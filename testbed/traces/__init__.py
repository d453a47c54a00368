"""Who traces are sent to: a receiver that is a thread of ours, or OpenTelemetry's own collector as a process.

Both answer what came as `spans()`.
"""

from testbed.traces.collector import Collector
from testbed.traces.receiver import Receiver
from testbed.traces.span import Span

__all__ = ["Collector", "Receiver", "Span"]
