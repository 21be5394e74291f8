"""OpenTelemetry spans of what a server does.  It needs the extra `febe[otel]`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from febe import __version__
from febe.server.redact import redacted, summary
from febe.server.telemetry.events import StatementEvent, Telemetry

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider
    from opentelemetry.util.types import AttributeValue

_PROPAGATOR = TraceContextTextMapPropagator()


class Traces(Telemetry):
    """A span for each statement; its parent is the one that a comment in the SQL names, as sqlcommenter writes it."""

    def __init__(self, tracer_provider: TracerProvider | None = None, *, capture_text: bool = True) -> None:
        self._tracer = trace.get_tracer("febe.server", __version__, tracer_provider)
        self._capture_text = capture_text

    def statement(self, event: StatementEvent) -> None:
        """Make its span."""
        client = event.client
        what = summary(event.text)
        attributes: dict[str, AttributeValue] = {
            "db.system.name": "postgresql", "db.namespace": client.database, "user.name": client.user,
            "db.operation.name": what.partition(" ")[0] or event.kind, "db.response.returned_rows": event.rows}
        if what:
            attributes["db.query.summary"] = what
        if self._capture_text and event.text:
            attributes["db.query.text"] = redacted(event.text)
        if client.client_address is not None:
            attributes["client.address"] = client.client_address
            attributes["client.port"] = client.client_port or 0
        if client.application_name:
            attributes["febe.application_name"] = client.application_name
        if event.sqlstate is not None:
            attributes["db.response.status_code"] = attributes["error.type"] = event.sqlstate
        parent = (_PROPAGATOR.extract({"traceparent": event.traceparent}, Context())
                  if event.traceparent is not None else Context())
        span = self._tracer.start_span(what or event.kind, parent, SpanKind.SERVER, attributes, start_time=event.began)
        if event.sqlstate is not None:
            span.set_status(Status(StatusCode.ERROR, event.sqlstate))
        span.end(event.began + round(event.seconds * 1e9))


__all__ = ["Traces"]
