"""What a session answers, message by message."""

from __future__ import annotations

import logging

import pytest

from febe.protocol.asynchronous import ErrorResponse
from febe.protocol.copy import CopyData, CopyDone
from febe.protocol.extended import Bind, Close, Describe, Execute, Flush, Parse, Sync
from febe.protocol.function import FunctionCall
from febe.protocol.message import Message
from febe.protocol.simple import Query, RowDescription
from febe.protocol.startup import Terminate
from febe.server import Session
from tests.server.wire import INT4, TEXT, Script, Wire, brief


def parse(sql: str, name: str = "", types: list[int] | None = None) -> Parse:
    return Parse(statement=name, query=sql, parameter_types=types or [])


def bind(*values: bytes | None, portal: str = "", statement: str = "", formats: list[int] | None = None,
         results: list[int] | None = None) -> Bind:
    return Bind(portal=portal, statement=statement, parameter_formats=formats or [], parameters=list(values),
                result_formats=results or [])


def execute(portal: str = "", rows: int = 0) -> Execute:
    return Execute(portal=portal, maximum_rows=rows)


def query(sql: str) -> Query:
    return Query(query=sql)


def error(answers: list[Message]) -> dict[str, str]:
    (found,) = [answer for answer in answers if isinstance(answer, ErrorResponse)]
    return found.fields_by_code


@pytest.fixture
def wire() -> Wire:
    return Wire()


def test_greeting(wire: Wire) -> None:
    told = [name for name in brief(wire.greeting) if name.startswith("ParameterStatus")]
    assert len(told) == 15
    assert "ParameterStatus session_authorization=demo" in told
    assert brief(wire.greeting)[-2:] == ["BackendKeyData", "ReadyForQuery I"]


class TestSimple:
    def test_rows(self, wire: Wire) -> None:
        assert brief(wire.ask(query("rows 2"))) == [
            "RowDescription n", "DataRow 0", "DataRow 1", "CommandComplete SELECT 2", "ReadyForQuery I"]
        assert wire.log == ["rows 2", "closed rows 2"]

    def test_no_rows(self, wire: Wire) -> None:
        assert brief(wire.ask(query("rows 0"))) == ["RowDescription n", "CommandComplete SELECT 0", "ReadyForQuery I"]

    @pytest.mark.parametrize("text", ["", ";;;", " -- nothing\n", "/* ; */ ;"])
    def test_empty(self, wire: Wire, text: str) -> None:
        assert brief(wire.ask(query(text))) == ["EmptyQueryResponse", "ReadyForQuery I"]

    def test_several_are_one_transaction(self, wire: Wire) -> None:
        assert brief(wire.ask(query("one; do INSERT 0 3; one"))) == [
            "RowDescription n", "DataRow 1", "CommandComplete SELECT 1", "CommandComplete INSERT 0 3",
            "RowDescription n", "DataRow 1", "CommandComplete SELECT 1", "ReadyForQuery I"]
        assert [entry for entry in wire.log if not entry.startswith("closed")] == [
            "begin", "one", "do INSERT 0 3", "one", "commit"]

    def test_an_error_undoes_all(self, wire: Wire) -> None:
        answers = wire.ask(query("do A; fail '22012'; do B"))
        assert brief(answers) == ["CommandComplete A", "ErrorResponse 22012", "ReadyForQuery I"]
        assert error(answers) == {"S": "ERROR", "V": "ERROR", "C": "22012", "M": "refused", "D": "a detail",
                                  "H": "a hint", "P": "12"}
        assert "rollback" in wire.log and "commit" not in wire.log and "do B" not in wire.log

    def test_begin_inside_takes_over(self, wire: Wire) -> None:
        assert brief(wire.ask(query("do A; begin; do B")))[-1] == "ReadyForQuery T"
        assert brief(wire.ask(query("rollback"))) == ["CommandComplete ROLLBACK", "ReadyForQuery I"]
        assert [entry for entry in wire.log if not entry.startswith("closed")] == ["begin", "do A", "do B", "rollback"]

    def test_commit_inside(self, wire: Wire) -> None:
        assert brief(wire.ask(query("do A; commit; do B"))) == [
            "CommandComplete A", "NoticeResponse 25P01", "CommandComplete COMMIT", "CommandComplete B",
            "ReadyForQuery I"]
        assert [entry for entry in wire.log if not entry.startswith("closed")] == [
            "begin", "do A", "commit", "begin", "do B", "commit"]

    def test_without_transactions_each_by_itself(self) -> None:
        wire = Wire(Script(transactions=False))
        assert brief(wire.ask(query("do A; do B")))[-1] == "ReadyForQuery I"
        assert brief(wire.ask(query("begin"))) == ["ErrorResponse 0A000", "ReadyForQuery I"]

    def test_failing_commit(self, wire: Wire) -> None:
        wire.opened.broken_commit = True  # type: ignore[attr-defined]
        assert brief(wire.ask(query("do A; do B"))) == [
            "CommandComplete A", "CommandComplete B", "ErrorResponse 40001", "ReadyForQuery I"]
        assert brief(wire.ask(query("begin"), query("commit")))[-2:] == ["ErrorResponse 40001", "ReadyForQuery I"]

    def test_parameters_do_not_exist(self, wire: Wire) -> None:
        answers = wire.ask(query("one; echo $1"))
        assert error(answers)["C"] == "42P02"
        assert error(answers)["P"] == "11"

    def test_it_ends_the_unnamed(self, wire: Wire) -> None:
        wire.ask(query("begin"), parse("rows 3"), bind(), execute(rows=1), Sync())
        wire.ask(query("one"))
        assert brief(wire.ask(execute(), Sync()))[0] == "ErrorResponse 34000"
        wire.ask(query("rollback"))
        assert brief(wire.ask(bind(), Sync()))[0] == "ErrorResponse 26000"

    def test_batches_leave_before_the_next_is_made(self, wire: Wire) -> None:
        wire.ask(query("rows 6 by 2"))
        assert wire.log[:5] == ["rows 6 by 2", "batch 0", "batch 2", "batch 4", "rows closed"]

    def test_invalid_utf8(self, wire: Wire) -> None:
        answers = wire.ask(query("one \udcff"))
        assert brief(answers) == ["ErrorResponse 22021", "ReadyForQuery I"]
        assert error(answers)["M"] == 'invalid byte sequence for encoding "UTF8": 0xff'

    def test_notices_come_before_the_end(self, wire: Wire) -> None:
        assert brief(wire.ask(query("notice well"))) == [
            "NoticeResponse 00000", "CommandComplete DO", "ReadyForQuery I"]


