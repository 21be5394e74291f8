"""SET, SHOW, RESET and the start-up packet's settings."""

from __future__ import annotations

import pytest

from febe.protocol.simple import Query
from febe.server import EngineError
from febe.server.parameters import Parameters, parse_options
from tests.server.wire import Wire, brief


@pytest.fixture
def wire() -> Wire:
    return Wire()


def run(wire: Wire, sql: str) -> list[str]:
    return brief(wire.ask(Query(query=sql)))


def value(wire: Wire, name: str) -> str:
    return run(wire, f"show {name}")[1].removeprefix("DataRow ")


@pytest.mark.parametrize(("sql", "report"), [
    ("set application_name = 'x'", "application_name=x"),
    ("SET Application_Name TO x", "application_name=x"),
    ("set session timezone to 'europe/berlin'", "TimeZone=Europe/Berlin"),
    ("set time zone 'UTC-3'", "TimeZone=UTC-3"),
    ("set time zone -3", "TimeZone=-3"),
    ("set search_path = a, \"B c\"", "search_path=a, B c"),
    ("set schema 'a'", "search_path=a"),
    ("set default_transaction_read_only = t", "default_transaction_read_only=on"),
    ("set session characteristics as transaction read only", "default_transaction_read_only=on"),
    ("set names 'sql_ascii'", "client_encoding=SQL_ASCII"),
])
def test_set_reports(wire: Wire, sql: str, report: str) -> None:
    assert run(wire, sql) == ["CommandComplete SET", f"ParameterStatus {report}", "ReadyForQuery I"]


@pytest.mark.parametrize("sql", [
    "set extra_float_digits = 3", "set statement_timeout = 0", "set datestyle = iso", "set client_encoding = 'UTF-8'",
    "set names unicode", "set standard_conforming_strings = on", "set intervalstyle = postgres", "set my.own = 1",
    "set client_min_messages to warning", "set session authorization default", "set role none",
    "set bytea_output to hex",
    "set transaction_isolation = 'read committed'",
])
def test_set_accepts(wire: Wire, sql: str) -> None:
    assert run(wire, sql)[0] == "CommandComplete SET"


@pytest.mark.parametrize(("sql", "sqlstate"), [
    ("set nothing_known = 1", "42704"),
    ("show nothing_known", "42704"),
    ("reset nothing_known", "42704"),
    ("set server_version = 9", "55P02"),
    ("set client_encoding = latin1", "0A000"),
    ("set client_encoding = nonsense", "22023"),
    ("set datestyle = german", "0A000"),
    ("set datestyle = nonsense", "22023"),
    ("set timezone = 'Mars/Olympus'", "22023"),
    ("set timezone = '../../etc/passwd'", "22023"),
    ("set default_transaction_read_only = perhaps", "22023"),
    ("set standard_conforming_strings = off", "0A000"),
    ("set lock_timeout = 1000", "0A000"),
    ("set statement_timeout = soon", "22023"),
    ("set extra_float_digits = 0", "0A000"),
    ("set extra_float_digits = x", "22023"),
    ("set role admin", "0A000"),
    ("set session authorization admin", "0A000"),
    ("set transaction snapshot 'x'", "0A000"),
])
def test_set_refuses(wire: Wire, sql: str, sqlstate: str) -> None:
    assert run(wire, sql) == [f"ErrorResponse {sqlstate}", "ReadyForQuery I"]


def test_show(wire: Wire) -> None:
    assert run(wire, "show DATESTYLE") == [
        "RowDescription DateStyle", "DataRow ISO, MDY", "CommandComplete SHOW", "ReadyForQuery I"]
    assert run(wire, "show transaction isolation level")[:2] == [
        "RowDescription transaction_isolation", "DataRow read committed"]
    assert run(wire, "show time zone")[1] == "DataRow UTC"
    assert run(wire, "show session authorization")[1] == "DataRow demo"
    run(wire, "set my.own = 'v'")
    assert value(wire, "my.own") == "v"
    assert run(wire, "show all")[0] == "RowDescription name setting description"


def test_reset(wire: Wire) -> None:
    run(wire, "set application_name = x; set timezone = 'Asia/Tokyo'; set my.own = 1")
    assert run(wire, "reset application_name") == [
        "CommandComplete RESET", "ParameterStatus application_name=", "ReadyForQuery I"]
    assert run(wire, "reset all")[1] == "ParameterStatus TimeZone=UTC"
    assert run(wire, "show my.own")[0] == "ErrorResponse 42704"
    run(wire, "set application_name to x; set application_name to default")
    assert value(wire, "application_name") == ""


def test_a_transaction_undoes_what_it_set(wire: Wire) -> None:
    run(wire, "begin")
    assert run(wire, "set application_name = x")[1] == "ParameterStatus application_name=x"
    assert run(wire, "rollback") == [
        "CommandComplete ROLLBACK", "ParameterStatus application_name=", "ReadyForQuery I"]
    run(wire, "begin; set application_name = y; commit")
    assert value(wire, "application_name") == "y"
    assert run(wire, "set application_name = z; boom")[-3:] == [
        "CommandComplete SET", "ErrorResponse XX000", "ReadyForQuery I"]
    assert value(wire, "application_name") == "y"


def test_local(wire: Wire) -> None:
    assert run(wire, "set local application_name = x") == [
        "NoticeResponse 25P01", "CommandComplete SET", "ReadyForQuery I"]
    run(wire, "begin; set timezone = 'Asia/Tokyo'; set local application_name = x")
    assert value(wire, "application_name") == "x"
    run(wire, "commit")
    assert (value(wire, "application_name"), value(wire, "timezone")) == ("", "Asia/Tokyo")


def test_discard(wire: Wire) -> None:
    run(wire, "set application_name = x")
    assert run(wire, "discard all") == [
        "CommandComplete DISCARD ALL", "ParameterStatus application_name=", "ReadyForQuery I"]
    assert run(wire, "begin; discard all")[1] == "ErrorResponse 25001"
    assert run(wire, "rollback; discard plans")[-2] == "CommandComplete DISCARD PLANS"


def test_deallocate(wire: Wire) -> None:
    assert run(wire, "deallocate s") == ["ErrorResponse 26000", "ReadyForQuery I"]
    assert run(wire, "deallocate prepare all")[0] == "CommandComplete DEALLOCATE ALL"


def test_what_the_engine_shows(wire: Wire) -> None:
    """SHOW of what is no parameter is the engine's, and SET VARIABLE too."""
    assert run(wire, "show all tables")[0] == "ErrorResponse 42601"
    assert run(wire, "set variable x = 1")[0] == "ErrorResponse 42601"


def test_options() -> None:
    assert list(parse_options(r"-c a=1 -cb=x\ y --search-path=p  -c c=")) == [
        ("a", "1"), ("b", "x y"), ("search_path", "p"), ("c", "")]
    for wrong in ("-x", "-c", "--", "-c a", "a=1"):
        with pytest.raises(EngineError):
            list(parse_options(wrong))


def test_start_is_what_reset_goes_back_to() -> None:
    parameters = Parameters(session_authorization="demo")
    parameters.start("application_name", "tool")
    parameters.set("application_name", "other")
    parameters.reset()
    assert parameters.get("application_name") == "tool"
