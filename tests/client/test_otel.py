"""Spans and durations as OpenTelemetry's conventions for database clients have them, by the SDK's own exporters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import febe
import febe.otel
from febe.errors import PostgresError
from febe.otel import Telemetry
from tests.client.faces import FACES, run
from tests.peers.postgres import Postgres


class Sdk:
    """A tracer and a meter whose exporters are lists."""

    def __init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers, self.meters = TracerProvider(), MeterProvider([self.reader])
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))

    @property
    def spans(self) -> list[Any]:
        return list(self.exporter.get_finished_spans())

    def points(self, name: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        assert data is not None
        return [point for resource in data.resource_metrics for scope in resource.scope_metrics
                for metric in scope.metrics if metric.name == name for point in metric.data.data_points]


@pytest.fixture
def sdk() -> Iterator[Sdk]:
    made = Sdk()
    yield made
    made.tracers.shutdown()
    made.meters.shutdown()


@pytest.mark.parametrize("face", FACES)
def test_spans(face: str, pg18: Postgres, sdk: Sdk) -> None:
    telemetry = Telemetry(sdk.tracers, sdk.meters)

    async def main(connect: Any) -> None:
        async with await connect(**pg18.parameters(), on_event=telemetry) as connection:
            with sdk.tracers.get_tracer("test").start_as_current_span("request"):
                await connection.fetch("select relname from pg_class limit $1", 2)
                await connection.execute("select 'secret' from pg_type limit 1")
            await connection.executemany("select $1::int4", [(1,), (2,)])
            with pytest.raises(PostgresError):
                await connection.fetchval("select * from nowhere")

    run(face, main)
    connected, fetched, executed, request, many, failed = sdk.spans
    common = {"db.system.name": "postgresql", "db.namespace": "postgres", "server.address": "127.0.0.1",
              "server.port": pg18.port}
    assert connected.name == "CONNECT" and connected.kind is SpanKind.CLIENT
    assert dict(connected.attributes) == common | {"db.operation.name": "CONNECT"}
    assert (fetched.name, dict(fetched.attributes)) == ("SELECT pg_class", common | {
        "db.operation.name": "SELECT", "db.query.summary": "SELECT pg_class", "db.collection.name": "pg_class",
        "db.query.text": "select relname from pg_class limit $1", "db.response.returned_rows": 2})
    assert executed.attributes["db.query.text"] == "select ? from pg_type limit ?"
    for span in (fetched, executed):
        assert span.parent.span_id == request.context.span_id
        assert request.start_time <= span.start_time < span.end_time <= request.end_time
    assert many.parent is None
    assert (many.name, many.attributes["db.operation.batch.size"], many.attributes["db.operation.name"]) == (
        "BATCH SELECT", 2, "BATCH SELECT")
    assert (failed.status.status_code, failed.attributes["db.response.status_code"],
            failed.attributes["error.type"]) == (StatusCode.ERROR, "42P01", "42P01")
    assert "nowhere" not in failed.status.description


def test_durations(pg18: Postgres, sdk: Sdk) -> None:
    with febe.connect(pg18.dsn(), on_event=Telemetry(sdk.tracers, sdk.meters)) as connection:
        for _ in range(3):
            connection.fetchval("select 1")
        with pytest.raises(PostgresError):
            connection.execute("no sql")
    counted = {(point.attributes["db.operation.name"], point.attributes.get("error.type")): point.count
               for point in sdk.points("db.client.operation.duration")}
    assert counted == {("CONNECT", None): 1, ("SELECT", None): 3, ("NO", "42601"): 1}
    (point, *_) = sdk.points("db.client.operation.duration")
    assert point.explicit_bounds == febe.otel.BUCKETS
    assert not any("db.query.text" in point.attributes for point in sdk.points("db.client.operation.duration"))


def test_for_all_connections_and_without_text(pg18: Postgres, sdk: Sdk) -> None:
    febe.otel.instrument(sdk.tracers, sdk.meters, capture_text=False)
    try:
        with febe.connect(pg18.dsn()) as connection:
            connection.fetchval("select 1")
    finally:
        febe.otel.uninstrument()
    with febe.connect(pg18.dsn()) as connection:
        connection.fetchval("select 2")
    assert [span.name for span in sdk.spans] == ["CONNECT", "SELECT"]
    assert "db.query.text" not in sdk.spans[1].attributes


def test_who_is_not_there(sdk: Sdk) -> None:
    with pytest.raises(febe.Error):
        febe.connect("host=127.0.0.1 port=1 user=u dbname=d", on_event=Telemetry(sdk.tracers, sdk.meters))
    (span,) = sdk.spans
    assert (span.name, span.attributes["error.type"]) == ("CONNECT", "ConnectionLost")
    assert span.attributes["server.port"] == 1
