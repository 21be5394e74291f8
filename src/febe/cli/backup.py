"""`febe backup`: a base backup with a progress bar."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from febe.flows.errors import NotSupported
from febe.protocol.errors import Error
from febe.protocol.lsn import format_lsn
from febe.replication import base_backup

__all__ = ["backup"]


@click.command()
@click.argument("dsn")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option("--format", "form", type=click.Choice(["plain", "tar"]), default="plain", show_default=True,
              help="Files that a server starts from, or the archives as they come.")
@click.option("--wal", type=click.Choice(["stream", "fetch", "none"]),
              help="How the log comes along: after the files, in the archive, or not; stream for plain, fetch for tar.")
@click.option("--label", default="febe backup", show_default=True, help="What the backup is called in backup_label.")
@click.option("--checkpoint", type=click.Choice(["fast", "spread"]), default="fast", show_default=True,
              help="Whether the server hurries to begin.")
@click.option("--max-rate", type=click.IntRange(32, 1 << 20), metavar="KB/S", help="Slow the server down to this.")
@click.option("--manifest-checksums", type=click.Choice(["NONE", "CRC32C", "SHA224", "SHA256", "SHA384", "SHA512"]),
              help="What pg_verifybackup is going to check files by.")
@click.option("--tablespace-mapping", "mapping", multiple=True, metavar="OLD=NEW",
              help="Where the tablespace in directory OLD goes; may be repeated.")
@click.option("--no-sync", is_flag=True, help="Do not wait until everything is on disk.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def backup(dsn: str, directory: Path, form: str, wal: str | None, label: str, checkpoint: str, max_rate: int | None,
           manifest_checksums: str | None, mapping: tuple[str, ...], no_sync: bool, quiet: bool) -> None:
    """Copy the whole cluster at DSN, a PostgreSQL 15 or later, into DIRECTORY, which is empty or not there.

    The user needs the attribute REPLICATION.  What was written is removed when it fails or is interrupted.
    """
    tablespaces = {}
    for entry in mapping:
        old, equals, new = entry.partition("=")
        if not (old and equals and new):
            raise click.BadParameter(f"{entry!r} is not OLD=NEW", param_hint="--tablespace-mapping")
        tablespaces[old] = new
    bar = Progress(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
                   TimeRemainingColumn(), console=Console(stderr=True), disable=quiet)
    with bar:
        task = bar.add_task("backup", total=None)
        try:
            made = base_backup(dsn, directory, format=form, label=label, fast=checkpoint == "fast", wal=wal,
                               max_rate=max_rate, manifest_checksums=manifest_checksums, tablespaces=tablespaces,
                               sync=not no_sync,
                               progress=lambda done, total: bar.update(task, completed=done, total=total))
            bar.update(task, completed=made.bytes, total=made.bytes)
        except (Error, NotSupported, ValueError, OSError) as failure:
            raise click.ClickException(str(failure)) from None
    click.echo(f"{directory}: {made.bytes} bytes, log from {format_lsn(made.start_lsn)} to "
               f"{format_lsn(made.end_lsn)} on timeline {made.timeline}")
