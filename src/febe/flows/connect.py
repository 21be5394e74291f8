"""Opening a session: StartupMessage, version negotiation, authentication, up to the first ReadyForQuery (manual:
"Start-up")."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from febe.flows.encrypt import HandshakeFailed, NewConnection, encrypt
from febe.flows.errors import NotSupported, TokenWanted
from febe.flows.session import STATEMENT_CACHE_SIZE, Notices, Notifications, Session
from febe.protocol.asynchronous import ErrorResponse, NoticeResponse, NotificationResponse
from febe.protocol.authentication import (
    AuthenticationCleartextPassword,
    AuthenticationCryptPassword,
    AuthenticationGSS,
    AuthenticationGSSContinue,
    AuthenticationKerberosV4,
    AuthenticationKerberosV5,
    AuthenticationMD5Password,
    AuthenticationOk,
    AuthenticationSASL,
    AuthenticationSASLContinue,
    AuthenticationSASLFinal,
    AuthenticationSCMCredential,
    AuthenticationSSPI,
    GSSResponse,
    PasswordMessage,
    SASLInitialResponse,
    SASLResponse,
)
from febe.protocol.connection import Connection
from febe.protocol.dialect import POSTGRESQL, Dialect
from febe.protocol.encryption import Encryption, Plan
from febe.protocol.errors import (
    AuthenticationError,
    ConnectionLost,
    EncryptionError,
    PostgresError,
    RemoteProtocolError,
    postgres_error,
)
from febe.protocol.message import Message, Sender
from febe.protocol.negotiation import EXTENSION_PREFIX, GREASE, GREASE_OPTION, judge, version_range
from febe.protocol.startup import (
    VERSION_3_0,
    BackendKeyData,
    NegotiateProtocolVersion,
    ParameterStatus,
    ReadyForQuery,
    StartupMessage,
)
from febe.protocol.states import State
from febe.types.registry import Registry

if TYPE_CHECKING:
    from febe.flows.authenticate_oauth import Aside, Bearer, OAuth
    from febe.flows.port import Layer, Stream, Tokens
    from febe.flows.require_auth import RequireAuth
    from febe.protocol.connection import Trace
    from febe.protocol.scram import ScramClient

CANNOT_CONNECT_NOW = "57P03"
SHORT_KEY = 4
"""How long a cancel key is in protocol 3.0."""
UNSUPPORTED_METHODS: Mapping[type[Message], str] = {
    AuthenticationKerberosV4: "Kerberos V4",
    AuthenticationKerberosV5: "Kerberos V5",
    AuthenticationCryptPassword: "crypt password",
    AuthenticationSCMCredential: "SCM credential",
    AuthenticationSSPI: "SSPI",
}


@dataclass(slots=True, kw_only=True)
class Login:
    """Who connects to what, and how the session is to be.

    `settings` are run-time parameters (and `_pq_.` protocol extensions) for StartupMessage.  The versions are named as
    in libpq: `3.0`, `3.2`, `latest`; None is libpq's default.
    """

    user: str
    password: str | None = field(default=None, repr=False)
    scram_keys: tuple[bytes | None, bytes | None] = field(default=(None, None), repr=False)
    database: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    min_protocol_version: str | None = None
    max_protocol_version: str | None = None
    require_auth: RequireAuth | None = None
    channel_binding: str = "prefer"
    statement_cache_size: int = STATEMENT_CACHE_SIZE
    types: Registry | None = None
    on_notice: Notices | None = None
    on_notification: Notifications | None = None
    trace: Trace | None = None
    dialect: Dialect = POSTGRESQL
    gss: Callable[[], Tokens] | None = None
    encryption: Encryption[Layer] = field(default_factory=Encryption)
    oauth: OAuth | None = None


async def _at_once(call: Callable[[], Any], _: Callable[[], object]) -> Any:
    return call()


async def open_session(dial: Callable[[], Awaitable[Stream]], login: Login, aside: Aside = _at_once) -> Session:
    """Open a session with a server, on as many connections as it takes to find the encryption that both will have, and
    a token where the server wants one.

    `dial` makes one.  libpq 18 falls back where a handshake or the start-up fails, whatever the reason (PQconnectPoll).
    Errors: those of `connect` and of `dial`.
    """
    plan = Plan(login.encryption)
    bearer: Bearer | None = None
    before = ""
    while True:
        opening = _Opening(await dial(), login, plan, bearer)
        way = plan.way
        try:
            return await opening.open()
        except NewConnection:
            continue
        except TokenWanted:
            assert opening.bearer is not None
            await opening.bearer.fetch(aside)
        except (EncryptionError, PostgresError) as error:
            if before:
                error.add_note(before)
            may_go_on = isinstance(error, HandshakeFailed | PostgresError) and not opening.is_final(error)
            if not may_go_on or not plan.failed():
                raise
            before = f"febe: tried before, with {way.value if way else ''}: {error}"
        finally:
            bearer = opening.bearer


async def connect(port: Stream, login: Login) -> Session:
    """Open a session on a fresh connection; after an error the connection is closed.

    The session speaks UTF8: a server that reports another `client_encoding` although UTF8 was asked for is refused, one
    that reports none is believed.  Errors: PostgresError from the server, AuthenticationError, RemoteProtocolError,
    LocalProtocolError for what cannot be asked, ConnectionLost.
    """
    try:
        return await _Opening(port, login, Plan(login.encryption)).open()
    except TokenWanted:
        raise AuthenticationError("the server wants an OAuth token, which takes a second connection") from None


class _Opening:
    """A session that is being opened."""

    def __init__(self, port: Stream, login: Login, plan: Plan[Layer], bearer: Bearer | None = None) -> None:
        self.port = port
        self.login = login
        self.plan = plan
        self.core = Connection(Sender.FRONTEND, dialect=login.dialect, trace=login.trace)
        self.session = Session(self.core, port, types=login.types, statement_cache_size=login.statement_cache_size,
                               on_notice=login.on_notice, on_notification=login.on_notification)
        self.minimum, self.requested = version_range(login.min_protocol_version, login.max_protocol_version)
        self.out = b""
        self.error: PostgresError | None = None
        self.scram: ScramClient | None = None
        self.bearer = bearer
        self.server_is_proven = False
        self.answered = False
        self.is_authenticated = False
        self.is_bound = False
        self.is_refused = False
        self.tokens: Tokens | None = None

    async def open(self) -> Session:
        """The session.  After an error the connection is closed."""
        try:
            await encrypt(self.core, self.port, self.plan)
            return await self.run()
        except BaseException:
            self.port.abort()
            raise

    def is_final(self, error: Exception) -> bool:
        """Whether another encryption would not help: the session was granted, or the server is not ready for any.

        A token that was shown once is not shown again with less protection.
        """
        return (self.is_authenticated or (self.bearer is not None and self.bearer.is_shown)
                or getattr(error, "sqlstate", None) == CANNOT_CONNECT_NOW)

    async def run(self) -> Session:
        database = {} if self.login.database is None else {"database": self.login.database}
        # Last, so that nobody's settings make us misread the server's text.
        parameters = {"user": self.login.user, **database, **self.login.settings, "client_encoding": "UTF8"}
        if self.requested == GREASE:
            parameters[GREASE_OPTION] = ""
        self.session.protocol_version = self.requested
        self.out = self.core.send(StartupMessage(version=self.requested, parameters=parameters))
        core = self.core
        while core.state is not State.IDLE:
            out, self.out = self.out, b""
            try:
                core.receive(await self.port.exchange(out))
            except ConnectionLost as lost:
                raise type(lost)(f"{lost}, while connecting: {core.state.value}", retry_is_safe=True) from lost
            while (event := core.next_event()) is not None:
                _STEPS[type(event)](self, event)
                if self.error is not None:
                    raise self.error
        encoding = self.session.parameters.get("client_encoding", "UTF8")
        if encoding != "UTF8":
            raise NotSupported(f"the server speaks client_encoding {encoding} although UTF8 was asked for")
        return self.session

    def _password(self) -> str:
        if self.login.password is None:
            raise AuthenticationError("the server asks for a password, and none was given")
        return self.login.password

    def _check(self, request: Message, mechanism: str = "") -> None:
        if self.login.channel_binding == "require" and not isinstance(request, AuthenticationSASL):
            raise AuthenticationError("channel binding required but not supported by server's authentication request")
        if self.login.require_auth is not None:
            self.login.require_auth.check(request, mechanism)

    # What to do with each event

    def _negotiate(self, event: NegotiateProtocolVersion) -> None:
        asked = [name for name in self.login.settings if name.startswith(EXTENSION_PREFIX)]
        if self.requested == GREASE:
            asked.append(GREASE_OPTION)
            if GREASE_OPTION not in event.options:
                raise RemoteProtocolError("the server did not report the protocol extension that it cannot know")
        self.session.protocol_version = judge(event, requested=self.requested, minimum=self.minimum, options=asked)

    def _cleartext(self, event: AuthenticationCleartextPassword) -> None:
        self._check(event)
        self.answered = True
        self.out += self.core.send(PasswordMessage(password=self._password()))

    def _md5(self, event: AuthenticationMD5Password) -> None:
        from febe.protocol.scram import md5_password

        self._check(event)
        self.answered = True
        answer = md5_password(self.login.user, self._password(), event.salt)
        self.out += self.core.send(PasswordMessage(password=answer))

    def _sasl(self, event: AuthenticationSASL) -> None:
        from febe.flows import authenticate_scram
        from febe.protocol.oauthbearer import MECHANISM as OAUTHBEARER
        from febe.protocol.scram import PLUS, ScramSecret

        offered, wanted = event.mechanisms, self.login.channel_binding
        mechanism = authenticate_scram.choose(offered, wanted, self.port.layer)
        if mechanism is None and OAUTHBEARER in offered:
            mechanism = OAUTHBEARER
        self._check(event, mechanism or "")
        if mechanism is None:
            raise AuthenticationError(f"none of the server's SASL mechanisms is supported: "
                                      f"{', '.join(offered) or '(none)'}")
        if mechanism == OAUTHBEARER:
            self._bear(mechanism)
            return
        keys = self.login.scram_keys
        secret = ScramSecret(password=self.login.password, client_key=keys[0], server_key=keys[1])
        if not secret.is_enough:
            self._password()  # which says so
        self.scram = authenticate_scram.begin(mechanism, offered, secret, wanted, self.port.layer)
        self.is_bound = mechanism == PLUS
        self.out += self.core.send(SASLInitialResponse(mechanism=mechanism, data=self.scram.first()))

    def _bear(self, mechanism: str) -> None:
        if self.bearer is None:
            from febe.flows.authenticate_oauth import Bearer

            self.bearer = Bearer(self.login.oauth)
        self.out += self.core.send(SASLInitialResponse(mechanism=mechanism, data=self.bearer.begin()))
        self.answered = self.bearer.is_shown

    def _sasl_continue(self, event: AuthenticationSASLContinue) -> None:
        if self.scram is None:
            assert self.bearer is not None  # the one of the two whose first message was sent
            self.out += self.core.send(SASLResponse(data=self.bearer.refused(event.data)))
            self.is_refused = True
            return
        self.out += self.core.send(SASLResponse(data=self.scram.final(event.data)))

    def _sasl_final(self, event: AuthenticationSASLFinal) -> None:
        if self.scram is None:
            raise AuthenticationError("server sent unexpected additional OAuth data")
        self.scram.verify(event.data)
        self.server_is_proven = True

    def _ok(self, _: AuthenticationOk) -> None:
        # The tables allow it, for mechanisms without final data; with SCRAM it is a server that does not know the
        # password and pretends to (RFC 5802, section 5: the client must verify the signature).
        if self.scram is not None and not self.server_is_proven:
            raise AuthenticationError("the server did not prove that it knows the password: "
                                      "AuthenticationOk came before the SCRAM exchange was complete")
        if self.is_refused:
            raise AuthenticationError("the server refused the OAuth token and then let the client in")
        if self.tokens is not None and not self.tokens.is_complete:
            raise AuthenticationError("the server did not prove who it is: AuthenticationOk came before the GSSAPI "
                                      "exchange was complete")
        if self.login.channel_binding == "require" and not self.is_bound:
            raise AuthenticationError("channel binding required, but server authenticated client without channel "
                                      "binding")
        if self.login.require_auth is not None:
            self.login.require_auth.check_end(finished=self.answered or self.server_is_proven)
        if self.requested == GREASE == self.session.protocol_version:
            raise RemoteProtocolError("the server accepted a protocol version that does not exist")
        self.is_authenticated = True

    def _gss(self, event: AuthenticationGSS) -> None:
        self._check(event)
        if self.login.gss is None:
            raise AuthenticationError("the server asks for GSSAPI authentication: pip install 'febe[gss]'")
        self.tokens = self.login.gss()
        self._token(None)

    def _gss_continue(self, event: AuthenticationGSSContinue) -> None:
        self._token(event.data)

    def _token(self, received: bytes | None) -> None:
        assert self.tokens is not None
        try:
            token = self.tokens.step(received)
        except EncryptionError as error:
            raise AuthenticationError(f"GSSAPI continuation error: {error}") from None
        if token:
            self.out += self.core.send(GSSResponse(data=token))
        self.answered = self.tokens.is_complete

    def _unsupported(self, event: Message) -> None:
        self._check(event)
        raise AuthenticationError(f"the server asks for {UNSUPPORTED_METHODS[type(event)]} authentication, "
                                  "which is not supported")

    def _key(self, event: BackendKeyData) -> None:
        length = len(event.secret_key)
        if length != SHORT_KEY and self.session.protocol_version == VERSION_3_0:
            raise RemoteProtocolError(f"received invalid BackendKeyData message: cancel key with length {length} not "
                                      f"allowed in protocol version 3.0 (must be {SHORT_KEY} bytes)")
        self.session.process_id, self.session.secret_key = event.process_id, event.secret_key

    def _failed(self, event: ErrorResponse) -> None:
        self.error = postgres_error(event.fields_by_code)
        if self.is_refused and self.bearer is not None:
            self.bearer.after_error(self.error)

    def _parameter_status(self, event: ParameterStatus) -> None:
        self.session.parameter_status(event)

    def _notice(self, event: NoticeResponse) -> None:
        self.session.notice(event)

    def _notification(self, event: NotificationResponse) -> None:
        self.session.notification(event)

    def _ready(self, _: ReadyForQuery) -> None:
        pass


_STEPS: dict[type[Any], Any] = {
    NegotiateProtocolVersion: _Opening._negotiate,
    AuthenticationOk: _Opening._ok,
    AuthenticationCleartextPassword: _Opening._cleartext,
    AuthenticationMD5Password: _Opening._md5,
    AuthenticationGSS: _Opening._gss,
    AuthenticationGSSContinue: _Opening._gss_continue,
    AuthenticationSASL: _Opening._sasl,
    AuthenticationSASLContinue: _Opening._sasl_continue,
    AuthenticationSASLFinal: _Opening._sasl_final,
    **dict.fromkeys(UNSUPPORTED_METHODS, _Opening._unsupported),
    BackendKeyData: _Opening._key,
    ParameterStatus: _Opening._parameter_status,
    NoticeResponse: _Opening._notice,
    NotificationResponse: _Opening._notification,
    ErrorResponse: _Opening._failed,
    ReadyForQuery: _Opening._ready,
}

__all__ = ["Login", "connect", "open_session"]
