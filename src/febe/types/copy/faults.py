"""What can be wrong with COPY data, as PostgreSQL says it (copyfromparse.c)."""

from __future__ import annotations

from febe._kernel.errors import ValueDecodeError
from febe.types.copy.column import CopyColumn
from febe.types.copy.errors import CopyError

FORMAT = "22P04"

_FAULTS = {
    "extra": "extra data after last expected column",
    "missing": 'missing data for column "{name}"',
    "quote": "unterminated CSV quoted field",
    "default": "unexpected default marker in COPY data",
    "count": "row field count is {number}, expected {expected}",
    "size": "invalid field size",
    "cut": "unexpected EOF in COPY data",
    "trailing": "received copy data after EOF marker",
    "signature": "COPY file signature not recognized",
    "flags": "invalid COPY file header (missing flags)",
    "oids": "invalid COPY file header (WITH OIDS)",
    "critical": "unrecognized critical flags in COPY file header",
    "length": "invalid COPY file header (missing length)",
    "extension": "invalid COPY file header (wrong length)",
    "style": "end-of-copy marker does not match previous newline style",
    "alone": "end-of-copy marker is not alone on its line",
}
_ENDS = {
    ("return", False): ("literal carriage return found in data", 'Use "\\r" to represent carriage return.'),
    ("return", True): ("unquoted carriage return found in data", "Use quoted CSV field to represent carriage return."),
    ("newline", False): ("literal newline found in data", 'Use "\\n" to represent newline.'),
    ("newline", True): ("unquoted newline found in data", "Use quoted CSV field to represent newline."),
}

_NAMES = {"int2": "smallint", "int4": "integer", "int8": "bigint", "float4": "real", "float8": "double precision",
          "bool": "boolean", "timestamptz": "timestamp with time zone", "timetz": "time with time zone"}  # fmt: skip


def fault_of(
    fault: str, number: int, *, name: str = "", line: str | None = None, csv: bool = False, count: int = 0,
    expected: int = 0,
) -> CopyError:  # fmt: skip
    """Make the error of a fault that the kernel found in line `number`, whose text is `line`."""
    if fault == "long":
        return CopyError("a line or field of the COPY data is too long", "54000", line=number)
    if (fault, csv) in _ENDS:
        message, hint = _ENDS[fault, csv]
        return CopyError(message, FORMAT, hint=hint, line=number)
    detail = f'Column "{name}" has no default value.' if fault == "default" else None
    message = _FAULTS[fault].format(name=name, number=count, expected=expected)
    return CopyError(message, FORMAT, detail=detail, line=number, value=line)


def encoding_error(data: bytes, at: int, number: int, encoding: str = "UTF8", size: int = 0) -> CopyError:
    """Make the error of bytes that are no text; as many are shown as a character is said to have by its first byte
    (PostgreSQL: report_invalid_encoding).
    """
    if not size:
        size = 1 + sum(data[at] >= first for first in (0xC0, 0xE0, 0xF0)) if data[at] < 0xF8 else 1
    wrong = " ".join(f"0x{byte:02x}" for byte in data[at : at + size])
    return CopyError(f'invalid byte sequence for encoding "{encoding}": {wrong}', "22021", line=number)


def reject_of(limit: int, last: CopyError) -> CopyError:
    """Make the error of more bad rows than REJECT_LIMIT allows, `last` being one too many."""
    message = f"skipped more than REJECT_LIMIT ({limit}) rows due to data type incompatibility"
    return CopyError(message, "22P02", line=last.line, column=last.column, value=last.value)


def value_error(column: CopyColumn, number: int, error: ValueDecodeError, binary: bool) -> CopyError:
    """Make the error of a value that its type's input or receive function would refuse."""
    cause = error.__cause__
    name = _NAMES.get(column.codec.name, column.codec.name)
    text = None if binary else error.data.decode(errors="replace")
    if isinstance(cause, UnicodeDecodeError):
        made = encoding_error(cause.object, cause.start, number)
        made.column, made.value = column.name, text
        return made
    reason = error.reason
    if binary:
        message, sqlstate = f"invalid binary value of type {name}: {reason}", "22P03"
    elif "out of range" in reason:
        message, sqlstate = f'value "{text}" is out of range for type {name}', "22003"
        if name.startswith(("date", "time", "interval")):
            sqlstate = "22008"
    elif name.startswith(("date", "time", "interval")):
        message, sqlstate = f'invalid input syntax for type {name}: "{text}"', "22007"
    else:
        message, sqlstate = f'invalid input syntax for type {name}: "{text}"', "22P02"
    return CopyError(message, sqlstate, line=number, column=column.name, value=text)
