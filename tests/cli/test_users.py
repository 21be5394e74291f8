"""Who may connect: the arguments, and which addresses need them."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from febe.cli.users import read_users


def test_users_from_both(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text("# who\n\nbob:with:colon\nzoë:  spaces kept \n", encoding="utf-8")
    assert read_users(("alice:secret",), file) == {"alice": "secret", "bob": "with:colon", "zoë": "  spaces kept "}


@pytest.mark.parametrize("entry", ["", "alice", "alice:", ":secret"])
def test_malformed_user(entry: str) -> None:
    with pytest.raises(click.BadParameter, match="NAME:PASSWORD"):
        read_users((entry,), None)


def test_malformed_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text("alice:secret\nbob\n")
    with pytest.raises(click.BadParameter, match="users, line 2"):
        read_users((), file)


def test_user_named_twice(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text("alice:other\n")
    with pytest.raises(click.BadParameter, match="alice is there already"):
        read_users(("alice:secret",), file)
