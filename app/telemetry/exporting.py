"""OpenTelemetry's SDK, for `traces` alone, which imports this only where traces are wanted."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.telemetry.version import VERSION

_TIMEOUT = 5.0
_CONTEXT = TraceContextTextMapPropagator()


class _Reticent(SpanProcessor):
    """No query strings: what comes with them, such as a code of single sign-on, is nobody else's."""

    def on_start(self, span: Span, parent_context: context.Context | None = None) -> None:
        if span.attributes is not None and "url.query" in span.attributes:
            span.set_attribute("url.query", "***")


class Exporting:
    def __init__(self, endpoint: str, service: str) -> None:
        resource = Resource.create({"service.name": service, "service.version": VERSION})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(_Reticent())
        exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=_TIMEOUT)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("cmp", VERSION)
        trace.set_tracer_provider(self._provider)

    def close(self) -> None:
        self._provider.shutdown()

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, str]) -> Iterator[None]:
        if not trace.get_current_span().is_recording():
            yield
            return
        with self._opened(name, SpanKind.CLIENT, attributes, None, ()):
            yield

    @contextmanager
    def continued(self, name: str, traceparents: Iterable[str | None], attributes: Mapping[str, str]) -> Iterator[None]:
        parents = [_CONTEXT.extract({"traceparent": one}) for one in dict.fromkeys(traceparents) if one is not None]
        if not parents:
            yield
            return
        links = [Link(trace.get_current_span(parent).get_span_context()) for parent in parents[1:]]
        with self._opened(name, SpanKind.CONSUMER, attributes, parents[0], links):
            yield

    def set_attribute(self, name: str, value: str | int) -> None:
        trace.get_current_span().set_attribute(name, value)

    def headers(self) -> dict[str, str]:
        carrier: dict[str, str] = {}
        _CONTEXT.inject(carrier)
        return carrier

    @contextmanager
    def _opened(
        self,
        name: str,
        kind: SpanKind,
        attributes: Mapping[str, str],
        parent: context.Context | None,
        links: Iterable[Link],
    ) -> Iterator[None]:
        """An error is told by its type alone: its words may hold values of SQL."""
        with self._tracer.start_as_current_span(
            name,
            parent,
            kind,
            attributes,
            list(links),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except Exception as error:
                span.set_attribute("error.type", type(error).__qualname__)
                span.set_status(StatusCode.ERROR)
                raise
