"""Run-time parameters: what SET, SHOW and the start-up packet may say (manual: "Server Configuration").

A parameter that febe would not honour is not accepted: each one's values are the ones that are true of this server.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from febe.server.engine import PASSED_ON, EngineError

# What clients read a version's features from; "18.0 (...)" is of the form every driver parses.
POSTGRESQL_VERSION = "18.0"


def _febe_version() -> str:
    try:
        return version("febe")
    except PackageNotFoundError:
        return "unknown"


SERVER_VERSION = f"{POSTGRESQL_VERSION} (febe {_febe_version()})"


@dataclass(slots=True, kw_only=True, frozen=True)
class Parameter:
    """One parameter.  `accept` gives a value its canonical form; None: it cannot be changed."""

    name: str
    value: str
    accept: Callable[[Parameter, str], str] | None
    reported: bool = False
    """A change is told in a ParameterStatus (manual: "Asynchronous Operations")."""


def _invalid(parameter: Parameter, value: str) -> EngineError:
    return EngineError(f'invalid value for parameter "{parameter.name}": "{value}"', sqlstate="22023")


def _unsupported(parameter: Parameter, value: str) -> EngineError:
    return EngineError(f'value "{value}" of parameter "{parameter.name}" is not supported', sqlstate="0A000")


def _any(parameter: Parameter, value: str) -> str:
    return value


def printable(text: str) -> str:
    """`text` in printable ASCII, other bytes as \\xNN, fit for a log line (string.c, pg_clean_ascii)."""
    return "".join(chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in text.encode())


def _printable(parameter: Parameter, value: str) -> str:
    return printable(value)


def _boolean(parameter: Parameter, value: str) -> str:
    return "on" if parse_boolean(parameter, value) else "off"


def parse_boolean(parameter: Parameter, value: str) -> bool:
    """`on`, `yes`, `true`, `1` and their opposites, or a beginning of them that is clear (bool.c, parse_bool)."""
    text = value.lower()
    for names, meaning in ((("true", "yes", "on", "1"), True), (("false", "no", "off", "0"), False)):
        if text and text != "o" and any(name.startswith(text) for name in names):
            return meaning
    raise _invalid(parameter, value)


def _one_of(*values: str) -> Callable[[Parameter, str], str]:
    def accept(parameter: Parameter, value: str) -> str:
        if value.lower() not in values:
            raise _unsupported(parameter, value)
        return value.lower()

    return accept


def _boolean_being(only: str) -> Callable[[Parameter, str], str]:
    def accept(parameter: Parameter, value: str) -> str:
        if _boolean(parameter, value) != only:
            raise _unsupported(parameter, value)
        return only

    return accept


def _integer(least: int, most: int) -> Callable[[Parameter, str], str]:
    def accept(parameter: Parameter, value: str) -> str:
        if not re.fullmatch(r"\s*[+-]?[0-9]{1,10}\s*", value):
            raise _invalid(parameter, value)
        if not least <= int(value) <= most:
            raise _unsupported(parameter, value)
        return str(int(value))

    return accept


def _milliseconds(parameter: Parameter, value: str) -> str:
    """A time with or without a unit (manual: "Parameter Names and Values"), kept in milliseconds."""
    match = re.match(r"\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?)\s*", value)
    unit = value[match.end():].rstrip() or "ms" if match is not None else ""
    found = round(float(match[1]) * _UNITS[unit]) if match is not None and unit in _UNITS else None
    if found is None or not -0x80000000 <= found <= 0x7FFFFFFF:
        hint = None
        if match is not None:
            hint = ("Value exceeds integer range." if unit in _UNITS
                    else 'Valid units for this parameter are "us", "ms", "s", "min", "h", and "d".')
        raise EngineError(f'invalid value for parameter "{parameter.name}": "{value}"', sqlstate="22023", hint=hint)
    if found < 0:
        raise EngineError(f"{found} ms is outside the valid range for parameter "
                          f'"{parameter.name}" (0 ms .. 2147483647 ms)', sqlstate="22023")
    # as SHOW has it: in the largest unit that it is a whole number of
    unit = next((unit for unit in ("d", "h", "min", "s", "ms") if found % _UNITS[unit] == 0), "ms")
    return f"{found // int(_UNITS[unit])}{unit}" if found else "0"


def milliseconds(text: str) -> int:
    """How many milliseconds a time-out's value is."""
    return round(float(text.rstrip("dhmins")) * _UNITS[text.lstrip("0123456789") or "ms"])


