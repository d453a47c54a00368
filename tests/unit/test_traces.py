"""Traces are nothing where nobody wants them."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
import main, app.worker
from app import telemetry
from app.settings import Settings
from app.telemetry import traces

telemetry.start(Settings(), "test")
with traces.span("a"), traces.continued("b", ["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"]):
    assert traces.traceparent() is None
telemetry.end()
print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))])
"""


def test_nothing_of_the_sdk_is_imported() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
