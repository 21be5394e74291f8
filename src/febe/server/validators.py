"""Who judges OAuth tokens: validators by name, as in PostgreSQL's oauth_validator_libraries."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from febe.flows.serve_attempt import PresentedToken, TokenVerdict
from febe.server.access import AccessFileError, Rule

Validator: TypeAlias = "Callable[[PresentedToken], TokenVerdict | Awaitable[TokenVerdict]]"
"""Judges a token; called in a thread, unless it is a coroutine function.

AuthenticationError is a refusal, with a reason for the log."""


class Validators:
    """The validators of a server."""

    def __init__(self, given: Validator | Mapping[str, Validator] | None) -> None:
        self._known: Mapping[str, Validator] = (
            given if isinstance(given, Mapping) else {} if given is None else {"default": given})

    def check(self, rule: Rule) -> None:
        """Whether there is the validator that a rule wants (check_oauth_validator).  Errors: AccessFileError."""
        if rule.method != "oauth":
            return
        if not self._known:
            raise AccessFileError("authentication method oauth needs a validator, and this server has none")
        name = rule.options.get("validator")
        if name is None and len(self._known) > 1:
            raise AccessFileError('authentication method "oauth" requires argument "validator" to be set when there '
                                  "are several validators")
        if name is not None and name not in self._known:
            raise AccessFileError(f'this server has no validator "{name}"; there are {", ".join(sorted(self._known))}')

    def of(self, options: Mapping[str, str]) -> Callable[[PresentedToken], Awaitable[TokenVerdict]] | None:
        """The validator for a rule with these options, to be awaited."""
        found = self._known.get(options["validator"]) if "validator" in options else next(
            iter(self._known.values()), None)
        if found is None:
            return None
        validator = found

        async def validate(token: PresentedToken) -> TokenVerdict:
            call = inspect.iscoroutinefunction(validator) or inspect.iscoroutinefunction(type(validator).__call__)
            verdict = validator(token) if call else await asyncio.to_thread(validator, token)
            return await verdict if inspect.isawaitable(verdict) else verdict

        return validate


__all__ = ["Validator", "Validators"]
