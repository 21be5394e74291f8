"""The commands of a replication connection (manual: "Streaming Replication Protocol"; grammar: repl_gram.y).

    parse_command("START_REPLICATION SLOT s LOGICAL 0/0 (proto_version '1')")
    format_command(CreateReplicationSlot(slot="s", plugin="pgoutput"), server_version=18)

Both spellings are read: that with options in parentheses, and that of PostgreSQL 9.4 to 14.  Written is what the
server's version knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from febe.protocol.errors import LocalProtocolError, RemoteProtocolError
from febe.protocol.lsn import format_lsn, parse_lsn

Options: TypeAlias = "Mapping[str, str | None]"
"""Names in lower case, and values as text; None where only the name was given."""

NEWEST = 18
PARENTHESES = 15
"""The version from which options stand in parentheses."""


@dataclass(slots=True, kw_only=True)
class IdentifySystem:
    """IDENTIFY_SYSTEM: system identifier, timeline, position, database."""


@dataclass(slots=True, kw_only=True)
class Show:
    """SHOW name: a run-time parameter.  From version 10 on."""

    name: str


@dataclass(slots=True, kw_only=True)
class TimelineHistory:
    """TIMELINE_HISTORY tli: the history file.  From version 9.3 on."""

    timeline: int


@dataclass(slots=True, kw_only=True)
class CreateReplicationSlot:
    """CREATE_REPLICATION_SLOT: a physical slot, or a logical one when there is a `plugin`.

    Options: two_phase, reserve_wal, failover (17), each with a boolean; snapshot export, use or nothing (10).
    """

    slot: str
    temporary: bool = False
    plugin: str | None = None
    options: Options = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class AlterReplicationSlot:
    """ALTER_REPLICATION_SLOT: failover (17), two_phase (18)."""

    slot: str
    options: Options


@dataclass(slots=True, kw_only=True)
class ReadReplicationSlot:
    """READ_REPLICATION_SLOT: type, restart position and timeline of a physical slot.  From version 15 on."""

    slot: str


@dataclass(slots=True, kw_only=True)
class DropReplicationSlot:
    """DROP_REPLICATION_SLOT, waiting until nobody uses it with `wait` (10)."""

    slot: str
    wait: bool = False


@dataclass(slots=True, kw_only=True)
class StartReplication:
    """START_REPLICATION: stream the log from `lsn` on; `options` are the plugin's, and None makes it physical."""

    slot: str | None = None
    lsn: int
    timeline: int | None = None
    options: Options | None = None


@dataclass(slots=True, kw_only=True)
class BaseBackup:
    """BASE_BACKUP: a copy of the whole cluster.

    Options by the names of version 15 and later: label, progress, checkpoint, wal, wait, max_rate, tablespace_map,
    verify_checksums, manifest, manifest_checksums, compression, compression_detail, target, target_detail,
    incremental (17).
    """

    options: Options = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class UploadManifest:
    """UPLOAD_MANIFEST: the manifest of an earlier backup follows by copy-in.  From version 17 on."""


Command: TypeAlias = ("IdentifySystem | Show | TimelineHistory | CreateReplicationSlot | AlterReplicationSlot | "
                      "ReadReplicationSlot | DropReplicationSlot | StartReplication | BaseBackup | UploadManifest")

_TOKEN = re.compile(r"""
    \s+
  | (?P<lsn>[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8})(?![0-9A-Za-z_])
  | (?P<number>[0-9]+)
  | (?P<word>[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*)
  | "(?P<name>(?:[^"]|"")+)"
  | '(?P<text>(?:[^']|'')*)'
  | (?P<mark>[(),;.])
""", re.VERBOSE)

_FIRST = frozenset({
    "IDENTIFY_SYSTEM", "SHOW", "TIMELINE_HISTORY", "CREATE_REPLICATION_SLOT", "ALTER_REPLICATION_SLOT",
    "READ_REPLICATION_SLOT", "DROP_REPLICATION_SLOT", "START_REPLICATION", "BASE_BACKUP", "UPLOAD_MANIFEST"})

# The spellings of PostgreSQL 9.4 to 14, as the options that mean the same.
_OLD_SLOT_WORDS: Mapping[str, tuple[str, str | None]] = {
    "EXPORT_SNAPSHOT": ("snapshot", "export"), "NOEXPORT_SNAPSHOT": ("snapshot", "nothing"),
    "USE_SNAPSHOT": ("snapshot", "use"), "RESERVE_WAL": ("reserve_wal", None), "TWO_PHASE": ("two_phase", None)}
