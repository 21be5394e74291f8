"""The options of COPY that say what its data look like (manual: "COPY", Parameters)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from febe.types.copy.encodings import encoding_name
from febe.types.copy.errors import CopyError

_SYNTAX, _VALUE, _UNSUPPORTED = "42601", "22023", "0A000"

Columns = Sequence[str] | Literal["*"] | None


@dataclass(slots=True, kw_only=True)
class CopyFormat:
    """The options as they were given; None: not given.  The names and meanings are the manual's.

    `check` refuses what PostgreSQL refuses.  Lists of columns are names, or "*" for all.
    """

    format: str = "text"
    freeze: bool | None = None
    delimiter: str | None = None
    null: str | None = None
    default: str | None = None
    header: bool | Literal["match"] | None = None
    quote: str | None = None
    escape: str | None = None
    force_quote: Columns = None
    force_not_null: Columns = None
    force_null: Columns = None
    on_error: str | None = None
    reject_limit: int | None = None
    encoding: str | None = None
    log_verbosity: str | None = None

    @property
    def binary(self) -> bool:
        return self.format == "binary"

    @property
    def csv(self) -> bool:
        return self.format == "csv"

    @property
    def delimiter_used(self) -> str:
        return self.delimiter if self.delimiter is not None else "," if self.csv else "\t"

    @property
    def null_used(self) -> str:
        return self.null if self.null is not None else "" if self.csv else "\\N"

    @property
    def quote_used(self) -> str:
        return self.quote if self.quote is not None else '"'

    @property
    def escape_used(self) -> str:
        return self.escape if self.escape is not None else self.quote_used

    def marked(self, option: str, names: Sequence[str]) -> bytes:
        """Say for each of the COPY's columns whether FORCE_QUOTE, FORCE_NOT_NULL or FORCE_NULL names it: 1 or 0.

        CopyError 42P10 for a name that is none of them.
        """
        given: Columns = getattr(self, option)
        if given == "*":
            return b"\1" * len(names)
        for name in given or ():
            if name not in names:
                raise CopyError(f'{option.upper()} column "{name}" not referenced by COPY', "42P10")
        return bytes([name in (given or ()) for name in names])

    @classmethod
    def from_options(cls, options: Iterable[tuple[str, Any]], *, is_from: bool) -> CopyFormat:
        """Make it of a statement's options, and check it.

        A value is what the statement has: a str, an int, a bool, None where there is none, a list of names or "*".
        Errors: CopyError (PostgreSQL: ProcessCopyOptions).
        """
        found: dict[str, Any] = {}
        for name, value in options:
            read = _READ.get(name)
            if read is None:
                raise CopyError(f'option "{name}" not recognized', _SYNTAX)
            if name in found:
                raise CopyError("conflicting or redundant options", _SYNTAX)
            found[name] = read(name, value, is_from)
        made = cls(**found)
        made.check(is_from=is_from)
        return made

    def check(self, *, is_from: bool | None = None) -> None:
        """Refuse what PostgreSQL refuses, in its order and words; None leaves out what depends on the direction."""
        _format("format", self.format, True)
        for broken, message, sqlstate in _rules(self, is_from):
            if broken:
                raise CopyError(message, sqlstate)

    def sql(self) -> str:
        """Give the options as the statement has them, in parentheses; "" when there are none."""
        parts = [_option(one.name, getattr(self, one.name)) for one in fields(self)
                 if getattr(self, one.name) not in (None, () if one.name.startswith("force") else None)]
        return f"({', '.join(parts)})"


def _option(name: str, value: Any) -> str:
    shown = value
    if isinstance(value, str) and not (value == "*" and name.startswith("force")):
        quoted = value.replace("'", "''")
        shown = "E'" + quoted.replace("\\", "\\\\") + "'" if "\\" in value else f"'{quoted}'"
    elif isinstance(value, bool):
        shown = "true" if value else "false"
    elif isinstance(value, Sequence) and not isinstance(value, str):
        shown = "(" + ", ".join('"' + name.replace('"', '""') + '"' for name in value) + ")"
    return f"{name.upper()} {shown}"


def _rules(form: CopyFormat, is_from: bool | None) -> Iterable[tuple[bool, str, str]]:
    """Give what may be wrong: whether it is, the message, the SQLSTATE (PostgreSQL: ProcessCopyOptions)."""
    binary, csv = form.binary, form.csv
    to, into = is_from is False, is_from is True
    delimiter, null, default = form.delimiter_used, form.null_used, form.default
    quote, escape = form.quote_used, form.escape_used
    yield binary and form.delimiter is not None, "cannot specify DELIMITER in BINARY mode", _SYNTAX
    yield binary and form.null is not None, "cannot specify NULL in BINARY mode", _SYNTAX
    yield binary and default is not None, "cannot specify DEFAULT in BINARY mode", _SYNTAX
    yield _bytes(delimiter) != 1, "COPY delimiter must be a single one-byte character", _UNSUPPORTED
    yield _ends_line(delimiter), "COPY delimiter cannot be newline or carriage return", _VALUE
    yield _ends_line(null), "COPY null representation cannot use newline or carriage return", _VALUE
    yield _ends_line(default or ""), "COPY default representation cannot use newline or carriage return", _VALUE
    yield (not csv and delimiter in "\\.abcdefghijklmnopqrstuvwxyz0123456789",
           f'COPY delimiter cannot be "{delimiter}"', _VALUE)
    yield binary and bool(form.header), "cannot specify HEADER in BINARY mode", _UNSUPPORTED
    yield not csv and form.quote is not None, "COPY QUOTE requires CSV mode", _UNSUPPORTED
    yield csv and _bytes(quote) != 1, "COPY quote must be a single one-byte character", _UNSUPPORTED
    yield csv and delimiter == quote, "COPY delimiter and quote must be different", _VALUE
    yield not csv and form.escape is not None, "COPY ESCAPE requires CSV mode", _UNSUPPORTED
    yield csv and _bytes(escape) != 1, "COPY escape must be a single one-byte character", _UNSUPPORTED
    yield not csv and form.force_quote is not None, "COPY FORCE_QUOTE requires CSV mode", _UNSUPPORTED
    yield into and form.force_quote is not None, "COPY FORCE_QUOTE cannot be used with COPY FROM", _UNSUPPORTED
    for name, value in (("FORCE_NOT_NULL", form.force_not_null), ("FORCE_NULL", form.force_null)):
        yield not csv and value is not None, f"COPY {name} requires CSV mode", _UNSUPPORTED
        yield to and value is not None, f"COPY {name} cannot be used with COPY TO", _VALUE
    yield delimiter in null, "COPY delimiter character must not appear in the NULL specification", _VALUE
    yield csv and quote in null, "CSV quote character must not appear in the NULL specification", _VALUE
    yield to and bool(form.freeze), "COPY FREEZE cannot be used with COPY TO", _VALUE
    if default is not None:
        yield to, "COPY DEFAULT cannot be used with COPY TO", _UNSUPPORTED
        same = "must not appear in the DEFAULT specification"
        yield delimiter in default, f"COPY delimiter character {same}", _UNSUPPORTED
        yield csv and quote in default, f"CSV quote character {same}", _UNSUPPORTED
        yield null == default, "NULL specification and DEFAULT specification cannot be the same", _UNSUPPORTED
    yield (binary and form.on_error not in (None, "stop"),
           "only ON_ERROR STOP is allowed in BINARY mode", _SYNTAX)
    yield (form.reject_limit is not None and form.on_error in (None, "stop"),
           "COPY REJECT_LIMIT requires ON_ERROR to be set to IGNORE", _VALUE)


def _bytes(text: str) -> int:
    return len(text.encode())


def _ends_line(text: str) -> bool:
    return "\r" in text or "\n" in text


def _text(name: str, value: Any, is_from: bool) -> str:
    """Read a value as a string (PostgreSQL: defGetString)."""
    if value is None:
        raise CopyError(f"{name} requires a parameter", _SYNTAX)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _format(name: str, value: Any, is_from: bool) -> str:
    text = _text(name, value, is_from)
    if text not in ("text", "csv", "binary"):
        raise CopyError(f'COPY format "{text}" not recognized', _VALUE)
    return text


def _boolean(name: str, value: Any, is_from: bool) -> bool:
    """Read a Boolean (PostgreSQL: defGetBoolean)."""
    if value is None:
        return True
    known = {"1": True, "0": False} if isinstance(value, int) and not isinstance(value, bool) else {
        "true": True, "false": False, "on": True, "off": False}  # fmt: skip
    text = _text(name, value, is_from).lower()
    if text not in known:
        raise CopyError(f"{name} requires a Boolean value", _SYNTAX)
    return known[text]


def _header(name: str, value: Any, is_from: bool) -> bool | Literal["match"]:
    """Read HEADER's choice (PostgreSQL: defGetCopyHeaderChoice)."""
    if isinstance(value, str) and value.lower() == "match":
        if not is_from:
            raise CopyError(f'cannot use "{value}" with HEADER in COPY TO', _UNSUPPORTED)
        return "match"
    try:
        return _boolean(name, value, is_from)
    except CopyError:
        raise CopyError(f'{name} requires a Boolean value or "match"', _SYNTAX) from None