class TestErrors:
    def test_what_no_engine_should_raise(self, wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.ERROR, "febe.server"):
            answers = wire.ask(query("boom"))
        assert brief(answers) == ["ErrorResponse XX000", "ReadyForQuery I"]
        assert error(answers)["M"] == "internal error"
        assert "a secret" in caplog.text
        assert brief(wire.ask(query("one")))[-2:] == ["CommandComplete SELECT 1", "ReadyForQuery I"]

    def test_function_call(self, wire: Wire) -> None:
        call = FunctionCall(function_oid=1, argument_formats=[], arguments=[], result_format=0)
        assert brief(wire.ask(call)) == ["ErrorResponse 42883", "ReadyForQuery I"]

    def test_copy(self, wire: Wire) -> None:
        assert brief(wire.ask(query("copy t from stdin"))) == ["ErrorResponse 0A000", "ReadyForQuery I"]
        # what the client sent ahead is dropped (manual: "COPY Operations")
        assert wire.ask(CopyData(data=b"1\n"), CopyDone()) == []

    def test_terminate(self, wire: Wire) -> None:
        assert wire.ask(Terminate()) == []
        assert wire.ended


class TestExtended:
    def test_all_of_it(self, wire: Wire) -> None:
        answers = wire.ask(parse("echo $1 $2", types=[TEXT]), Describe(kind="S", name=""), bind(b"a", None),
                           Describe(kind="P", name=""), execute(), Sync())
        assert brief(answers) == [
            "ParseComplete", f"ParameterDescription {TEXT} {TEXT}", "RowDescription said said", "BindComplete",
            "RowDescription said said", "DataRow a NULL", "CommandComplete SELECT 1", "ReadyForQuery I"]

    def test_describe_does_not_run(self, wire: Wire) -> None:
        wire.ask(parse("one", "s"), Describe(kind="S", name="s"), bind(statement="s"), Describe(kind="P", name=""),
                 Sync())
        assert wire.log == []

    def test_formats(self, wire: Wire) -> None:
        answers = wire.ask(parse("echo int $1 $2"), bind(b"\0\0\0\x07", b"8", formats=[1, 0], results=[0, 1]),
                           Describe(kind="P", name=""), execute(), Sync())
        assert brief(answers)[3] == "DataRow 7 \0\0\0\x08"
        (described,) = [answer for answer in answers if isinstance(answer, RowDescription)]
        assert [(column.type_oid, column.type_size, column.format) for column in described.columns] == [
            (INT4, 4, 0), (INT4, 4, 1)]

    def test_described_statements_are_text(self, wire: Wire) -> None:
        answers = wire.ask(parse("one"), Describe(kind="S", name=""), Sync())
        (described,) = [answer for answer in answers if isinstance(answer, RowDescription)]
        assert described.columns[0].format == 0

    @pytest.mark.parametrize(("message", "sqlstate", "text"), [
        (bind(b"1", b"2"), "08P01", 'bind message supplies 2 parameters, but prepared statement "" requires 1'),
        (bind(b"1", formats=[0, 0]), "08P01", "bind message has 2 parameter formats but 1 parameters"),
        (bind(b"1", results=[0, 0]), "08P01", "bind message has 2 result formats but query has 1 columns"),
        (bind(b"1", formats=[2]), "22023", "unsupported format code: 2"),
        (bind(b"1", results=[7]), "22023", "unsupported format code: 7"),
        (bind(b"x"), "22P02", 'invalid input syntax for type integer: "x"'),
        (bind(b"123", formats=[1]), "22P03", "incorrect binary data format in bind parameter 1"),
        (bind(b"1", statement="s"), "26000", 'prepared statement "s" does not exist'),
        (execute("p"), "34000", 'portal "p" does not exist'),
        (Describe(kind="P", name="p"), "34000", 'portal "p" does not exist'),
        (Describe(kind="S", name="s"), "26000", 'prepared statement "s" does not exist'),
        (Describe(kind="x", name="s"), "08P01", "invalid DESCRIBE message subtype 120"),
    ])
    def test_refused(self, wire: Wire, message: Message, sqlstate: str, text: str) -> None:
        wire.ask(parse("echo int $1"), Sync())
        if isinstance(message, Describe) and message.kind == "x":
            # only a broken client would say so: its core refuses, so the bytes are made by hand
            data = wire.client.send(Describe(kind="S", name="s")).replace(b"S", b"x", 1) + wire.client.send(Sync())
            answers = wire.send(data)
        else:
            answers = wire.ask(message, bind(b"1"), Sync())
        assert brief(answers) == [f"ErrorResponse {sqlstate}", "ReadyForQuery I"]
        assert error(answers)["M"] == text
        assert brief(wire.ask(bind(b"1"), execute(), Sync()))[1] == "DataRow 1"

    def test_after_an_error_all_is_skipped_to_sync(self, wire: Wire) -> None:
        answers = wire.ask(parse("unknown"), parse("one", "s"), query("one"), bind(), execute(), Flush(), Sync(),
                           parse("one"), Sync())
        assert brief(answers) == ["ErrorResponse 42601", "ReadyForQuery I", "ParseComplete", "ReadyForQuery I"]
        assert wire.log == []

    def test_names(self, wire: Wire) -> None:
        assert brief(wire.ask(parse("one", "s"), parse("one", "s"), Sync())) == [
            "ParseComplete", "ErrorResponse 42P05", "ReadyForQuery I"]
        assert brief(wire.ask(bind(statement="s", portal="p"), bind(statement="s", portal="p"), Sync())) == [
            "BindComplete", "ErrorResponse 42P03", "ReadyForQuery I"]
        assert brief(wire.ask(Close(kind="S", name="s"), Close(kind="S", name="s"), Close(kind="P", name="none"),
                              Sync())) == ["CloseComplete"] * 3 + ["ReadyForQuery I"]
        assert brief(wire.ask(bind(statement="s"), Sync()))[0] == "ErrorResponse 26000"
        assert wire.log == ["closed one"]

    def test_the_unnamed_are_replaced(self, wire: Wire) -> None:
        assert brief(wire.ask(parse("one"), bind(), parse("rows 2"), bind(), execute(), Sync()))[4:] == [
            "DataRow 0", "DataRow 1", "CommandComplete SELECT 2", "ReadyForQuery I"]

    def test_a_portal_outlives_its_statement(self, wire: Wire) -> None:
        answers = wire.ask(parse("one", "s"), bind(statement="s"), Close(kind="S", name="s"), execute(), Sync())
        assert brief(answers)[-3:] == ["DataRow 1", "CommandComplete SELECT 1", "ReadyForQuery I"]
        assert wire.log[-1] == "closed one"

    def test_several_statements(self, wire: Wire) -> None:
        assert brief(wire.ask(parse("one; one"), Sync()))[0] == "ErrorResponse 42601"

    def test_empty(self, wire: Wire) -> None:
        assert brief(wire.ask(parse(" ; "), Describe(kind="S", name=""), bind(), Describe(kind="P", name=""),
                              execute(), Sync())) == [
            "ParseComplete", "ParameterDescription", "NoData", "BindComplete", "NoData", "EmptyQueryResponse",
            "ReadyForQuery I"]

    def test_a_statement_without_rows(self, wire: Wire) -> None:
        answers = wire.ask(parse("do INSERT 0 1"), bind(), Describe(kind="P", name=""), execute(), execute(), Sync())
        assert brief(answers) == ["ParseComplete", "BindComplete", "NoData", "CommandComplete INSERT 0 1",
                                  "ErrorResponse 55000", "ReadyForQuery I"]


