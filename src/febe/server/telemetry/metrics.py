"""Metrics for Prometheus, and whether the server is well, over HTTP.  It needs the extra `febe[metrics]`."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import threading
from collections import Counter as Count
from collections.abc import Callable, Iterable, Iterator
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, Histogram, PlatformCollector, ProcessCollector, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from febe.server.activity import Backend
from febe.server.telemetry.events import StatementEvent, Telemetry

if TYPE_CHECKING:
    from febe.server.listener import Listener

logger = logging.getLogger("febe.server")
BUCKETS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60)
ANSWER_SECONDS = 2.0
"""How long the event loop may take to answer before the server is said to be unwell."""
_CLIENT_SECONDS = 10.0


class Metrics(Telemetry):
    """Counts, and with an address (`host`, `port`; 0 takes a free one) answers at /metrics and /health.

    `port` is the one it got.  Where PROMETHEUS_MULTIPROC_DIR names a directory (from before prometheus_client is
    imported), the workers of a server add up what they count there, and any of them answers for all.
    """

    def __init__(self, host: str = "127.0.0.1", port: int | None = None) -> None:
        self.registry = CollectorRegistry()
        self._is_shared = "PROMETHEUS_MULTIPROC_DIR" in os.environ
        if not self._is_shared:  # else it would be whichever process answers
            ProcessCollector(registry=self.registry)
            PlatformCollector(registry=self.registry)
        self._opened = self._counter("febe_connections", "Sessions that have begun.")
        self._refused = self._counter("febe_connections_refused", "Clients that were not let in.", "sqlstate")
        self._statements = self._counter("febe_statements", "Statements that have been answered.", "kind")
        self._errors = self._counter("febe_statement_errors", "Statements that have failed.", "sqlstate")
        self._rows = self._counter("febe_rows", "Rows that statements have sent or taken.")
        self._seconds = Histogram("febe_statement_duration_seconds", "How long statements have taken.",
                                  registry=self.registry, buckets=BUCKETS)
        self._host, self.port = host, port
        self._place: socket.socket | None = None
        if self._is_shared and port is not None:
            # Bound before there are workers, so that all of them have the same port.
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._place = socket.socket(family, socket.SOCK_STREAM)
            self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            self._place.bind((host, port))
            self.port = self._place.getsockname()[1]
        self._endpoint: _Endpoint | None = None
        self._gauges: _Sessions | None = None

    def _counter(self, name: str, help: str, *labels: str) -> Counter:
        return Counter(name, help, labels, registry=self.registry)

    def started(self, listener: Listener) -> None:
        """Begin to answer.  Errors: OSError."""
        self._gauges = _Sessions(listener)
        registry = self.registry
        if self._is_shared:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        registry.register(self._gauges)
        if self.port is not None:
            server = _SharedServer if self._is_shared else _Server
            self._endpoint = _Endpoint(self._host, self.port, registry, listener, asyncio.get_running_loop(), server)
            self.port = self._endpoint.port
            logger.info("metrics at http://%s:%s/metrics", self._host, self.port)

    def stopped(self) -> None:
        """Answer no more."""
        if self._endpoint is not None:
            self._endpoint.close()
            self._endpoint = None
        if self._gauges is not None and not self._is_shared:
            self.registry.unregister(self._gauges)
        self._gauges = None

    def opened(self, client: Backend) -> None:
        """Count it."""
        self._opened.inc()

    def refused(self, address: str | None, sqlstate: str) -> None:
        """Count it."""
        self._refused.labels(sqlstate).inc()

    def statement(self, event: StatementEvent) -> None:
        """Count it."""
        self._statements.labels(event.kind).inc()
        self._seconds.observe(event.seconds)
        if event.rows:
            self._rows.inc(event.rows)
        if event.sqlstate is not None:
            self._errors.labels(event.sqlstate).inc()


class _Sessions(Collector):
    """How many sessions there are now, by what they are at."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def collect(self) -> Iterator[Any]:
        # of all processes, where there are several
        everybody = self._listener.shared.activity.all()
        found = Count(backend.state for backend in everybody)
        sessions = GaugeMetricFamily("febe_sessions", "Sessions, as the column state of pg_stat_activity has them.",
                                     labels=["state"])
        for state in ("active", "idle", "idle in transaction", "idle in transaction (aborted)"):
            sessions.add_metric([state], found[state])
        yield sessions
        yield GaugeMetricFamily("febe_places", "How many sessions there may be.", self._listener.places)
        yield GaugeMetricFamily("febe_places_taken", "How many of the places are taken.", len(everybody))


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _SharedServer(_Server):
    allow_reuse_port = True


class _Handler(WSGIRequestHandler):
    timeout = _CLIENT_SECONDS  # who says nothing is cut off

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class _Endpoint:
    """Answers over HTTP, in threads of its own: an event loop that hangs is what it has to tell of."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry, listener: Listener,
                 loop: asyncio.AbstractEventLoop, server: type[_Server]) -> None:
        self._metrics = make_wsgi_app(registry)
        self._listener = listener
        self._loop = loop
        self._server = make_server(host, port, self._answer, server, _Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    def _answer(self, request: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        place = request.get("PATH_INFO")
        if request.get("REQUEST_METHOD") not in ("GET", "HEAD"):
            return _said(start, "405 Method Not Allowed", {"status": "only GET is understood"})
        if place == "/metrics":
            page: Iterable[bytes] = self._metrics(request, start)
            return page
        if place == "/health":
            status = self._health()
            return _said(start, "200 OK" if status == "ok" else "503 Service Unavailable",
                         {"status": status, "sessions": self._listener.sessions})
        return _said(start, "404 Not Found", {"status": "there are /metrics and /health"})

    def _health(self) -> str:
        if self._listener.is_closing:
            return "shutting down"
        answered = threading.Event()
        try:
            self._loop.call_soon_threadsafe(answered.set)
        except RuntimeError:  # the loop is closed
            return "shutting down"
        return "ok" if answered.wait(ANSWER_SECONDS) else "the event loop does not answer"

    def close(self) -> None:
        """Stop; answers under way are finished by their threads."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _said(start: Callable[..., Any], status: str, document: dict[str, Any]) -> list[bytes]:
    data = json.dumps(document).encode() + b"\n"
    start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
    return [data]


__all__ = ["Metrics"]