_OLD_BACKUP_WORDS: Mapping[str, tuple[str, str | None]] = {
    "PROGRESS": ("progress", None), "FAST": ("checkpoint", "fast"), "WAL": ("wal", None), "NOWAIT": ("wait", "false"),
    "TABLESPACE_MAP": ("tablespace_map", None), "NOVERIFY_CHECKSUMS": ("verify_checksums", "false")}
_OLD_BACKUP_VALUES = {"LABEL": "text", "MAX_RATE": "number", "MANIFEST": "text", "MANIFEST_CHECKSUMS": "text"}

Token = tuple[str, str]
_END: Final = ("end", "")


def _syntax(text: str) -> RemoteProtocolError:
    return RemoteProtocolError(text, sqlstate="42601", fatal=False)


def _tokens(text: str) -> Iterator[Token]:
    pos = 0
    while pos < len(text):
        match = _TOKEN.match(text, pos)
        if match is None:
            raise _syntax(f'syntax error at or near "{text[pos]}"' if text[pos] not in "\"'" else
                          f"unterminated quoted {'string' if text[pos] == chr(39) else 'identifier'}")
        pos = match.end()
        kind = match.lastgroup
        if kind is None:
            continue
        value = match[kind]
        quote = {"name": '"', "text": "'"}.get(kind)
        yield kind, value if quote is None else value.replace(quote * 2, quote)
    yield _END


class _Parser:
    """Reads one command's words."""

    def __init__(self, text: str) -> None:
        self._words = list(_tokens(text))
        self._at = 0

    def wrong(self) -> RemoteProtocolError:
        kind, value = self._words[self._at]
        return _syntax("syntax error at end of input" if kind == "end" else f'syntax error at or near "{value}"')

    def take(self, *kinds: str) -> str:
        kind, value = self._words[self._at]
        if kind not in kinds:
            raise self.wrong()
        self._at += 1
        return value

    def keyword(self, *words: str) -> str | None:
        """Take a word if it is one of these."""
        kind, value = self._words[self._at]
        if kind == "word" and value.upper() in words:
            self._at += 1
            return value.upper()
        return None

    def mark(self, mark: str) -> bool:
        if self._words[self._at] == ("mark", mark):
            self._at += 1
            return True
        return False

    def name(self) -> str:
        """An identifier: folded to lower case unless quoted."""
        kind, value = self._words[self._at]
        self.take("word", "name")
        return value.lower() if kind == "word" else value

    def end(self) -> None:
        self.mark(";")
        self.take("end")

    def timeline(self) -> int:
        number = int(self.take("number"))
        if number == 0:
            raise _syntax(f"invalid timeline {number}")
        return number

    def options(self, values: tuple[str, ...] = ("word", "name", "text", "number")) -> dict[str, str | None]:
        """A list in parentheses, the opening one taken."""
        found: dict[str, str | None] = {}
        if self.mark(")"):
            return found
        while True:
            name = self.name()
            kind, value = self._words[self._at]
            if kind in values:
                self._at += 1
            add(found, name, value if kind in values else None)
            if self.mark(")"):
                return found
            if not self.mark(","):
                raise self.wrong()

    # The commands

    def create(self) -> CreateReplicationSlot:
        slot = self.name()
        temporary = self.keyword("TEMPORARY") is not None
        plugin = self.name() if self.keyword("LOGICAL") else None
        if plugin is None and not self.keyword("PHYSICAL"):
            raise self.wrong()
        options: dict[str, str | None] = {}
        if self.mark("("):
            options = self.options()
        else:
            while word := self.keyword(*_OLD_SLOT_WORDS):
                add(options, *_OLD_SLOT_WORDS[word])
        return CreateReplicationSlot(slot=slot, temporary=temporary, plugin=plugin, options=options)

    def alter(self) -> AlterReplicationSlot:
        slot = self.name()
        if not self.mark("("):
            raise self.wrong()
        return AlterReplicationSlot(slot=slot, options=self.options())

    def drop(self) -> DropReplicationSlot:
        return DropReplicationSlot(slot=self.name(), wait=self.keyword("WAIT") is not None)

    def start(self) -> StartReplication:
        slot = self.name() if self.keyword("SLOT") else None
        if slot is not None and self.keyword("LOGICAL"):
            lsn = parse_lsn(self.take("lsn"))
            return StartReplication(slot=slot, lsn=lsn, options=self.options(("text",)) if self.mark("(") else {})
        self.keyword("PHYSICAL")
        lsn = parse_lsn(self.take("lsn"))
        return StartReplication(slot=slot, lsn=lsn, timeline=self.timeline() if self.keyword("TIMELINE") else None)

    def backup(self) -> BaseBackup:
        if self.mark("("):
            return BaseBackup(options=self.options())
        options: dict[str, str | None] = {}
        while word := self.keyword(*_OLD_BACKUP_WORDS, *_OLD_BACKUP_VALUES):
            if word in _OLD_BACKUP_VALUES:
                add(options, word.lower(), self.take(_OLD_BACKUP_VALUES[word]))
            else:
                add(options, *_OLD_BACKUP_WORDS[word])
        return BaseBackup(options=options)

    def show(self) -> Show:
        name = self.name()
        return Show(name=f"{name}.{self.name()}" if self.mark(".") else name)


