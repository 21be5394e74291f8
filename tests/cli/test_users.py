"""Who may connect: the arguments, and which addresses need them."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from febe.cli.users import beyond_loopback, read_users


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


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
def test_loopback(host: str) -> None:
    assert not beyond_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1", "fe80::1"])
def test_beyond_loopback(host: str) -> None:
    assert beyond_loopback(host)
