"""The cheap test: whether a statement could be about the catalogs at all.

Substring searches over the lower-cased text cost well under a microsecond for a short statement, where parsing costs a
hundred; what passes here is parsed and looked at properly.
"""

from __future__ import annotations

import re

_WORDS = ("pg_", "information_schema", "::reg", "to_reg", "current_", "session_user", "version(", "format_type",
          "inet_", "getdatabaseencoding", "oidvectortypes", "_privilege", "_description(", "as reg", "_to_database")
_QUERY = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/|\()*+(select|with|values|table)\b", re.IGNORECASE | re.DOTALL)


def might_concern(sql: str) -> bool:
    """Whether `sql` is a query with a word that catalog queries have."""
    text = sql.lower()
    return any(word in text for word in _WORDS) and _QUERY.match(text) is not None
