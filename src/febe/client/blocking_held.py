"""What the blocking face holds open at the server.

Generated from asynchronous_held.py by tools/generate_blocking.py; edit that file.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from febe.flows import cursor, large_object

R = TypeVar("R")


class Cursor(Generic[R]):
    """A query whose result stays at the server; `Connection.cursor` makes it, and `with` declares it."""

    def __init__(self, run: Any, flow: cursor.Cursor) -> None:
        self._run = run
        self._flow = flow

    @property
    def name(self) -> str:
        """Its name at the server, for statements with WHERE CURRENT OF."""
        return self._flow.name

    def fetch(self, count: int | None = None) -> list[R]:
        """The next rows, all that are left without a number, the rows before where the number is negative.

        Errors: PostgresError, such as 55000 for a way back without `scroll`; DecodeError.
        """
        return self._run(self._flow.fetch(cursor.forward(count)))  # type: ignore[no-any-return]

    def fetchrow(self) -> R | None:
        """The next row, None when there is none.  Errors: as `fetch`."""
        return self._run(self._flow.fetchrow("NEXT"))  # type: ignore[no-any-return]

    def absolute(self, place: int) -> R | None:
        """The row at a place, the first being 1 and the last -1; None when there is none.  Errors: as `fetch`."""
        return self._run(self._flow.fetchrow(f"ABSOLUTE {place:d}"))  # type: ignore[no-any-return]

    def relative(self, distance: int) -> R | None:
        """The row so many places from here, 0 the same again; None when there is none.  Errors: as `fetch`."""
        return self._run(self._flow.fetchrow(f"RELATIVE {distance:d}"))  # type: ignore[no-any-return]

    def move(self, count: int | None = None) -> int:
        """Go as `fetch` goes, without fetching; how many rows it would have been.  Errors: PostgresError."""
        return self._run(self._flow.move(cursor.forward(count)))  # type: ignore[no-any-return]

    def close(self) -> None:
        """Close it; once is enough.  Errors: PostgresError."""
        return self._run(self._flow.close())  # type: ignore[no-any-return]

    def __enter__(self) -> Self:
        self._run(self._flow.open())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        self.close()


class LargeObject:
    """A large object as a file of bytes; `Connection.large_object` makes it, and `with` opens it.

    In a transaction block it belongs to that; else it has a transaction of its own, which ends with it, and is rolled
    back when an exception leaves the `with`.
    """

    def __init__(self, run: Any, flow: large_object.LargeObject) -> None:
        self._run = run
        self._flow = flow

    @property
    def oid(self) -> int:
        """Its OID."""
        return self._flow.oid

    @property
    def mode(self) -> str:
        """`r`, `r+`, `w` or `w+`."""
        return self._flow.mode

    @property
    def closed(self) -> bool:
        """It is not open."""
        return not self._flow.is_open

    def readable(self) -> bool:
        """Whether its mode allows to read."""
        return self._flow.mode != "w"

    def writable(self) -> bool:
        """Whether its mode allows to write."""
        return self._flow.mode != "r"

    def seekable(self) -> bool:
        """It can be read and written anywhere."""
        return True

    def read(self, size: int | None = -1) -> bytes:
        """So many bytes, fewer at the end; all that is left without a size.  Errors: PostgresError."""
        return self._run(self._flow.read(size))  # type: ignore[no-any-return]

    def write(self, data: Any) -> int:
        """Write bytes where it stands, and say how many.  Errors: PostgresError, TypeError."""
        return self._run(self._flow.write(data))  # type: ignore[no-any-return]

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place counted from the beginning (0), from here (1) or from the end (2); say where that is."""
        return self._run(self._flow.seek(offset, whence))  # type: ignore[no-any-return]

    def tell(self) -> int:
        """Where it stands."""
        return self._run(self._flow.tell())  # type: ignore[no-any-return]

    def truncate(self, size: int | None = None) -> int:
        """Make it so long, or as long as to where it stands; say how long."""
        return self._run(self._flow.truncate(size))  # type: ignore[no-any-return]

    def flush(self) -> None:
        """Nothing waits here: what is written is with the server."""

    def close(self) -> None:
        """Close it, and commit a transaction of its own; once is enough.  Errors: PostgresError."""
        return self._run(self._flow.close())  # type: ignore[no-any-return]

    def __enter__(self) -> Self:
        self._run(self._flow.open())
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        self._run(self._flow.close(failed=error is not None))


__all__ = ["Cursor", "LargeObject"]
