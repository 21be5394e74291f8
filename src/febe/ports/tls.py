"""TLS as a layer: the ssl module on buffers in memory, so that every port has the same TLS and none has its own.

Who asked for TLS with an SSLRequest may leave ALPN out; who begins with it at once may not (manual: "SSL Session
Encryption"), so that no server of another protocol can be made to answer (the ALPACA attack).
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable

from febe.flows.port import Certificate
from febe.ports.certificates import binding_hash, certificate_of
from febe.protocol.errors import ConnectionLost, EncryptionError

ALPN = "postgresql"
_READ = 1 << 16
_NO_APPLICATION_PROTOCOL = bytes((21, 3, 3, 0, 2, 2, 120))
"""The fatal alert of that name (RFC 7301, section 3.2)."""


class TLS:
    """One end of a TLS connection.  `verify` is called when the handshake is done, and refuses by EncryptionError."""

    kind = "SSL"
    principal = None

    def __init__(self, context: ssl.SSLContext, *, server_side: bool = False, server_hostname: str | None = None,
                 own_certificate: bytes | None = None, verify: Callable[[TLS], object] | None = None) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side,
                                     server_hostname=server_hostname)
        self._is_server = server_side
        self._server_certificate = own_certificate
        self._verify = verify
        self._hello: bytearray | None = bytearray() if server_side else None
        self._refusal = b""
        self.alpn: str | None = None
        """The application protocol agreed on."""

    @property
    def certificate(self) -> Certificate | None:
        """The peer's verified certificate."""
        found = self._tls.getpeercert()
        return certificate_of(found) if found else None

    @property
    def version(self) -> str:
        """The version of TLS, such as `TLSv1.3`."""
        return self._tls.version() or ""

    @property
    def cipher(self) -> str:
        """The cipher suite, by OpenSSL's name."""
        found = self._tls.cipher()
        return found[0] if found else ""

    @property
    def tls(self) -> ssl.SSLObject:
        """The ssl module's own object, for what is not told here."""
        return self._tls

    def channel_binding(self) -> bytes:
        """The hash of the server's certificate that RFC 5929 calls tls-server-end-point.

        Errors: EncryptionError for a certificate signed in a way that names no hash, such as Ed25519.
        """
        certificate = self._server_certificate if self._is_server else self._tls.getpeercert(binary_form=True)
        if certificate is None:
            raise EncryptionError("there is no server certificate to bind the channel to")
        return binding_hash(certificate)

    def handshake(self, data: bytes) -> tuple[bytes, bool]:
        """Take what the peer sent; return what to send, and whether all is agreed.  Errors: EncryptionError."""
        if self._hello is not None:
            self._look_at_hello(data)
        self._incoming.write(data)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return self._outgoing.read(), False
        except ssl.SSLError as error:
            raise failed(error) from None
        self.alpn = self._tls.selected_alpn_protocol()
        if self._verify is not None:
            self._verify(self)
        return self._outgoing.read(), True

    def encrypt(self, data: bytes) -> bytes:
        """What to send for `data`, and before it whatever TLS itself has to say."""
        if data:
            try:
                self._tls.write(data)
            except ssl.SSLError as error:
                raise ConnectionLost(f"the connection is lost: {failed(error)}") from None
        return self._outgoing.read()

    def decrypt(self, data: bytes) -> bytes:
        """What the peer said, as far as it can be read by now.  Errors: EncryptionError, ConnectionLost at its end."""
        self._incoming.write(data)
        found: list[bytes] = []
        read = self._tls.read
        try:
            while piece := read(_READ):
                found.append(piece)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            if not found:
                raise ConnectionLost("the peer has closed the connection") from None
        except ssl.SSLError as error:
            if not found:
                raise failed(error) from None
        return found[0] if len(found) == 1 else b"".join(found)

    def farewell(self) -> bytes:
        """The alert that is due, or close_notify."""
        if self._refusal:
            return self._refusal
        with contextlib.suppress(ssl.SSLError, ValueError):  # the peer's own is not waited for
            self._tls.unwrap()
        return self._outgoing.read()

    def _look_at_hello(self, data: bytes) -> None:
        """Refuse a client that speaks another protocol: OpenSSL's module can prefer one, and not insist on it."""
        assert self._hello is not None
        self._hello += data
        offered = offered_protocols(bytes(self._hello))
        if offered is None:
            return
        self._hello = None
        if offered and ALPN.encode() not in offered:
            self._refusal = _NO_APPLICATION_PROTOCOL
            raise EncryptionError("SSL error: the client speaks another application protocol")


def offered_protocols(data: bytes) -> list[bytes] | None:
    """The names that a ClientHello offers by ALPN (RFC 7301; RFC 8446, section 4.1.2); None: more is to come.

    What is no ClientHello offers nothing: refusing it is OpenSSL's business.
    """
    hello = bytearray()
    pos = 0
    while len(hello) < 4 or len(hello) < 4 + int.from_bytes(hello[1:4]):
        if len(data) - pos < 5:
            return None if data[pos:pos + 1] in (b"", b"\x16") else []
        length = int.from_bytes(data[pos + 3:pos + 5])
        if data[pos] != 22 or not 0 < length <= 1 << 14 or len(hello) > 1 << 16:
            return []
        if len(data) - pos - 5 < length:
            return None
        hello += data[pos + 5:pos + 5 + length]
        pos += 5 + length
    if hello[0] != 1:
        return []
    body = _Reader(bytes(hello[4:4 + int.from_bytes(hello[1:4])]))
    body.take(34)                     # version, random
    for width in (1, 2, 1):           # session id, cipher suites, compression methods
        body.sized(width)
    extensions = _Reader(body.sized(2))
    names: list[bytes] = []
    while extensions.left:
        kind, content = extensions.take(2), extensions.sized(2)
        if kind == b"\0\x10":
            listed = _Reader(_Reader(content).sized(2))
            while listed.left:
                names.append(listed.sized(1))
    return names


class _Reader:
    """Reads what a ClientHello is made of; beyond its end there is nothing."""

    def __init__(self, data: bytes) -> None:
        self._data, self._pos = data, 0

    @property
    def left(self) -> int:
        return max(len(self._data) - self._pos, 0)

    def take(self, count: int) -> bytes:
        self._pos += count
        return self._data[self._pos - count:self._pos]

    def sized(self, width: int) -> bytes:
        return self.take(int.from_bytes(self.take(width)))


def failed(error: ssl.SSLError) -> EncryptionError:
    """The error of a failed handshake or record, with OpenSSL's reason and nothing of Python's own."""
    reason = getattr(error, "verify_message", None)
    name = (error.reason or "").replace("_", " ").lower() or (error.strerror or type(error).__name__)
    return EncryptionError(f"SSL error: {name}" + (f" ({reason})" if reason else ""))


__all__ = ["ALPN", "TLS", "failed", "offered_protocols"]
