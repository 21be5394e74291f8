"""Authentication requests and answers (manual: "Start-up", "SASL Authentication")."""

from __future__ import annotations

from febe.protocol.fields import Byte2, Byte4, SecretBytes, SecretString, SecretValue, String, StringList
from febe.protocol.message import Message, Sender, message

# A backend takes authentication tokens up to 65535 bytes, SCRAM messages up to 1024 (auth.c, auth-sasl.c); libpq takes
# authentication requests up to 2000 bytes (PQconnectPoll).
TOKEN_LIMIT = 65_535
SASL_LIMIT = 1_024
REQUEST_LIMIT = 2_000


@message("R", code=0, sender=Sender.BACKEND, limit=REQUEST_LIMIT, section="Start-up")
class AuthenticationOk(Message):
    """The frontend is who it says it is (B)."""


@message("R", code=1, sender=Sender.BACKEND, limit=REQUEST_LIMIT, section="Start-up", since="2.0 only")
class AuthenticationKerberosV4(Message):
    """Kerberos V4 was asked for by servers of the protocol 2.0 era (B)."""


@message("R", code=2, sender=Sender.BACKEND, limit=REQUEST_LIMIT, section="Start-up", since="3.0, not since 9.4")
class AuthenticationKerberosV5(Message):
    """Kerberos V5 is required (B); no longer sent by any supported server."""


@message("R", code=3, sender=Sender.BACKEND, limit=REQUEST_LIMIT, section="Start-up")
class AuthenticationCleartextPassword(Message):
    """The password is wanted as it is (B)."""


@message("R", code=4, sender=Sender.BACKEND, limit=REQUEST_LIMIT, section="Start-up", since="3.0, not since 8.4")
class AuthenticationCryptPassword(Message):
    """A crypt()-ed password is wanted (B); no longer sent by any supported server."""

    salt: Byte2


@message("R", code=5, sender=Sender.BACKEND, limit=REQUEST_LIMIT, section="Start-up")
class AuthenticationMD5Password(Message):
    """The password is wanted as MD5 of password, user name and this salt (B)."""

    salt: Byte4


@message("R", code=6, sender=Sender.BACKEND, limit=REQUEST_LIMIT, section="Start-up", since="3.0, not since 9.1")
class AuthenticationSCMCredential(Message):
    """Unix-socket credentials are wanted as ancillary data (B); no longer sent by any supported server."""


@message("R", code=7, sender=Sender.BACKEND, limit=REQUEST_LIMIT, section="GSSAPI Authentication")
class AuthenticationGSS(Message):
    """A GSSAPI negotiation begins; the first token is wanted (B)."""


@message("R", code=8, sender=Sender.BACKEND, limit=TOKEN_LIMIT, section="GSSAPI Authentication")
class AuthenticationGSSContinue(Message):
    """GSSAPI or SSPI data (B)."""

    data: SecretBytes


@message("R", code=9, sender=Sender.BACKEND, limit=REQUEST_LIMIT, section="GSSAPI Authentication")
class AuthenticationSSPI(Message):
    """An SSPI negotiation begins; the first token is wanted (B)."""


@message("R", code=10, sender=Sender.BACKEND, limit=REQUEST_LIMIT, section="SASL Authentication")
class AuthenticationSASL(Message):
    """SASL authentication is required (B); `mechanisms` in the server's order of preference."""

    mechanisms: StringList


@message("R", code=11, sender=Sender.BACKEND, limit=REQUEST_LIMIT, section="SASL Authentication")
class AuthenticationSASLContinue(Message):
    """A SASL challenge (B)."""

    data: SecretBytes


@message("R", code=12, sender=Sender.BACKEND, limit=REQUEST_LIMIT, section="SASL Authentication")
class AuthenticationSASLFinal(Message):
    """The outcome of the SASL exchange, with the mechanism's last data (B)."""

    data: SecretBytes


# Four messages share the byte "p"; which one it is follows from what was asked, that is from the state.
@message("p", sender=Sender.FRONTEND, limit=TOKEN_LIMIT, section="Start-up")
class PasswordMessage(Message):
    """A password, in the form that was asked for (F)."""

    password: SecretString


@message("p", sender=Sender.FRONTEND, limit=TOKEN_LIMIT, section="GSSAPI Authentication")
class GSSResponse(Message):
    """A GSSAPI or SSPI token (F)."""

    data: SecretBytes


@message("p", sender=Sender.FRONTEND, limit=TOKEN_LIMIT, section="SASL Authentication")
class SASLInitialResponse(Message):
    """The SASL mechanism chosen, and its first message or None (F)."""

    mechanism: String
    data: SecretValue


@message("p", sender=Sender.FRONTEND, limit=TOKEN_LIMIT, section="SASL Authentication")
class SASLResponse(Message):
    """The answer to a SASL challenge (F)."""

    data: SecretBytes
