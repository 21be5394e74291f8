"""tsvector and tsquery as TSVector and TSQuery (manual: "Text Search Types"; tsvector.c, tsquery.c)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from struct import Struct
from typing import NamedTuple

from febe.types import oids
from febe.types._codec import Registry, both

_WEIGHTS = "DCBA"
_MOST_POSITION, _MOST_POSITIONS, _MOST_WORD = 16383, 255, 2046  # ts_type.h
_POSITION = re.compile(r"(\d{1,5})([ABCDabcd*]?)")


class TSPosition(NamedTuple):
    """Where a word stands, and its weight: A, B, C or D."""

    position: int
    weight: str = "D"


class TSVector(Mapping[str, tuple[TSPosition, ...]]):
    """Words and their positions: `TSVector({"fat": [1, 2], "cat": [(3, "A")], "rat": []})`."""

    __slots__ = ("_words",)
    _words: dict[str, tuple[TSPosition, ...]]

    def __init__(self, words: Mapping[str, Iterable[int | tuple[int, str]]] | Iterable[str] = ()) -> None:
        """Errors: ValueError for what a tsvector cannot hold."""
        if not isinstance(words, Mapping):
            words = dict.fromkeys(words, ())
        # compareWORD: by bytes, a shorter word before a longer one that begins with it
        self._words = {word: _positions(words[word]) for word in sorted(words, key=str.encode)}
        for word in self._words:
            if not word or "\0" in word or len(word.encode()) > _MOST_WORD:
                raise ValueError("a word of a tsvector has 1 to 2046 bytes, none of them NUL")

    def __getitem__(self, word: str) -> tuple[TSPosition, ...]:
        return self._words[word]

    def __iter__(self) -> Iterator[str]:
        return iter(self._words)

    def __len__(self) -> int:
        return len(self._words)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TSVector) and other._words == self._words

    def __hash__(self) -> int:
        return hash(tuple(self._words.items()))

    def __repr__(self) -> str:
        words = {word: [tuple(place) for place in places] for word, places in self._words.items()}
        return f"TSVector({words!r})"

    def __str__(self) -> str:
        return " ".join([_quoted(word) + (":" + ",".join([
            f"{place.position}{'' if place.weight == 'D' else place.weight}" for place in places]) if places else "")
            for word, places in self._words.items()])  # fmt: skip


def _positions(places: Iterable[int | tuple[int, str]]) -> tuple[TSPosition, ...]:
    made = [TSPosition(place) if isinstance(place, int) else TSPosition(*place) for place in places]
    for place in made:
        if not 0 < place.position <= _MOST_POSITION or place.weight not in _WEIGHTS:
            raise ValueError(f"a position is a number to {_MOST_POSITION} with a weight of A, B, C or D")
    if len(made) > _MOST_POSITIONS:
        raise ValueError(f"a word has at most {_MOST_POSITIONS} positions")
    return tuple(sorted(made, key=lambda place: place.position))


def _quoted(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"


def _word(text: str, at: int, ends: str) -> tuple[str, int]:
    """Read a word, quoted or up to one of `ends`; gives the position after it.  Errors: ValueError."""
    made: list[str] = []
    if text.startswith("'", at):
        at += 1
        while at < len(text):
            if text[at] == "'":
                if not text.startswith("'", at + 1):
                    return "".join(made), at + 1
                at += 1
            elif text[at] == "\\":
                at += 1
            if at < len(text):
                made.append(text[at])
            at += 1
        raise ValueError("a quoted word does not end")
    while at < len(text) and text[at] not in ends:
        at += text[at] == "\\"
        if at >= len(text):
            raise ValueError("a backslash ends the text")
        made.append(text[at])
        at += 1
    if not made:
        raise ValueError("a word is missing")
    return "".join(made), at


def _decode_vector_text(data: bytes) -> TSVector:
    text = data.decode().strip()
    at = 0
    words: dict[str, list[tuple[int, str]]] = {}
    while at < len(text):
        word, at = _word(text, at, " :")
        places = words.setdefault(word, [])
        if text.startswith(":", at):
            end = at + 1
            while end < len(text) and not text[end].isspace():
                end += 1
            for part in text[at + 1 : end].split(","):
                match = _POSITION.fullmatch(part)
                if match is None:
                    raise ValueError("a position of a tsvector is a number and a weight")
                places.append((int(match[1]), match[2].upper().replace("*", "A") or "D"))
            at = end
        while at < len(text) and text[at].isspace():
            at += 1
    return TSVector(words)


def _string(data: bytes, at: int) -> tuple[str, int]:
    end = data.find(b"\0", at)
    if end < 0:
        raise ValueError("a word does not end")
    return data[at:end].decode(), end + 1


def _decode_vector(data: bytes) -> TSVector:
    count = int.from_bytes(data[:4], "big", signed=True)
    # a word, its NUL and the number of its positions
    if len(data) < 4 or count < 0 or count > (len(data) - 4) // 4:
        raise ValueError(f"{count} words in {len(data)} bytes")
    at = 4
    words: dict[str, list[tuple[int, str]]] = {}
    for _ in range(count):
        word, at = _string(data, at)
        places = int.from_bytes(data[at : at + 2], "big")
        at += 2
        if places > _MOST_POSITIONS or at + 2 * places > len(data) or word in words:
            raise ValueError("malformed tsvector")
        numbers = Struct(f"!{places}H").unpack_from(data, at)
        words[word] = [(number & _MOST_POSITION, _WEIGHTS[number >> 14]) for number in numbers]
        at += 2 * places
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes after the tsvector")
    return TSVector(words)


def _vector(value: object) -> TSVector:
    if isinstance(value, TSVector):
        return value
    raise TypeError(f"a TSVector wanted, not {type(value).__name__}")


def _encode_vector(value: object) -> bytes:
    made = [Struct("!i").pack(len(_vector(value)))]
    for word, places in _vector(value).items():
        numbers = [_WEIGHTS.index(place.weight) << 14 | place.position for place in places]
        made.append(word.encode() + b"\0" + Struct(f"!H{len(numbers)}H").pack(len(numbers), *numbers))
    return b"".join(made)


class TSOperand(NamedTuple):
    """A word of a query: `weights` it must have (of "ABCD", none: any), and whether it is only a prefix."""

    word: str
    weights: str = ""
    prefix: bool = False


class TSOperator(NamedTuple):
    """An operator of a query: `!`, `&`, `|` or `<->` with its distance."""

    sign: str
    distance: int = 1


_NOT, _AND, _OR, _PHRASE = "!", "&", "|", "<->"
_CODES = {_NOT: 1, _AND: 2, _OR: 3, _PHRASE: 4}
_SIGNS = {code: sign for sign, code in _CODES.items()}
_RANK = {_OR: 1, _AND: 2, _PHRASE: 3, _NOT: 4}  # tsquery.c, tsearch_op_priority
_DISTANCE = re.compile(r"<(-|\d{1,5})>")


class TSQuery:
    """A text search query: `TSQuery("fat & (rat | cat:A*)")`; `items` has it in postfix order."""

    __slots__ = ("items",)
    items: tuple[TSOperand | TSOperator, ...]
    """Words and operators, each operator after what it works on."""

    def __init__(self, text: str = "") -> None:
        """Read PostgreSQL's form.  Errors: ValueError."""
        self.items = _parse(text)

    @classmethod
    def of(cls, items: Iterable[TSOperand | TSOperator]) -> TSQuery:
        """Make it of its items in postfix order.  Errors: ValueError."""
        made = cls()
        made.items = tuple(items)
        depth = 0
        for item in made.items:
            depth += 1 if isinstance(item, TSOperand) else 0 if item.sign == _NOT else -1
            if depth < 1:
                break
        if made.items and depth != 1:
            raise ValueError("a query's items do not fit together")
        return made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TSQuery) and other.items == self.items

    def __hash__(self) -> int:
        return hash(self.items)

    def __repr__(self) -> str:
        return f"TSQuery({str(self)!r})"

    def __str__(self) -> str:
        """Give PostgreSQL's own form (tsquery.c, infix)."""
        done: list[tuple[str, int, bool]] = []  # text, rank, whether it is a phrase
        for item in self.items:
            if isinstance(item, TSOperand):
                flags = ("*" if item.prefix else "") + "".join([sign for sign in "ABCD" if sign in item.weights])
                done.append((_quoted(item.word) + (f":{flags}" if flags else ""), 5, False))
            elif item.sign == _NOT:
                text, rank, _ = done.pop()
                done.append((f"!{text}" if rank >= 4 else f"!( {text} )", 4, False))
            else:
                right, left = done.pop(), done.pop()
                mine = _RANK[item.sign]
                sign = item.sign if item.sign != _PHRASE or item.distance == 1 else f"<{item.distance}>"
                # A phrase on the right of a phrase needs its parentheses, because the operator is not associative.
                first = left[0] if left[1] >= mine else f"( {left[0]} )"
                last = right[0] if right[1] > mine or (right[1] == mine and not right[2]) else f"( {right[0]} )"
                done.append((f"{first} {sign} {last}", mine, item.sign == _PHRASE))
        return done[0][0] if done else ""


