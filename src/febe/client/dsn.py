"""Connection strings: URI and `keyword = value` form (libpq: "Connection Strings")."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from febe.protocol.errors import LocalProtocolError

URI_PREFIXES = ("postgresql://", "postgres://")

# keyword = value, the value quoted or not, with backslash escapes in both
_PAIR = re.compile(r"\s*([^\s=]+)\s*=\s*('(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)(?:[^\s\\]|\\.)*|)(?=\s|\Z)", re.DOTALL)
_URI = re.compile(r"(?:(?P<user>[^:@/?]*)(?::(?P<password>[^@/?]*))?@)?"
                  r"(?P<host>\[[^\]]*\]|[^:/?]*)(?::(?P<port>[^/?]*))?"
                  r"(?:/(?P<dbname>[^?]*))?(?:\?(?P<query>.*))?", re.DOTALL)


def invalid(text: str) -> LocalProtocolError:
    """The error for a connection option that makes no sense."""
    return LocalProtocolError(text, sqlstate="22023")


def parse_conninfo(text: str) -> dict[str, str]:
    """The options a connection string gives, by libpq's keywords.

    Errors: LocalProtocolError (22023).
    """
    for prefix in URI_PREFIXES:
        if text.startswith(prefix):
            return _parse_uri(text[len(prefix):])
    return _parse_pairs(text)


def _parse_pairs(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    pos, end = 0, len(text.rstrip())
    while pos < end:
        match = _PAIR.match(text, pos)
        if match is None:
            raise invalid('the connection string is not of the form "keyword = value ..."')
        keyword, value = match.groups()
        if value.startswith("'"):
            value = value[1:-1]
        found[keyword] = re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)
        pos = match.end()
    return found


def _parse_uri(text: str) -> dict[str, str]:
    match = _URI.fullmatch(text)
    if match is None:
        raise invalid("the connection URI cannot be read")
    found = {name: _decoded(value) for name, value in match.groupdict().items() if value and name != "query"}
    if found.get("host", "").startswith("["):
        found["host"] = found["host"][1:-1]
    for pair in filter(None, (match["query"] or "").split("&")):
        keyword, separator, value = pair.partition("=")
        if not separator or "=" in value:
            raise invalid(f'a parameter of the connection URI is not of the form keyword=value: "{pair}"')
        found[_decoded(keyword)] = _decoded(value)
    # JDBC's spelling, which libpq takes too
    if found.get("ssl") == "true":
        del found["ssl"]
        found["sslmode"] = "require"
    return found


def _decoded(text: str) -> str:
    if re.search(r"%(?![0-9A-Fa-f]{2})", text) or "%00" in text:
        raise invalid(f'invalid percent-encoded token: "{text}"')
    try:
        return unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        raise invalid(f'a percent-encoded token is not UTF-8: "{text}"') from None


__all__ = ["invalid", "parse_conninfo"]
