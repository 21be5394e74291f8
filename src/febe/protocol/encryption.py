"""Which encryption is tried, in which order, and what follows when it is refused or fails (libpq 18: fe-connect.c,
init_allowed_encryption_methods and select_next_encryption_method)."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

L = TypeVar("L")


class Way(enum.Enum):
    """How a connection may be protected."""

    GSS = "GSSAPI encryption"
    TLS = "TLS"
    CLEAR = "no encryption"


@dataclass(slots=True, kw_only=True)
class Encryption(Generic[L]):
    """What a client wants, by libpq's options; without anything said, a connection in clear.

    `tls` and `gss` make the layer of one connection, of whatever kind the port takes; `gss` is None where there are no
    Kerberos credentials.  `is_local` is said of Unix sockets, which are never encrypted.
    """

    sslmode: str = "disable"
    sslnegotiation: str = "postgres"
    gssencmode: str = "disable"
    tls: Callable[[], L] | None = None
    gss: Callable[[], L | None] | None = None
    is_local: bool = False


class Plan(Generic[L]):
    """The ways that are still to be tried for one server.  `way` is the one whose turn it is.

    `only` is how a connection is protected that belongs to another one, which is.
    """

    def __init__(self, encryption: Encryption[L], *, only: Way | None = None) -> None:
        self._wanted = encryption
        self._gss: L | None = None
        self._left = [way for way in self._allowed(encryption) if only in (None, way)]
        self.way = self._left[0] if self._left else None

    def _allowed(self, wanted: Encryption[L]) -> list[Way]:
        if wanted.is_local:
            return [] if wanted.gssencmode == "require" else [Way.CLEAR]
        ways = []
        if wanted.gssencmode != "disable" and wanted.gss is not None:
            # Credentials are looked for when their turn comes, which is first: there is no later turn.
            self._gss = wanted.gss()
            if self._gss is not None:
                ways.append(Way.GSS)
        others = []
        if wanted.gssencmode != "require":
            if wanted.sslmode != "disable":
                others.append(Way.TLS)
            if wanted.sslmode in ("disable", "allow", "prefer"):
                others.append(Way.CLEAR)
            if wanted.sslmode == "allow":
                others.reverse()
        return ways + others

    @property
    def is_direct(self) -> bool:
        """TLS begins at once, without SSLRequest."""
        return self._wanted.sslnegotiation == "direct"

    def layer(self) -> L:
        """The layer for one connection in the way whose turn it is.  Errors: those of making it."""
        made = self._gss if self.way is Way.GSS else self._wanted.tls() if self._wanted.tls is not None else None
        assert made is not None
        return made

    def failed(self) -> bool:
        """Note that this way did not work; whether there is another."""
        if self._left:
            del self._left[0]
        self.way = self._left[0] if self._left else None
        return self.way is not None

    @property
    def why_none(self) -> str:
        """Why there is no way at all, or none left, in libpq's words."""
        if self._wanted.gssencmode == "require":
            if self._wanted.is_local:
                return "GSSAPI encryption required but it is not supported over a local socket"
            if self._gss is None:
                return "GSSAPI encryption required but no credential cache"
            return "server doesn't support GSSAPI encryption, but it was required"
        return "server does not support SSL, but SSL was required"


__all__ = ["Encryption", "Plan", "Way"]
