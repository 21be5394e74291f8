"""What a server tells of itself: metrics, health, spans and logs, each by what another program makes of it."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psycopg
import pytest
from click.testing import CliRunner
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client.parser import text_string_to_metric_families

import febe
from febe.cli.commands import febe as febe_command
from febe.engines.duckdb import DuckDBEngine
from febe.errors import PostgresError
from febe.server import Listener, StatementEvent, Telemetry
from febe.server.activity import Backend
from febe.server.telemetry import JsonFormatter, StatementLog
from febe.server.telemetry.metrics import Metrics
from febe.server.telemetry.traces import Traces
from tests.peers import febe_server as febe_servers
from tests.server.listening import Raw, listening, startup
from tests.server.wire import Script

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Notebook(Telemetry):
    """Writes everything down."""

    def __init__(self) -> None:
        self.notes: list[tuple[Any, ...]] = []
        self.events: list[StatementEvent] = []
        self.closing = threading.Event()

    def started(self, listener: Listener) -> None:
        self.notes.append(("started", listener.port))

    def stopped(self) -> None:
        self.notes.append(("stopped",))

    def opened(self, client: Backend) -> None:
        self.notes.append(("opened", client.user, client.application_name))

    def closed(self, client: Backend) -> None:
        self.notes.append(("closed", client.user))
        self.closing.set()

    def refused(self, address: str | None, sqlstate: str) -> None:
        self.notes.append(("refused", address, sqlstate))

    def statement(self, event: StatementEvent) -> None:
        self.events.append(event)


class Faulty(Telemetry):
    def opened(self, client: Backend) -> None:
        raise KeyError("opened")

    def statement(self, event: StatementEvent) -> None:
        raise KeyError("statement")


@pytest.fixture(scope="module")
def engine() -> Iterator[DuckDBEngine]:
    with contextlib.closing(DuckDBEngine()) as made:
        yield made


def conninfo(listener: Listener, **options: str) -> str:
    found = {"host": "127.0.0.1", "port": listener.port, "user": "ann", "dbname": "demo", **options}
    return " ".join(f"{name}='{value}'" for name, value in found.items())


class TestEvents:
    def test_of_statements(self, engine: DuckDBEngine) -> None:
        book = Notebook()
        began = time.time_ns()
        with listening(engine, telemetry=[Faulty(), book]) as listener:
            port = listener.port
            with febe.connect(conninfo(listener, application_name="test")) as connection:
                connection.execute("select 1; select * from range(3)")
                connection.fetch("select * from range($1)", 4)
                with pytest.raises(PostgresError):
                    connection.execute("select * from nowhere")
                with pytest.raises(PostgresError):
                    connection.fetch("selec $1", 1)
                with pytest.raises(PostgresError):
                    connection.fetch("select 'x' || $1::text::int4", "no number")
                connection.execute("create temp table t (a int)")
                connection.copy_in("t", [(n,) for n in range(7)])
            assert book.closing.wait(10)
        ended = time.time_ns()
        assert book.notes == [("started", port), ("opened", "ann", "test"), ("closed", "ann"), ("stopped",)]
        told = [(event.kind, event.text, event.rows, event.sqlstate) for event in book.events
                if "pg_backend_pid" not in event.text]
        assert told[:4] == [
            ("Query", "select 1; select * from range(3)", 4, None), ("Execute", "select * from range($1)", 4, None),
            ("Query", "select * from nowhere", 0, "42P01"), ("Parse", "selec $1", 0, "42601")]
        assert (told[4][0] in ("Execute", "Bind") and told[4][3] == "22P02") or told[4][3] == "22018"
        assert told[5][:2] == ("Query", "create temp table t (a int)")
        assert (told[-1][0], told[-1][2]) == ("Query", 7) and told[-1][1].startswith("COPY")
        for event in book.events:
            assert began <= event.began <= event.began + event.seconds * 1e9 <= ended + 1_000_000
            assert event.seconds > 0 and event.client.user == "ann" and event.client.client_address == "127.0.0.1"

    def test_a_part_of_a_portal_and_a_message_without_statement(self) -> None:
        book = Notebook()
        with listening(Script(), telemetry=[book]) as listener:
            with psycopg.connect(conninfo(listener), autocommit=True) as connection:
                connection.execute("rows 30 by 10")
            with febe.connect(conninfo(listener)) as own:
                own.execute("rows 3 by 3")
                with own.stream("rows 30 by 10", size=20) as stream:
                    assert [len(batch) for batch in stream] == [20, 10]
        assert [event.rows for event in book.events if event.text.startswith("rows")] == [30, 3, 20, 10]

    def test_who_is_refused(self) -> None:
        book = Notebook()
        with listening(Script(), users={"ann": "secret"}, telemetry=[book]) as listener:
            for user, password in (("ann", "wrong"), ("nobody", "secret")):
                with pytest.raises(PostgresError):
                    febe.connect(conninfo(listener, user=user, password=password))
            with Raw(listener) as client:
                client.send(startup(0x30000, "database", "d"))
                client.rest()
        assert [note for note in book.notes if note[0] == "refused"] == [
            ("refused", "127.0.0.1", "28P01"), ("refused", "127.0.0.1", "28P01"), ("refused", "127.0.0.1", "28000")]

    def test_a_trace_that_a_comment_names(self) -> None:
        book = Notebook()
        with listening(Script(), telemetry=[book]) as listener, febe.connect(conninfo(listener)) as connection:
            with contextlib.suppress(PostgresError):
                connection.execute(f"one /*traceparent='{PARENT}'*/")
            with contextlib.suppress(PostgresError):
                connection.execute("one /*traceparent='00-xyz'*/")
        assert [event.traceparent for event in book.events] == [PARENT, None]

    def test_a_server_whose_telemetry_cannot_start(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            book = Notebook()
            with pytest.raises(OSError), listening(
                    Script(), telemetry=[book, Metrics(port=taken.getsockname()[1])]):
                pass
            assert book.notes[-1] == ("stopped",)


class TestMetrics:
    def scraped(self, metrics: Metrics) -> dict[tuple[str, ...], float]:
        with urlopen(f"http://127.0.0.1:{metrics.port}/metrics", timeout=10) as page:
            assert page.headers.get_content_type() == "text/plain"
            return {(sample.name, *sample.labels.values()): sample.value
                    for family in text_string_to_metric_families(page.read().decode()) for sample in family.samples}

    def test_counted(self, engine: DuckDBEngine) -> None:
        metrics = Metrics(port=0)
        with listening(engine, telemetry=[metrics], users={"ann": "x"}) as listener:
            assert self.scraped(metrics)["febe_connections_total",] == 0
            with febe.connect(conninfo(listener, password="x")) as connection:
                connection.execute("select * from range(5)")
                with pytest.raises(PostgresError):
                    connection.execute("select * from nowhere")
                with pytest.raises(PostgresError):
                    febe.connect(conninfo(listener, password="wrong"))
                connection.execute("begin")
                found = self.scraped(metrics)
            for name, value in {("febe_connections_total",): 1, ("febe_connections_refused_total", "28P01"): 1,
                                ("febe_statements_total", "Query"): 3, ("febe_statement_errors_total", "42P01"): 1,
                                ("febe_rows_total",): 5, ("febe_statement_duration_seconds_count",): 3,
                                ("febe_sessions", "idle in transaction"): 1, ("febe_sessions", "active"): 0,
                                ("febe_places",): 100, ("febe_places_taken",): 1}.items():
                assert found[name] == value, name
            assert found["process_resident_memory_bytes",] > 1_000_000
        with pytest.raises(OSError):
            urlopen(f"http://127.0.0.1:{metrics.port}/metrics", timeout=1)

    def test_health(self) -> None:
        metrics = Metrics(port=0)
        with listening(Script(), telemetry=[metrics]) as listener:
            where = f"http://127.0.0.1:{metrics.port}"
            with urlopen(f"{where}/health", timeout=10) as page:
                assert (page.status, json.load(page)) == (200, {"status": "ok", "sessions": 0})
            for path, method, status in (("/", "GET", 404), ("/metrics", "POST", 405), ("/../etc/passwd", "GET", 404)):
                with pytest.raises(HTTPError) as caught:
                    urlopen(Request(f"{where}{path}", b"" if method == "POST" else None, method=method), timeout=10)
                assert caught.value.code == status
            listener._service.closing = "on its way down"
            with pytest.raises(HTTPError) as caught:
                urlopen(f"{where}/health", timeout=10)
            assert (caught.value.code, json.load(caught.value)["status"]) == (503, "shutting down")

    def test_an_event_loop_that_hangs_is_unwell(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from febe.server.telemetry import metrics as module

        monkeypatch.setattr(module, "ANSWER_SECONDS", 0.05)
        metrics, hang, over = Metrics(port=0), threading.Event(), threading.Event()

        class Hanging(Script):
            def open(self, **options: Any) -> Any:
                hang.set()
                over.wait(10)
                return super().open(**options)

        with listening(Hanging(), telemetry=[metrics]) as listener, Raw(listener) as client:
            client.send(startup(0x30000, "user", "ann"))
            assert hang.wait(10)
            try:
                with pytest.raises(HTTPError) as caught:
                    urlopen(f"http://127.0.0.1:{metrics.port}/health", timeout=10)
                assert json.load(caught.value)["status"] == "the event loop does not answer"
            finally:
                over.set()

    def test_a_slow_client_holds_up_nobody(self) -> None:
        metrics = Metrics(port=0)
        with listening(Script(), telemetry=[metrics]), \
                socket.create_connection(("127.0.0.1", metrics.port or 0)) as slow:
            slow.sendall(b"GET /metrics")
            assert self.scraped(metrics)["febe_places",] == 100


class TestTraces:
    def test_spans(self, engine: DuckDBEngine) -> None:
        exporter, provider = InMemorySpanExporter(), TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        with listening(engine, telemetry=[Traces(provider)]) as listener, \
                febe.connect(conninfo(listener, application_name="shop")) as connection:
            connection.execute(f"select 'secret' from range(2) /*traceparent='{PARENT}'*/")
            with pytest.raises(PostgresError):
                connection.execute("select * from nowhere")
        first, second = exporter.get_finished_spans()
        assert first.context is not None and first.parent is not None and first.attributes is not None
        assert (f"{first.context.trace_id:032x}", f"{first.parent.span_id:016x}") == tuple(PARENT.split("-")[1:3])
        assert first.kind is SpanKind.SERVER and (first.end_time or 0) > (first.start_time or 0)
        for name, value in {"db.query.text": "select ? from range(?)", "db.query.summary": "SELECT range",
                            "user.name": "ann", "client.address": "127.0.0.1", "db.response.returned_rows": 2,
                            "febe.application_name": "shop"}.items():
            assert first.attributes[name] == value
        assert second.parent is None and second.attributes is not None
        assert (second.status.status_code, second.attributes["error.type"]) == (StatusCode.ERROR, "42P01")


class TestLogs:
    def test_statements(self, engine: DuckDBEngine, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO), listening(engine, telemetry=[StatementLog()]) as listener, \
                febe.connect(conninfo(listener, application_name="a\nb")) as connection:
            connection.fetch("select $1::text, 'geheim'\n", "ganz geheim")
        lines = [JsonFormatter().format(record) for record in caplog.records if record.name.startswith("febe.server")]
        assert not any("geheim" in line or "\n" in line for line in (*lines, *caplog.messages))
        (statement,) = [found for line in lines if (found := json.loads(line)).get("kind") == "Execute"
                        and "text" in found["query"]]
        assert {name: statement[name] for name in ("event", "query", "rows", "user", "database", "client")} == {
            "event": "statement", "query": "select $1::text, ?", "rows": 1, "user": "ann", "database": "demo",
            "client": "127.0.0.1"}
        assert statement["duration_ms"] > 0 and statement["level"] == "INFO" and statement["process_id"]
        assert statement["time"].endswith("+00:00")

    def test_only_slow_ones_and_errors(self, engine: DuckDBEngine, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO), listening(engine, telemetry=[StatementLog(60)]) as listener, \
                febe.connect(conninfo(listener)) as connection:
            connection.execute("select 1")
            with pytest.raises(PostgresError):
                connection.execute("select * from nowhere")
        (line,) = [record.getMessage() for record in caplog.records if record.name == "febe.server.statements"]
        assert "sqlstate=42P01" in line and line.endswith("query=select * from nowhere")

    def test_an_exception_is_one_line(self) -> None:
        try:
            raise ValueError("a\nb")
        except ValueError:
            record = logging.LogRecord("x", logging.ERROR, "f", 1, "it failed: %s", ("a\nb",), sys.exc_info())
        line = JsonFormatter().format(record)
        assert "\n" not in line and json.loads(line)["exception"].startswith("Traceback")


class TestServe:
    def test_on_the_command_line(self, tmp_path: Path) -> None:
        options = ["--metrics", "0", "--log-format", "json", "--log-statements", "0"]
        with febe_servers.running(options=options) as server:
            with febe.connect(server.dsn("ann")) as connection:
                connection.execute("select 'secret'")
            found = [json.loads(line) for line in server.printed if line.startswith("{")]
            (place,) = [line["message"].split()[-1] for line in found if "/metrics" in line["message"]]
            with urlopen(place, timeout=10) as page:
                assert b"febe_connections_total 1.0" in page.read()
        found = [json.loads(line) for line in server.printed if line.startswith("{")]
        assert [line.get("event") for line in found if "event" in line] == ["opened", "statement", "closed"]
        assert not any("secret" in line for line in server.printed)

    def test_metrics_of_several_processes(self) -> None:
        """Whichever worker answers, it answers for all."""
        options = ["--workers", "2", "--read-only", "--metrics", "0"]
        with febe_servers.running(options=options) as server:
            connections = [febe.connect(server.dsn("ann")) for _ in range(4)]
            for connection in connections:
                connection.execute("select * from range(3)")
            place = next(line.split()[-1] for line in server.printed if "/metrics" in line)
            for _ in range(6):
                with urlopen(place, timeout=10) as page:
                    said = page.read().decode()
                for line in ("febe_connections_total 4.0", 'febe_statements_total{kind="Query"} 4.0',
                             "febe_rows_total 12.0", 'febe_sessions{state="idle"} 4.0', "febe_places_taken 4.0"):
                    assert line in said
                with urlopen(place.replace("/metrics", "/health"), timeout=10) as page:
                    assert json.load(page)["status"] == "ok"
            for connection in connections:
                connection.close()

    def test_statements_of_several_processes(self) -> None:
        options = ["--workers", "2", "--read-only", "--log-statements", "0", "--log-format", "json"]
        with febe_servers.running(options=options) as server, febe.connect(server.dsn("ann")) as connection:
            connection.execute("select 'secret'")
        found = [json.loads(line) for line in server.printed if line.startswith("{")]
        assert [line["query"] for line in found if line.get("event") == "statement"] == ["select ?"]

    def test_spans_go_where_the_program_says(self, tmp_path: Path) -> None:
        """As under opentelemetry-instrument; without it nobody would see them, and the command says so."""
        with pytest.raises(febe_servers.StartFailed, match="nobody has said where spans go"), \
                febe_servers.running(options=["--otel"]):
            pass
        program = """
import sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=lambda span: f"span {span.name}\\n")))
trace.set_tracer_provider(provider)
sys.argv = ["febe", "serve", "--port", "0", "--otel"]
from febe.cli import main
main()
"""
        with subprocess.Popen([sys.executable, "-u", "-c", program], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    if found := febe_servers.READY.search(line):
                        with febe.connect(f"host=127.0.0.1 port={found[1]} user=ann dbname=demo") as connection:
                            connection.execute("select * from range(2)")
                    if line.startswith("span "):
                        break
            finally:
                process.terminate()
            assert line == "span SELECT range\n"

    @pytest.mark.parametrize("options", [["--metrics", "nowhere"], ["--metrics", "1:99999"],
                                         ["--log-statements", "-1"],
                                         ["--metrics", "0", "--process-per-session", "--read-only"]])
    def test_options_that_make_no_sense(self, options: list[str]) -> None:
        assert CliRunner().invoke(febe_command, ["serve", *options]).exit_code == 2
