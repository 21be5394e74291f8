"""OpenTelemetry for connections: spans and durations by the semantic conventions for database clients.

    febe.otel.instrument()

Needs the extra `febe[otel]`.  Where spans and metrics go is the program's business, by OpenTelemetry's SDK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import metrics, trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from febe import __version__
from febe.events import watch_everything
from febe.flows.watch import Event
from febe.server.redact import redacted, summary

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider
    from opentelemetry.util.types import AttributeValue

__all__ = ["Telemetry", "instrument", "uninstrument"]

SCHEMA = "https://opentelemetry.io/schemas/1.34.0"
BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
"""The conventions' own for db.client.operation.duration."""
_PORT = 5432


class Telemetry:
    """A hook for `connect(on_event=...)` that makes a span of each operation and counts its duration.

    The span's parent is the one that is current where the operation is asked for.  `capture_text` has the SQL in it:
    as it is where values travel beside it, and with `?` for literals where they do not.
    """

    def __init__(self, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None, *,
                 capture_text: bool = True) -> None:
        self._tracer = trace.get_tracer("febe", __version__, tracer_provider, SCHEMA)
        self._duration = metrics.get_meter("febe", __version__, meter_provider, SCHEMA).create_histogram(
            "db.client.operation.duration", "s", "Duration of database client operations.",
            explicit_bucket_boundaries_advisory=BUCKETS)
        self._capture_text = capture_text

    def __call__(self, event: Event) -> None:
        """Make the span of an operation that has ended."""
        attributes = self._attributes(event)
        name = str(attributes.get("db.query.summary") or attributes["db.operation.name"])
        context = trace.set_span_in_context(trace.get_current_span())
        span = self._tracer.start_span(name, context, SpanKind.CLIENT, attributes, start_time=event.began)
        if event.error is not None and span.is_recording():
            span.set_status(Status(StatusCode.ERROR, _told(event.error)))
        if self._capture_text and event.text is not None and span.is_recording():
            span.set_attribute("db.query.text", redacted(event.text) if event.has_values else event.text)
        if event.rows is not None and span.is_recording():
            span.set_attribute("db.response.returned_rows", event.rows)
        span.end(event.began + round(event.seconds * 1e9))
        if event.kind != "error":
            self._duration.record(event.seconds, attributes, context)

    @staticmethod
    def _attributes(event: Event) -> dict[str, AttributeValue]:
        server = event.server
        found: dict[str, AttributeValue] = {
            "db.system.name": "postgresql", "db.namespace": server.database, "server.address": server.host,
            "db.operation.name": "BATCH" if event.kind == "pipeline" else event.kind.upper()}
        if event.text is not None and (made := summary(event.text)):
            operation, _, target = made.partition(" ")
            found["db.operation.name"] = f"BATCH {operation}" if event.size > 1 else operation
            found["db.query.summary"] = f"BATCH {made}" if event.size > 1 else made
            if target and " " not in target:
                found["db.collection.name"] = target
        if server.port not in (None, _PORT):
            assert server.port is not None
            found["server.port"] = server.port
        if event.size > 1:
            found["db.operation.batch.size"] = event.size
        if event.error is not None:
            sqlstate = getattr(event.error, "sqlstate", None)
            if sqlstate:
                found["db.response.status_code"] = sqlstate
            found["error.type"] = sqlstate or type(event.error).__qualname__
        return found


def _told(error: BaseException) -> str:
    # The message of a server may quote values.
    return f"{type(error).__qualname__} {getattr(error, 'sqlstate', None) or ''}".rstrip()


def instrument(tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None, *,
               capture_text: bool = True) -> Telemetry:
    """Watch every connection made from now on, unless it has an `on_event` of its own."""
    made = Telemetry(tracer_provider, meter_provider, capture_text=capture_text)
    watch_everything(made)
    return made


def uninstrument() -> None:
    """Watch no more connections."""
    watch_everything(None)