def _parse(text: str) -> tuple[TSOperand | TSOperator, ...]:
    """Read infix to postfix with a stack of its own: a query may be deep."""
    made: list[TSOperand | TSOperator] = []
    waiting: list[TSOperator | None] = []  # None: an open parenthesis
    at = 0
    operand = True
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        if at == len(text):
            break
        sign = text[at]
        if operand and sign in "!(":
            waiting.append(TSOperator(_NOT) if sign == "!" else None)
            at += 1
        elif operand:
            item, at = _operand(text, at)
            made.append(item)
            operand = False
        elif sign == ")":
            while True:
                if not waiting:
                    raise ValueError("a parenthesis is not open")
                last = waiting.pop()
                if last is None:
                    break
                made.append(last)
            at += 1
        else:
            match = _DISTANCE.match(text, at)
            if match is None and sign not in "&|":
                raise ValueError("an operator is missing")
            this = TSOperator(_PHRASE, 1 if match[1] == "-" else int(match[1])) if match else TSOperator(sign)
            while waiting and waiting[-1] is not None and _RANK[waiting[-1].sign] >= _RANK[this.sign]:
                made.append(waiting.pop())  # type: ignore[arg-type]
            waiting.append(this)
            at = match.end() if match else at + 1
            operand = True
    if operand and (made or waiting):
        raise ValueError("a word is missing")
    while waiting:
        last = waiting.pop()
        if last is None:
            raise ValueError("a parenthesis is not closed")
        made.append(last)
    return tuple(made)


