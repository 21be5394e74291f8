"""DuckDB's errors as PostgreSQL's: SQLSTATE, a message without the engine's decorations, hint and position."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from febe.server.engine import EngineError

# pyarrow, which 1.x streams through, puts its own class before DuckDB's
_CATEGORY = re.compile(r"\s*(?:IOError: |Invalid: )?([A-Za-z][A-Za-z \-]*?) ?Error: ", re.ASCII)
_LINE = re.compile(r"\n*^LINE (\d+): (.*)\n( *)\^[^\n]*\s*", re.MULTILINE)

# By category, then the first expression found in the message decides (manual: "PostgreSQL Error Codes").
_SQLSTATES: dict[str, tuple[tuple[str, str], ...]] = {
    "Parser": (("", "42601"),),
    "Syntax": (("escape", "22025"), ("", "42601")),
    "Catalog": (
        (r"because schema|catalog or schema|Schema with name .* does not exist|[Cc]atalog .* does not exist", "3F000"),
        (r"Schema with name .* already exists", "42P06"),
        (r"Column with name .* already exists", "42701"),
        (r"(Table|View) with name .* already exists", "42P07"),
        (r"Function with name .* already exists", "42723"),
        (r"already exists", "42710"),
        (r"Function .* (does not exist|is not in the catalog)", "42883"),
        (r"(Type|Index|Collation|Secret) .* does not exist", "42704"),
        (r"unrecognized configuration parameter", "42704"),
        (r"(Existing object .* is of type|is not an? )", "42809"),
        (r"depend|main key table", "2BP01"),
        (r"(Table|View|Sequence) .* does not exist", "42P01"),
        (r"does not exist", "42704"),
        ("", "42000")),
    "Binder": (
        (r"Referenced (update )?column .* not found|does not have a column|column .* (not found|does not exist)"
         r"|Cannot extract field", "42703"),
        (r"Referenced table .* not found", "42P01"),
        (r"Ambiguous", "42702"),
        (r"No function matches|Could not choose a best candidate", "42883"),
        (r"must appear in the GROUP BY|aggregate function calls cannot|aggregates? .*not (allowed|supported)", "42803"),
        (r"[Ww]indow function.* not allowed|window functions? .*nested", "42P20"),
        (r"out of range - should be", "42P10"),
        (r"values were supplied|same number of result columns|same number of columns", "42601"),
        (r"LIMIT/OFFSET cannot be negative", "2201W"),
        (r"Prepared statement .* does not exist", "26000"),
        (r"Duplicate alias", "42712"),
        (r"database .* does not exist|Catalog .* does not exist", "3D000"),
        (r"Can only (update|delete)", "42809"),
        (r"already exists", "42P07"),
        (r"read[- ]only", "25006"),
        (r"[Uu]nexpected prepared parameter", "0A000"),
        (r"[Pp]arameter .*(not found|missing|supplied)", "42P02"),
        (r"cast|type|[Cc]annot compare|UNNEST", "42804"),
        (r"not supported|not implemented", "0A000"),
        ("", "42000")),
    "Conversion": (
        (r"Unimplemented type for cast", "42846"),
        (r"(date|time|timestamp|interval) .*out of range", "22008"),
        (r"out of range|Casting value|too large|overflow", "22003"),
        (r"(date|time|timestamp|interval) field", "22007"),
        (r"INTERVAL|DATE|TIME", "22007"),
        ("", "22P02")),
    "Out of Range": (
        (r"date|time|interval|DATE|TIME|INTERVAL", "22008"),
        (r"string of size", "54000"),
        ("", "22003")),
    "Invalid Input": (
        (r"Division by zero", "22012"),
        (r"does not have a replica identity and publishes", "55000"),
        (r"configuration option .* locked|configuration has been locked|[Ee]xtension|Persistent secrets", "42501"),
        (r"interval out of range", "22008"),
        (r"More than one row returned by a subquery", "21000"),
        (r"Values were not provided|number of parameters|prepared statement parameter", "08P01"),
        (r"missing [\])]|[Ii]nvalid regex|no argument for repetition|invalid (escape|character class)", "2201B"),
        (r"Malformed JSON", "22032"),
        (r"Could not parse string .* format specifier", "22007"),
        (r"read-only", "25006"),
        (r"out of range|overflow", "22003"),
        ("", "22023")),
    "Constraint": (
        (r"NOT NULL constraint", "23502"),
        (r"CHECK constraint", "23514"),
        (r"[Ff]oreign key", "23503"),
        (r"[Dd]uplicate key|unique|primary key", "23505"),
        ("", "23000")),
    "TransactionContext": (
        (r"transaction is aborted", "25P02"),
        (r"read-only mode", "25006"),
        (r"[Cc]onflict|write-write|altered by a different transaction|has been altered", "40001"),
        (r"within a transaction", "25001"),
        (r"no transaction is active", "25P01"),
        (r"[Ff]ailed to commit.*(unique|[Dd]uplicate key|primary key)", "23505"),
        ("", "25000")),
    "Sequence": ((r"reached (maximum|minimum) value", "2200H"), (r"not yet defined|currval", "55000"), ("", "55000")),
    "Mismatch Type": (("", "42804"),),
    "Invalid type": (("", "42804"),),
    "Not implemented": (("", "0A000"),),
    "Dependency": (("", "2BP01"),),
    "Permission": (("", "42501"),),
    "INTERRUPT": (("", "57014"),),
    "Out of Memory": (("", "53200"),),
    "Resource In Use": (("", "55006"),),
    "Connection": (("", "08003"),),
    "IO": ((r"read-only", "25006"), ("", "58030"),),
    "HTTP": (("", "42501"),),
    "Missing Extension": (("", "0A000"),),
    "Settings": (("", "42501"),),
}
_COMPILED = {category: tuple((re.compile(pattern, re.DOTALL), state) for pattern, state in table)
             for category, table in _SQLSTATES.items()}
# The words after TransactionContext's error class vary between versions.
_COMPILED["Transaction"] = _COMPILED["TransactionContext"]

# Paths, hosts and stack traces are not the client's business.
_INSTEAD = {
    "42501": "permission denied: files, the network and the configuration are closed to clients",
    "58030": "input/output error in the database engine",
    "57014": "canceling statement due to user request",
    "22012": "division by zero",
    "53200": "out of memory",
}
_MOST_LINES = 8
_HINT = re.compile(r"^(Did you mean|Candidate|Either |Use |Possible)", re.MULTILINE)


def failed() -> EngineError:
    """What sessions of an instance that cannot be used any more are told."""
    return EngineError("the database engine has failed", sqlstate="57P02",
                       hint="In a moment you should be able to reconnect to the database and repeat your command.")


def is_fatal(text: str) -> bool:
    """Whether an error's text says that the DuckDB instance is not to be used any more."""
    return bool(re.match(r"\s*(FATAL|INTERNAL) Error:", text)) or "database has been invalidated" in text