class TestPortals:
    def test_suspension(self, wire: Wire) -> None:
        answers = wire.ask(parse("rows 5 by 2"), bind(), execute(rows=2), execute(rows=1), execute(rows=2),
                           execute(rows=2), execute(), Sync())
        assert brief(answers)[2:] == [
            "DataRow 0", "DataRow 1", "PortalSuspended", "DataRow 2", "PortalSuspended", "DataRow 3", "DataRow 4",
            "PortalSuspended", "CommandComplete SELECT 0", "CommandComplete SELECT 0", "ReadyForQuery I"]

    def test_the_tag_counts_the_last_execute(self, wire: Wire) -> None:
        assert brief(wire.ask(parse("rows 5"), bind(), execute(rows=3), execute(rows=9), Sync()))[-4:] == [
            "DataRow 3", "DataRow 4", "CommandComplete SELECT 2", "ReadyForQuery I"]

    def test_they_end_with_the_transaction(self, wire: Wire) -> None:
        wire.ask(parse("rows 5 by 2"), bind(portal="p"), execute("p", 1), Sync())
        assert "rows closed" in wire.log
        assert brief(wire.ask(execute("p"), Sync())) == ["ErrorResponse 34000", "ReadyForQuery I"]

    def test_in_a_block_they_outlive_sync(self, wire: Wire) -> None:
        wire.ask(query("begin"))
        wire.ask(parse("rows 3", "s"), bind(portal="p", statement="s"), execute("p", 1), Sync())
        assert brief(wire.ask(query("one")))[-1] == "ReadyForQuery T"
        assert brief(wire.ask(execute("p", 1), Sync())) == ["DataRow 1", "PortalSuspended", "ReadyForQuery T"]
        wire.ask(query("commit"))
        assert brief(wire.ask(execute("p"), Sync())) == ["ErrorResponse 34000", "ReadyForQuery I"]

    def test_close(self, wire: Wire) -> None:
        wire.ask(query("begin"))
        wire.ask(parse("rows 3 by 1"), bind(portal="p"), execute("p", 1), Sync())
        assert brief(wire.ask(query("close p; close all"))) == [
            "CommandComplete CLOSE CURSOR", "CommandComplete CLOSE CURSOR ALL", "ReadyForQuery T"]
        assert "rows closed" in wire.log
        assert brief(wire.ask(query("close p")))[0] == "ErrorResponse 34000"


