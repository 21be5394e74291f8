"""What a statement is for Spark: a query, which is described without running, or a command, which runs when it is sent.

Parameters `$1` become Spark's named `:p1`.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from febe.engines.spark.types import CASTS
from febe.server.engine import EngineError
from febe.server.sql import Token, TokenKind, tokens
from febe.types import oids

_QUERIES = ("SELECT", "VALUES", "TABLE", "FROM", "WITH")
# They read and change nothing, so running them to learn their columns does no harm.
_SHOWING = ("SHOW", "DESCRIBE", "DESC", "EXPLAIN", "LIST")
_COMMANDS = ("INSERT", "UPDATE", "DELETE", "MERGE", "CREATE", "ALTER", "DROP", "TRUNCATE", "CACHE", "UNCACHE",
             "REFRESH", "ANALYZE", "MSCK", "REPAIR", "USE", "COMMENT", "REPLACE", "OPTIMIZE", "VACUUM", "CLEAR")
_FILES = ("LOAD", "ADD", "EXPORT", "IMPORT")


@dataclass(slots=True, kw_only=True)
class Spoken:
    """A statement as Spark is given it."""

    sql: str
    parameters: tuple[int, ...]
    """Type OID of each parameter."""
    is_query: bool
    shows: bool
    tag: str
    counts: frozenset[int] = frozenset()
    """Numbers of the parameters that stand after LIMIT or OFFSET."""
    places: list[tuple[int, int]] = field(default_factory=list)
    """(offset in `sql` after each parameter, how many characters the client's text is ahead of it)."""

    def original(self, offset: int) -> int | None:
        """The client's offset for one in `sql`."""
        found = bisect_right(self.places, (offset, 1 << 62))
        return offset + (self.places[found - 1][1] if found else 0)


def understand(text: str, given: tuple[int, ...]) -> Spoken:
    """Rewrite a statement for Spark, and say what it is.

    Errors: EngineError 42501 for what would open the server's files, 42601, 0A000.
    """
    found = list(tokens(text))
    verb = next((token.text.upper() for token in found if token.text != "("), "")
    if verb in _FILES:
        raise EngineError(f"permission denied: {verb} is closed to clients", sqlstate="42501")
    is_query = verb in _QUERIES and not _inserts(found)
    if not is_query and verb not in _SHOWING and verb not in _COMMANDS and verb not in _QUERIES:
        raise EngineError(f'syntax error at or near "{verb.lower()}"' if verb else "there is no statement",
                          sqlstate="42601", position=1)
    pieces, places, types = [], [], dict(enumerate((oid for oid in given), 1))
    written = read = 0
    counts = set()
    for index, token in enumerate(found):
        if token.kind is not TokenKind.PARAMETER:
            continue
        number = int(token.text[1:])
        if not 1 <= number <= 65535:
            raise EngineError(f"there is no parameter {token.text}", sqlstate="42P02", position=token.start + 1)
        if index and found[index - 1].is_word("LIMIT", "OFFSET"):
            counts.add(number)
        types[number] = types.get(number) or (oids.INT4 if number in counts else _cast(found[index + 1:index + 4]))
        piece = f"{text[read:token.start]}:p{number}"
        pieces.append(piece)
        written += len(piece)
        read = token.end
        places.append((written, read - written))
    pieces.append(text[read:])
    parameters = tuple(types.get(number) or oids.TEXT for number in range(1, max(types, default=0) + 1))
    return Spoken(sql="".join(pieces), parameters=parameters, is_query=is_query, shows=verb in _SHOWING,
                  tag=_tag(verb, found, is_query), counts=frozenset(counts), places=places)


def _inserts(found: list[Token]) -> bool:
    """Whether a statement that begins like a query writes: WITH ... INSERT, FROM t INSERT."""
    depth = 0
    for token in found:
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0 and token.is_word("INSERT", "UPDATE", "DELETE", "MERGE"):
            return True
    return False


def _cast(after: list[Token]) -> int:
    """The type that a cast behind a parameter asks for; 0: there is none."""
    if [token.text for token in after[:2]] == [":", ":"]:
        after = after[2:]
    elif after and (after[0].text == "::" or after[0].is_word("AS")):
        after = after[1:]
    else:
        return 0
    return CASTS.get(after[0].value, 0) if after else 0


def _tag(verb: str, found: list[Token], is_query: bool) -> str:
    if is_query:
        return "SELECT {}"
    words = [token.text.upper() for token in found if token.kind is TokenKind.WORD]
    if verb in ("CREATE", "ALTER", "DROP", "TRUNCATE", "REPLACE"):
        noun = next((word for word in words[1:] if word in ("TABLE", "VIEW", "SCHEMA", "DATABASE", "FUNCTION")), "")
        return f"{verb} {noun}".strip()
    if verb in _QUERIES:  # Spark does not say how many rows it wrote
        return "INSERT"
    return {"DESC": "DESCRIBE"}.get(verb, verb)
