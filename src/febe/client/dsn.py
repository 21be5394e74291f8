"""Connection strings: URI and `keyword = value` form (libpq: "Connection Strings").

What libpq's PQconninfoParse makes of a string, this makes of it, errors included.  libpq works on bytes: a
percent-encoded byte that is no UTF-8 comes back as a surrogate escape (PEP 383), and goes out as that byte.
"""

from __future__ import annotations

import re

from febe.client.keywords import KEYWORDS
from febe.protocol.errors import LocalProtocolError

URI_PREFIXES = (b"postgresql://", b"postgres://")

_SPACES = b" \t\n\v\f\r"
_KEYWORD = re.compile(rb"([^=\s]*)\s*")
_NETLOC_END = re.compile(rb"[:/?,]")
_PORT_END = re.compile(rb"[/?,]")
_HEXADECIMAL = frozenset(b"0123456789ABCDEFabcdef")


def invalid(text: str) -> LocalProtocolError:
    """The error for a connection option that makes no sense."""
    return LocalProtocolError(text, sqlstate="22023")


def is_connection_string(text: str) -> bool:
    """Whether it can be one; as a database name it stands for all that it says (PQconnectdbParams)."""
    return text.startswith(("postgresql://", "postgres://")) or "=" in text


def parse_conninfo(text: str) -> dict[str, str]:
    """The options a connection string gives, by libpq's keywords, the last one of a name.

    Errors: LocalProtocolError (22023), in libpq's words.
    """
    data = text.encode("utf-8", "surrogateescape")
    if b"\0" in data:
        raise invalid("a connection string cannot hold a NUL character")
    found: dict[str, str] = {}
    if data.startswith(URI_PREFIXES):
        _parse_uri(data, found)
    else:
        _parse_pairs(data, found)
    return found


def quoted(value: str) -> str:
    """A value as it is written after `keyword=`."""
    if value and not re.search(r"[\s'\\]", value, re.ASCII):
        return value
    return "'" + value.replace("\\", r"\\").replace("'", r"\'") + "'"


def _store(found: dict[str, str], keyword: bytes, value: bytes) -> bool:
    name = _text(keyword)
    if name == "requiressl":  # from before sslmode (conninfo_storeval)
        name, value = "sslmode", b"require" if value[:1] == b"1" else b"prefer"
    if name not in KEYWORDS:
        return False
    found[name] = _text(value)
    return True


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _parse_pairs(data: bytes, found: dict[str, str]) -> None:
    pos = _after_spaces(data, 0)
    while pos < len(data):
        match = _KEYWORD.match(data, pos)
        assert match is not None
        keyword, pos = match[1], match.end()
        if data[pos:pos + 1] != b"=":
            raise invalid(f'missing "=" after "{_text(keyword)}" in connection info string')
        pos = _after_spaces(data, pos + 1)
        if data[pos:pos + 1] == b"'":
            value, pos = _value(data, pos + 1, b"'")
            if pos > len(data):
                raise invalid("unterminated quoted string in connection info string")
        else:
            value, pos = _value(data, pos, _SPACES)
        if not _store(found, keyword, value):
            raise invalid(f'invalid connection option "{_text(keyword)}"')
        pos = _after_spaces(data, pos)


def _value(data: bytes, pos: int, ends: bytes) -> tuple[bytes, int]:
    """The value up to one of `ends`, without backslashes, and the place after; past the end if there is none."""
    made = bytearray()
    while pos < len(data):
        byte = data[pos]
        pos += 1
        if byte in ends:
            return bytes(made), pos
        if byte == 0x5C:
            made += data[pos:pos + 1]
            pos += 1
        else:
            made.append(byte)
    return bytes(made), len(data) + 1


def _after_spaces(data: bytes, pos: int) -> int:
    while data[pos:pos + 1] and data[pos] in _SPACES:
        pos += 1
    return pos


