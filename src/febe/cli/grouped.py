"""Options in groups, so that the help of a command with many can be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

__all__ = ["GroupedCommand", "GroupedOption", "options"]

F = TypeVar("F", bound=Callable[..., Any])


class GroupedOption(click.Option):
    """An option that says under which heading it belongs."""

    def __init__(self, *args: Any, group: str, **others: Any) -> None:
        super().__init__(*args, **others)
        self.group = group

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Without the range of numbers, which is said when it is left."""
        extra: Any = super().get_help_extra(ctx)
        extra.pop("range", None)
        return extra


class GroupedCommand(click.Command):
    """A command whose help lists options under their headings, in the order in which they were declared."""

    last_group = "The command itself"
    """Where --help belongs."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                groups.setdefault(getattr(param, "group", self.last_group), []).append(record)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def options(heading: str, *declared: tuple[tuple[str, ...], dict[str, Any]]) -> Callable[[F], F]:
    """Give a command options under one heading, each as what `click.option` takes."""
    def give(command: F) -> F:
        for names, settings in reversed(declared):
            command = click.option(*names, cls=GroupedOption, group=heading, **settings)(command)
        return command

    return give
