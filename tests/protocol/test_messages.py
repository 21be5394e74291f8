"""Golden bytes, limits, and bodies that lie."""

from __future__ import annotations

from struct import pack

import pytest

from febe.protocol.asynchronous import ErrorResponse
from febe.protocol.authentication import AuthenticationMD5Password, AuthenticationSASL, SASLInitialResponse
from febe.protocol.errors import FIELD_NAMES, LocalProtocolError, RemoteProtocolError
from febe.protocol.extended import Bind, Close, Describe, Execute, Parse
from febe.protocol.function import FunctionCall
from febe.protocol.message import LARGE, SMALL, SMALL_FROM_BACKEND, Framing, Message, Sender
from febe.protocol.simple import CommandComplete, DataRow, FieldDescription, Query, RowDescription
from febe.protocol.startup import (
    BackendKeyData,
    CancelRequest,
    NegotiateProtocolVersion,
    ParameterStatus,
    ReadyForQuery,
    SSLRequest,
    StartupMessage,
)
from tests.protocol.golden import EIGHTEEN, GOLDEN
from tests.protocol.strategies import ALL, body_start, decoded

IDS = [f"{type(message).__name__}-{number}" for number, (message, _) in enumerate(GOLDEN)]


@pytest.mark.parametrize(("message", "data"), GOLDEN, ids=IDS)
def test_golden(message: Message, data: bytes) -> None:
    assert message.encode() == data
    assert decoded(type(message), data) == message


def test_every_message_has_golden_bytes() -> None:
    assert {type(message) for message, _ in GOLDEN} == set(ALL)


def test_the_inventory_is_the_manuals() -> None:
    """Counts of the section "Message Formats": type bytes by sender, authentication requests, start-up packets."""
    typed = [cls for cls in ALL if cls.framing is Framing.TYPED]
    frontend = {cls.type for cls in typed if cls.sender in (Sender.FRONTEND, Sender.BOTH)}
    backend = {cls.type for cls in typed if cls.sender in (Sender.BACKEND, Sender.BOTH)}
    assert frontend == set("BCDEFHPQSXfpdc")
    assert backend == set("123ACDEGHWIKNRSTVZnstvdc")
    assert sorted(cls.code for cls in typed if cls.type == "R" and cls.code is not None) == list(range(13))
    assert [cls.__name__ for cls in ALL if cls.framing is Framing.STARTUP] == [
        "CancelRequest", "GSSENCRequest", "SSLRequest", "StartupMessage"]


def test_all_error_fields_are_known() -> None:
    assert list(EIGHTEEN) == list(FIELD_NAMES)
    assert len(FIELD_NAMES) == 18


@pytest.mark.parametrize(("message", "data"), GOLDEN, ids=IDS)
def test_a_body_cut_anywhere_is_refused_or_another_message(message: Message, data: bytes) -> None:
    cls, start = type(message), body_start(type(message))
    for end in range(start, len(data)):
        try:
            other = cls.decode(data[:end], start, end)
        except RemoteProtocolError as error:
            assert error.sqlstate == "08P01"
        else:  # only where the last field is all that is left
            assert other != message
            assert cls.fields[-1][1].notation == "Byten"


@pytest.mark.parametrize(("message", "data"), GOLDEN, ids=IDS)
def test_trailing_bytes_are_refused(message: Message, data: bytes) -> None:
    cls = type(message)
    if cls.fields and cls.fields[-1][1].notation == "Byten":
        return
    with pytest.raises(RemoteProtocolError, match="left over"):
        decoded(cls, data + b"\0")


# The largest length words, from PostgreSQL's SocketBackend and libpq's pqParseInput3.
LIMITS = {
    "F": {**dict.fromkeys("QFBPd", LARGE), **dict.fromkeys("CDEHSXfc", SMALL), "p": 65_535},
    "B": {**dict.fromkeys("dDEVNATt", LARGE), **dict.fromkeys("123CGHWIKSZnsc", SMALL_FROM_BACKEND), "v": 2_000},
}


@pytest.mark.parametrize("cls", [cls for cls in ALL if cls.framing is Framing.TYPED and cls.type != "R"])
def test_limits(cls: type[Message]) -> None:
    for sender in cls.sender.value.split(" & "):
        if cls.__name__ == "CopyDone":
            assert cls.limit == SMALL_FROM_BACKEND  # its body is empty for either side
        else:
            assert cls.limit == LIMITS[sender][cls.type]


@pytest.mark.parametrize(("message", "room"), [
    (Describe(kind="S", name="x" * (SMALL - 6)), 0), (Close(kind="S", name="x" * (SMALL - 5)), -1),
    (Execute(portal="x" * (SMALL - 9), maximum_rows=0), 0), (Execute(portal="x" * (SMALL - 8), maximum_rows=0), -1),
    (CommandComplete(tag="x" * (SMALL_FROM_BACKEND - 5)), 0),
    (ParameterStatus(name="x" * SMALL_FROM_BACKEND, value=""), -1),
    (StartupMessage(version=196608, parameters={"user": "x" * (10_004 - 15)}), 0),
    (StartupMessage(version=196608, parameters={"user": "x" * (10_004 - 14)}), -1),
], ids=lambda value: type(value).__name__)
def test_what_is_too_long_is_not_encoded(message: Message, room: int) -> None:
    if room == 0:
        assert len(message.encode()) - (message.framing is Framing.TYPED) == message.limit
    else:
        with pytest.raises(LocalProtocolError) as error:
            message.encode()
        assert error.value.sqlstate == "54000"


