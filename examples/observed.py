"""What a program's connections do: spans by OpenTelemetry, a log of what is slow, and a trace of the wire.

    python examples/observed.py DSN FILE
"""

from __future__ import annotations

import logging
import sys

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import febe
from febe.events import Event, Log
from febe.otel import Telemetry


def main(dsn: str, file: str) -> None:
    logging.basicConfig(format="%(levelname)s", stream=sys.stdout)
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    log, telemetry = Log("shop", slow=0.0), Telemetry(provider)

    def both(event: Event) -> None:
        log(event)
        telemetry(event)

    with febe.connect(dsn, on_event=both, trace=file) as connection:
        connection.fetch("select relname from pg_class where oid = $1", 1259)
        connection.execute("select 'a secret'")
    for span in exporter.get_finished_spans():
        print(span.name, (span.attributes or {}).get("db.query.text"))
    with open(file) as trace:
        print(sum("\tQuery\t" in line for line in trace), "query messages on the wire")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
