"""libpq 18 with a hook that gets OAuth tokens (libpq: "OAuth Support", PQsetAuthDataHook)."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Iterator
from pathlib import Path

BEARER_TOKEN = 1  # PQAUTHDATA_OAUTH_BEARER_TOKEN
CONNECTION_OK = 0


class _Request(ctypes.Structure):
    """PGoauthBearerRequest."""

    _fields_ = [("openid_configuration", ctypes.c_char_p), ("scope", ctypes.c_char_p), ("get", ctypes.c_void_p),
                ("cleanup", ctypes.c_void_p), ("token", ctypes.c_char_p), ("user", ctypes.c_void_p)]


_Hook = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(_Request))
TokenHook = Callable[[str, str], str]


class Libpq:
    """Just enough of it to see who gets in."""

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))
        for name in ("PQconnectdb", "PQexec"):
            getattr(self._library, name).restype = ctypes.c_void_p
        for name in ("PQerrorMessage", "PQgetvalue"):
            getattr(self._library, name).restype = ctypes.c_char_p

    @contextlib.contextmanager
    def tokens_by(self, hook: TokenHook) -> Iterator[None]:
        """Have tokens asked of `hook`, which is given the discovery document's address and the scope."""
        @_Hook
        def called(kind: int, _: int, request: ctypes._Pointer[_Request]) -> int:
            if kind != BEARER_TOKEN:
                return 0
            asked = request.contents
            asked.token = hook((asked.openid_configuration or b"").decode(), (asked.scope or b"").decode()).encode()
            return 1

        self._library.PQsetAuthDataHook(called)
        try:
            yield
        finally:
            self._library.PQsetAuthDataHook(ctypes.cast(self._library.PQdefaultAuthDataHook, _Hook))

    def answer(self, sql: str, **options: object) -> str:
        """The first value of a query on a new connection, or what libpq says went wrong."""
        conninfo = " ".join(f"{name}='{value}'" for name, value in options.items())
        connection = ctypes.c_void_p(self._library.PQconnectdb(conninfo.encode()))
        try:
            if self._library.PQstatus(connection) != CONNECTION_OK:
                return str(self._library.PQerrorMessage(connection).decode())
            result = ctypes.c_void_p(self._library.PQexec(connection, sql.encode()))
            value = self._library.PQgetvalue(result, 0, 0)
            self._library.PQclear(result)
            return str(value.decode())
        finally:
            self._library.PQfinish(connection)
