"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, both sides, without I/O (manual: "SASL Authentication"; RFC 5802, RFC 7677).

The second binds the exchange to the TLS connection it runs on: both sides prove that they see the same certificate, so
that nobody can stand between.

Nonces come from the caller, because nothing here is random.  Differences from the RFC are PostgreSQL's: the user name
in the first message is empty and ignored, and a password that SASLprep refuses is used as it is.
"""

from __future__ import annotations

import hmac
import re
import stringprep
import unicodedata
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from hashlib import md5, pbkdf2_hmac, sha256

from febe.protocol.errors import AuthenticationError, RemoteProtocolError

MECHANISM = "SCRAM-SHA-256"
PLUS = "SCRAM-SHA-256-PLUS"
BINDING_TYPE = "tls-server-end-point"
NONCE_BYTES = 18  # SCRAM_RAW_NONCE_LEN
SALT_BYTES = 16  # SCRAM_DEFAULT_SALT_LEN
ITERATIONS = 4096  # SCRAM_SHA_256_DEFAULT_ITERATIONS
# A server may name any count; far beyond any in use it is an attack on the client's time (CVE-2026-42198).
MAXIMUM_ITERATIONS = 1_000_000

_PROHIBITED = (stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4,
               stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8,
               stringprep.in_table_c9, stringprep.in_table_a1)


def saslprep(text: str) -> str:
    """Normalize a password (RFC 4013); one that may not be normalized comes back as it is, as in PostgreSQL."""
    if text.isascii() and text.isprintable():
        return text
    mapped = "".join(" " if stringprep.in_table_c12(char) else char for char in text
                     if not stringprep.in_table_b1(char))
    prepared = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if not prepared or any(check(char) for char in prepared for check in _PROHIBITED):
        return text
    if any(map(stringprep.in_table_d1, prepared)):  # right-to-left text: RFC 3454, section 6
        ends_right = stringprep.in_table_d1(prepared[0]) and stringprep.in_table_d1(prepared[-1])
        if not ends_right or any(map(stringprep.in_table_d2, prepared)):
            return text
    return prepared


def md5_password(user: str, password: str, salt: bytes) -> str:
    """What PasswordMessage says after AuthenticationMD5Password (manual: "Start-up")."""
    inner = md5(password.encode() + user.encode(), usedforsecurity=False).hexdigest()
    return "md5" + md5(inner.encode() + salt, usedforsecurity=False).hexdigest()


def _hmac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")


def _salted_password(password: str, salt: bytes, iterations: int) -> bytes:
    return pbkdf2_hmac("sha256", saslprep(password).encode("utf-8", "surrogateescape"), salt, iterations)


def _malformed(detail: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"malformed SCRAM message ({detail})")


def _attributes(message: bytes, names: str) -> list[str]:
    """The values of `r=..,s=..,i=..`, which must come in exactly this order; extensions may follow."""
    try:
        parts = message.decode("ascii").split(",")
    except UnicodeDecodeError:
        raise _malformed("not ASCII") from None
    values = []
    for name, part in zip(names, parts, strict=False):
        if part[:2] != f"{name}=":
            raise _malformed(f'expected attribute "{name}"')
        values.append(part[2:])
    if len(values) < len(names):
        raise _malformed(f'attribute "{names[len(values)]}" is missing')
    return values


def _base64(text: str, what: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (Base64Error, ValueError):
        raise _malformed(f"invalid base64 in {what}") from None


def _shown(text: str) -> str:
    """A peer's text for an error message, short and printable (sanitize_str)."""
    return "".join(char if " " <= char <= "~" else "?" for char in text[:30])


def _check_nonce(nonce: str) -> None:
    if not nonce or not all(0x21 <= ord(char) <= 0x7E for char in nonce):
        raise _malformed("non-printable characters in SCRAM nonce")


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class ScramSecret:
    """What a client knows: the password, or keys that somebody has derived from it for one server's salt and count
    (libpq: scram_client_key, scram_server_key)."""

    password: str | None = None
    client_key: bytes | None = None
    server_key: bytes | None = None

    @property
    def is_enough(self) -> bool:
        """An exchange can be seen through with it."""
        return self.password is not None or (self.client_key is not None and self.server_key is not None)

    def keys(self, salt: bytes, iterations: int) -> tuple[bytes, bytes]:
        """ClientKey and ServerKey (RFC 5802, section 3), derived where they are not known."""
        client_key, server_key = self.client_key, self.server_key
        if client_key is None or server_key is None:
            assert self.password is not None
            salted = _salted_password(self.password, salt, iterations)
            client_key = client_key or _hmac(salted, b"Client Key")
            server_key = server_key or _hmac(salted, b"Server Key")
        return client_key, server_key


