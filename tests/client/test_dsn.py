"""Connection strings, read as libpq reads them."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import pq

from febe.client.dsn import parse_conninfo, quoted
from febe.client.keywords import KEYWORDS
from febe.protocol.errors import LocalProtocolError
from tests.client.conninfo_strings import PICKED, conninfo_strings


def libpq_says(text: str) -> dict[str, str] | str:
    """What PQconninfoParse of psycopg's libpq makes of it: the options, or the error."""
    try:
        found = pq.Conninfo.parse(text.encode())
    except psycopg.OperationalError as error:
        return str(error).strip()
    return {option.keyword.decode(): option.val.decode("utf-8", "surrogateescape")
            for option in found if option.val is not None}


def febe_says(text: str) -> dict[str, str] | str:
    try:
        return parse_conninfo(text)
    except LocalProtocolError as error:
        assert error.sqlstate == "22023"
        # psycopg decodes libpq's message with replacement
        return str(error).encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip()


@pytest.mark.parametrize("text", PICKED)
def test_as_libpq(text: str) -> None:
    assert febe_says(text) == libpq_says(text)


def test_thousands_as_libpq() -> None:
    right = wrong = 0
    for text in conninfo_strings(20_000, seed=18):
        said = libpq_says(text)
        assert febe_says(text) == said, text
        if isinstance(said, str):
            wrong += 1
        else:
            right += 1
    assert min(right, wrong) > 2_000


def test_the_keywords_are_libpq_18s() -> None:
    assert pq.version() // 10000 == 18
    theirs = {option.keyword.decode(): (option.envvar.decode() if option.envvar else None,
                                        option.compiled.decode() if option.compiled is not None else None)
              for option in pq.Conninfo.get_defaults()}
    ours = {name: (keyword.variable, keyword.default) for name, keyword in KEYWORDS.items()}
    # a build without GSSAPI has another default
    assert theirs["gssencmode"][1] in ("prefer", "disable")
    assert {**theirs, "gssencmode": None} == {**ours, "gssencmode": None}
    assert list(theirs) == list(ours)


def test_nul_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="NUL"):
        parse_conninfo("host=a\0b")


def test_no_secret_in_an_error() -> None:
    """What libpq quotes in an error of a pair is its keyword, and of a URI the broken token alone or the host part."""
    with pytest.raises(LocalProtocolError) as raised:
        parse_conninfo("password=geheim nope=1")
    assert "geheim" not in str(raised.value)


@pytest.mark.parametrize("value", ["", "a", "a b", "it's", "back\\slash", "\n", "é"])
def test_quoted(value: str) -> None:
    assert parse_conninfo(f"host=x password={quoted(value)} user=y") == {"host": "x", "password": value, "user": "y"}
