"""PostgreSQL's SQL in an engine's own words, for who asks for that."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import cast

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from febe.types import TYPES

_read_array = cast("Callable[[bytes], object]", TYPES.by_oid(TYPES.by_name("text").array_oid).decode_text)

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of what it leaves as it is

_KEPT, _KEPT_TEXT = 4096, 2048
"""How many translations are kept, and of what length: clients choose the texts."""


class Translation:
    """Translates statements to `dialect`, one of sqlglot's.  What sqlglot cannot read stays as it is.

    Types, functions, operators and the place of NULLs in an order become the engine's; what the engine has no word for
    stays, and is the engine's error.  `known` says whether a statement has been translated before.
    """

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        self._known: dict[str, str] = {}

    def __call__(self, sql: str) -> str:
        """The statement in the engine's dialect."""
        found = self._known.get(sql)
        if found is None:
            found = self._translated(sql)
            if len(sql) <= _KEPT_TEXT:
                if len(self._known) >= _KEPT:
                    self._known.clear()
                self._known[sql] = found
        return found

    def known(self, sql: str) -> bool:
        """Whether asking again costs nothing."""
        return sql in self._known

    def _translated(self, sql: str) -> str:
        try:
            tree = sqlglot.parse_one(sql, dialect="postgres")
            if isinstance(tree, exp.Command):
                return sql
            return tree.transform(_adapted).sql(dialect=self.dialect)
        except (SqlglotError, RecursionError):
            return sql


def _adapted(node: exp.Expression) -> exp.Expression:
    """What sqlglot passes on and no other dialect knows."""
    if isinstance(node, exp.Table) and node.args.get("only"):
        node.set("only", None)  # there are no tables that inherit
    elif isinstance(node, exp.Cast) and node.to.this == exp.DataType.Type.ARRAY and node.this.is_string:
        return _array(node)
    return node


def _array(node: exp.Cast) -> exp.Expression:
    """`'{a,b}'::text[]` as an array of casts."""
    element = node.to.expressions[0]
    try:
        found = _read_array(node.this.this.encode())
    except ValueError:
        return node
    if not isinstance(found, list) or any(isinstance(one, list) for one in found):
        return node
    values = [exp.Null() if one is None else exp.Literal.string(one) for one in found]
    return exp.cast(exp.Array(expressions=[exp.cast(one, element.copy()) for one in values]), node.to)


__all__ = ["Translation"]
