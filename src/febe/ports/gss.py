"""GSSAPI: encryption as a layer, and the exchange of tokens that proves who somebody is (manual: "GSSAPI Session
Encryption", "GSSAPI Authentication"; be-secure-gssapi.c, fe-secure-gssapi.c)."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import gssapi
from gssapi.raw.misc import GSSError

from febe.protocol.errors import EncryptionError

PACKET_BYTES = 16384
"""A packet, its length word included (PQ_GSS_MAX_PACKET_SIZE)."""
TOKEN_BYTES = 65536
"""The same in the handshake, where tokens may carry group memberships (PQ_GSS_AUTH_BUFFER_SIZE)."""
_LENGTH = 4
_ENCRYPTED = (gssapi.RequirementFlag.mutual_authentication, gssapi.RequirementFlag.replay_detection,
              gssapi.RequirementFlag.out_of_sequence_detection, gssapi.RequirementFlag.confidentiality,
              gssapi.RequirementFlag.integrity)


class Exchange:
    """Tokens to and fro until both sides are proven."""

    def __init__(self, make: Callable[[], Any], *, accepts: bool) -> None:
        self._make = make
        self._context: Any = None
        self._accepts = accepts

    @property
    def is_complete(self) -> bool:
        """Both sides are proven."""
        return self._context is not None and bool(self._context.complete)

    @property
    def context(self) -> Any:
        """The security context, once there is one."""
        return self._context

    @property
    def principal(self) -> str | None:
        """Who the client is."""
        return str(self._context.initiator_name) if self._accepts and self.is_complete else None

    def step(self, token: bytes | None) -> bytes | None:
        """The answer to a token; None to begin with.  Errors: EncryptionError with the library's reason."""
        if token == b"":  # the library would take it for the beginning, any number of times
            raise EncryptionError("GSSAPI error: an empty token")
        try:
            if self._context is None:
                self._context = self._make()
            made: bytes | None = self._context.step(token)
        except GSSError as error:
            raise EncryptionError(f"GSSAPI error: {_reason(error)}") from None
        return made


class GSS:
    """One end of a connection with GSSAPI encryption."""

    kind = "GSS"
    certificate = None

    def __init__(self, exchange: Exchange, *, server_side: bool) -> None:
        self._exchange = exchange
        self._is_server = server_side
        self._buffer = bytearray()
        self._most = 0

    @property
    def principal(self) -> str | None:
        """The client's Kerberos name."""
        return self._exchange.principal

    def channel_binding(self) -> None:
        """There is no such thing here."""
        return None

    def handshake(self, data: bytes) -> tuple[bytes, bool]:
        """Take what the peer sent; return what to send, and whether all is agreed.  Errors: EncryptionError."""
        self._buffer += data
        if not self._is_server:
            if self._exchange.context is None:
                return self._step(None), False
            if self._buffer[:1] == b"E":  # no token is that long: it is an ErrorResponse, and nobody has signed it
                raise EncryptionError("the server sent an error during the GSSAPI handshake")
        out = b""
        while not self._exchange.is_complete:
            token = self._packet(TOKEN_BYTES)
            if token is None:
                return out, False
            out += self._step(token)
        if not self._exchange.context.actual_flags & gssapi.RequirementFlag.confidentiality:
            raise EncryptionError("GSSAPI cannot encrypt this connection")
        self._most = self._exchange.context.get_wrap_size_limit(PACKET_BYTES - _LENGTH, True)
        return out, True

    def encrypt(self, data: bytes) -> bytes:
        """What to send for `data`."""
        out = bytearray()
        for start in range(0, len(data), self._most):
            wrapped = self._exchange.context.wrap(bytes(data[start:start + self._most]), True)
            if not wrapped.encrypted:
                raise EncryptionError("outgoing GSSAPI message would not use confidentiality")
            out += len(wrapped.message).to_bytes(_LENGTH) + wrapped.message
        return bytes(out)

    def decrypt(self, data: bytes) -> bytes:
        """What the peer said, as far as it can be read by now.  Errors: EncryptionError."""
        self._buffer += data
        found = bytearray()
        while (packet := self._packet(PACKET_BYTES)) is not None:
            try:
                message = self._exchange.context.unwrap(packet)
            except GSSError as error:
                raise EncryptionError(f"GSSAPI unwrap error: {_reason(error)}") from None
            if not message.encrypted:
                raise EncryptionError("incoming GSSAPI message did not use confidentiality")
            found += message.message
        return bytes(found)

    def farewell(self) -> bytes:
        """Nothing: GSSAPI has no last word."""
        return b""

    def _step(self, token: bytes | None) -> bytes:
        made = self._exchange.step(token)
        return len(made).to_bytes(_LENGTH) + made if made else b""

    def _packet(self, most: int) -> bytes | None:
        """The next packet's content; None: it is not there whole.

        A length is judged before its bytes are waited for.
        """
        if len(self._buffer) < _LENGTH:
            return None
        length = int.from_bytes(self._buffer[:_LENGTH])
        if length > most - _LENGTH:
            raise EncryptionError(f"oversize GSSAPI packet sent by the {'client' if self._is_server else 'server'} "
                                  f"({length} > {most - _LENGTH})")
        if len(self._buffer) < _LENGTH + length:
            return None
        packet = bytes(self._buffer[_LENGTH:_LENGTH + length])
        del self._buffer[:_LENGTH + length]
        return packet


@dataclass(slots=True, kw_only=True)
class ClientGSS:
    """How a client finds its server's principal: `krbsrvname` at `host`."""

    host: str
    krbsrvname: str = "postgres"
    delegation: bool = False

    def exchange(self) -> Exchange:
        """For GSSAPI authentication."""
        flags = [gssapi.RequirementFlag.mutual_authentication]
        return Exchange(lambda: self._context(flags), accepts=False)

    def layer(self) -> GSS | None:
        """For GSSAPI encryption; None without credentials."""
        try:
            gssapi.Credentials(usage="initiate")
        except GSSError:
            return None
        return GSS(Exchange(lambda: self._context(_ENCRYPTED), accepts=False), server_side=False)

    def _context(self, flags: Any) -> Any:
        if not self.host:
            raise EncryptionError("host name must be specified")
        if self.delegation:
            flags = [*flags, gssapi.RequirementFlag.delegate_to_peer]
        name = gssapi.Name(f"{self.krbsrvname}@{self.host}", gssapi.NameType.hostbased_service)
        return gssapi.SecurityContext(name=name, usage="initiate", flags=flags)


@dataclass(slots=True, kw_only=True)
class ServerGSS:
    """A server's Kerberos identity: every principal in its `keytab` (`krb_server_keyfile`)."""

    keytab: str | os.PathLike[str]
    _store: ClassVar[str] = "keytab"

    def exchange(self) -> Exchange:
        """For GSSAPI authentication."""
        return Exchange(self._context, accepts=True)

    def layer(self) -> GSS:
        """For GSSAPI encryption."""
        return GSS(self.exchange(), server_side=True)

    def _context(self) -> Any:
        path = os.fspath(self.keytab)
        credentials = gssapi.Credentials(usage="accept", store={self._store: f"FILE:{path}"})
        return gssapi.SecurityContext(creds=credentials, usage="accept")


def _reason(error: GSSError) -> str:
    return " ".join(str(error).split())


__all__ = ["GSS", "PACKET_BYTES", "TOKEN_BYTES", "ClientGSS", "Exchange", "ServerGSS"]
