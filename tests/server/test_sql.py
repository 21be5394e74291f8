"""The lexical splitter: statements, offsets, verbs and tokens."""

from __future__ import annotations

import gc
import time

import pytest

from febe.server.sql import TokenKind, split, tokens, verb


@pytest.mark.parametrize(("sql", "expected"), [
    ("", []),
    (" \n\t ", []),
    (";;;", []),
    ("-- only a comment", []),
    ("/* a /* nested */ comment; */ ;", []),
    ("select 1", [("select 1", 0, "SELECT")]),
    ("select 1;", [("select 1", 0, "SELECT")]),
    (" select 1 ; select 2 ", [("select 1", 1, "SELECT"), ("select 2", 12, "SELECT")]),
    ("begin;insert into t values (1);commit", [("begin", 0, "BEGIN"), ("insert into t values (1)", 6, "INSERT"),
                                               ("commit", 31, "COMMIT")]),
    ("((select 1) union (select 2))", [("((select 1) union (select 2))", 0, "SELECT")]),
    ("/* c */ ( -- d\n values (1))", [("( -- d\n values (1))", 8, "VALUES")]),
    ("select ';'", [("select ';'", 0, "SELECT")]),
    ("select 'it''s;' ; x", [("select 'it''s;'", 0, "SELECT"), ("x", 18, "X")]),
    (r"select '\'; select 2", [(r"select '\'", 0, "SELECT"), ("select 2", 12, "SELECT")]),
    (r"select E'\';'; select 2", [(r"select E'\';'", 0, "SELECT"), ("select 2", 15, "SELECT")]),
    ('select ";"";" ; b', [('select ";"";"', 0, "SELECT"), ("b", 16, "B")]),
    ("select $$;$$; c", [("select $$;$$", 0, "SELECT"), ("c", 14, "C")]),
    ("select $a$;$$;$b$;$a$; c", [("select $a$;$$;$b$;$a$", 0, "SELECT"), ("c", 23, "C")]),
    ("select a$b$;c", [("select a$b$", 0, "SELECT"), ("c", 12, "C")]),
    ("select $1;c", [("select $1", 0, "SELECT"), ("c", 10, "C")]),
    ("select 1 --;\n+2;c", [("select 1 --;\n+2", 0, "SELECT"), ("c", 16, "C")]),
    ("select 'open ; still", [("select 'open ; still", 0, "SELECT")]),
    ("select 1 /* open ; still", [("select 1", 0, "SELECT")]),
    ("select $x$ open ; $y$", [("select $x$ open ; $y$", 0, "SELECT")]),
    ("select 'ä', 'ö';ünder", [("select 'ä', 'ö'", 0, "SELECT"), ("ünder", 16, "ÜNDER")]),
    ("?; 1", [("?", 0, ""), ("1", 3, "")]),
])
def test_split(sql: str, expected: list[tuple[str, int, str]]) -> None:
    found = split(sql)
    assert [(s.sql, s.offset, s.verb) for s in found] == expected
    assert [verb(s.sql) for s in found] == [s.verb for s in found]
    assert all(sql[s.offset:s.offset + len(s.sql)] == s.sql for s in found)


def test_tokens_say_kind_text_offset_and_value() -> None:
    found = tokens("SET Search_Path = \"A\"\"b\", 'it''s', E'\\n\\x41\\u00e4', $q$x'y$q$, 1.5e-3, $12::int4")
    assert [(t.kind.value, t.value) for t in found] == [
        ("word", "set"), ("word", "search_path"), ("symbol", "="), ("quoted", 'A"b'), ("symbol", ","),
        ("string", "it's"), ("symbol", ","), ("string", "\nAä"), ("symbol", ","), ("string", "x'y"), ("symbol", ","),
        ("number", "1.5e-3"), ("symbol", ","), ("parameter", "$12"), ("symbol", "::"), ("word", "int4")]
    assert found[0].is_word("SET", "RESET") and not found[3].is_word('"A""B"')
    assert found[1].start == 4 and found[1].end == 15
    assert found[-3].kind is TokenKind.PARAMETER


@pytest.mark.parametrize("hostile", [
    "'" * 100_001, '"' * 100_001, "$a$" * 40_001, "/*" * 50_000, "*/" * 50_000, "/*" * 25_000 + "*/" * 25_000,
    "E'" + "\\'" * 50_000, "E'" + "\\" * 100_001, "$" * 100_001, "(" * 75_000, ";" * 75_000, "-" * 100_001,
    "$a" * 50_000, "1e" * 50_000, "." * 75_000, "a$" * 50_000, "e" * 400_000, " \n" * 50_000,
    "".join(f"$t{i}$" for i in range(15_000)),
], ids=lambda text: repr(text[:6]))
def test_hostile_text_takes_linear_time(hostile: str) -> None:
    # A ratio, for a clock means little on a busy machine: eight times the text takes eight times as long, not 64 times.
    assert _least_time(hostile) < 32 * _least_time(hostile[:len(hostile) // 8])


def _least_time(text: str) -> float:
    """The best of five, in seconds of this thread, without the collector and the whole suite's objects."""
    times = list[float]()
    gc.disable()
    try:
        for _ in range(5):
            started = time.thread_time()
            split(text)
            tokens(text)
            times.append(time.thread_time() - started)
    finally:
        gc.enable()
    return min(times)
