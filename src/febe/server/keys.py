"""Cancel keys: who may stop which session's query (manual: "Canceling Requests in Progress")."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable

from febe.protocol.startup import VERSION_3_2, BackendKeyData, CancelRequest

# As PostgreSQL 18 issues them (MAX_CANCEL_KEY_LENGTH)
SHORT, LONG = 4, 32


class CancelKeys:
    """The keys of all open sessions."""

    def __init__(self) -> None:
        self._sessions: dict[int, tuple[bytes, Callable[[], object]]] = {}

    def issue(self, version: int, cancel: Callable[[], object], *, process_id: int = 0) -> BackendKeyData:
        """A new key; a CancelRequest that knows it calls `cancel`.  The process id is the one given, if it is free."""
        while not process_id or process_id in self._sessions:
            process_id = secrets.randbits(31)
        key = secrets.token_bytes(LONG if version >= VERSION_3_2 else SHORT)
        self._sessions[process_id] = key, cancel
        return BackendKeyData(process_id=process_id, secret_key=key)

    def cancel(self, request: CancelRequest) -> None:
        """Do what the request asks for when its key is right; nobody is told whether it was."""
        key, cancel = self._sessions.get(request.process_id, (b"", None))
        if hmac.compare_digest(key, request.secret_key) and cancel is not None:
            cancel()

    def withdraw(self, process_id: int) -> None:
        """The session is over."""
        self._sessions.pop(process_id, None)
