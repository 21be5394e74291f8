"""A result on its way: an Arrow stream whose remainder can move to another connection while it is being read.

A DuckDB connection runs one statement at a time and an open result counts as running.  PostgreSQL lets a suspended
portal rest while other statements run in the same transaction (manual: "Extended Query", Execute).  So when a statement
wants the connection, what is left of the open result goes into a temporary table of a private connection, where DuckDB
keeps it within its memory limit, on disk if need be; the reader goes on from there and does not notice.
Format: Arrow's "C stream interface".
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
from collections.abc import Callable

import duckdb

from febe.engines.duckdb import _driver
from febe.types._arrow_abi import Stream
from febe.types.arrow import ArrowSource, MovedSource

_Next = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_LastError = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
_Release = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_Destructor = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_NAME = b"arrow_array_stream"
_EIO, _EINVAL = 5, 22
# struct ArrowArray: five int64, three pointers, then `release`; NULL there says the stream has ended
_ARRAY_RELEASE = 5 * 8 + 3 * ctypes.sizeof(ctypes.c_void_p)


_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype, _new_capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
# a capsule's destructor gets an object whose count is zero already: never as a Python object
_dying_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi))


def _capsule(stream: Stream) -> object:
    """A capsule for who takes the stream over at once, while `stream` lives."""
    return _new_capsule(ctypes.addressof(stream), _NAME, None)


class _Held:
    """One capsule, as an object that is asked for it several times: for the schema, then for the rows."""

    def __init__(self, capsule: object) -> None:
        self._capsule = capsule

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._capsule


class ResultStream(ArrowSource):
    """What `Result.arrow` is: read once, here or through the Arrow PyCapsule interface.

    `rows` counts those that were read; `on_last` is called with their number when there are no more.
    """

    def __init__(self, capsule: object, on_end: Callable[[], None],
                 on_last: Callable[[int], None] | None = None) -> None:
        self._source: MovedSource | None = MovedSource(capsule)
        self._on_last = on_last
        self.rows = 0
        self._on_end = on_end
        self._failure: str | None = None
        self.message = ctypes.create_string_buffer(0)
        self._spool: duckdb.DuckDBPyConnection | None = None
        self._exported: Stream | None = None

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        if self._exported is not None:
            raise ValueError("the stream has been handed out already")
        key = next(_keys)
        self._exported = Stream(_CALLBACKS[0], _CALLBACKS[1], _CALLBACKS[2], _CALLBACKS[3], key)
        _live[key] = self
        return _new_capsule(ctypes.addressof(self._exported), _NAME, _DESTRUCTOR)

    @property
    def connection(self) -> duckdb.DuckDBPyConnection | None:
        """The private connection that the remainder is read from, if it moved."""
        return self._spool

    @property
    def error(self) -> str | None:
        """What went wrong while reading."""
        return self._failure

    def move(self, connection: duckdb.DuckDBPyConnection, rows: int) -> None:
        """Let go of the session's connection: what is left goes to `connection`, which belongs to this stream now."""
        if self._source is None:
            connection.close()
            return
        rest = ResultStream(_capsule(self._source.stream), self._on_end)
        self._source, self._spool = None, connection
        # Kept to the end: a capsule that DuckDB lets go of while it raises has its destructor run with the exception
        # set, which no Python code survives, and the exception is lost.
        held = _Held(rest.__arrow_c_stream__())
        try:
            connection.register("febe_rest", held)
            connection.execute("CREATE TEMP TABLE febe_spool AS FROM febe_rest")
            connection.unregister("febe_rest")
            self._source = MovedSource(_driver.stream(connection, "FROM febe_spool", {}, rows))
        except duckdb.Error as error:
            # told to the one who reads on, not to the statement that wanted the connection
            self._fail(rest.error or str(error))
        finally:
            rest.close()

    def abandon(self, reason: str) -> None:
        """End the stream now; reading on gives `reason`."""
        if self._source is not None:
            self._fail(reason)

    def close(self) -> None:
        """Let go of the rows that were not read."""
        source, self._source = self._source, None
        if source is not None:
            source.close()
        if self._spool is not None:
            with contextlib.suppress(duckdb.Error):
                self._spool.close()
            self._spool = None
        elif source is not None:
            self._on_end()

    def _fail(self, reason: str) -> None:
        self._failure = reason
        self.close()

    def schema_to(self, out: int) -> int:
        """get_schema of the exported stream."""
        if self._source is None:
            return _EINVAL
        return self._source.schema_to(out)

    def next_to(self, out: int) -> int:
        """get_next of the exported stream; gives the connection back as soon as the rows are at an end."""
        if self._failure is not None:
            return _EIO
        if self._source is None:
            ctypes.c_void_p.from_address(out + _ARRAY_RELEASE).value = None
            return 0
        code = self._source.next_to(out)
        if code:
            self._fail(self._source.last_error() or "unknown error")
        elif ctypes.c_void_p.from_address(out + _ARRAY_RELEASE).value is None:
            self.close()
            if self._on_last is not None:
                self._on_last(self.rows)
        else:
            self.rows += ctypes.c_int64.from_address(out).value
        return code

    def last_error(self) -> str:
        """get_last_error of the exported stream."""
        return self._failure or "the result has been closed"

    def __del__(self) -> None:
        self.close()


_keys = itertools.count(1)
_live: dict[int, ResultStream] = {}


def _key(address: int) -> int:
    return Stream.from_address(address).private_data or 0


def _on_schema(stream: int, out: int) -> int:
    return _live[_key(stream)].schema_to(out)


def _on_next(stream: int, out: int) -> int:
    return _live[_key(stream)].next_to(out)


def _on_error(stream: int) -> int:
    found = _live[_key(stream)]
    found.message = ctypes.create_string_buffer(found.last_error().encode())
    return ctypes.addressof(found.message)


def _on_release(stream: int) -> None:
    found = _live.pop(_key(stream), None)
    Stream.from_address(stream).release = None
    if found is not None:
        found.close()


def _on_destroy(capsule: int) -> None:
    # a consumer that moved the stream out left `release` NULL (Arrow: "PyCapsule Interface", lifetime semantics)
    address = _dying_pointer(capsule, _NAME)
    if address and Stream.from_address(address).release:
        _on_release(address)


_functions = (_Next(_on_schema), _Next(_on_next), _LastError(_on_error), _Release(_on_release))
_CALLBACKS = tuple(ctypes.cast(function, ctypes.c_void_p).value for function in _functions)
_destroy = _Destructor(_on_destroy)
_DESTRUCTOR = ctypes.cast(_destroy, ctypes.c_void_p).value
