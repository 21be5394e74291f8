"""A directory of Parquet files: every change of every table, with what was done and when."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from febe.replication.arrow import ChangesToArrow
from febe.replication.changes import Begin, Event, end_of
from febe.replication.copies.base import Copy
from febe.replication.segments import sync_directory
from febe.types.arrow_rows import ArrowTable


class ParquetCopy(Copy):
    """A directory for each table, `schema.table`, in it files named after the last transaction in them.

    A file is written after `rows` changes or `seconds`, at the end of a transaction.  `position.json` says which files
    count: it is replaced when all tables' files are there, and later ones are removed when a program was killed before
    that.
    """

    def __init__(self, directory: str | Path, *, slot: str, rows: int = 100_000, seconds: float = 60.0) -> None:
        self._directory, self._slot = Path(directory), slot
        self._rows, self._seconds = rows, seconds
        self._directory.mkdir(parents=True, exist_ok=True)
        self._state = self._directory / "position.json"
        if self._state.exists():
            kept = json.loads(self._state.read_text())
            if kept["slot"] != slot:
                raise ValueError(f"{directory} is the copy of slot {kept['slot']}")
            self.position, self.copying = kept["position"], kept["copying"]
        self._remove_incomplete()
        self._collected = ChangesToArrow()
        self._complete = self.position
        self._since = time.monotonic()

    def start_copying(self) -> None:
        self.position, self.copying = 0, True
        self._keep()

    def apply(self, batch: Sequence[Event]) -> None:
        for event in batch:
            if isinstance(event, Begin) and event.kind == "snapshot":
                self._collected = ChangesToArrow()
                self._remove_incomplete()
            self._collected.add(event)
            self._complete = max(self._complete, end_of(event))
            if self._collected.count >= self._rows or (self.copying and not self._collected.is_within):
                self._write()
        self._write_in_time()

    def rest(self, position: int) -> None:
        if not self._collected.is_within:
            self._complete = max(self._complete, position)
            self._write_in_time()

    def _write_in_time(self) -> None:
        if time.monotonic() - self._since >= self._seconds and not self._collected.is_within:
            self._write()

    def close(self) -> None:
        if not self._collected.is_within:
            self._write()

    def _write(self) -> None:
        """Write what is collected; between transactions, it counts from then on."""
        for relation, table in self._collected.take():
            self._write_file(self._directory / relation.full_name.replace("/", "%2F"), table)
        if not self._collected.is_within and self._complete > self.position:
            self.position, self.copying = self._complete, False
            self._keep()
            self._since = time.monotonic()

    def _write_file(self, place: Path, table: ArrowTable) -> None:
        import duckdb

        place.mkdir(exist_ok=True)
        part = 0
        while (made := place / f"{self._collected.lsn:016X}.{part}.parquet").exists():
            part += 1
        unfinished = made.with_suffix(".unfinished")
        with duckdb.connect() as db:
            db.register("febe_rows", table)
            quoted = str(unfinished).replace("'", "''")
            db.execute(f"copy (from febe_rows) to '{quoted}' (format parquet, compression zstd)")
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        unfinished.rename(made)
        sync_directory(place)

    def _remove_incomplete(self) -> None:
        """Remove what was written of transactions, or of a snapshot, that were not kept to their end."""
        for path in self._directory.glob("*/*"):
            if path.suffix == ".unfinished" or int(path.name.split(".")[0], 16) > self.position:
                path.unlink()

    def _keep(self) -> None:
        new = self._state.with_suffix(".new")
        with new.open("w") as file:
            json.dump({"slot": self._slot, "position": self.position, "copying": self.copying}, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._state)
        sync_directory(self._directory)


__all__ = ["ParquetCopy"]