def test_65535_parameters_and_no_more() -> None:
    bind = Bind(portal="", statement="", parameter_formats=[0] * 65_535, parameters=[None] * 65_535,
                result_formats=[1] * 65_535)
    assert decoded(Bind, bind.encode()) == bind
    parse = Parse(statement="", query="", parameter_types=[1] * 65_535)
    assert decoded(Parse, parse.encode()) == parse
    bind.parameters.append(None)
    with pytest.raises(LocalProtocolError, match="65536 does not fit Int16"):
        bind.encode()


@pytest.mark.parametrize(("cls", "body"), [
    (Parse, b"\0\0\xff\xff\0\0\0\x17"),                                   # more types promised than bytes
    (Bind, b"\0\0\0\0\0\1\0\0\0\5abc\0\0"),                               # a value longer than the message
    (Bind, b"\0\0\0\0\0\1\xff\xff\xff\xfe\0\0"),                          # a length of -2
    (Bind, b"\0\0\0\0\xff\xff\0\0"),
    (DataRow, b"\xff\xff\0\0\0\0"),
    (DataRow, b"\0\1\x7f\xff\xff\xff"),
    (RowDescription, b"\0\2" + b"x\0" + bytes(18)),
    (RowDescription, b"\0\1no end"),
    (FunctionCall, b"\0\0\0\1\xff\xff\0\0\0\0\0\0"),
    (NegotiateProtocolVersion, b"\0\3\0\0\x7f\xff\xff\xff"),
    (NegotiateProtocolVersion, b"\0\3\0\0\xff\xff\xff\xff"),
    (SASLInitialResponse, b"M\0\xff\xff\xff\xfe"),
    (AuthenticationSASL, b"M\0"),                                          # no closing zero byte
    (AuthenticationMD5Password, b"abc"),
    (ErrorResponse, b"SERROR\0"),
    (ErrorResponse, b"SERROR"),
    (StartupMessage, b"\0\3\0\0user\0u\0"),
    (StartupMessage, b"\0\3\0\0user\0\0"),
    (Query, b"select 1"),
    (Query, b"select\0001\0"),
    (ReadyForQuery, b"X"),
    (ReadyForQuery, b""),
    (Describe, b"X\0"),
    (Close, b"\0\0"),
    (BackendKeyData, b"\0\0\0\1abc"),
    (BackendKeyData, b"\0\0\0\1" + b"k" * 257),
    (CancelRequest, b"\0\0\0\1"),
    (CancelRequest, b"\0\0\0\1" + b"k" * 257),
    (SSLRequest, b"\0"),
])
def test_bodies_that_lie(cls: type[Message], body: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as error:
        cls.decode(body, 0, len(body))
    assert error.value.sqlstate == "08P01"


@pytest.mark.parametrize("message", [
    Query(query="a\0b"), Query(query="\ud800"), Parse(statement="\0", query="", parameter_types=[]),
    StartupMessage(version=196608, parameters={"": "x"}), StartupMessage(version=196608, parameters={"a": "\0"}),
    AuthenticationSASL(mechanisms=[""]), AuthenticationMD5Password(salt=b"abc"),
    ErrorResponse(fields_by_code={"SS": ""}),
    ErrorResponse(fields_by_code={"\0": ""}), ErrorResponse(fields_by_code={"S": "\0"}), Describe(kind="T", name=""),
    Describe(kind="", name=""), Close(kind="SP", name=""), ReadyForQuery(status="X"), ReadyForQuery(status=""),
    CancelRequest(process_id=1, secret_key=b""), BackendKeyData(process_id=1 << 31, secret_key=b"1234"),
    BackendKeyData(process_id=1, secret_key=b"123"), Execute(portal="", maximum_rows=1 << 31),
    Parse(statement="", query="", parameter_types=[-1]), Parse(statement="", query="", parameter_types=[1 << 32]),
    RowDescription(columns=[FieldDescription(name="a", type_oid=23, type_size=32768)]),
    NegotiateProtocolVersion(version=1 << 31, options=[]),
], ids=str)
def test_what_the_wire_cannot_carry(message: Message) -> None:
    with pytest.raises(LocalProtocolError):
        message.encode()


def test_counts_are_compared_with_the_bytes_there_before_anything_is_built() -> None:
    body = b"\0\0" + pack("!H", 65_535) + bytes(100)
    with pytest.raises(RemoteProtocolError, match="insufficient data left in message"):
        Parse.decode(body, 0, len(body))
