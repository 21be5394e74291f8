"""What connections do, as events: for `connect(on_event=...)`, or for all connections of a program.

    connection = febe.connect(dsn, on_event=febe.events.Log(slow=0.5))
"""

from __future__ import annotations

import logging

from febe.flows.watch import Event, Hook, Kind, Server, everywhere
from febe.server.redact import redacted

__all__ = ["Event", "Hook", "Kind", "Log", "Server", "redacted", "watch_everything"]


def watch_everything(hook: Hook | None) -> Hook | None:
    """Call `hook` for connections made from now on that have no `on_event` of their own; the one before it, if any."""
    before, everywhere.hook = everywhere.hook, hook
    return before


class Log:
    """A hook that logs each operation at `level`, a slow one (more than so many seconds) and an error as a warning.

    Literals in the SQL are shown as `?`, so that no password or personal data gets into the log.
    """

    def __init__(self, logger: logging.Logger | str = "febe.client", *, level: int = logging.DEBUG,
                 slow: float | None = None) -> None:
        self._logger = logging.getLogger(logger) if isinstance(logger, str) else logger
        self._level = level
        self._slow = slow

    def __call__(self, event: Event) -> None:
        """Log one."""
        is_slow = self._slow is not None and event.seconds >= self._slow
        level = logging.WARNING if is_slow or event.error is not None else self._level
        if not self._logger.isEnabledFor(level):
            return
        server = event.server
        parts = [f"{event.kind} {event.seconds * 1000:.3f} ms", f"{server.user}@{server.host}/{server.database}"]
        if server.process_id:
            parts.append(f"pid={server.process_id}")
        parts += [f"{name}={value}" for name, value in (("size", event.size), ("rows", event.rows),
                                                       ("bytes", event.bytes))
                  if value is not None and (name, value) != ("size", 1)]
        if event.error is not None:
            # The server's message may quote values: its code says what kind of error it was.
            parts.append(f"error={getattr(event.error, 'sqlstate', None) or type(event.error).__name__}")
        if event.text is not None:
            parts.append(redacted(event.text))
        self._logger.log(level, "%s", " ".join(parts))
