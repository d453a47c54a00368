"""OpenTelemetry's own collector, as a process: it takes OTLP over HTTP and prints what came, which is read here."""

import re
import urllib.request
from typing import Self

from testbed import build
from testbed.processes import Process, Scratch, free_port, spawn
from testbed.traces.span import Span

_START_TIMEOUT = 30.0
_CONFIGURATION = """
receivers:
  otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"}}}}}}
exporters:
  debug: {{verbosity: detailed, use_internal_logger: false}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [debug]}}
"""
_FIELD = re.compile(r"^ {4}(Trace ID|Parent ID|ID|Name) +: ?(.*)$")
_ATTRIBUTE = re.compile(r"^ +-> ([\w.]+): \w+\((.*)\)$")


class Collector:
    """Raises Unavailable when it is not built."""

    def __init__(self) -> None:
        self._program = build.directory(build.COLLECTOR) / "collector"
        self._scratch = Scratch("collector")
        self.port = free_port()
        self._process: Process | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        configuration = self._scratch.path / "collector.yaml"
        configuration.write_text(_CONFIGURATION.format(port=self.port))
        self._process = spawn("collector", [self._program, "--config", configuration], self._scratch.path)
        self._process.wait_until(self._answers, _START_TIMEOUT)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.stop()
        self._scratch.remove()

    def spans(self) -> list[Span]:
        assert self._process is not None
        return spans_of(self._process.log.read_text())

    def _answers(self) -> bool:
        asked = urllib.request.Request(
            f"{self.endpoint}/v1/traces", b"{}", {"Content-Type": "application/json"}, method="POST"
        )
        try:
            with urllib.request.urlopen(asked, timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def spans_of(printed: str) -> list[Span]:
    """From what the debug exporter prints; a span that is not printed whole yet is left out."""
    found: list[Span] = []
    service, fields, attributes, inside = "", dict[str, str](), dict[str, str](), False

    def end() -> None:
        if {"Trace ID", "Parent ID", "ID", "Name"} <= fields.keys():
            ids = (fields["Trace ID"], fields["ID"], fields["Parent ID"])
            found.append(Span(*ids, fields["Name"], service, dict(attributes)))
        fields.clear()
        attributes.clear()

    for line in printed.splitlines():
        if line.startswith(("Span #", "ResourceSpans #")):
            end()
            inside = line.startswith("Span #")
        elif field := _FIELD.match(line):
            fields[field[1]] = field[2].strip()
        elif attribute := _ATTRIBUTE.match(line):
            if inside:
                attributes[attribute[1]] = attribute[2]
            elif attribute[1] == "service.name":
                service = attribute[2]
    end()
    return found