def add(options: dict[str, str | None], name: str, value: str | None) -> None:
    """Note an option.  Errors: RemoteProtocolError (42601) when it is there already."""
    if name in options:
        raise _syntax("conflicting or redundant options")
    options[name] = value


def parse_command(text: str) -> Command | None:
    """The command, or None when the text begins with none: it is SQL then.

    Errors: RemoteProtocolError with 42601, after which the connection goes on.
    """
    first = re.match(r"\s*([A-Za-z_]+)", text)
    if first is None or first[1].upper() not in _FIRST:
        return None
    parser = _Parser(text)
    word = parser.keyword(*_FIRST)
    found: Command
    if word == "IDENTIFY_SYSTEM":
        found = IdentifySystem()
    elif word == "UPLOAD_MANIFEST":
        found = UploadManifest()
    elif word == "TIMELINE_HISTORY":
        found = TimelineHistory(timeline=parser.timeline())
    elif word == "READ_REPLICATION_SLOT":
        found = ReadReplicationSlot(slot=parser.name())
    else:
        found = _READERS[str(word)](parser)
    parser.end()
    return found


_READERS: dict[str, Callable[[_Parser], Command]] = {
    "SHOW": _Parser.show, "CREATE_REPLICATION_SLOT": _Parser.create, "ALTER_REPLICATION_SLOT": _Parser.alter,
    "DROP_REPLICATION_SLOT": _Parser.drop, "START_REPLICATION": _Parser.start, "BASE_BACKUP": _Parser.backup}

_TRUE, _FALSE = frozenset({"true", "on", "1", "yes"}), frozenset({"false", "off", "0", "no"})


def boolean(name: str, value: str | None) -> bool:
    """What an option's value says (define.c, defGetBoolean).  Errors: RemoteProtocolError (42601)."""
    said = "true" if value is None else value.lower()
    if said in _TRUE | _FALSE:
        return said in _TRUE
    raise _syntax(f"{name} requires a Boolean value")


# Writing

