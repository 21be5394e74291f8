"""What may be said when: the state tables of the conversation.

A conversation has one state, the same seen from both ends: it says what the backend is in the middle of answering.
Two tables give, for each state, the messages the frontend and the backend may send and the state that follows.  They do
not know which side we are.  A message that is not in the row of the current state is a protocol error; nothing is
ignored unless the table says so.

A frontend need not wait: a request sent while another is being answered joins a queue (manual: "Pipelining").  So the
entry of a request is `QUEUED`, and REQUESTS gives the state in which the backend answers it, entered when its turn
comes.  The entry `DROPPED` is a message that is legal and has no effect, and `ANSWERED` ends the answer to one request.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

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
from febe.protocol.copy import CopyBothResponse, CopyData, CopyDone, CopyFail, CopyInResponse, CopyOutResponse
from febe.protocol.extended import (
    Bind,
    BindComplete,
    Close,
    CloseComplete,
    Describe,
    Execute,
    Flush,
    NoData,
    ParameterDescription,
    Parse,
    ParseComplete,
    PortalSuspended,
    Sync,
)
from febe.protocol.function import FunctionCall, FunctionCallResponse
from febe.protocol.message import Message
from febe.protocol.simple import CommandComplete, DataRow, EmptyQueryResponse, Query, RowDescription
from febe.protocol.startup import (
    BackendKeyData,
    CancelRequest,
    EncryptionRefused,
    GSSENCAccepted,
    GSSENCRequest,
    NegotiateProtocolVersion,
    ParameterStatus,
    ReadyForQuery,
    SSLAccepted,
    SSLRequest,
    StartupMessage,
    Terminate,
)


class State(enum.Enum):
    """Where the conversation is."""

    # Identity is all that is asked of a state; hashing it by name would cost on every message.
    __hash__ = object.__hash__

    # Start-up: the first packets.  Each kind of encryption may be asked for once.
    START = "nothing said yet"
    SSL_ASKED = "SSLRequest sent"
    SSL_REFUSED = "TLS refused; GSSAPI encryption may still be asked for"
    SSL_ASKED_LAST = "SSLRequest sent after GSSAPI encryption was refused"
    GSSENC_ASKED = "GSSENCRequest sent"
    GSSENC_REFUSED = "GSSAPI encryption refused; TLS may still be asked for"
    GSSENC_ASKED_LAST = "GSSENCRequest sent after TLS was refused"
    START_LAST = "encryption settled"
    # Authentication
    STARTED = "StartupMessage sent"
    NEGOTIATED = "NegotiateProtocolVersion sent"
    PASSWORD_WANTED = "a password is wanted"
    PASSWORD_SENT = "the password is being checked"
    GSS_WANTED = "a GSSAPI token is wanted"
    GSS_SENT = "the GSSAPI token is being checked"
    SASL_WANTED = "a SASL mechanism is to be chosen"
    SASL_SENT = "the SASL answer is being checked"
    SASL_CONTINUED = "a SASL answer is wanted"
    SASL_ENDED = "the SASL exchange is over"
    UNSUPPORTED = "a method of the past was asked for"
    AUTHENTICATED = "the session is being set up"
    # Requests and their answers
    IDLE = "no request is under way"
    QUERY = "a query string is being run"
    QUERY_ROWS = "rows of a statement of the query string"
    QUERY_NEXT = "a statement of the query string is done"
    QUERY_COPY_IN = "copy-in within a query string"
    QUERY_COPY_IN_DONE = "the frontend has ended its copy-in"
    QUERY_COPY_OUT = "copy-out within a query string"
    QUERY_COPY_OUT_DONE = "the backend has ended its copy-out"
    COPY_BOTH = "both sides stream"
    COPY_BOTH_FRONTEND_DONE = "the frontend has ended its half of copy-both"
    COPY_BOTH_BACKEND_DONE = "the backend has ended its half of copy-both"
    COPY_BOTH_DONE = "both halves of copy-both are ended"
    PARSE = "Parse is being answered"
    BIND = "Bind is being answered"
    DESCRIBE_STATEMENT = "Describe of a statement is being answered"
    DESCRIBE = "Describe is being answered: the row description is due"
    EXECUTE = "Execute is being answered"
    EXECUTE_COPY_IN = "copy-in within Execute"
    EXECUTE_COPY_IN_DONE = "the frontend has ended its copy-in within Execute"
    EXECUTE_COPY_OUT = "copy-out within Execute"
    EXECUTE_COPY_OUT_DONE = "the backend has ended its copy-out within Execute"
    CLOSE = "Close is being answered"
    FUNCTION_CALL = "a function call is being answered"
    SYNC = "Sync is being answered"
    SKIPPING = "an extended message failed: all is dropped until Sync"
    ENDING = "only ReadyForQuery is due"
    DIALECT = "a request that only a dialect has is being answered"
    # The end
    TERMINATED = "the frontend has said good-bye"
    CLOSED = "the connection is of no more use"
    # Entries that are no states
    QUEUED = "(answered when its turn comes)"
    DROPPED = "(no effect)"
    ANSWERED = "(the request is answered)"


S = State
Table: TypeAlias = "dict[State, dict[type[Message], State]]"
AnswerState: TypeAlias = "State | Callable[[Any], State]"


def _described(message: Describe) -> State:
    return S.DESCRIBE_STATEMENT if message.kind == "S" else S.DESCRIBE


# The state in which each request is answered.
REQUESTS: dict[type[Message], AnswerState] = {
    Query: S.QUERY,
    Parse: S.PARSE,
    Bind: S.BIND,
    Describe: _described,
    Execute: S.EXECUTE,
    Close: S.CLOSE,
    FunctionCall: S.FUNCTION_CALL,
    Sync: S.SYNC,
}

ANSWERING = (
    S.IDLE, S.QUERY, S.QUERY_ROWS, S.QUERY_NEXT, S.QUERY_COPY_IN_DONE, S.QUERY_COPY_OUT, S.QUERY_COPY_OUT_DONE, S.PARSE,
    S.BIND, S.DESCRIBE_STATEMENT, S.DESCRIBE, S.EXECUTE, S.EXECUTE_COPY_IN_DONE, S.EXECUTE_COPY_OUT,
    S.EXECUTE_COPY_OUT_DONE, S.CLOSE, S.FUNCTION_CALL, S.SYNC, S.ENDING, S.COPY_BOTH_DONE, S.DIALECT,
)
COPYING_IN = (S.QUERY_COPY_IN, S.EXECUTE_COPY_IN)
COPYING_BOTH = (S.COPY_BOTH, S.COPY_BOTH_FRONTEND_DONE, S.COPY_BOTH_BACKEND_DONE)

# "the backend ... drops CopyData, CopyDone and CopyFail messages" that arrive when no copy-in is under way: the
# frontend may not have seen the error that ended it (manual: "COPY Operations").
_LATE_COPY: dict[type[Message], State] = {CopyData: S.DROPPED, CopyDone: S.DROPPED, CopyFail: S.DROPPED}
_ANY_REQUEST: dict[type[Message], State] = {
    **dict.fromkeys(REQUESTS, S.QUEUED), Flush: S.DROPPED, Terminate: S.TERMINATED, **_LATE_COPY}


def _copying_in(stay: State, done: State) -> dict[type[Message], State]:
    # "ignore Flush and Sync messages received during copy-in" (manual: "COPY Operations")
    return {CopyData: stay, CopyDone: done, CopyFail: done, Flush: S.DROPPED, Sync: S.DROPPED,
            Terminate: S.TERMINATED}


FRONTEND: Table = {
    S.START: {StartupMessage: S.STARTED, SSLRequest: S.SSL_ASKED, GSSENCRequest: S.GSSENC_ASKED,
              CancelRequest: S.CLOSED},
    S.SSL_REFUSED: {StartupMessage: S.STARTED, GSSENCRequest: S.GSSENC_ASKED_LAST, CancelRequest: S.CLOSED},
    S.GSSENC_REFUSED: {StartupMessage: S.STARTED, SSLRequest: S.SSL_ASKED_LAST, CancelRequest: S.CLOSED},
    S.START_LAST: {StartupMessage: S.STARTED, CancelRequest: S.CLOSED},
    S.PASSWORD_WANTED: {PasswordMessage: S.PASSWORD_SENT},
    S.GSS_WANTED: {GSSResponse: S.GSS_SENT},
    S.SASL_WANTED: {SASLInitialResponse: S.SASL_SENT},
    S.SASL_CONTINUED: {SASLResponse: S.SASL_SENT},
    S.AUTHENTICATED: {Terminate: S.TERMINATED},
    **{state: dict(_ANY_REQUEST) for state in ANSWERING},
    S.QUERY_COPY_IN: _copying_in(S.QUERY_COPY_IN, S.QUERY_COPY_IN_DONE),
    S.EXECUTE_COPY_IN: _copying_in(S.EXECUTE_COPY_IN, S.EXECUTE_COPY_IN_DONE),
    # While streaming a walsender takes these three messages only (walsender.c, ProcessRepliesIfAny).
    S.COPY_BOTH: {CopyData: S.COPY_BOTH, CopyDone: S.COPY_BOTH_FRONTEND_DONE, Terminate: S.TERMINATED},
    S.COPY_BOTH_BACKEND_DONE: {CopyData: S.COPY_BOTH_BACKEND_DONE, CopyDone: S.COPY_BOTH_DONE, Terminate: S.TERMINATED},
    S.COPY_BOTH_FRONTEND_DONE: {Terminate: S.TERMINATED},
    # After an error everything is dropped up to Sync (manual: "Extended Query"), Query and FunctionCall included.
    S.SKIPPING: {**dict.fromkeys(_ANY_REQUEST, S.DROPPED), Sync: S.SYNC, Terminate: S.TERMINATED},
}

# What the frontend is asked for after StartupMessage.
_AUTHENTICATION: dict[type[Message], State] = {
    AuthenticationOk: S.AUTHENTICATED,
    AuthenticationCleartextPassword: S.PASSWORD_WANTED,
    AuthenticationMD5Password: S.PASSWORD_WANTED,
    AuthenticationGSS: S.GSS_WANTED,
    AuthenticationSSPI: S.GSS_WANTED,
    AuthenticationSASL: S.SASL_WANTED,
    AuthenticationKerberosV4: S.UNSUPPORTED,
    AuthenticationKerberosV5: S.UNSUPPORTED,
    AuthenticationCryptPassword: S.UNSUPPORTED,
    AuthenticationSCMCredential: S.UNSUPPORTED,
    ErrorResponse: S.CLOSED,
}
_STATEMENT: dict[type[Message], State] = {
    RowDescription: S.QUERY_ROWS, CommandComplete: S.QUERY_NEXT, EmptyQueryResponse: S.QUERY_NEXT,
    CopyInResponse: S.QUERY_COPY_IN, CopyOutResponse: S.QUERY_COPY_OUT, CopyBothResponse: S.COPY_BOTH,
    ErrorResponse: S.ENDING,
}

BACKEND: Table = {
    # An ErrorResponse here comes from a server that failed before it could answer, or is too old to know the request.
    S.SSL_ASKED: {SSLAccepted: S.START_LAST, EncryptionRefused: S.SSL_REFUSED, ErrorResponse: S.CLOSED},
    S.SSL_ASKED_LAST: {SSLAccepted: S.START_LAST, EncryptionRefused: S.START_LAST, ErrorResponse: S.CLOSED},
    S.GSSENC_ASKED: {GSSENCAccepted: S.START_LAST, EncryptionRefused: S.GSSENC_REFUSED, ErrorResponse: S.CLOSED},
    S.GSSENC_ASKED_LAST: {GSSENCAccepted: S.START_LAST, EncryptionRefused: S.START_LAST, ErrorResponse: S.CLOSED},
    S.START: {ErrorResponse: S.CLOSED},
    S.SSL_REFUSED: {ErrorResponse: S.CLOSED},
    S.GSSENC_REFUSED: {ErrorResponse: S.CLOSED},
    S.START_LAST: {ErrorResponse: S.CLOSED},
    S.STARTED: {NegotiateProtocolVersion: S.NEGOTIATED, **_AUTHENTICATION},
    S.NEGOTIATED: _AUTHENTICATION,
    S.PASSWORD_WANTED: {ErrorResponse: S.CLOSED},
    S.PASSWORD_SENT: {AuthenticationOk: S.AUTHENTICATED, ErrorResponse: S.CLOSED},
    # GSSAPI may need no further token from the frontend after the backend's last one.
    S.GSS_WANTED: {AuthenticationOk: S.AUTHENTICATED, ErrorResponse: S.CLOSED},
    S.GSS_SENT: {AuthenticationGSSContinue: S.GSS_WANTED, AuthenticationOk: S.AUTHENTICATED, ErrorResponse: S.CLOSED},
    S.SASL_WANTED: {ErrorResponse: S.CLOSED},
    # A mechanism without final data, such as OAUTHBEARER, goes straight to AuthenticationOk.
    S.SASL_SENT: {AuthenticationSASLContinue: S.SASL_CONTINUED, AuthenticationSASLFinal: S.SASL_ENDED,
                  AuthenticationOk: S.AUTHENTICATED, ErrorResponse: S.CLOSED},
    S.SASL_CONTINUED: {ErrorResponse: S.CLOSED},
    S.SASL_ENDED: {AuthenticationOk: S.AUTHENTICATED, ErrorResponse: S.CLOSED},
    S.UNSUPPORTED: {ErrorResponse: S.CLOSED},
    S.AUTHENTICATED: {BackendKeyData: S.AUTHENTICATED, ReadyForQuery: S.IDLE, ErrorResponse: S.CLOSED},
    # An unprompted ErrorResponse announces the end: shutdown, idle timeout, a terminated session.
    S.IDLE: {ErrorResponse: S.CLOSED},
    S.QUERY: _STATEMENT,
    S.QUERY_ROWS: {DataRow: S.QUERY_ROWS, CommandComplete: S.QUERY_NEXT, ErrorResponse: S.ENDING},
    S.QUERY_NEXT: {**_STATEMENT, ReadyForQuery: S.ANSWERED},
    S.QUERY_COPY_IN: {ErrorResponse: S.ENDING},
    S.QUERY_COPY_IN_DONE: {CommandComplete: S.QUERY_NEXT, ErrorResponse: S.ENDING},
    S.QUERY_COPY_OUT: {CopyData: S.QUERY_COPY_OUT, CopyDone: S.QUERY_COPY_OUT_DONE, ErrorResponse: S.ENDING},
    # BASE_BACKUP goes on without a CommandComplete: with a result set, before PostgreSQL 15 with the next tablespace.
    S.QUERY_COPY_OUT_DONE: {CommandComplete: S.QUERY_NEXT, RowDescription: S.QUERY_ROWS,
                            CopyOutResponse: S.QUERY_COPY_OUT, ErrorResponse: S.ENDING},
    # When both halves are closed a result set and two CommandCompletes may follow (manual: "Streaming Replication
    # Protocol", START_REPLICATION), so the answer goes on like that of a query string.  A walsender may send one more
    # keepalive after its CopyDone (seen from PostgreSQL 18); libpq drops what comes late.
    S.COPY_BOTH: {CopyData: S.COPY_BOTH, CopyDone: S.COPY_BOTH_BACKEND_DONE, ErrorResponse: S.ENDING},
    S.COPY_BOTH_FRONTEND_DONE: {CopyData: S.COPY_BOTH_FRONTEND_DONE, CopyDone: S.COPY_BOTH_DONE,
                                ErrorResponse: S.ENDING},
    S.COPY_BOTH_BACKEND_DONE: {CopyData: S.DROPPED, ErrorResponse: S.ENDING},
    S.COPY_BOTH_DONE: {CopyData: S.DROPPED, **_STATEMENT},
    S.PARSE: {ParseComplete: S.ANSWERED, ErrorResponse: S.SKIPPING},
    S.BIND: {BindComplete: S.ANSWERED, ErrorResponse: S.SKIPPING},
    S.DESCRIBE_STATEMENT: {ParameterDescription: S.DESCRIBE, ErrorResponse: S.SKIPPING},
    S.DESCRIBE: {RowDescription: S.ANSWERED, NoData: S.ANSWERED, ErrorResponse: S.SKIPPING},
    S.EXECUTE: {DataRow: S.EXECUTE, CommandComplete: S.ANSWERED, EmptyQueryResponse: S.ANSWERED,
                PortalSuspended: S.ANSWERED, CopyInResponse: S.EXECUTE_COPY_IN, CopyOutResponse: S.EXECUTE_COPY_OUT,
                ErrorResponse: S.SKIPPING},
    S.EXECUTE_COPY_IN: {ErrorResponse: S.SKIPPING},
    S.EXECUTE_COPY_IN_DONE: {CommandComplete: S.ANSWERED, ErrorResponse: S.SKIPPING},
    S.EXECUTE_COPY_OUT: {CopyData: S.EXECUTE_COPY_OUT, CopyDone: S.EXECUTE_COPY_OUT_DONE, ErrorResponse: S.SKIPPING},
    S.EXECUTE_COPY_OUT_DONE: {CommandComplete: S.ANSWERED, ErrorResponse: S.SKIPPING},
    S.CLOSE: {CloseComplete: S.ANSWERED, ErrorResponse: S.SKIPPING},
    S.FUNCTION_CALL: {FunctionCallResponse: S.ENDING, ErrorResponse: S.ENDING},
    # Sync commits the implicit transaction, which may fail.
    S.SYNC: {ReadyForQuery: S.ANSWERED, ErrorResponse: S.ENDING},
    S.SKIPPING: {ErrorResponse: S.CLOSED},
    S.ENDING: {ReadyForQuery: S.ANSWERED, ErrorResponse: S.CLOSED},
    S.DIALECT: {ErrorResponse: S.ENDING},
}

# Asynchronous messages may come at any time once the session is being set up (manual: "Asynchronous Operations").
for _state in (S.AUTHENTICATED, *ANSWERING, *COPYING_IN, *COPYING_BOTH, S.SKIPPING):
    BACKEND[_state] = {NoticeResponse: _state, ParameterStatus: _state, NotificationResponse: _state, **BACKEND[_state]}


def frozen(table: Table) -> Mapping[State, Mapping[type[Message], State]]:
    """The table with an (empty) row for every state, for readers that walk it."""
    return {state: table.get(state, {}) for state in State if state not in (S.QUEUED, S.DROPPED, S.ANSWERED)}
