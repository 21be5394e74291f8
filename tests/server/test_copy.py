"""COPY, beside PostgreSQL 18: the same messages, the same rows, the same errors with their context."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from febe.engines.duckdb import DuckDBEngine
from febe.protocol.asynchronous import ErrorResponse, NoticeResponse
from febe.protocol.copy import CopyData, CopyDone, CopyFail, CopyInResponse, CopyOutResponse
from febe.protocol.extended import Bind, Describe, Execute, Flush, Parse, Sync
from febe.protocol.message import Message
from febe.protocol.simple import Query
from febe.server import Listener
from tests.peers.postgres import Postgres
from tests.server.listening import Raw, listening
from tests.server.parity import connected, said
from tests.server.wire import brief

_TABLE = "create temp table t (a int, b text, c double precision)"
Data = Sequence[Message] | bytes


def conversation(raw: Raw, sql: str, data: Data = b"") -> list[object]:
    """What a COPY is answered with; CopyData by its bytes, errors with message and context."""
    raw.say(Query(query=sql))
    found: list[object] = []
    sent = False
    while True:
        answer = raw.answer()
        if answer is None:
            return [*found, "closed"]
        for one in answer.messages() if hasattr(answer, "messages") else [answer]:
            match one:
                case CopyData():
                    found.append(one.data)
                case CopyInResponse() | CopyOutResponse():
                    found.append((type(one).__name__, one.format, tuple(one.column_formats)))
                case ErrorResponse() | NoticeResponse():
                    found.append([one.fields_by_code.get(code) for code in "CMWDH"])
                case _:
                    found += brief([one])
                    if found[-1] in ("ReadyForQuery I", "ReadyForQuery T", "ReadyForQuery E"):
                        return found
        if isinstance(answer, CopyInResponse) and not sent:
            sent = True
            raw.say(*([CopyData(data=data), CopyDone()] if isinstance(data, bytes) else data))


_BINARY = (b"PGCOPY\n\xff\r\n\0" + bytes(8) + b"\0\3\0\0\0\4\0\0\0\7\0\0\0\1x\0\0\0\x08\x3f\xf8" + bytes(6)
           + b"\0\3\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
Step = tuple[str, Data] | str
_SCRIPTS: dict[str, Sequence[Step]] = {
    "text": [
        ("copy t from stdin", b"1\tone\t1.5\n2\t\\N\t\\N\n\\\x4e\ta\\tb\\\\\t-2\n"), "select * from t",
        "copy t to stdout",
        "copy t (b, a) to stdout", "copy (select a, b from t where a > 1) to stdout",
        ("copy t (b) from stdin", b"only\n"),
        ("copy t from stdin (delimiter '|', null 'none')", b"4|none|0.25\n"),
        "copy t to stdout (delimiter '|', null '-')",
        "copy t to stdout with delimiter as ';' null as ''", ("copy t from stdin", b""),
        ("copy t from stdin", b"\\.\n")],
    "csv": [
        ("copy t from stdin (format csv)", b'1,"one, two",1.5\n2,"say ""x""",\n3,,\n4,"",1\n5,"two\nlines",2\n'),
        "copy t to stdout csv", "copy t to stdout (format csv, header)", "copy t to stdout csv header force quote *",
        "copy t to stdout (format csv, force_quote (b), delimiter ';', quote '''')",
        "copy t to stdout (format csv, null 'N')",
        ("copy t (a, b) from stdin csv header", b"a,b\n6,six\n"),
        ("copy t (a, b) from stdin (format csv, header match)", b"a,c\n6,six\n"),
        ("copy t from stdin (format csv, force_null (b), null 'x')", b'7,"x",1\n'),
        ("copy t from stdin (format csv, force_not_null (b), null 'x')", b"8,x,1\n"), "select * from t order by a, c"],
    "binary": [
        ("copy t from stdin (format binary)", _BINARY), "select * from t", "copy t to stdout binary",
        "copy (select a from t where a > 100) to stdout (format binary)",
        ("copy t from stdin binary", _BINARY[:-2]), ("copy t from stdin binary", b"no signature at all"),
        ("copy t from stdin binary", b""), ("copy t from stdin binary", _BINARY[:22]), "select count(*) as n from t"],
    "errors": [
        ("copy t from stdin", b"1\tone\t1\nx\ttwo\t2\n"), ("copy t from stdin", b"1\tone\n"),
        ("copy t from stdin", b"1\tone\t1\textra\n"), ("copy t from stdin csv", b'1,"open\n'),
        ("copy t from stdin", b"1\t\xff\t1\n"), ("copy t from stdin", b"99999999999\tx\t1\n"),
        ("copy t from stdin", b"1\tx\tmuch\n"), "select count(*) as n from t",
        ("copy t from stdin", [CopyData(data=b"1\tone\t1\n"), CopyFail(reason="changed my mind")]),
        "select count(*) as n from t", "begin", ("copy t from stdin", b"1\tone\t1\n"), "select count(*) as n from t",
        ("copy t from stdin", b"x\n"), "select 1", "rollback", "select count(*) as n from t"],
    "skipping": [
        ("copy t from stdin (on_error ignore)", b"1\tone\t1\nx\ttwo\t2\n3\tthree\t3\n"), "select a from t order by a",
        ("copy t from stdin (on_error ignore, log_verbosity verbose)", b"x\ttwo\t2\n"),
        ("copy t from stdin (on_error ignore, reject_limit 1)", b"x\ttwo\t2\ny\ttwo\t2\n")],
    "where": [("copy t from stdin where a > 1 and b <> 'no'", b"1\ta\t1\n2\tb\t2\n3\tno\t3\n"), "select a from t"],
    "messages cut anywhere": [
        ("copy t from stdin", [CopyData(data=bytes([byte])) for byte in b"1\tone\t1\n2\ttwo\t2"] + [CopyDone()]),
        ("copy t from stdin", [CopyData(data=b"3\tthree\t3\n"), CopyData(data=b""), Flush(), Sync(),
                               CopyData(data=b"4\tfour\t4\n"), CopyDone()]),
        ("copy t from stdin", [CopyData(data=b"3\tthree\t3\n"), CopyData(data=b"\\.\n"), CopyDone()]),
        "select * from t order by a"],
    "refused": [
        "copy", "copy t", "copy t from", "copy t from stdin (nonsense)", "copy t from stdin (format xml)",
        "copy (select 1) from stdin", "copy t to stdout (format csv, quote 'ab')", "copy t to stdout where a > 1",
        "copy missing from stdin", "copy missing to stdout", "copy t (missing) from stdin",
        "copy t (missing) to stdout",
        "copy t to stdout (force_null (a))", "copy t from stdin (delimiter 'ab')"],
    "several statements": [
        "begin", "copy (select 1) to stdout; copy (select 2) to stdout; select 3 as three", "commit"],
}