def translate(text: str, sql: str = "", position: Callable[[int], int | None] = lambda offset: offset) -> EngineError:
    """The error to answer for the text of a DuckDB error.

    `sql` is the text DuckDB got; `position` turns an offset in it into one in the client's statement, or None.
    """
    if is_fatal(text):
        return EngineError("internal error in the database engine")
    found = _CATEGORY.match(text)
    category = found[1] if found else ""
    body = text[found.end():] if found else text
    place: int | None = None
    line = _LINE.search(body)
    if line:
        offset = _offset(sql, int(line[1]), line[2], len(line[3]) - len(f"LINE {line[1]}: "))
        place = position(offset) if offset is not None else None
        body = body[:line.start()] + "\n" + body[line.end():]
    message, _, rest = body.strip().partition("\n")
    sqlstate = next((state for pattern, state in _COMPILED.get(category, ()) if pattern.search(body)), "XX000")
    lines = [part.strip() for part in rest.splitlines() if part.strip()]
    rest = "\n".join(lines[:_MOST_LINES] + ["..."] * (len(lines) > _MOST_LINES))
    hint = detail = None
    if sqlstate in _INSTEAD:
        message, rest = _INSTEAD[sqlstate], ""
    if _HINT.match(rest):
        hint = rest
    elif rest:
        detail = rest
    return EngineError(message.strip(), sqlstate=sqlstate, detail=detail, hint=hint,
                       position=None if place is None else place + 1)


def _offset(sql: str, number: int, shown: str, column: int) -> int | None:
    """The offset in `sql` that DuckDB's caret points at.

    The caret counts columns on a screen; a long line is shown cut, with dots at the cut ends.
    """
    lines = sql.split("\n")
    if not 1 <= number <= len(lines) or column < 0:
        return None
    line = lines[number - 1]
    start = sum(len(before) + 1 for before in lines[:number - 1])
    cut = shown
    if not line.startswith(shown.rstrip("\r")):
        cut = shown.removesuffix("...")
        if not line.startswith(cut):
            cut = cut.removeprefix("...")
            column -= 3
    at = line.find(cut.rstrip("\r"))
    if at < 0:
        return None
    for character in line[at:]:
        width = _width(character)
        if column <= 0 and width:
            break
        column -= width
        at += 1
    return start + at


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Cc", "Cf", "Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
