"""Spark's error conditions as PostgreSQL's errors: Spark gives SQLSTATEs itself, in its own words."""

from __future__ import annotations

import re
from collections.abc import Callable

from pyspark.errors import PySparkException

from febe.server.engine import EngineError

# Conditions whose SQLSTATE is another in PostgreSQL, and those that Spark gives none.
_SQLSTATES = {
    "CAST_INVALID_INPUT": "22P02",
    "OPERATION_CANCELED": "57014",
    "INVALID_HANDLE.OPERATION_ABANDONED": "57014",
    "SCHEMA_NOT_FOUND": "3F000",
    "SCHEMA_ALREADY_EXISTS": "42P06",
    "UNSUPPORTED_FEATURE": "0A000",
    "ARITHMETIC_OVERFLOW": "22003",
    "NUMERIC_VALUE_OUT_OF_RANGE": "22003",
}
_LOST = ("INVALID_HANDLE.SESSION_NOT_FOUND", "INVALID_HANDLE.SESSION_CHANGED", "INVALID_HANDLE.SESSION_CLOSED")
_TEXT = re.compile(r"(?:\[(?P<name>[A-Z0-9_.]+)\]\s*)?(?P<text>.*?)\s*(?:SQLSTATE: (?P<state>[0-9A-Z]{5})|\Z)",
                   re.DOTALL)
_PLACE = re.compile(r"\(line (\d+), (?:position|pos) (\d+)\)|; line (\d+) pos (\d+)")


def is_lost(error: BaseException) -> bool:
    """Whether the Spark session itself is gone: the server was restarted, or gave it up."""
    name = error.getCondition() if isinstance(error, PySparkException) else None
    return (name or "").startswith(_LOST) or is_unreachable(error) or "INVALID_HANDLE.SESSION" in str(error)


def is_unreachable(error: BaseException) -> bool:
    """Whether nobody answers at the cluster's address."""
    text = str(error)
    return "StatusCode.UNAVAILABLE" in text or "RETRIES_EXCEEDED" in text


def translate(error: Exception, sql: str, original: Callable[[int], int | None]) -> EngineError:
    """The client's error for one of Spark's.

    `sql` is what Spark was given, `original` maps an offset in it to one in the client's statement.
    """
    name = (error.getCondition() or "") if isinstance(error, PySparkException) else ""
    match = _TEXT.match(str(error))
    assert match is not None  # everything in it is optional
    name = name or match["name"] or ""
    text, _, more = match["text"].partition("\n")
    state = next((state for known, state in _SQLSTATES.items() if name.startswith(known)), None) or match["state"]
    if is_unreachable(error):
        return EngineError("the Spark cluster does not answer", sqlstate="08006")
    return EngineError(text or name or "Spark failed", sqlstate=state or "XX000", detail=more.strip() or None,
                       position=_position(error, sql, original))


def _position(error: Exception, sql: str, original: Callable[[int], int | None]) -> int | None:
    contexts = error.getQueryContext() if isinstance(error, PySparkException) else None
    offset = next((context.startIndex() for context in contexts or () if context.fragment()), -1)
    if offset < 0:
        place = _PLACE.search(str(error))
        if place is None:
            return None
        line, column = (int(part) for part in place.groups() if part is not None)
        lines = sql.split("\n")
        if line > len(lines):
            return None
        offset = sum(len(one) + 1 for one in lines[:line - 1]) + column
    found = original(offset)
    return None if found is None else found + 1
