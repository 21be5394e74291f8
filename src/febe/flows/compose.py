"""SQL put together from parts, safe against injection: what is not SQL becomes a parameter, a name or a literal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, TypeAlias

from febe._kernel.encode import encode_value, stand_in
from febe.flows.errors import EncodeError
from febe.flows.quote import identifier, literal
from febe.types.registry import TYPES


class Interpolation(Protocol):
    """A `{...}` of a template string (PEP 750)."""

    @property
    def value(self) -> Any: ...
    @property
    def conversion(self) -> str | None: ...
    @property
    def format_spec(self) -> str: ...


class Template(Protocol):
    """A template string of Python 3.14 (PEP 750, string.templatelib.Template)."""

    @property
    def strings(self) -> tuple[str, ...]: ...
    @property
    def interpolations(self) -> tuple[Any, ...]: ...


class Name(str):
    """A name in SQL: `Name("a b")` is `"a b"`, `Name("public", "t")` is `"public"."t"`."""

    __slots__ = ()

    def __new__(cls, *parts: str) -> Name:
        """Take a name, or the parts of a qualified one.  Errors: ValueError for what no name can hold."""
        return super().__new__(cls, identifier(*parts))


@dataclass(frozen=True, slots=True)
class Query:
    """A statement, or a part of one, and its parameters.  `sql` has `$1`, `$2` ... in their order."""

    sql: str
    args: tuple[object, ...] = ()
    places: tuple[tuple[int, int, int], ...] = ()
    """Where in `sql` parameters stand: beginning, end, and number of each."""

    def join(self, parts: Iterable[Query | Name]) -> Query:
        """The parts with this one between each two, as `str.join` does it."""
        made = _Maker()
        for number, part in enumerate(parts):
            if number:
                made.value(self, "")
            made.value(part, "")
        return made.query()


Sql: TypeAlias = "str | Query | Template"
"""What a statement may be given as."""


class _Maker:
    """Text and parameters in the making."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.size = 0
        self.args: list[object] = []
        self.places: list[tuple[int, int, int]] = []

    def add(self, text: str) -> None:
        self.text.append(text)
        self.size += len(text)

    def parameter(self, value: object) -> int:
        self.args.append(value)
        self.place(len(self.args))
        return len(self.args)

    def place(self, number: int) -> None:
        start = self.size
        self.add(f"${number}")
        self.places.append((start, self.size, number))

    def value(self, value: Any, form: str) -> None:
        """Put a value in its place.  Errors: ValueError for a form that is not known."""
        if isinstance(value, Query) or _is_template(value):
            if form:
                raise ValueError(f"a part of a statement has no form {form!r}")
            self.part(value if isinstance(value, Query) else composed(value))
        elif form == "i":
            self.add(value if isinstance(value, Name) else identifier(*([value] if isinstance(value, str) else value)))
        elif form == "l":
            self.add(constant(value))
        elif form:
            raise ValueError(f"{form!r} is no form: i is a name, l a literal, and none a parameter")
        elif isinstance(value, Name):
            self.add(value)
        else:
            self.parameter(value)

    def part(self, part: Query) -> None:
        at = 0
        numbers: dict[int, int] = {}
        for start, end, number in part.places:
            self.add(part.sql[at:start])
            if number in numbers:
                self.place(numbers[number])
            else:
                numbers[number] = self.parameter(part.args[number - 1])
            at = end
        self.add(part.sql[at:])

    def query(self) -> Query:
        return Query("".join(self.text), tuple(self.args), tuple(self.places))


def sql(text: str, /, *values: object, **named: object) -> Query:
    """A statement, or a part of one, with `{}` and `{name}` where values stand, as `str.format` has them.

    A value is a parameter.  A `Name`, or a str in `{:i}`, is a quoted name; `{:l}` is a literal, for statements that
    take no parameters; another `sql(...)` is put in as it is.  `{{` and `}}` are braces.  Errors: ValueError,
    IndexError and KeyError as `str.format` has them.
    """
    from string import Formatter

    made, form = _Maker(), Formatter()
    automatic = 0
    for before, field, spec, conversion in form.parse(text):
        made.add(before)
        if field is None:
            continue
        if not field:
            field, automatic = str(automatic), automatic + 1
        value, _ = form.get_field(field, values, named)
        made.value(form.convert_field(value, conversion) if conversion else value, spec or "")
    return made.query()