def _parse_uri(uri: bytes, found: dict[str, str]) -> None:
    pos = next(len(prefix) for prefix in URI_PREFIXES if uri.startswith(prefix))
    at, slash = uri.find(b"@", pos), uri.find(b"/", pos)
    if at >= 0 and not 0 <= slash < at:
        user, _, password = uri[pos:at].partition(b":")
        for keyword, value in ((b"user", user), (b"password", password)):
            if value:
                _store(found, keyword, _decoded(value))
        pos = at + 1
    hosts, ports = [], []
    while True:
        host, pos = _netloc(uri, pos)
        hosts.append(host)
        port = b""
        if uri[pos:pos + 1] == b":":
            pos, start = _next(_PORT_END, uri, pos + 1), pos + 1
            port = uri[start:pos]
        ports.append(port)
        if uri[pos:pos + 1] != b",":
            break
        pos += 1
    for keyword, values in ((b"host", hosts), (b"port", ports)):
        joined = b",".join(values)
        if joined:
            _store(found, keyword, _decoded(joined))
    path, question, query = uri[pos:].partition(b"?")
    if path[1:]:
        _store(found, b"dbname", _decoded(path[1:]))
    if question:
        _parse_query(query, found)


def _netloc(uri: bytes, pos: int) -> tuple[bytes, int]:
    if uri[pos:pos + 1] != b"[":
        end = _next(_NETLOC_END, uri, pos)
        return uri[pos:end], end
    end = uri.find(b"]", pos)
    if end < 0:
        raise invalid('end of string reached when looking for matching "]" in IPv6 host address in URI: '
                      f'"{_text(uri)}"')
    if end == pos + 1:
        raise invalid(f'IPv6 host address may not be empty in URI: "{_text(uri)}"')
    after = uri[end + 1:end + 2]
    if after and after not in b":/?,":
        raise invalid(f'unexpected character "{_text(after)}" at position {end + 2} in URI (expected ":" or "/"): '
                      f'"{_text(uri)}"')
    return uri[pos + 1:end], end + 1


def _next(what: re.Pattern[bytes], data: bytes, pos: int) -> int:
    match = what.search(data, pos)
    return len(data) if match is None else match.start()


def _parse_query(query: bytes, found: dict[str, str]) -> None:
    # A "&" at the very end begins no parameter.
    pairs = query.removesuffix(b"&").split(b"&") if query else []
    for pair in pairs:
        keyword, *values = pair.split(b"=")
        if len(values) > 1:
            raise invalid(f'extra key/value separator "=" in URI query parameter: "{_text(keyword)}"')
        if not values:
            raise invalid(f'missing key/value separator "=" in URI query parameter: "{_text(keyword)}"')
        keyword, value = _decoded(keyword), _decoded(values[0])
        if (keyword, value) == (b"ssl", b"true"):  # as JDBC spells it
            keyword, value = b"sslmode", b"require"
        if not _store(found, keyword, value):
            raise invalid(f'invalid URI query parameter: "{_text(keyword)}"')


def _decoded(data: bytes) -> bytes:
    """Percent-decoded, without blanks around it."""
    made = bytearray()
    body = data.lstrip(b" ")
    pos = 0
    while pos < len(body) and body[pos] != 0x20:
        if body[pos] != 0x25:
            made.append(body[pos])
            pos += 1
            continue
        digits = body[pos + 1:pos + 3]
        if len(digits) < 2 or not _HEXADECIMAL.issuperset(digits):
            raise invalid(f'invalid percent-encoded token: "{_text(data)}"')
        if digits == b"00":
            raise invalid(f'forbidden value %00 in percent-encoded value: "{_text(data)}"')
        made.append(int(digits, 16))
        pos += 3
    if body[pos:].strip(b" "):
        raise invalid(f'unexpected spaces found in "{_text(data)}", use percent-encoded spaces (%20) instead')
    return bytes(made)


__all__ = ["invalid", "is_connection_string", "parse_conninfo", "quoted"]