def _columns(name: str, value: Any, is_from: bool) -> Columns:
    if value != "*" and (not isinstance(value, Sequence) or isinstance(value, str)):
        raise CopyError(f'argument to option "{name}" must be a list of column names', _VALUE)
    return value  # type: ignore[no-any-return]


def _choice(*choices: str, input_only: bool = False) -> Callable[[str, Any, bool], str]:
    def read(name: str, value: Any, is_from: bool) -> str:
        text = _text(name, value, is_from)
        if input_only and not is_from:
            raise CopyError(f"COPY {name.upper()} cannot be used with COPY TO", _VALUE)
        if text.lower() not in choices:
            raise CopyError(f'COPY {name.upper()} "{text}" not recognized', _VALUE)
        return text.lower()

    return read


def _limit(name: str, value: Any, is_from: bool) -> int:
    """Read REJECT_LIMIT (PostgreSQL: defGetCopyRejectLimitOption)."""
    if value is None:
        raise CopyError(f"{name} requires a numeric value", _SYNTAX)
    try:
        limit = int(value)
    except ValueError:
        raise CopyError(f'invalid input syntax for type bigint: "{value}"', "22P02") from None
    if limit <= 0:
        raise CopyError(f"REJECT_LIMIT ({limit}) must be greater than zero", _VALUE)
    return limit


def _encoding(name: str, value: Any, is_from: bool) -> str:
    found = encoding_name(_text(name, value, is_from))
    if found is None:
        raise CopyError(f'argument to option "{name}" must be a valid encoding name', _VALUE)
    return found


_READ: dict[str, Callable[[str, Any, bool], Any]] = {
    "format": _format, "freeze": _boolean, "delimiter": _text, "null": _text, "default": _text, "header": _header,
    "quote": _text, "escape": _text, "force_quote": _columns, "force_not_null": _columns, "force_null": _columns,
    "on_error": _choice("stop", "ignore", input_only=True), "reject_limit": _limit, "encoding": _encoding,
    "log_verbosity": _choice("silent", "default", "verbose"),
}  # fmt: skip