def composed(template: Template) -> Query:
    """The statement that a template string is: its values are treated as those of `sql`."""
    from string import Formatter

    made, form = _Maker(), Formatter()
    for number, text in enumerate(template.strings):
        made.add(text)
        if number < len(template.interpolations):
            one: Interpolation = template.interpolations[number]
            value = form.convert_field(one.value, one.conversion) if one.conversion else one.value
            made.value(value, one.format_spec)
    return made.query()


def _is_template(value: object) -> bool:
    return hasattr(value, "interpolations") and hasattr(value, "strings")


# What may hold a colon that is no parameter's (manual: "Lexical Structure"); comments nest, and are left to the loop.
_TOKEN = r"""
    (?<![\w$])[eE]'(?:[^'\\]|''|\\.)*'
  | '(?:[^']|'')*'
  | "(?:[^"]|"")*"
  | (?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$
  | --[^\n]*
  | (?P<comment>/\*)
  | ::|:=
  | (?P<number>(?<![\w$])\$\d+)
  | :(?P<name>[^\W\d]\w*)
"""
_COMMENT = r"/\*|\*/"


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    return re.compile(_TOKEN, re.VERBOSE | re.DOTALL), re.compile(_COMMENT)


def named(text: str, values: Mapping[str, object] | None = None, /, **more: object) -> Query:
    """A statement with named parameters: `named("select :a + :b", a=1, b=2)`.

    A name that comes twice is one parameter.  What stands in strings, quoted names and comments, and `::`, is left
    alone; so is a colon before anything but a name: write the slice of an array as `a[1 : n]`.
    Errors: TypeError for a name without a value, a value without a place, and `$1` beside names.
    """
    given = dict(values or {}) | more
    numbers: dict[str, int] = {}
    made = _Maker()
    at = 0
    token, comment = _patterns()
    while (match := token.search(text, at)) is not None:
        made.add(text[at:match.start()])
        at = match.end()
        name = match["name"]
        if match["comment"]:
            depth = 1
            while depth and (mark := comment.search(text, at)) is not None:
                depth += 1 if mark[0] == "/*" else -1
                at = mark.end()
            if depth:
                at = len(text)
            made.add(text[match.start():at])
        elif match["number"]:
            raise TypeError(f"{match['number']} beside named parameters")
        elif name is None:
            made.add(match[0])
        elif name not in given:
            raise TypeError(f"no value is given for :{name}")
        elif name in numbers:
            made.place(numbers[name])
        else:
            numbers[name] = made.parameter(given[name])
    made.add(text[at:])
    left = [name for name in given if name not in numbers]
    if left:
        raise TypeError(f"the statement has no :{', :'.join(left)}")
    return made.query()


def constant(value: Any) -> str:
    """A value as an SQL literal of its type.  Errors: EncodeError for a class that has no type of its own."""
    value = stand_in(value)
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return literal(value)
    if type(value) is bool:
        return "true" if value else "false"
    codec = TYPES.by_class(type(value))
    if codec is None or codec.encode_text is None:
        raise EncodeError(f"a {type(value).__name__} has no type of its own to be a literal of", value=value)
    encode = codec.encode_text
    try:
        data = encode_value(encode, value) if isinstance(encode, int) else encode(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise EncodeError(f"a literal ({codec.name}): {error}", type_name=codec.name, value=value) from error
    return f"{literal(data.decode())}::pg_catalog.{identifier(codec.name)}"


def settled(what: Any, args: tuple[object, ...]) -> tuple[str, tuple[object, ...]]:
    """SQL and its parameters.  Errors: TypeError."""
    if isinstance(what, str):
        return what, args
    if _is_template(what):
        what = composed(what)
    if not isinstance(what, Query):
        raise TypeError(f"SQL is a str, sql(...), named(...) or a template string, not {type(what).__name__}")
    if args:
        raise TypeError("its parameters are in it already")
    return what.sql, what.args


__all__ = ["Name", "Query", "Sql", "Template", "composed", "constant", "named", "settled", "sql"]
