"""Which statements clients may run, and the command tag of each.

What is not named here is refused: DuckDB's lock-down (no external access, configuration locked) is the second fence,
and it would let a client write into the very files it may read.
"""

from __future__ import annotations

from febe.server.engine import EngineError
from febe.server.sql import Token, TokenKind, tokens, verb

# Files, the network, extensions, other databases and the configuration: the server's owner decides about them.
_CLOSED = {"ATTACH": "ATTACH", "DETACH": "DETACH", "LOAD": "LOAD", "EXTENSION": "LOAD", "EXPORT": "EXPORT",
           "COPY_DATABASE": "COPY DATABASE"}
# The server's session answers these itself; one that gets here came in a form it does not know.
_SESSION = {"SET", "VARIABLE_SET", "TRANSACTION", "PREPARE", "EXECUTE"}

_PRAGMAS = frozenset((
    "collations", "database_list", "database_size", "functions", "platform",
    "show", "show_databases", "show_tables", "show_tables_expanded", "storage_info",
    "table_info", "user_agent", "version", "pragma_collations", "pragma_database_size",
    "pragma_platform", "pragma_show", "pragma_storage_info", "pragma_table_info", "pragma_user_agent",
    "pragma_version",
))
_EXPLAINED = ("SELECT", "WITH", "FROM", "VALUES", "TABLE", "INSERT", "UPDATE", "DELETE", "MERGE", "PIVOT", "UNPIVOT",
              "DESCRIBE", "SHOW", "SUMMARIZE", "CREATE")
_MODIFIERS = ("OR", "REPLACE", "TEMP", "TEMPORARY", "LOCAL", "GLOBAL", "UNLOGGED", "PERSISTENT", "RECURSIVE", "UNIQUE",
              "MATERIALIZED", "IF", "NOT", "EXISTS")
_OBJECTS = ("TABLE", "VIEW", "INDEX", "SCHEMA", "SEQUENCE", "TYPE", "FUNCTION", "MACRO")
WRITES = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE_INTO", "CREATE", "CREATE_FUNC", "ALTER", "DROP", "VACUUM",
                    "ANALYZE"})


def check(kind: str, sql: str, *, read_only: bool) -> None:
    """Refuse a statement of DuckDB's type `kind` that clients may not run."""
    if kind in _CLOSED:
        raise EngineError(f"permission denied: {_CLOSED[kind]} is closed to clients", sqlstate="42501")
    if kind == "SET" and verb(sql) == "PRAGMA":
        raise EngineError("permission denied: the configuration is closed to clients", sqlstate="42501")
    if kind in _SESSION:
        raise EngineError(f"{verb(sql)} is not supported in this form", sqlstate="0A000")
    if kind == "COPY":
        raise _copy_refusal(sql)
    if kind in ("CALL", "PRAGMA") or verb(sql) in ("CALL", "PRAGMA"):
        _check_call(sql)
    elif kind == "EXPLAIN":
        _check_explain(sql)
    elif kind in ("CREATE", "ALTER", "DROP"):
        _check_object(kind, sql)
    elif kind not in ("SELECT", "MULTI") and kind not in WRITES:
        raise EngineError(f"this form of {verb(sql)} is not supported", sqlstate="0A000")
    if read_only and (kind in WRITES or verb(sql) == "CHECKPOINT"):
        raise EngineError(f"cannot execute {verb(sql)} in a read-only transaction", sqlstate="25006")


def tag(kind: str, sql: str, *, created_from_query: bool = False) -> str:
    """The command tag; `{}` stands for the number of rows (manual: "Message Formats", CommandComplete)."""
    if kind == "INSERT":
        return "INSERT 0 {}"
    if kind in ("UPDATE", "DELETE", "MERGE_INTO"):
        return "TRUNCATE TABLE" if verb(sql) == "TRUNCATE" else kind.removesuffix("_INTO") + " {}"
    if kind in ("CREATE", "CREATE_FUNC", "ALTER", "DROP"):
        return "SELECT {}" if created_from_query else _definition_tag(sql)
    if kind in ("VACUUM", "ANALYZE") or verb(sql) in ("EXPLAIN", "CALL", "PRAGMA", "CHECKPOINT", "SHOW"):
        return verb(sql)
    return "SELECT {}"


def _definition_tag(sql: str) -> str:
    words = [token.text.upper() for token in tokens(sql) if token.kind is TokenKind.WORD]
    if words[0] == "COMMENT":
        return "COMMENT"
    noun = next((word for word in words[1:] if word not in _MODIFIERS), "")
    return f"{words[0]} {noun}".strip()


def _check_object(kind: str, sql: str) -> None:
    """Only objects of the database itself: no secrets, triggers, external resources or whatever comes next."""
    name = _definition_tag(sql)
    if name != "COMMENT" and name.partition(" ")[2] not in _OBJECTS:
        raise EngineError(f"permission denied: {name} is closed to clients", sqlstate="42501")


def _check_call(sql: str) -> None:
    found = tokens(sql)
    if found and found[0].is_word("CHECKPOINT") and len(found) == 1:
        return
    name = found[1].value.lower() if len(found) > 1 else ""
    assigns = len(found) > 2 and found[2].text != "("
    if name not in _PRAGMAS or assigns:
        raise EngineError(f"permission denied: {verb(sql)} {name} is closed to clients", sqlstate="42501")


def _check_explain(sql: str) -> None:
    found = tokens(sql)[1:]
    while found:
        if found[0].text == "(" and len(found) > 1 and not found[1].is_word(*_EXPLAINED) and found[1].text != "(":
            found = _after_parenthesis(found)
        elif found[0].is_word("ANALYZE", "ANALYSE", "VERBOSE") or found[0].text == "(":
            found = found[1:]
        else:
            break
    if not found or not found[0].is_word(*_EXPLAINED):
        raise EngineError("permission denied: EXPLAIN of this statement is closed to clients", sqlstate="42501")


def _after_parenthesis(found: list[Token]) -> list[Token]:
    depth = 0
    for index, token in enumerate(found):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0:
            return found[index + 1:]
    return []


def _copy_refusal(sql: str) -> EngineError:
    found = tokens(sql)
    if any(token.is_word("STDIN", "STDOUT") for token in found):
        return EngineError("COPY FROM STDIN and COPY TO STDOUT are not supported", sqlstate="0A000")
    return EngineError("permission denied: COPY to or from a file is closed to clients", sqlstate="42501")
