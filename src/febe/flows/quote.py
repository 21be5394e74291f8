"""Names and values as SQL text (manual: "Lexical Structure")."""

from __future__ import annotations


def identifier(*parts: str) -> str:
    """A name, or a qualified one, in double quotes.  Errors: ValueError for what no name can hold."""
    for part in parts:
        if not part or "\0" in part:
            raise ValueError(f"{part!r} cannot be a name")
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def literal(text: str) -> str:
    """A string constant, whatever `standard_conforming_strings` is.  Errors: ValueError for a NUL."""
    if "\0" in text:
        raise ValueError("a string cannot hold a NUL")
    quoted = "'" + text.replace("'", "''") + "'"
    return " E" + quoted.replace("\\", "\\\\") if "\\" in text else quoted


__all__ = ["identifier", "literal"]
