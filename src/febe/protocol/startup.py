"""The first packets of a connection (manual: "Start-up", "Canceling Requests in Progress", "SSL Session Encryption",
"GSSAPI Session Encryption")."""

from __future__ import annotations

from typing import Annotated

from febe.protocol.fields import (
    Bytes,
    Choice,
    CountedStrings,
    Int32,
    ProcessId,
    ProtocolVersion,
    Secret,
    String,
    StringPairs,
)
from febe.protocol.message import Framing, Message, Sender, message

# A version is major << 16 | minor; the special requests are "versions" of major 1234.
VERSION_3_0 = 0x0003_0000
VERSION_3_2 = 0x0003_0002
STARTUP_LIMIT = 10_004  # MAX_STARTUP_PACKET_LENGTH, and the length word
CANCEL_KEY_LIMIT = 256


@message("", sender=Sender.FRONTEND, framing=Framing.STARTUP, limit=STARTUP_LIMIT, section="Start-up")
class StartupMessage(Message):
    """Open a session (F).

    `version` is major << 16 | minor.  `parameters` holds `user` (required), `database`, `options`, `replication`, any
    run-time parameter, and protocol extensions, whose names begin with `_pq_.`.
    """

    version: ProtocolVersion
    parameters: StringPairs


@message("", code=80877103, sender=Sender.FRONTEND, framing=Framing.STARTUP, limit=8, section="SSL Session Encryption")
class SSLRequest(Message):
    """Ask for TLS before anything else is said (F); answered with one byte."""


@message("", code=80877104, sender=Sender.FRONTEND, framing=Framing.STARTUP, limit=8, since="3.0 (PostgreSQL 12)",
         section="GSSAPI Session Encryption")
class GSSENCRequest(Message):
    """Ask for GSSAPI encryption before anything else is said (F); answered with one byte."""


@message("", code=80877102, sender=Sender.FRONTEND, framing=Framing.STARTUP, limit=12 + CANCEL_KEY_LIMIT,
         section="Canceling Requests in Progress")
class CancelRequest(Message):
    """Ask that another session's query be cancelled (F); nothing is answered.

    `secret_key` has 4 bytes in protocol 3.0, up to 256 in 3.2.
    """

    process_id: ProcessId
    secret_key: Annotated[bytes, Secret(Bytes(1, CANCEL_KEY_LIMIT))]


@message("S", sender=Sender.BACKEND, framing=Framing.BYTE, limit=1, section="SSL Session Encryption")
class SSLAccepted(Message):
    """The server is ready for the TLS handshake (B)."""


@message("G", sender=Sender.BACKEND, framing=Framing.BYTE, limit=1, section="GSSAPI Session Encryption",
         since="3.0 (PostgreSQL 12)")
class GSSENCAccepted(Message):
    """The server is ready for the GSSAPI handshake (B)."""


@message("N", sender=Sender.BACKEND, framing=Framing.BYTE, limit=1, section="SSL Session Encryption")
class EncryptionRefused(Message):
    """The server will not encrypt this connection in the way asked for (B)."""


# libpq takes no longer negotiation message than this (PQconnectPoll)
@message("v", sender=Sender.BACKEND, limit=2_000, section="Start-up")
class NegotiateProtocolVersion(Message):
    """The server speaks an older minor version, or does not know some protocol extensions (B).

    `version` is the newest version both can speak, as a whole number such as 0x00030002: the manual says "minor
    version", every server sends this.  `options` are the `_pq_.` names it did not recognize.
    """

    version: Int32
    options: CountedStrings


@message("K", sender=Sender.BACKEND, section="Start-up")
class BackendKeyData(Message):
    """What a CancelRequest for this session must say (B).  The key has 4 bytes in 3.0, 4 to 256 in 3.2."""

    process_id: ProcessId
    secret_key: Annotated[bytes, Secret(Bytes(4, CANCEL_KEY_LIMIT))]


@message("S", sender=Sender.BACKEND, section="Asynchronous Operations")
class ParameterStatus(Message):
    """The value of a run-time parameter that the frontend should know, at start-up and whenever it changes (B)."""

    name: String
    value: String


@message("Z", sender=Sender.BACKEND, section="Simple Query")
class ReadyForQuery(Message):
    """The backend waits for the next request (B).

    `status`: `I` idle, `T` in a transaction block, `E` in a failed transaction block.
    """

    status: Annotated[str, Choice("ITE", "transaction status")]


@message("X", sender=Sender.FRONTEND, section="Termination")
class Terminate(Message):
    """The frontend closes the connection (F)."""
