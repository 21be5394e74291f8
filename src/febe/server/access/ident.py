"""pg_ident.conf: which names that a method proves may act as which users (manual: "User Name Maps")."""

from __future__ import annotations

from dataclasses import dataclass, field

from febe.server.access.hba import Matcher, Member
from febe.server.access.tokens import AccessFileError, Line, Token


@dataclass(slots=True, frozen=True, kw_only=True)
class Mapping:
    """A line of pg_ident.conf."""

    line: Line = field(repr=False)
    name: str
    system: Matcher
    user: Matcher

    def allows(self, system_name: str, user: str, member: Member) -> bool:
        """Whether `system_name` may act as `user` (check_ident_usermap).

        Errors: AccessFileError for a `\\1` that the expression has nothing for.
        """
        if self.system.pattern is None:
            return self.system.token.text == system_name and self.user.is_role(user, member)
        found = self.system.pattern.search(system_name)
        if found is None:
            return False
        text = self.user.token.text
        is_group = text.startswith("+") and not self.user.token.quoted
        if "\\1" not in text or is_group or self.user.pattern is not None:
            return self.user.is_role(user, member)
        if not found.re.groups or found[1] is None:
            raise AccessFileError(f'regular expression "{self.system.token.text[1:]}" has no subexpressions as '
                                  f'requested by backreference in "{text}"')
        # what came of it is compared as it is: "all" would be a user's name
        return text.replace("\\1", found[1], 1) == user


def parse_mapping(line: Line) -> Mapping:
    """Understand a line.  Errors: AccessFileError."""
    if line.error is not None:
        raise AccessFileError(line.error)
    tokens: list[Token] = []
    for place in range(3):
        if place >= len(line.fields):
            raise AccessFileError("missing entry at end of line")
        if len(line.fields[place]) > 1:
            raise AccessFileError("multiple values in ident field")
        tokens.append(line.fields[place][0])
    return Mapping(line=line, name=tokens[0].text, system=Matcher.of(tokens[1]), user=Matcher.of(tokens[2]))


__all__ = ["Mapping", "parse_mapping"]