@pytest.fixture(scope="module")
def served() -> Iterator[Listener]:
    with listening(DuckDBEngine()) as listener:
        yield listener


@pytest.mark.parametrize("name", _SCRIPTS)
def test_alike(served: Listener, pg18: Postgres, name: str) -> None:
    with connected(pg18.port, "trust", "postgres") as real, connected(served.port, "trust", "postgres") as ours:
        for raw in (real, ours):
            said(raw, _TABLE)
        for step in _SCRIPTS[name]:
            sql, data = (step, b"") if isinstance(step, str) else step
            expected, found = conversation(real, sql, data), conversation(ours, sql, data)
            if name == "refused":
                # the words for what an engine does not find are the engine's own
                expected, found = [[one[0] if isinstance(one, list) else one for one in what]
                                   for what in (expected, found)]
            assert found == expected, sql


def test_in_the_extended_protocol(served: Listener, pg18: Postgres) -> None:
    answers = []
    for port in (pg18.port, served.port):
        with connected(port, "trust", "postgres") as raw:
            said(raw, _TABLE)
            raw.say(Parse(statement="", query="copy t from stdin", parameter_types=[]), Describe(kind="S", name=""),
                    Bind(portal="", statement="", parameter_formats=[], parameters=[], result_formats=[]),
                    Execute(portal="", maximum_rows=0), Sync())
            found = [raw.answer() for _ in range(5)]
            raw.say(CopyData(data=b"1\tone\t1\n"), CopyDone(), Sync())
            answers.append(brief([one for one in [*found, *raw.answers()] if isinstance(one, Message)]))
            answers[-1] += said(raw, [
                Parse(statement="", query="copy t to stdout", parameter_types=[]),
                Bind(portal="", statement="", parameter_formats=[], parameters=[], result_formats=[]),
                Execute(portal="", maximum_rows=0), Sync()])
    assert answers[0] == answers[1]
