"""What a server tells of itself: `--metrics`, `--otel`, `--log-statements`, `--log-format`."""

from __future__ import annotations

import atexit
import functools
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from typing import Any, TypeVar

import click

from febe.cli.grouped import options
from febe.server import Telemetry
from febe.server.telemetry import JsonFormatter, StatementLog

__all__ = ["start_logging", "telemetry_options"]

F = TypeVar("F", bound=Callable[..., Any])

_declared = options(
    "What it tells of itself",
    (("--metrics",), {"metavar": "[HOST:]PORT",
                      "help": "Answer there at /metrics, for Prometheus, and at /health; 0 takes a free port."}),
    (("--otel",), {"is_flag": True,
                   "help": "Make OpenTelemetry spans of statements; for opentelemetry-instrument febe serve."}),
    (("--log-statements",), {"type": click.FloatRange(0), "metavar": "SECONDS",
                             "help": "Log statements that take so long or fail, without values; 0 logs all."}),
    (("--log-format",), {"type": click.Choice(["text", "json"]), "default": "text", "show_default": True,
                         "help": "How the log is written: lines for people, or a JSON object in each."}),
)


def telemetry_options(command: F) -> F:
    """Give a command these options; it gets what they ask for as `telemetry`, and `log_format`."""
    @functools.wraps(command)
    def wrapped(*, metrics: str | None, otel: bool, log_statements: float | None, **others: Any) -> Any:
        telemetry: list[Telemetry] = []
        if metrics is not None:
            if others.get("process_per_session"):
                raise click.UsageError("--metrics would have a file for each process: not with --process-per-session")
            telemetry.append(_metrics(metrics, shared=others.get("workers") is not None))
        if otel:
            telemetry.append(_traces())
        if log_statements is not None:
            telemetry.append(StatementLog(log_statements))
        return command(telemetry=telemetry, **others)

    return _declared(wrapped)  # type: ignore[return-value]


def start_logging(log_format: str, *, quiet: bool) -> None:
    """Log to the standard output."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter() if log_format == "json" else
                         logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING if quiet else logging.INFO)
    # who asks for statements gets them, whatever else is not to be seen
    logging.getLogger("febe.server.statements").setLevel(logging.INFO)


def _metrics(place: str, *, shared: bool) -> Telemetry:
    host, _, port = place.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise click.BadParameter(f"{place!r} is no [HOST:]PORT", param_hint="--metrics")
    if shared and "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        # The workers count into files of this directory, which goes when this process does.
        folder = tempfile.TemporaryDirectory(prefix="febe-metrics-")
        atexit.register(folder.cleanup)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder.name
    try:
        from febe.server.telemetry.metrics import Metrics
    except ImportError:
        raise click.ClickException("--metrics needs the package prometheus-client: pip install 'febe[metrics]'") \
            from None
    try:
        return Metrics(host.strip("[]") or "127.0.0.1", int(port))
    except OSError as failure:
        raise click.ClickException(f"--metrics: cannot listen on {place}: {failure.strerror or failure}") from None


def _traces() -> Telemetry:
    try:
        from opentelemetry import trace

        from febe.server.telemetry.traces import Traces
    except ImportError:
        raise click.ClickException("--otel needs the package opentelemetry-api: pip install 'febe[otel]'") from None
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        raise click.ClickException("--otel: nobody has said where spans go; with pip install opentelemetry-distro, "
                                   "run opentelemetry-instrument febe serve")
    return Traces()