class TestTransactions:
    def test_block(self, wire: Wire) -> None:
        assert brief(wire.ask(query("BEGIN"))) == ["CommandComplete BEGIN", "ReadyForQuery T"]
        assert brief(wire.ask(query("start transaction"))) == [
            "NoticeResponse 25001", "CommandComplete START TRANSACTION", "ReadyForQuery T"]
        assert brief(wire.ask(query("end"))) == ["CommandComplete COMMIT", "ReadyForQuery I"]
        assert brief(wire.ask(query("commit"))) == ["NoticeResponse 25P01", "CommandComplete COMMIT", "ReadyForQuery I"]
        assert wire.log == ["begin", "commit"]

    @pytest.mark.parametrize("ending", ["commit", "rollback", "abort", "end transaction"])
    def test_failed_block(self, wire: Wire, ending: str) -> None:
        wire.ask(query("begin"), parse("one", "s"), parse("rollback", "r"), Sync())
        assert brief(wire.ask(query("boom"))) == ["ErrorResponse XX000", "ReadyForQuery E"]
        for refused in ("one", "begin", "show timezone", "unknown"):
            assert brief(wire.ask(query(refused))) == ["ErrorResponse 25P02", "ReadyForQuery E"]
        assert brief(wire.ask(parse("one"), Sync())) == ["ErrorResponse 25P02", "ReadyForQuery E"]
        assert brief(wire.ask(bind(statement="s"), Sync())) == ["ErrorResponse 25P02", "ReadyForQuery E"]
        assert brief(wire.ask(Describe(kind="S", name="s"), Sync())) == ["ErrorResponse 25P02", "ReadyForQuery E"]
        assert brief(wire.ask(query("rollback to x"))) == ["ErrorResponse 3B001", "ReadyForQuery E"]
        assert brief(wire.ask(query(ending))) == ["CommandComplete ROLLBACK", "ReadyForQuery I"]
        assert wire.log.count("rollback") == 1

    def test_leaving_a_failed_block_by_a_prepared_statement(self, wire: Wire) -> None:
        wire.ask(query("begin"), parse("rollback", "r"), Sync(), query("boom"))
        assert brief(wire.ask(bind(statement="r"), execute(), Sync())) == [
            "BindComplete", "CommandComplete ROLLBACK", "ReadyForQuery I"]

    def test_a_pipeline_is_one_transaction(self, wire: Wire) -> None:
        one = (parse("do A"), bind(), execute())
        assert brief(wire.ask(*one, *one, Sync()))[-1] == "ReadyForQuery I"
        assert [entry for entry in wire.log if not entry.startswith("closed")] == ["begin", "do A", "do A", "commit"]

    def test_a_pipeline_with_an_error(self, wire: Wire) -> None:
        answers = wire.ask(parse("do A"), bind(), execute(), parse("fail '22012'"), bind(), execute(), Sync())
        assert brief(answers)[-2:] == ["ErrorResponse 22012", "ReadyForQuery I"]
        assert "rollback" in wire.log and "commit" not in wire.log

    def test_a_single_execute_needs_no_begin(self, wire: Wire) -> None:
        wire.ask(parse("do A"), bind(), execute(), Sync())
        assert "begin" not in wire.log

    def test_chain(self, wire: Wire) -> None:
        assert brief(wire.ask(query("begin; commit and chain"))) == [
            "CommandComplete BEGIN", "CommandComplete COMMIT", "ReadyForQuery T"]
        assert brief(wire.ask(query("rollback and no chain")))[-1] == "ReadyForQuery I"
        assert brief(wire.ask(query("commit and chain")))[0] == "ErrorResponse 25P01"

    @pytest.mark.parametrize("sql", ["prepare transaction 'x'", "commit prepared 'x'",
                                     "begin isolation level serializable"])
    def test_not_supported(self, wire: Wire, sql: str) -> None:
        assert brief(wire.ask(query(sql))) == ["ErrorResponse 0A000", "ReadyForQuery I"]

    def test_read_only(self, wire: Wire) -> None:
        wire.ask(query("begin read only"), query("commit"))
        wire.ask(query("begin"), query("set transaction isolation level repeatable read, read only"))
        assert brief(wire.ask(query("show transaction_read_only")))[1] == "DataRow on"
        wire.ask(query("commit"), query("set session characteristics as transaction read only"), query("one"))
        assert [entry for entry in wire.log if not entry.startswith("closed")] == [
            "begin read only", "commit", "begin", "rollback", "begin read only", "commit", "begin read only", "one",
            "commit"]

    @pytest.mark.parametrize("sql", ["begin foo", "commit foo", "set", "set a =", "show", "set a to 1 2", "discard x"])
    def test_syntax(self, wire: Wire, sql: str) -> None:
        assert brief(wire.ask(query(sql))) == ["ErrorResponse 42601", "ReadyForQuery I"]


class TestCancel:
    def test_between_batches(self, wire: Wire) -> None:
        session, pulled = wire.session, wire.session._pull

        def pull(portal: object, most: int) -> object:
            if "batch 2" in wire.log:
                session.cancel()
            return pulled(portal, most)  # type: ignore[arg-type]

        session._pull = pull  # type: ignore[assignment, method-assign]
        answers = wire.ask(query("rows 100 by 2"))
        assert brief(answers)[-2:] == ["ErrorResponse 57014", "ReadyForQuery I"]
        assert wire.log[-2:] == ["rows closed", "closed rows 100 by 2"]

    def test_too_late_has_no_effect(self, wire: Wire) -> None:
        wire.session.cancel()
        assert brief(wire.ask(query("one")))[-1] == "ReadyForQuery I"
        assert "cancel" not in wire.log


def test_handlers_of_ones_own() -> None:
    """A server author may answer a message otherwise and keep the rest."""

    class Shouting(Session):
        async def on_query(self, message: Query) -> None:
            await super().on_query(Query(query=message.query.lower()))

    assert brief(Wire(session=Shouting).ask(query("ONE")))[1] == "DataRow 1"