def quote_name(name: str) -> str:
    """An identifier in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """A string in single quotes; this grammar knows no backslashes."""
    return "'" + text.replace("'", "''") + "'"


def format_command(command: Command, server_version: int = NEWEST) -> str:
    """The command for a server of this major version; 9.4 to 9.6 count as 9.

    Errors: LocalProtocolError (0A000) for what such a server does not know.
    """
    text = _WRITERS[type(command)](command, server_version)
    if "\0" in text:
        raise LocalProtocolError("a command cannot hold a NUL character", sqlstate="22021")
    return text


def _since(version: int, server_version: int, what: str) -> None:
    if server_version < version:
        raise LocalProtocolError(f"{what} is not there before PostgreSQL {version}", sqlstate="0A000")


def _parenthesized(options: Options) -> str:
    if not options:
        return ""
    return f" ({', '.join(_option(name, value) for name, value in options.items())})"


def _option(name: str, value: str | None) -> str:
    if value is None:
        return name.upper()
    # a number in quotes is none to defGetInt64 (define.c)
    return f"{name.upper()} {value if name == 'max_rate' and value.isdecimal() else quote_text(value)}"


def _write_show(command: Show, version: int) -> str:
    _since(10, version, "SHOW on a replication connection")
    return "SHOW " + ".".join(quote_name(part) for part in command.name.split("."))


def _write_create(command: CreateReplicationSlot, version: int) -> str:
    if command.temporary:
        _since(10, version, "a temporary slot")
    head = (f"CREATE_REPLICATION_SLOT {quote_name(command.slot)}{' TEMPORARY' if command.temporary else ''} "
            + ("PHYSICAL" if command.plugin is None else f"LOGICAL {quote_name(command.plugin)}"))
    if "failover" in command.options:
        _since(17, version, "the option failover")
    if version >= PARENTHESES:
        return head + _parenthesized(command.options)
    words = {meaning: word for word, meaning in _OLD_SLOT_WORDS.items()}
    for name, value in command.options.items():
        if value is not None and name != "snapshot":
            if not boolean(name, value):
                continue
            value = None
        word = words.get((name, value))
        if word is None:
            raise LocalProtocolError(f"a server of version {version} has no option {name}", sqlstate="0A000")
        _since(15 if name == "two_phase" else 10 if name == "snapshot" else 9, version, f"the option {name}")
        head += f" {word}"
    return head


def _write_alter(command: AlterReplicationSlot, version: int) -> str:
    _since(18 if "two_phase" in command.options else 17, version, "ALTER_REPLICATION_SLOT with these options")
    return f"ALTER_REPLICATION_SLOT {quote_name(command.slot)}{_parenthesized(command.options)}"


def _write_read(command: ReadReplicationSlot, version: int) -> str:
    _since(15, version, "READ_REPLICATION_SLOT")
    return f"READ_REPLICATION_SLOT {quote_name(command.slot)}"


def _write_drop(command: DropReplicationSlot, version: int) -> str:
    if command.wait:
        _since(10, version, "DROP_REPLICATION_SLOT ... WAIT")
    return f"DROP_REPLICATION_SLOT {quote_name(command.slot)}{' WAIT' if command.wait else ''}"


def _write_start(command: StartReplication, version: int) -> str:
    slot = "" if command.slot is None else f" SLOT {quote_name(command.slot)}"
    if command.options is None:
        timeline = "" if command.timeline is None else f" TIMELINE {command.timeline}"
        return f"START_REPLICATION{slot} PHYSICAL {format_lsn(command.lsn)}{timeline}"
    if command.slot is None:
        raise LocalProtocolError("logical replication needs a slot", sqlstate="42601")
    listed = ", ".join(quote_name(name) + ("" if value is None else f" {quote_text(value)}")
                       for name, value in command.options.items())
    return f"START_REPLICATION{slot} LOGICAL {format_lsn(command.lsn)}" + (f" ({listed})" if listed else "")


def _write_backup(command: BaseBackup, version: int) -> str:
    if version >= PARENTHESES:
        if "incremental" in command.options:
            _since(17, version, "an incremental backup")
        return "BASE_BACKUP" + _parenthesized(command.options)
    words = {meaning: word for word, meaning in _OLD_BACKUP_WORDS.items()}
    text = "BASE_BACKUP"
    for name, value in command.options.items():
        if name.upper() in _OLD_BACKUP_VALUES and value is not None:
            if name.startswith("manifest"):
                _since(13, version, f"the option {name}")
            text += f" {name.upper()} {value if name == 'max_rate' else quote_text(value)}"
        elif (name, value) in words:
            text += f" {words[name, value]}"
        elif name in ("progress", "wal", "tablespace_map", "wait", "verify_checksums"):
            wanted = boolean(name, value)
            spelled = words.get((name, None if wanted else "false"))
            text += f" {spelled}" if spelled else ""
        elif (name, value) != ("checkpoint", "spread"):
            raise LocalProtocolError(f"a server of version {version} has no option {name}", sqlstate="0A000")
    return text


def _write_upload(command: UploadManifest, version: int) -> str:
    _since(17, version, "UPLOAD_MANIFEST")
    return "UPLOAD_MANIFEST"


_WRITERS: dict[type[Any], Callable[[Any, int], str]] = {
    IdentifySystem: lambda command, version: "IDENTIFY_SYSTEM",
    TimelineHistory: lambda command, version: f"TIMELINE_HISTORY {command.timeline}",
    Show: _write_show, CreateReplicationSlot: _write_create, AlterReplicationSlot: _write_alter,
    ReadReplicationSlot: _write_read, DropReplicationSlot: _write_drop, StartReplication: _write_start,
    BaseBackup: _write_backup, UploadManifest: _write_upload}

__all__ = [
    "NEWEST", "AlterReplicationSlot", "BaseBackup", "Command", "CreateReplicationSlot", "DropReplicationSlot",
    "IdentifySystem", "Options", "ReadReplicationSlot", "Show", "StartReplication", "TimelineHistory",
    "UploadManifest", "boolean", "format_command", "parse_command", "quote_name", "quote_text"]
