"""What a server tells of itself, for `serve(telemetry=)`: metrics, traces, structured logs, or something else."""

from febe.server.telemetry.events import Several, StatementEvent, Telemetry
from febe.server.telemetry.logs import JsonFormatter, StatementLog

__all__ = ["JsonFormatter", "Several", "StatementEvent", "StatementLog", "Telemetry"]
