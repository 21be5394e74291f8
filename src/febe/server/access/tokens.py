"""The lines and tokens of pg_hba.conf and pg_ident.conf, files that they include among them (manual: "The pg_hba.conf
File")."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAXIMUM_DEPTH = 10
"""How deep files may include each other (CONF_FILE_MAX_DEPTH)."""
_BLANKS = " \t\r"


class AccessFileError(Exception):
    """What is wrong with a line of an access file, or with the file itself."""


@dataclass(slots=True, frozen=True)
class Token:
    """A word of a field; a quoted one has no special meaning."""

    text: str
    quoted: bool = False

    def is_keyword(self, word: str) -> bool:
        """It is this word, and not quoted."""
        return self.text == word and not self.quoted


@dataclass(slots=True, frozen=True)
class Line:
    """A line that is not empty, continuations joined.  `number` is that of its first part; `error` says what is wrong
    with it already."""

    file: Path
    number: int
    text: str
    fields: list[list[Token]]
    error: str | None = None

    def failure(self, error: str) -> str:
        """An error with its place, as PostgreSQL's log has it in two lines."""
        return f'{error} (line {self.number} of configuration file "{self.file}")'


def read_lines(path: Path) -> list[Line]:
    """The lines of a file.  Errors: AccessFileError when the file itself cannot be read."""
    return list(_lines(path, 0))


def lines_of(text: str, path: Path) -> list[Line]:
    """The lines of a text; `path` is what its errors are said to be in."""
    return list(_lines_of(text, path, 0))


def _lines(path: Path, depth: int) -> Iterator[Line]:
    return _lines_of(_read(path, depth), path, depth)


def _lines_of(whole: str, path: Path, depth: int) -> Iterator[Line]:
    for number, text in _joined(whole):
        fields: list[list[Token]] = []
        error: str | None = None
        try:
            pos = 0
            while pos < len(text):
                field, pos = _field(path, text, pos, depth)
                if field:
                    fields.append(field)
            if len(fields) == 2 and fields[0][0].text in _INCLUDES:
                yield from _INCLUDES[fields[0][0].text](path, fields[1][0].text, depth)
                continue
        except AccessFileError as failure:
            error = str(failure)
        if fields or error:
            yield Line(path, number, text, fields, error)


def _read(path: Path, depth: int) -> str:
    if depth > MAXIMUM_DEPTH:
        raise AccessFileError(f'could not open file "{path}": maximum nesting depth exceeded')
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise AccessFileError(f'could not open file "{path}": {os.strerror(error.errno or 0)}') from error


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers; a backslash at the end joins the next one."""
    start, kept = 1, ""
    for number, raw in enumerate(text.split("\n"), 1):
        line = kept + raw.rstrip("\r")
        # the backslash has to come after what was joined before
        if len(line) > len(kept) and line.endswith("\\"):
            kept = line[:-1]
            continue
        yield start, line
        start, kept = number + 1, ""
    if kept:
        yield start, kept


def _field(path: Path, text: str, pos: int, depth: int) -> tuple[list[Token], int]:
    """The words of one field, joined by commas."""
    field: list[Token] = []
    comma = True
    while comma:
        token, comma, pos = _token(text, pos)
        if token is None:
            break
        if token.text.startswith("@") and len(token.text) > 1 and not token.quoted:
            field += _words_of(path, token.text[1:], depth)
        else:
            field.append(token)
    return field, pos


def _token(text: str, pos: int) -> tuple[Token | None, bool, int]:
    """The next word, whether a comma ends it, and where to go on; None at the end of the line."""
    while pos < len(text) and text[pos] in _BLANKS + ",":
        pos += 1
    made: list[str] = []
    in_quotes = was_quote = saw_quote = quoted = False
    while pos < len(text):
        char = text[pos]
        if not in_quotes:
            if char in _BLANKS:
                break
            if char == "#":
                pos = len(text)
                break
            if char == ",":
                return Token("".join(made), quoted), True, pos
        if char != '"' or was_quote:
            made.append(char)
        was_quote = in_quotes and char == '"' and not was_quote  # two of them stand for one
        if char == '"':
            in_quotes = not in_quotes
            saw_quote = True
            if not made:
                quoted = True
        pos += 1
    return (Token("".join(made), quoted) if saw_quote or made else None), False, pos


def _beside(path: Path, name: str) -> Path:
    """A file named in another one: relative to that one's directory."""
    return path.parent / name


def _words_of(path: Path, name: str, depth: int) -> list[Token]:
    """All words of the file that `@name` stands for."""
    words = []
    for line in _lines(_beside(path, name), depth + 1):
        if line.error is not None:
            raise AccessFileError(line.error)
        words += [token for field in line.fields for token in field]
    return words


def _include(path: Path, name: str, depth: int) -> Iterator[Line]:
    return _lines(_beside(path, name), depth + 1)


def _include_if_exists(path: Path, name: str, depth: int) -> Iterator[Line]:
    target = _beside(path, name)
    if not target.exists() and depth < MAXIMUM_DEPTH:
        return iter(())
    return _lines(target, depth + 1)


def _include_dir(path: Path, name: str, depth: int) -> Iterator[Line]:
    if not name.strip(" \t\n\r\f\v"):
        raise AccessFileError("empty configuration directory name")
    folder = _beside(path, name)
    try:
        names = sorted((entry.name for entry in os.scandir(folder)
                        if entry.name.endswith(".conf") and not entry.name.startswith(".") and not entry.is_dir()),
                       key=os.fsencode)
    except OSError as error:
        raise AccessFileError(f'could not open directory "{folder}"') from error
    found: list[Line] = []
    errors: list[str] = []
    for file in names:
        try:
            found += _lines(folder / file, depth + 1)
        except AccessFileError as failure:
            errors.append(str(failure))
    yield from found
    if errors:
        raise AccessFileError("\n".join(errors))


_INCLUDES = {"include": _include, "include_if_exists": _include_if_exists, "include_dir": _include_dir}

__all__ = ["AccessFileError", "Line", "Token", "lines_of", "read_lines"]
