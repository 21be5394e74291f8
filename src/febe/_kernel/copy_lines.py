# mypy: disable-error-code="import-untyped,untyped-decorator,valid-type,misc,type-arg"
"""Finds the lines of COPY's text and csv formats (PostgreSQL: CopyReadLineText)."""

from __future__ import annotations

import re
from typing import Any

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

COMPILED: bool = cython.compiled

_NL, _CR, _CRNL = 1, 2, 3


@cython.cclass
class LineScanner:
    r"""Finds where lines end in data that come in pieces cut anywhere.

    The first line end decides the style (NL, CR or CRNL) of all; `width` is its length.  In text format a backslash
    takes the next byte with it, and `\.` alone on a line is the end.  In csv a line end between quotes is data.
    """

    _quote: cython.int
    _escape: cython.int
    _limit: cython.Py_ssize_t
    _style: cython.int
    _size: cython.Py_ssize_t
    _more: cython.Py_ssize_t
    _quoted: cython.bint
    _escaped: cython.bint
    _special: Any

    def __init__(self, quote: int, escape: int, limit: int) -> None:
        """Take the bytes of csv's quote and escape, or -1 for text format; a line is at most `limit` bytes long."""
        self._quote = quote
        self._escape = -1 if escape == quote else escape
        self._limit = limit
        self._style = 0
        self._size = 0
        self._more = 0
        self._quoted = False
        self._escaped = False
        if not cython.compiled:
            some = {10, 13, 92} if quote < 0 else {10, 13, quote, escape}
            self._special = re.compile(b"[" + b"".join(re.escape(bytes([one])) for one in sorted(some)) + b"]").search

    @property
    def width(self) -> int:
        """The length of a line's end."""
        return 2 if self._style == _CRNL else 1

    def scan(self, data: bytes, final: bool) -> tuple[list[int], int, dict[int, int], str]:
        r"""Find the lines that end in `data`: where each one's content ends, up to where was read, the lines that hold
        line ends themselves (and how many), and what is the matter.

        What was not read is wanted again in front of the next piece.  The matter: "" nothing; "end" `\.` was read;
        "return", "newline" a line end of another style; "style", "alone" a wrong `\.`; "long" a line over the limit.
        After `final` data a last line needs no end.
        """
        pos: cython.Py_ssize_t = 0
        begin: cython.Py_ssize_t = -self._size
        size: cython.Py_ssize_t = len(data)
        c: cython.int
        quote: cython.int = self._quote
        escape: cython.int = self._escape
        style: cython.int = self._style
        quoted: cython.bint = self._quoted
        escaped: cython.bint = self._escaped
        whole: cython.bint = final
        csv: cython.bint = quote >= 0
        after: cython.Py_ssize_t
        more: cython.Py_ssize_t = self._more
        ends: list[int] = []
        counts: dict[int, int] = {}
        matter: str = ""
        while pos < size:
            if not cython.compiled:
                found = self._special(data, pos)
                if found is None or found.start() > pos:
                    escaped = False
                    pos = size if found is None else found.start()
                    continue
            c = data[pos]
            if csv:
                if c == 13 and pos + 1 >= size and not whole:
                    break
                if quoted and c == escape:
                    escaped = not escaped
                if c == quote and not escaped:
                    quoted = not quoted
                if c != escape:
                    escaped = False
                if quoted:
                    if c == (10 if style == _NL else 13):
                        more += 1
                    pos += 1
                    continue
            elif c == 92:
                if pos + 1 >= size:
                    if not whole:
                        break
                    pos += 1
                elif data[pos + 1] != 46:
                    pos += 2
                else:
                    after = pos + 2
                    if size - after < (2 if style == _CRNL else 1) and not whole:
                        break
                    matter = self._marker(data, after, style, pos > begin)
                    pos = size
                    break
                continue
            if c == 10:
                if style > _NL:
                    matter = "newline"
                    break
                style = _NL
                after = pos + 1
            elif c == 13:
                if style == _NL:
                    matter = "return"
                    break
                after = pos + 1
                if style != _CR:
                    if after >= size and not whole:
                        break
                    if after < size and data[after] == 10:
                        style = _CRNL
                        after += 1
                    elif style == _CRNL:
                        matter = "return"
                        break
                    else:
                        style = _CR
            else:
                pos += 1
                continue
            if pos - begin > self._limit:
                break
            if more:
                counts[len(ends)] = more
                more = 0
            ends.append(pos)
            pos = begin = after
        if pos - begin > self._limit and matter == "":
            matter = "long"
        self._size = pos - begin
        self._style = style
        self._quoted = quoted
        self._escaped = escaped
        self._more = more
        if whole and matter == "" and self._size:
            if more:
                counts[len(ends)] = more
            ends.append(pos)
            self._size = 0
        return ends, pos, counts, matter

    @cython.cfunc
    def _marker(self, data: bytes, at: cython.Py_ssize_t, style: cython.int, filled: cython.bint) -> str:
        r"""Judge what follows `\.`; at the end of the data that is as good as a NUL."""
        c: cython.int
        if style == _CRNL:
            c = data[at] if at < len(data) else 0
            if c == 10:
                return "style"
            if c != 13:
                return "alone"
            at += 1
        c = data[at] if at < len(data) else 0
        if c != 13 and c != 10:
            return "alone"
        if c != (13 if style == _CR else 10) and style:
            return "style"
        return "alone" if filled else "end"