def _no_timeout(parameter: Parameter, value: str) -> str:
    if _milliseconds(parameter, value) != "0":
        raise _unsupported(parameter, value)
    return "0"


_UNITS = {"us": 0.001, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_TIMEOUTS = frozenset({"statement_timeout", "transaction_timeout", "idle_session_timeout",
                       "idle_in_transaction_session_timeout"})


def _encoding(parameter: Parameter, value: str) -> str:
    name = re.sub(r"[^a-z0-9]", "", value.lower())
    if name in ("utf8", "unicode"):
        return "UTF8"
    if name == "sqlascii":
        return "SQL_ASCII"
    if re.fullmatch(r"(latin|win|iso8859|koi8|euc|sjis|big5|gb|uhc|johab|mule|windows|shiftjis|abc|tcvn|alt|vscii)\w*",
                    name):
        raise EngineError(f"conversion between {value} and UTF8 is not supported", sqlstate="0A000")
    raise _invalid(parameter, value)


def _date_style(parameter: Parameter, value: str) -> str:
    """Output is always ISO; the order of day and month in input follows the engine."""
    style, order = "ISO", "MDY"
    for word in value.split(","):
        match word.strip().lower():
            case "iso":
                style = "ISO"
            case "mdy" | "us" | "noneuro" | "noneuropean":
                order = "MDY"
            case "default" | "":
                pass
            case "postgres" | "sql" | "german" | "dmy" | "ymd" | "euro" | "european":
                raise _unsupported(parameter, value)
            case _:
                raise _invalid(parameter, value)
    return f"{style}, {order}"


_OFFSET = re.compile(r"[+-]?[0-9]{1,2}(:?[0-9]{2})?(\.[0-9]+)?|(GMT|UTC|<[+-]?[0-9]{1,2}>)[+-]?[0-9:]{0,9}",
                     re.IGNORECASE)


def _zone(parameter: Parameter, value: str) -> str:
    """A zone of the IANA data base or an offset; a timestamptz is sent in UTC all the same, with its `+00`."""
    if _OFFSET.fullmatch(value):
        return value
    try:
        return zoneinfo.ZoneInfo(value).key
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        pass
    named = _zones().get(value.lower())
    if named is None:
        raise _invalid(parameter, value)
    return named


def _zones() -> dict[str, str]:
    return {name.lower(): name for name in zoneinfo.available_timezones()}


def _isolation(parameter: Parameter, value: str) -> str:
    level = " ".join(value.lower().split())
    if level in ("read uncommitted", "read committed", "repeatable read"):
        return level
    raise (_unsupported if level == "serializable" else _invalid)(parameter, value)


_TABLE = (
    # The fifteen that PostgreSQL 18 reports, in its order.
    Parameter(name="in_hot_standby", value="off", accept=None, reported=True),
    Parameter(name="integer_datetimes", value="on", accept=None, reported=True),
    Parameter(name="TimeZone", value="UTC", accept=_zone, reported=True),
    Parameter(name="IntervalStyle", value="postgres", accept=_one_of("postgres"), reported=True),
    Parameter(name="search_path", value='"$user", public', accept=_any, reported=True),
    Parameter(name="is_superuser", value="off", accept=None, reported=True),
    Parameter(name="application_name", value="", accept=_printable, reported=True),
    Parameter(name="default_transaction_read_only", value="off", accept=_boolean, reported=True),
    Parameter(name="scram_iterations", value="4096", accept=None, reported=True),
    Parameter(name="DateStyle", value="ISO, MDY", accept=_date_style, reported=True),
    Parameter(name="standard_conforming_strings", value="on", accept=_boolean_being("on"), reported=True),
    Parameter(name="session_authorization", value="", accept=None, reported=True),
    Parameter(name="client_encoding", value="UTF8", accept=_encoding, reported=True),
    Parameter(name="server_version", value=SERVER_VERSION, accept=None, reported=True),
    Parameter(name="server_encoding", value="UTF8", accept=None, reported=True),
    # Others that clients set or ask for.
    Parameter(name="array_nulls", value="on", accept=_boolean_being("on")),
    Parameter(name="backslash_quote", value="safe_encoding", accept=_one_of("safe_encoding")),
    Parameter(name="block_size", value="8192", accept=None),
    Parameter(name="bytea_output", value="hex", accept=_one_of("hex")),
    Parameter(name="check_function_bodies", value="on", accept=_boolean),
    Parameter(name="client_min_messages", value="notice", accept=_one_of(
        "debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error")),
    Parameter(name="default_table_access_method", value="heap", accept=_one_of("heap")),
    Parameter(name="default_tablespace", value="", accept=_one_of("")),
    Parameter(name="default_transaction_deferrable", value="off", accept=_boolean_being("off")),
    Parameter(name="default_transaction_isolation", value="read committed", accept=_isolation),
    Parameter(name="enable_seqscan", value="on", accept=_boolean),
    Parameter(name="escape_string_warning", value="on", accept=_boolean),
    Parameter(name="extra_float_digits", value="1", accept=_integer(1, 3)),
    Parameter(name="geqo", value="on", accept=_boolean),
    Parameter(name="idle_in_transaction_session_timeout", value="0", accept=_milliseconds),
    Parameter(name="idle_session_timeout", value="0", accept=_milliseconds),
    Parameter(name="jit", value="off", accept=_boolean_being("off")),
    Parameter(name="lc_collate", value="C", accept=None),
    Parameter(name="lc_ctype", value="C", accept=None),
    Parameter(name="lc_messages", value="C", accept=_any),
    Parameter(name="lc_monetary", value="C", accept=_one_of("c", "posix")),
    Parameter(name="lc_numeric", value="C", accept=_one_of("c", "posix")),
    Parameter(name="lc_time", value="C", accept=_one_of("c", "posix")),
    Parameter(name="lock_timeout", value="0", accept=_no_timeout),
    Parameter(name="max_connections", value="100", accept=None),
    Parameter(name="max_identifier_length", value="63", accept=None),
    Parameter(name="max_index_keys", value="32", accept=None),
    Parameter(name="quote_all_identifiers", value="off", accept=_boolean),
    Parameter(name="role", value="none", accept=_one_of("none")),
    Parameter(name="row_security", value="on", accept=_boolean),
    Parameter(name="server_version_num", value="180000", accept=None),
    Parameter(name="ssl", value="off", accept=None),
    Parameter(name="statement_timeout", value="0", accept=_milliseconds),
    Parameter(name="synchronize_seqscans", value="on", accept=_boolean),
    Parameter(name="synchronous_commit", value="on", accept=_one_of("on", "off", "local", "remote_write")),
    Parameter(name="track_activities", value="on", accept=None),
    Parameter(name="track_counts", value="off", accept=None),
    Parameter(name="transaction_deferrable", value="off", accept=None),
    Parameter(name="transaction_isolation", value="read committed", accept=_isolation),
    Parameter(name="transaction_read_only", value="off", accept=None),
    Parameter(name="transaction_timeout", value="0", accept=_milliseconds),
    Parameter(name="xmloption", value="content", accept=_one_of("content")),
)
UNLISTED = frozenset(("is_superuser", "lc_collate", "lc_ctype", "role", "session_authorization"))
KNOWN = {parameter.name.lower(): parameter for parameter in _TABLE}


class Parameters:
    """One session's values.  What SET changed in a transaction is undone with it; SET LOCAL always is."""

    def __init__(self, **fixed: str) -> None:
        self._values = {parameter.name: parameter.value for parameter in _TABLE} | fixed
        self._defaults = dict(self._values)
        self._reported: dict[str, str] = {}
        self._before: dict[str, str] | None = None
        self._kept: dict[str, str] | None = None
        self._passed = {name: self._values[name] for name in PASSED_ON}
        self.changed = True
        self.unpassed = False
        """A parameter that the engine is told of may have changed."""
        self.timed = False
        """A time-out has been set, at one time or another."""

    @property
    def default_read_only(self) -> bool:
        """Whether a transaction begins read-only."""
        return self._values["default_transaction_read_only"] == "on"

    def start(self, name: str, value: str) -> None:
        """Set what the start-up packet asks for, which is what RESET goes back to.  Errors: EngineError."""
        self.set(name, value)
        self._defaults = dict(self._values)

    def get(self, name: str) -> str:
        """The value.  Errors: EngineError (42704)."""
        try:
            return self._values[self.canonical(name)]
        except KeyError:
            raise _unrecognized(name) from None

    def set(self, name: str, value: str | None) -> str:
        """Set to `value`, or back to the default when None; return the canonical name.  Errors: EngineError."""
        parameter = KNOWN.get(name.lower())
        if parameter is None:
            # "Customized Options" of the manual: two or more simple names with dots between
            if not re.fullmatch(r"[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*)+", name):
                raise _unrecognized(name)
            self._put(name, value)
            return name
        if parameter.accept is None:
            raise EngineError(f'parameter "{parameter.name}" cannot be changed', sqlstate="55P02")
        self._put(parameter.name, parameter.accept(parameter, value) if value is not None else None)
        return parameter.name

    def note(self, name: str, value: str) -> None:
        """Put down what the server itself knows, such as whether the transaction is read-only."""
        self._values[name] = value

    def reset(self) -> None:
        """RESET ALL."""
        for name in list(self._values):
            if name not in KNOWN or KNOWN[name].accept is not None:
                self._put(name, None)

    def canonical(self, name: str) -> str:
        """A known parameter's name as it is spelled, whatever the letters' case."""
        found = KNOWN.get(name.lower())
        return found.name if found else name

    def is_known(self, name: str) -> bool:
        """Whether SHOW has an answer."""
        return self.canonical(name) in self._values

    def all(self) -> list[tuple[str, str]]:
        """Name and value of every parameter, sorted as SHOW ALL does."""
        return sorted(self._values.items(), key=lambda item: item[0].lower())

    def shown(self) -> list[tuple[str, str]]:
        """Those that SHOW ALL and pg_settings list (guc.h, GUC_NO_SHOW_ALL)."""
        return [(name, value) for name, value in self.all() if name not in UNLISTED]

    # In a transaction

    def begin(self) -> None:
        """From here on changes can be undone."""
        if self._before is None:
            self._before = dict(self._values)
            self._kept = dict(self._values)

    def set_local(self, name: str, value: str | None) -> None:
        """SET LOCAL: until the transaction's end.  Errors: EngineError."""
        kept = self._kept
        self._kept = None
        try:
            self.set(name, value)
        finally:
            self._kept = kept

    def end(self, *, committed: bool) -> None:
        """The transaction is over."""
        if self._before is None or self._kept is None:
            return
        self._values = self._kept if committed else self._before
        self._before = self._kept = None
        self.changed = self.unpassed = True

    def mark(self) -> object:
        """Where a savepoint stands."""
        return dict(self._values), dict(self._kept) if self._kept is not None else None

    def back_to(self, mark: Any) -> None:
        """Undo what was set since a savepoint."""
        self._values, self._kept = dict(mark[0]), dict(mark[1]) if mark[1] is not None else None
        self.changed = self.unpassed = True

    def passed_on(self) -> Iterator[tuple[str, str]]:
        """What the engine has not been told yet."""
        self.unpassed = False
        for name, told in self._passed.items():
            value = self._values[name]
            if value != told:
                self._passed[name] = value
                yield name, value

    def reports(self) -> Iterator[tuple[str, str]]:
        """What a client has not been told yet."""
        self.changed = False
        for parameter in _TABLE:
            value = self._values[parameter.name]
            if parameter.reported and self._reported.get(parameter.name) != value:
                self._reported[parameter.name] = value
                yield parameter.name, value

    def _put(self, name: str, value: str | None) -> None:
        for values in (self._values, self._kept):
            if values is None:
                continue
            found = self._defaults.get(name) if value is None else value
            if found is None:
                values.pop(name, None)
            else:
                values[name] = found
        self.changed = True
        self.unpassed = self.unpassed or name in PASSED_ON
        self.timed = self.timed or name in _TIMEOUTS


def _unrecognized(name: str) -> EngineError:
    return EngineError(f'unrecognized configuration parameter "{name}"', sqlstate="42704")


def parse_options(options: str) -> Iterator[tuple[str, str]]:
    """The settings in the start-up parameter `options`: `-c name=value`, `-cname=value` or `--name=value`, with blanks
    escaped by a backslash (postinit.c, pg_split_opts).  Errors: EngineError.
    """
    words = [re.sub(r"\\(.)", r"\1", word) for word in re.findall(r"(?:\\.|[^\s\\])+", options, re.DOTALL)]
    rest = iter(words)
    for word in rest:
        if word == "-c":
            setting = next(rest, "")
        elif word.startswith("-c") or (word.startswith("--") and len(word) > 2):
            setting = word[2:]
        else:
            raise EngineError(f"invalid command-line argument for server process: {word}", sqlstate="42601")
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise EngineError(f"-c {setting} requires a value", sqlstate="42601")
        yield name.replace("-", "_"), value
