"""`febe passwd`: what a server keeps instead of a password."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from pathlib import Path

import click

from febe.flows.serve_attempt import md5_of
from febe.protocol.scram import ITERATIONS, MAXIMUM_ITERATIONS, SALT_BYTES, ScramVerifier
from febe.server.userlist import UserFileError, line_of, parse_user

__all__ = ["passwd"]


@click.command()
@click.argument("name")
@click.option("--file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Put the line into this file, in the place of the user's old one; without it, print the line.")
@click.option("--method", type=click.Choice(["scram-sha-256", "md5"]), default="scram-sha-256", show_default=True,
              help="MD5 is for clients that know nothing better.")
@click.option("--iterations", type=click.IntRange(1, MAXIMUM_ITERATIONS), default=ITERATIONS, show_default=True,
              metavar="NUMBER", help="How hard SCRAM makes guessing, and each log-in.")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the password from standard input, one line.")
def passwd(name: str, file: Path | None, method: str, iterations: int, from_stdin: bool) -> None:
    """Make a line for `febe serve --users`: user NAME, and a verifier of a password.

    The password is asked for, or read with --stdin; it is never an argument, which others could see.  The verifier is
    PostgreSQL's own: CREATE ROLE ... PASSWORD takes it, and so does PgBouncer's userlist.txt.
    """
    if from_stdin:
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = click.prompt(f"Password for {name}", hide_input=True, confirmation_prompt=True, err=True)
    if not password:
        raise click.UsageError("the password is empty")
    if method == "md5":
        verifier = f"md5{md5_of(name, password)}"
    else:
        verifier = str(ScramVerifier.make(password, secrets.token_bytes(SALT_BYTES), iterations))
    if file is None:
        click.echo(line_of(name, verifier))
        return
    try:
        _put(file, name, verifier)
    except (OSError, UserFileError) as error:
        raise click.ClickException(str(error)) from None


def _put(file: Path, name: str, verifier: str) -> None:
    """Change the user's line, or add one; the file is replaced whole, readable by its owner only.

    What follows the old line's secret, such as roles, is kept.  Errors: OSError, UserFileError.
    """
    kept = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    made = line_of(name, verifier)
    for number, line in enumerate(kept):
        if line.strip() and not line.startswith(("#", ";")) and parse_user(line)[0] == name:
            if line.lstrip().startswith('"'):
                made += line[_end_of_secret(line):]
            kept[number] = made
            break
    else:
        kept.append(made)
    handle, temporary = tempfile.mkstemp(dir=file.absolute().parent, prefix=f".{file.name}.")  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write("\n".join(kept) + "\n")
        os.replace(temporary, file)
    except BaseException:
        os.unlink(temporary)
        raise


def _end_of_secret(line: str) -> int:
    """Where the second quoted word ends."""
    quotes = 0
    pos = 0
    while pos < len(line):
        if line[pos] == '"':
            if quotes in (1, 3) and line.startswith('""', pos):
                pos += 1
            else:
                quotes += 1
                if quotes == 4:
                    return pos + 1
        pos += 1
    return len(line)
