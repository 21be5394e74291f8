"""`febe serve --config FILE`: every option of the command line, by its long name, in a TOML file."""

from __future__ import annotations

import difflib
import logging
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from febe.cli.access import LIMITS, limits_of
from febe.cli.sources import is_alone
from febe.server import Limits

__all__ = ["read_config", "reread_limits"]

logger = logging.getLogger("febe.server")

_NOT_THERE = frozenset({"config", "check_only", "help"})


def read_config(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    """Take what the file says as what is so unless the command line says otherwise.

    Relative paths in it start where the file is.  Errors: click.UsageError.
    """
    if path is not None:
        ctx.default_map = _values(ctx.command, path)
    return path


def _values(command: click.Command, path: Path) -> dict[str, Any]:
    try:
        said = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise click.UsageError(f"{path}: {error}") from None
    known = {_key(param): param for param in command.params if param.name not in _NOT_THERE}
    found: dict[str, Any] = {}
    for key, value in said.items():
        param = known.get(key.replace("_", "-"))
        if param is None or param.name is None:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"; is it {near[0]}?" if near else ""
            raise click.UsageError(f"{path}: there is no option {key}{hint}")
        many = param.nargs == -1 or param.multiple
        if isinstance(value, dict) or isinstance(value, list) is not many:
            raise click.UsageError(f"{path}: {key} has to be {'a list' if many else 'one value'}")
        if isinstance(param.type, click.types.BoolParamType) and not isinstance(value, bool):
            raise click.UsageError(f"{path}: {key} has to be true or false")
        found[param.name] = _placed(param, value, path.parent)
    return found


def _placed(param: click.Parameter, value: Any, folder: Path) -> Any:
    """The value, with relative paths made to start in the file's folder."""
    if isinstance(param.type, click.Path):
        return str(folder / str(value))
    if param.name == "sources":
        return [_source(str(one), folder) for one in value]
    return value


def _source(text: str, folder: Path) -> str:
    if is_alone(text):
        return text
    name, equals, file = text.rpartition("=")
    return f"{name}{equals}{folder / file}"


def _key(param: click.Parameter) -> str:
    """What an option is called in the file: its long name."""
    return param.opts[0].removeprefix("--").replace("_", "-")


def reread_limits(ctx: click.Context, path: Path) -> Callable[[], Limits]:
    """What reads the file again and gives its limits, those of the command line before them; what else has changed is
    said in the log.  Errors: ValueError.
    """
    given = {name: ctx.params[name] for name in ctx.params
             if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    before = _values(ctx.command, path)
    keys = {param.name: _key(param) for param in ctx.command.params}

    def read() -> Limits:
        try:
            now = _values(ctx.command, path)
            said = {name: value for name, value in now.items() if name in LIMITS}
            limits = limits_of(ctx.command.make_context(ctx.info_name, [], default_map=said).params | given)
        except click.ClickException as error:
            raise ValueError(error.format_message()) from None
        for name in sorted(set(now) | set(before)):
            if name not in LIMITS and now.get(name) != before.get(name):
                logger.warning("%s cannot be changed without restarting the server", keys[name])
        return limits

    return read