def parse_key(text: str, name: str) -> bytes:
    """Read a key in base64.  Errors: ValueError, in libpq's words."""
    try:
        key = b64decode(text, validate=True)
    except (Base64Error, ValueError):
        raise ValueError(f"invalid SCRAM {name} key") from None
    if len(key) != 32:
        raise ValueError(f"invalid SCRAM {name} key length: {len(key)}")
    return key


class ScramClient:
    """The frontend's side: `first()`, then `final(challenge)`, then `verify(outcome)`.

    `binding` is the channel's data for SCRAM-SHA-256-PLUS; without it, `could_bind` says that this side would have
    bound the channel had the server offered it.
    """

    def __init__(self, secret: str | ScramSecret, nonce: bytes, *, maximum_iterations: int = MAXIMUM_ITERATIONS,
                 binding: bytes | None = None, could_bind: bool = False) -> None:
        # "y" tells a server that does offer channel binding that somebody has taken the offer away on the way
        self._gs2 = f"p={BINDING_TYPE},," if binding is not None else "y,," if could_bind else "n,,"
        self._binding = binding or b""
        self._secret = secret if isinstance(secret, ScramSecret) else ScramSecret(password=secret)
        self._nonce = b64encode(nonce).decode()
        self._maximum_iterations = maximum_iterations
        self._bare = f"n=,r={self._nonce}"
        self._server_signature: bytes | None = None

    def first(self) -> bytes:
        """The data of SASLInitialResponse."""
        return f"{self._gs2}{self._bare}".encode()

    def final(self, challenge: bytes) -> bytes:
        """The data of SASLResponse that proves the password.

        Errors: RemoteProtocolError for a challenge that cannot be read, AuthenticationError for one that is refused.
        """
        nonce, salt_text, count_text = _attributes(challenge, "rsi")
        _check_nonce(nonce)
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise AuthenticationError("invalid SCRAM response (nonce mismatch)")
        salt = _base64(salt_text, "salt")
        if not salt or not re.fullmatch(r"[1-9][0-9]{0,9}", count_text):
            raise _malformed("invalid salt or iteration count")
        iterations = int(count_text)
        if iterations > self._maximum_iterations:
            raise AuthenticationError(f"the server asks for {iterations} SCRAM iterations, more than the "
                                      f"{self._maximum_iterations} allowed")
        client_key, server_key = self._secret.keys(salt, iterations)
        without_proof = f"c={b64encode(self._gs2.encode() + self._binding).decode()},r={nonce}"
        text = b",".join((self._bare.encode(), challenge, without_proof.encode()))
        signature = _hmac(sha256(client_key).digest(), text)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self._server_signature = _hmac(server_key, text)
        return f"{without_proof},p={b64encode(proof).decode()}".encode()

    def verify(self, outcome: bytes) -> None:
        """Check the server's own proof.  Errors: AuthenticationError when it does not know the password."""
        if outcome.startswith(b"e="):
            raise AuthenticationError(f"error received from server in SCRAM exchange: "
                                      f"{outcome[2:].decode('ascii', 'replace')}")
        (signature,) = _attributes(outcome, "v")
        if self._server_signature is None or not hmac.compare_digest(_base64(signature, "signature"),
                                                                     self._server_signature):
            raise AuthenticationError("incorrect server signature")


@dataclass(frozen=True, slots=True, repr=False)
class ScramVerifier:
    """What a server keeps instead of a password, in the form of `pg_authid.rolpassword`."""

    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes
    real: bool = True

    @classmethod
    def make(cls, password: str, salt: bytes, iterations: int = ITERATIONS) -> ScramVerifier:
        """The verifier of a password."""
        salted = _salted_password(password, salt, iterations)
        return cls(iterations, salt, sha256(_hmac(salted, b"Client Key")).digest(), _hmac(salted, b"Server Key"))

    @classmethod
    def parse(cls, text: str) -> ScramVerifier:
        """Read `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`.  Errors: ValueError."""
        match = re.fullmatch(r"SCRAM-SHA-256\$([1-9][0-9]{0,9}):([^$:]+)\$([^$:]+):([^$:]+)", text)
        if match is None:
            raise ValueError("not a SCRAM-SHA-256 verifier")
        salt, stored, server = (b64decode(part, validate=True) for part in match.groups()[1:])
        if len(stored) != 32 or len(server) != 32:
            raise ValueError("not a SCRAM-SHA-256 verifier: a key has the wrong length")
        return cls(int(match[1]), salt, stored, server)

    @classmethod
    def mock(cls, user: str, secret: bytes) -> ScramVerifier:
        """What an unknown user is asked, always the same for the same name, so that nobody learns who is known."""
        salt = _hmac(secret, user.encode("utf-8", "surrogateescape"))[:SALT_BYTES]
        return cls(ITERATIONS, salt, bytes(32), bytes(32), real=False)

    def __str__(self) -> str:
        salt, stored, server = (b64encode(part).decode() for part in (self.salt, self.stored_key, self.server_key))
        return f"{MECHANISM}${self.iterations}:{salt}${stored}:{server}"


