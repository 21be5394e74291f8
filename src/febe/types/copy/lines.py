"""COPY data in text or csv format, cut anywhere, to whole lines in UTF-8."""

from __future__ import annotations

import codecs

from febe._kernel.copy_lines import LineScanner
from febe.types.copy.encodings import codec_for, encoding_name
from febe.types.copy.errors import CopyError
from febe.types.copy.faults import encoding_error, fault_of
from febe.types.copy.format import CopyFormat


class LineFeed:
    """Keeps the line that has not ended yet, and counts: `last` is the number of the last one given."""

    def __init__(self, form: CopyFormat, limit: int) -> None:
        self._csv = form.csv
        quote = ord(form.quote_used) if form.csv else -1
        self._scanner = LineScanner(quote, ord(form.escape_used) if form.csv else -1, limit)
        self._encoding = "UTF8"
        self._codec: codecs.IncrementalDecoder | None = None
        if form.encoding is not None:
            self._encoding = encoding_name(form.encoding) or form.encoding
            codec = codec_for(self._encoding)
            if codec is not None and codec.incrementaldecoder is not None:
                self._codec = codec.incrementaldecoder()
        self._held: list[bytes] = []
        self._unread = b""
        self._first = 0
        self.last = 0
        self._counts: dict[int, int] = {}
        self._over = False
        self._trouble: CopyError | None = None

    @property
    def width(self) -> int:
        """How long the end of a line is."""
        return self._scanner.width

    def number(self, line: int) -> int:
        """Give the number of one of the lines given last, counted from 1; one that holds line ends has its last's."""
        return self._first + line + 1 + sum(more for at, more in self._counts.items() if at <= line)

    def skip(self) -> None:
        """Note that the first of the lines given last is done with."""
        self._first = self.number(0)
        self._counts = {at - 1: more for at, more in self._counts.items() if at}

    def feed(self, data: bytes, final: bool) -> tuple[bytes, int, list[int]]:
        """Give whole lines: bytes, where the first begins, where each ends.  `check` says what comes after them."""
        self._first, self._counts = self.last, {}
        if self._over:
            return b"", 0, []
        trouble = None
        if self._codec is not None:
            data, trouble = self._recode(data, final)
        if self._unread:
            data = self._unread + data
        if 0 in data:
            at = data.index(0)
            trouble = encoding_error(data, at, 0)
            data = data[:at]
        ends, read, self._counts, matter = self._scanner.scan(data, final and trouble is None)
        whole = data
        if ends and self._held:
            size = sum(map(len, self._held))
            whole = b"".join((*self._held, data))
            ends = [end + size for end in ends]
            read += size
            self._held = []
        if ends:
            wrong = self._check_text(whole, ends)
            if wrong is not None:
                return whole, 0, ends
            after = min(ends[-1] + self.width, len(whole))
            self._held = [whole[after:read]] if after < read else []
        elif read:
            self._held.append(data[:read])
        self._unread = whole[read:]
        self.last = self.number(len(ends) - 1) if ends else self._first
        if matter == "end":
            self._over = True
            self._held, self._unread = [], b""
        elif matter:
            self._trouble = fault_of(matter, self.last + 1, csv=self._csv)
        elif trouble is not None:
            trouble.line = self.last + 1
            self._trouble = trouble
        return whole, 0, ends

    def check(self) -> None:
        """Raise what is the matter after the lines given last."""
        if self._trouble is not None:
            raise self._trouble

    def _check_text(self, whole: bytes, ends: list[int]) -> CopyError | None:
        """Look whether all is UTF-8; what follows the first wrong line is left out."""
        last = ends[-1]
        try:
            if whole.isascii():
                return None
            str(memoryview(whole)[:last], "utf-8")
        except UnicodeDecodeError as error:
            keep = 0
            while ends[keep] <= error.start:
                keep += 1
            del ends[keep:]
            self._trouble = encoding_error(whole, error.start, self.number(keep))
            return self._trouble
        return None

    def _recode(self, data: bytes, final: bool) -> tuple[bytes, CopyError | None]:
        assert self._codec is not None
        try:
            return self._codec.decode(data, final).encode(), None
        except UnicodeDecodeError as error:
            good = error.object[: error.start].decode(error.encoding).encode()
            return good, encoding_error(error.object, error.start, 0, self._encoding, error.end - error.start)
