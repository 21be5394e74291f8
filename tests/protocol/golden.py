"""Messages and their bytes, written down from the manual's section "Message Formats"."""

from __future__ import annotations

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
from febe.protocol.simple import (
    CommandComplete,
    DataRow,
    EmptyQueryResponse,
    FieldDescription,
    Query,
    RowDescription,
)
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

EIGHTEEN = dict(zip("SVCMDHPpqWstcdnFLR", ("FEHLER", "ERROR", "42P01", *"abcdefghijklmno"), strict=True))

GOLDEN: list[tuple[Message, bytes]] = [
    # Start-up
    (StartupMessage(version=196608, parameters={"user": "u"}), b"\0\0\0\x10\0\3\0\0user\0u\0\0"),
    (StartupMessage(version=196610, parameters={"user": "u", "database": "d", "_pq_.x": "1"}),
     b"\0\0\0\x24\0\3\0\2user\0u\0database\0d\0_pq_.x\x001\0\0"),
    (SSLRequest(), b"\0\0\0\x08\x04\xd2\x16\x2f"),
    (GSSENCRequest(), b"\0\0\0\x08\x04\xd2\x16\x30"),
    (CancelRequest(process_id=258, secret_key=b"\xde\xad\xbe\xef"),
     b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\1\2\xde\xad\xbe\xef"),
    (CancelRequest(process_id=-1, secret_key=b"k" * 32),
     b"\0\0\0\x2c\x04\xd2\x16\x2e\xff\xff\xff\xff" + b"k" * 32),
    (SSLAccepted(), b"S"),
    (GSSENCAccepted(), b"G"),
    (EncryptionRefused(), b"N"),
    (NegotiateProtocolVersion(version=0x30002, options=["_pq_.a", "_pq_.b"]),
     b"v\0\0\0\x1a\0\3\0\2\0\0\0\2_pq_.a\0_pq_.b\0"),
    (BackendKeyData(process_id=1, secret_key=b"\x01\x02\x03\x04"), b"K\0\0\0\x0c\0\0\0\1\1\2\3\4"),
    (BackendKeyData(process_id=1, secret_key=b"s" * 32), b"K\0\0\0\x28\0\0\0\1" + b"s" * 32),
    (ParameterStatus(name="TimeZone", value="UTC"), b"S\0\0\0\x11TimeZone\0UTC\0"),
    (ReadyForQuery(status="I"), b"Z\0\0\0\5I"),
    (ReadyForQuery(status="T"), b"Z\0\0\0\5T"),
    (ReadyForQuery(status="E"), b"Z\0\0\0\5E"),
    (Terminate(), b"X\0\0\0\4"),
    # Authentication
    (AuthenticationOk(), b"R\0\0\0\x08\0\0\0\0"),
    (AuthenticationKerberosV4(), b"R\0\0\0\x08\0\0\0\1"),
    (AuthenticationKerberosV5(), b"R\0\0\0\x08\0\0\0\2"),
    (AuthenticationCleartextPassword(), b"R\0\0\0\x08\0\0\0\3"),
    (AuthenticationCryptPassword(salt=b"ab"), b"R\0\0\0\x0a\0\0\0\4ab"),
    (AuthenticationMD5Password(salt=b"\1\2\3\4"), b"R\0\0\0\x0c\0\0\0\5\1\2\3\4"),
    (AuthenticationSCMCredential(), b"R\0\0\0\x08\0\0\0\6"),
    (AuthenticationGSS(), b"R\0\0\0\x08\0\0\0\7"),
    (AuthenticationGSSContinue(data=b"tok"), b"R\0\0\0\x0b\0\0\0\x08tok"),
    (AuthenticationSSPI(), b"R\0\0\0\x08\0\0\0\x09"),
    (AuthenticationSASL(mechanisms=["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]),
     b"R\0\0\0\x2a\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"),
    (AuthenticationSASLContinue(data=b"r=1"), b"R\0\0\0\x0b\0\0\0\x0br=1"),
    (AuthenticationSASLFinal(data=b"v=1"), b"R\0\0\0\x0b\0\0\0\x0cv=1"),
    (PasswordMessage(password="secret"), b"p\0\0\0\x0bsecret\0"),
    (GSSResponse(data=b"\0\1"), b"p\0\0\0\6\0\1"),
    (SASLInitialResponse(mechanism="M", data=b"n,,"), b"p\0\0\0\x0dM\0\0\0\0\3n,,"),
    (SASLInitialResponse(mechanism="M", data=None), b"p\0\0\0\x0aM\0\xff\xff\xff\xff"),
    (SASLInitialResponse(mechanism="M", data=b""), b"p\0\0\0\x0aM\0\0\0\0\0"),
    (SASLResponse(data=b"c=biws"), b"p\0\0\0\x0ac=biws"),
    # Simple query
    (Query(query="select 1"), b"Q\0\0\0\x0dselect 1\0"),
    (Query(query=""), b"Q\0\0\0\5\0"),
    (Query(query="\u00e9"), b"Q\0\0\0\7\xc3\xa9\0"),
    (Query(query="\udce9"), b"Q\0\0\0\6\xe9\0"),
    (RowDescription(columns=[]), b"T\0\0\0\6\0\0"),
    (RowDescription(columns=[FieldDescription(
        name="id", table_oid=4294967295, attribute_number=-1, type_oid=23, type_size=4, type_modifier=-1, format=1)]),
     b"T\0\0\0\x1b\0\1id\0\xff\xff\xff\xff\xff\xff\0\0\0\x17\0\4\xff\xff\xff\xff\0\1"),
    (DataRow(values=[b"1", None, b""]), b"D\0\0\0\x13\0\3\0\0\0\0011\xff\xff\xff\xff\0\0\0\0"),
    (DataRow(values=[]), b"D\0\0\0\6\0\0"),
    (CommandComplete(tag="SELECT 1"), b"C\0\0\0\x0dSELECT 1\0"),
    (EmptyQueryResponse(), b"I\0\0\0\4"),
    # Extended query
    (Parse(statement="s", query="select $1", parameter_types=[23, 4000000000]),
     b"P\0\0\0\x1as\0select $1\0\0\2\0\0\0\x17\xee\x6b\x28\0"),
    (Bind(portal="p", statement="s", parameter_formats=[1], parameters=[b"\0\0\0\1", None], result_formats=[0, 1]),
     b"B\0\0\0\x20p\0s\0\0\1\0\1\0\2\0\0\0\4\0\0\0\1\xff\xff\xff\xff\0\2\0\0\0\1"),
    (Bind(portal="", statement="", parameter_formats=[], parameters=[], result_formats=[]),
     b"B\0\0\0\x0c\0\0\0\0\0\0\0\0"),
    (Describe(kind="S", name="s"), b"D\0\0\0\7Ss\0"),
    (Describe(kind="P", name=""), b"D\0\0\0\6P\0"),
    (Execute(portal="", maximum_rows=0), b"E\0\0\0\x09\0\0\0\0\0"),
    (Execute(portal="c", maximum_rows=2147483647), b"E\0\0\0\x0ac\0\x7f\xff\xff\xff"),
    (Close(kind="P", name="c"), b"C\0\0\0\7Pc\0"),
    (Flush(), b"H\0\0\0\4"),
    (Sync(), b"S\0\0\0\4"),
    (ParseComplete(), b"1\0\0\0\4"),
    (BindComplete(), b"2\0\0\0\4"),
    (CloseComplete(), b"3\0\0\0\4"),
    (NoData(), b"n\0\0\0\4"),
    (PortalSuspended(), b"s\0\0\0\4"),
    (ParameterDescription(parameter_types=[25]), b"t\0\0\0\x0a\0\1\0\0\0\x19"),
    # Function call
    (FunctionCall(function_oid=957, argument_formats=[1], arguments=[b"\0\6\0\0", None], result_format=1),
     b"F\0\0\0\x1c\0\0\3\xbd\0\1\0\1\0\2\0\0\0\4\0\6\0\0\xff\xff\xff\xff\0\1"),
    (FunctionCallResponse(value=b"ok"), b"V\0\0\0\x0a\0\0\0\2ok"),
    (FunctionCallResponse(value=None), b"V\0\0\0\x08\xff\xff\xff\xff"),
    # COPY
    (CopyInResponse(format=0, column_formats=[0, 0]), b"G\0\0\0\x0b\0\0\2\0\0\0\0"),
    (CopyOutResponse(format=1, column_formats=[1]), b"H\0\0\0\x09\1\0\1\0\1"),
    (CopyBothResponse(format=0, column_formats=[]), b"W\0\0\0\7\0\0\0"),
    (CopyData(data=b"1\tx\n"), b"d\0\0\0\x081\tx\n"),
    (CopyData(data=b""), b"d\0\0\0\4"),
    (CopyDone(), b"c\0\0\0\4"),
    (CopyFail(reason="no"), b"f\0\0\0\7no\0"),
    # Asynchronous
    (NotificationResponse(process_id=7, channel="c", payload=""), b"A\0\0\0\x0b\0\0\0\7c\0\0"),
    (NoticeResponse(fields_by_code={"S": "NOTICE", "M": "m"}), b"N\0\0\0\x10SNOTICE\0Mm\0\0"),
    (ErrorResponse(fields_by_code=EIGHTEEN),
     b"E\0\0\0\x48SFEHLER\0VERROR\0C42P01\0Ma\0Db\0Hc\0Pd\0pe\0qf\0Wg\0sh\0ti\0cj\0dk\0nl\0Fm\0Ln\0Ro\0\0"),
    (ErrorResponse(fields_by_code={"\u00ff": "unknown"}), b"E\0\0\0\x0e\xffunknown\0\0"),
]

FIRST: dict[type[Message], Message] = {}
for _message, _data in GOLDEN:
    FIRST.setdefault(type(_message), _message)
