"""`febe serve package.module:engine`: an engine of one's own."""

from __future__ import annotations

import importlib
import os
import re
import sys

import click

from febe.server import Engine

__all__ = ["is_engine", "load_engine"]


def is_engine(name: str) -> bool:
    """Whether a SOURCE names an engine, such as `shop.engine:Shop`, and is no file."""
    return bool(re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", name)) and not os.path.lexists(name)


def load_engine(name: str) -> Engine:
    """The engine, or what a class or function of that name makes.  Errors: click.ClickException."""
    module_name, _, attribute = name.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")  # as `python -m` does: the module may lie in the current directory
    try:
        found: object = importlib.import_module(module_name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as failure:
        raise click.ClickException(f"{name}: {failure}") from None
    engine = found() if callable(found) and not isinstance(found, Engine) else found
    if not isinstance(engine, Engine):
        raise click.ClickException(f"{name} is no febe.server.Engine, and makes none")
    return engine