def _operand(text: str, at: int) -> tuple[TSOperand, int]:
    word, at = _word(text, at, " :!&|()<")
    weights, prefix = "", False
    if text.startswith(":", at):
        at += 1
        while at < len(text) and text[at] in "ABCDabcd*":
            prefix = prefix or text[at] == "*"
            weights += text[at].upper().replace("*", "")
            at += 1
    return TSOperand(word, "".join([sign for sign in "ABCD" if sign in weights]), prefix), at


def _decode_query_text(data: bytes) -> TSQuery:
    return TSQuery(data.decode())


def _decode_query(data: bytes) -> TSQuery:
    count = int.from_bytes(data[:4], "big", signed=True)
    if len(data) < 4 or count < 0 or count > (len(data) - 4) // 2:
        raise ValueError(f"{count} items in {len(data)} bytes")
    at = 4
    found: list[TSOperand | TSOperator] = []
    for _ in range(count):
        kind, code = data[at : at + 1], data[at + 1 : at + 2]
        if kind == b"\1" and at + 3 <= len(data) and code[0] < 16:
            word, after = _string(data, at + 3)
            weights = "".join([sign for sign in "ABCD" if code[0] >> _WEIGHTS.index(sign) & 1])
            found.append(TSOperand(word, weights, data[at + 2] != 0))
            at = after
        elif kind == b"\2" and code and code[0] in _SIGNS:
            sign = _SIGNS[code[0]]
            at += 2
            if sign == _PHRASE:
                found.append(TSOperator(sign, int.from_bytes(data[at : at + 2], "big")))
                at += 2
            else:
                found.append(TSOperator(sign))
        else:
            raise ValueError("malformed tsquery")
    if at != len(data):
        raise ValueError(f"the tsquery has {len(data)} bytes, its items {at}")
    # Sent in prefix order with the right side first, so that backwards it is postfix order.
    return TSQuery.of(reversed(found))


def _query(value: object) -> TSQuery:
    if isinstance(value, TSQuery):
        return value
    if isinstance(value, str):
        return TSQuery(value)
    raise TypeError(f"a TSQuery wanted, not {type(value).__name__}")


def _encode_query(value: object) -> bytes:
    items = _query(value).items
    made = [Struct("!i").pack(len(items))]
    for item in reversed(items):
        if isinstance(item, TSOperand):
            mask = sum(1 << _WEIGHTS.index(sign) for sign in item.weights)
            if not item.word or "\0" in item.word or len(item.word.encode()) > _MOST_WORD:
                raise ValueError("a word of a tsquery has 1 to 2046 bytes, none of them NUL")
            made.append(bytes([1, mask, item.prefix]) + item.word.encode() + b"\0")
        else:
            distance = Struct("!H").pack(item.distance) if item.sign == _PHRASE else b""
            made.append(bytes([2, _CODES[item.sign]]) + distance)
    return b"".join(made)


def register(registry: Registry) -> None:
    """Add tsvector and tsquery."""
    both(registry, oids.TSVECTOR, (_decode_vector_text, _decode_vector),
         (lambda value: str(_vector(value)).encode(), _encode_vector), TSVector)  # fmt: skip
    both(registry, oids.TSQUERY, (_decode_query_text, _decode_query),
         (lambda value: str(_query(value)).encode(), _encode_query), TSQuery,
         prefers_text=True)  # fmt: skip - tsqueryrecv refuses the empty query that tsquerysend sends