class ScramServer:
    """The backend's side: `challenge(first)`, then `finish(final)`.

    `binding` is the channel's data, where SCRAM-SHA-256-PLUS is offered; `is_plus` says that the client chose it.
    """

    def __init__(self, verifier: ScramVerifier, nonce: bytes, *, binding: bytes | None = None,
                 is_plus: bool = False) -> None:
        self._verifier = verifier
        self._binding = binding
        self._is_plus = is_plus
        self._own_nonce = b64encode(nonce).decode()
        self._nonce = self._gs2 = ""
        self._text: list[bytes] = []

    def challenge(self, first: bytes) -> bytes:
        """The data of AuthenticationSASLContinue.  Errors: RemoteProtocolError."""
        # gs2-cbind-flag "," [authzid] ","; "y" says that the client could bind channels and believes we cannot
        try:
            flag, authorization, bare = first.decode("utf-8").split(",", 2)
        except (UnicodeDecodeError, ValueError):
            raise _malformed("incomplete first message") from None
        self._check_flag(flag)
        if authorization:
            raise RemoteProtocolError("client uses authorization identity, but it is not supported", sqlstate="0A000")
        if bare.startswith("m="):
            raise RemoteProtocolError("client requires an unsupported SCRAM extension", sqlstate="0A000")
        parts = bare.split(",")
        if len(parts) < 2 or not parts[0].startswith("n=") or not parts[1].startswith("r="):
            raise _malformed("user name and nonce expected")
        _check_nonce(parts[1][2:])
        self._gs2 = f"{flag},,"
        self._nonce = parts[1][2:] + self._own_nonce
        salt = b64encode(self._verifier.salt).decode()
        challenge = f"r={self._nonce},s={salt},i={self._verifier.iterations}".encode()
        self._text = [bare.encode(), challenge]
        return challenge

    def _check_flag(self, flag: str) -> None:
        """What the client says about channel binding has to fit what was offered and chosen (RFC 5802, section 6)."""
        if flag.startswith("p="):
            if not self._is_plus:
                raise _malformed("the client selected SCRAM-SHA-256 without channel binding, but the SCRAM message "
                                 "includes channel binding data")
            if flag[2:] != BINDING_TYPE:
                raise RemoteProtocolError(f'unsupported SCRAM channel-binding type "{_shown(flag[2:])}"')
        elif flag not in ("n", "y"):
            raise _malformed(f'unexpected channel-binding flag "{_shown(flag[:1])}"')
        elif self._is_plus:
            raise _malformed("the client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel "
                             "binding data")
        elif flag == "y" and self._binding is not None:
            raise RemoteProtocolError("SCRAM channel binding negotiation error", sqlstate="28000")

    def finish(self, final: bytes) -> bytes:
        """The data of AuthenticationSASLFinal.

        Errors: RemoteProtocolError for a message that cannot be read, AuthenticationError for a wrong password.
        """
        without_proof, separator, proof_text = final.rpartition(b",p=")
        if not separator:
            raise _malformed("proof expected")
        binding, nonce = _attributes(without_proof, "cr")
        expected = self._gs2.encode() + (self._binding or b"" if self._is_plus else b"")
        if not hmac.compare_digest(binding, b64encode(expected).decode()):
            if self._is_plus:
                raise RemoteProtocolError("SCRAM channel binding check failed", sqlstate="28000")
            raise _malformed("unexpected SCRAM channel-binding attribute in client-final-message")
        if nonce != self._nonce:
            raise RemoteProtocolError("invalid SCRAM response (nonce mismatch)")
        proof = _base64(proof_text.decode("ascii", "replace"), "proof")
        if len(proof) != 32:
            raise _malformed("malformed proof in client-final-message")
        text = b",".join((*self._text, without_proof))
        signature = _hmac(self._verifier.stored_key, text)
        client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
        right = hmac.compare_digest(sha256(client_key).digest(), self._verifier.stored_key)
        # the mock verifier's keys are no secret: only its flag keeps an unknown user out
        if not (right and self._verifier.real):
            raise AuthenticationError("password authentication failed")
        return b"v=" + b64encode(_hmac(self._verifier.server_key, text))
