"""Serve a base backup and the log that followed it, for pg_basebackup, pg_receivewal and standbys.

    febe backup "host=db" /archive/data --wal none        and febe.replication.receive_wal(dsn, "/archive/log", ...)
    python wal_archive.py /archive/data /archive/log 5433
    pg_basebackup -h 127.0.0.1 -p 5433 -U anyone -D restored
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from febe.protocol.lsn import parse_lsn
from febe.replication.segments import segment_name
from febe.walsender import Backup, Directory, File, Source, System, Tablespace, serve, walsender

SIZE = 16 << 20


class Archive(Source):
    """A directory with a cluster's files and manifest, and one with segments, some perhaps still to come."""

    def __init__(self, data: Path, log: Path) -> None:
        super().__init__()
        self._data, self._log = data, log
        manifest = json.loads((data / "backup_manifest").read_text())
        needed = manifest["WAL-Ranges"][0]
        self._start, self._end = parse_lsn(needed["Start-LSN"]), parse_lsn(needed["End-LSN"])
        self._timeline = int(needed["Timeline"])
        self._identifier = int.from_bytes((data / "global/pg_control").read_bytes()[:8], sys.byteorder)
        self.server_version = (data / "PG_VERSION").read_text().strip() + ".0"

    async def system(self) -> System:
        position = self._start - self._start % SIZE
        while (size := self._size(position)) is not None:
            position += size
            if size < SIZE:
                break
        return System(identifier=self._identifier, timeline=self._timeline, position=position)

    def _file(self, position: int) -> Path:
        complete = self._log / segment_name(self._timeline, position // SIZE, SIZE)
        return complete if complete.exists() else complete.with_name(f"{complete.name}.partial")

    def _size(self, position: int) -> int | None:
        file = self._file(position)
        return file.stat().st_size if file.exists() else None

    async def log(self, timeline: int, position: int) -> AsyncIterator[bytes]:
        while True:
            file = self._file(position)
            data = b""
            if file.exists():
                with file.open("rb") as segment:
                    segment.seek(position % SIZE)
                    data = segment.read(1 << 18)
            if data:
                position += len(data)
                yield data
            else:
                await asyncio.sleep(0.1)

    async def backup(self, label: str, fast: bool) -> Backup:
        paths = [path for path in sorted(self._data.rglob("*")) if self._data / "pg_wal" not in path.parents
                 and path.name != "backup_manifest"]
        return Backup(start=self._start, end=self._end, timeline=self._timeline, tablespaces=[Tablespace(
            entries=map(self._entry, paths), size=sum(path.stat().st_size for path in paths if path.is_file()))])

    def _entry(self, path: Path) -> File | Directory:
        name, status = path.relative_to(self._data).as_posix(), path.stat()
        if path.is_dir():
            return Directory(path=name, modified=status.st_mtime)
        return File(path=name, size=status.st_size, pieces=_pieces(path), modified=status.st_mtime)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(1 << 18):
            yield piece


async def main(data: str, log: str, port: str = "5433") -> None:
    async with await serve(walsender(Archive(Path(data), Path(log))), port=int(port)) as listener:
        print(f"listening on {listener.port}", flush=True)
        await listener.wait_closed()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
