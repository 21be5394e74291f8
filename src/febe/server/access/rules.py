"""The access rules of a server: pg_hba.conf and pg_ident.conf, read together and anew on request."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

from febe.server.access.hba import Member, Request, Rule, parse_rule
from febe.server.access.ident import Mapping, parse_mapping
from febe.server.access.tokens import AccessFileError, Line, lines_of, read_lines

T = TypeVar("T")


class AccessRules:
    """First match decides; what matches none is refused.

    Errors: AccessFileError with all that is wrong, a line for each, with its file and line number.
    """

    def __init__(self, hba: Path, ident: Path | None = None, *, methods: Collection[str]) -> None:
        self._hba_file: Path | None = hba
        self._ident_file = ident
        self._methods = methods
        self._checks: list[Callable[[Rule], object]] = []
        self.rules: tuple[Rule, ...] = ()
        self.mappings: tuple[Mapping, ...] = ()
        self.reload()

    @classmethod
    def of(cls, text: str, *, methods: Collection[str]) -> AccessRules:
        """Rules that are in no file.  Errors: AccessFileError."""
        made = cls.__new__(cls)
        made._hba_file = made._ident_file = None
        made._methods, made._checks, made.mappings = methods, [], ()
        made.rules = tuple(map(made._parse, lines_of(text, Path("rules"))))
        return made

    @property
    def written(self) -> bool:
        """Somebody has written them into a file."""
        return self._hba_file is not None

    def reload(self) -> None:
        """Read the files anew.  Errors: AccessFileError; what was read before stays."""
        if self._hba_file is None:
            return
        rules = _parsed(self._hba_file, self._parse)
        if not rules:
            raise AccessFileError(f'configuration file "{self._hba_file}" contains no entries')
        mappings = _parsed(self._ident_file, parse_mapping) if self._ident_file is not None else ()
        self.rules, self.mappings = rules, mappings

    def require(self, check: Callable[[Rule], object]) -> None:
        """Have every rule pass a check of the server's, now and at each reading.  Errors: AccessFileError."""
        for rule in self.rules:
            try:
                check(rule)
            except AccessFileError as error:
                raise AccessFileError(rule.line.failure(str(error)) if self.written else str(error)) from None
        self._checks.append(check)

    def _parse(self, line: Line) -> Rule:
        rule = parse_rule(line, self._methods)
        for check in self._checks:
            check(rule)
        return rule

    @property
    def look_up(self) -> bool:
        """Whether finding a rule may ask a name server, and take its time."""
        return any(rule.address.looks_up for rule in self.rules)

    def find(self, request: Request, member: Member) -> Rule | None:
        """The rule that decides about a connection."""
        return next((rule for rule in self.rules if rule.matches(request, member)), None)

    def check_map(self, name: str | None, user: str, system_name: str, member: Member) -> None:
        """Whether `system_name`, which is proved, may act as `user` by the map of this name (check_usermap).

        Errors: AccessFileError with the reason, for the log.
        """
        if not name:
            if user != system_name:
                raise AccessFileError(f"provided user name ({user}) and authenticated user name ({system_name}) "
                                      "do not match")
        elif not any(mapping.allows(system_name, user, member) for mapping in self.mappings if mapping.name == name):
            raise AccessFileError(f'no match in usermap "{name}" for user "{user}" authenticated as "{system_name}"')


def _parsed(path: Path, parse: Callable[[Line], T]) -> tuple[T, ...]:
    found: list[T] = []
    errors: list[str] = []
    for line in read_lines(path):
        try:
            found.append(parse(line))
        except AccessFileError as error:
            errors.append(line.failure(str(error)))
    if errors:
        raise AccessFileError("\n".join(errors))
    return tuple(found)


__all__ = ["AccessRules"]
