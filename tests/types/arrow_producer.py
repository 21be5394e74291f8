"""A producer of Arrow streams in ctypes that counts what was released and can do everything wrong."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

from febe.types import _arrow_abi

SCHEMA = ctypes.CFUNCTYPE(None, ctypes.POINTER(_arrow_abi.Schema))
ARRAY = ctypes.CFUNCTYPE(None, ctypes.POINTER(_arrow_abi.Array))
STREAM = ctypes.CFUNCTYPE(None, ctypes.POINTER(_arrow_abi.Stream))
GET_SCHEMA = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(_arrow_abi.Schema))
GET_NEXT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(_arrow_abi.Array))
LAST_ERROR = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)

new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.restype = ctypes.py_object
new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]

Column = tuple[str, Sequence[bytes | None]]  # format, buffers


class Producer:
    """Gives `batches` (length, columns' buffers), then the error, if any."""

    def __init__(
        self, formats: Sequence[str], batches: Sequence[tuple[int, Sequence[Sequence[bytes | None]]]] = (),
        *, error: tuple[int, bytes | None] | None = None, null_count: int = -1, top: str = "+s",
        change: Callable[[Any], None] | None = None,
    ) -> None:  # fmt: skip
        self.formats, self.batches, self.error = formats, list(batches), error
        self.null_count, self.top, self.change = null_count, top, change
        self.released = {"schema": 0, "array": 0, "stream": 0}
        self.made = {"schema": 0, "array": 0}
        self._kept: list[Any] = []
        self._callbacks = (
            GET_SCHEMA(self._schema), GET_NEXT(self._next), LAST_ERROR(self._last_error), STREAM(self._stream_gone),
            SCHEMA(self._schema_gone), ARRAY(self._array_gone),
        )  # fmt: skip
        calls = [ctypes.cast(call, ctypes.c_void_p).value for call in self._callbacks[:4]]
        self.stream = _arrow_abi.Stream(*calls, None)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return new_capsule(ctypes.addressof(self.stream), b"arrow_array_stream", None)

    def _address(self, number: int) -> int | None:
        return ctypes.cast(self._callbacks[number], ctypes.c_void_p).value

    def _keep(self, thing: Any) -> Any:
        self._kept.append(thing)
        return thing

    def _schema(self, _stream: int, out: Any) -> int:
        children = [_arrow_abi.Schema(format=form.encode(), name=b"c%d" % i) for i, form in enumerate(self.formats)]
        out.contents.format, out.contents.n_children = self.top.encode(), len(children)
        pointers = [ctypes.pointer(self._keep(child)) for child in children]
        out.contents.children = self._keep((ctypes.POINTER(_arrow_abi.Schema) * len(children))(*pointers))
        out.contents.release = self._address(4)
        self.made["schema"] += 1
        return 0

    def _next(self, _stream: int, out: Any) -> int:
        if not self.batches:
            if self.error:
                return self.error[0]
            out.contents.release = None
            return 0
        length, columns = self.batches.pop(0)
        children = []
        for buffers in columns:
            held = [None if b is None else self._keep(ctypes.create_string_buffer(b, len(b) + 1)) for b in buffers]
            addresses = [None if b is None else ctypes.addressof(b) for b in held]
            children.append(
                _arrow_abi.Array(
                    length=length, null_count=self.null_count, n_buffers=len(buffers),
                    buffers=self._keep((ctypes.c_void_p * len(buffers))(*addresses)),
                )
            )  # fmt: skip
        array = out.contents
        array.length, array.n_children = length, len(children)
        pointers = [ctypes.pointer(self._keep(child)) for child in children]
        array.children = self._keep((ctypes.POINTER(_arrow_abi.Array) * len(children))(*pointers))
        array.release = self._address(5)
        if self.change:
            self.change(array)
        self.made["array"] += 1
        return 0

    def _last_error(self, _stream: int) -> int | None:
        message = self.error[1] if self.error else None
        if message is None:
            return None
        return ctypes.addressof(self._keep(ctypes.create_string_buffer(message)))

    def _stream_gone(self, stream: Any) -> None:
        stream.contents.release = None
        self.released["stream"] += 1

    def _schema_gone(self, schema: Any) -> None:
        schema.contents.release = None
        self.released["schema"] += 1

    def _array_gone(self, array: Any) -> None:
        array.contents.release = None
        self.released["array"] += 1

    @property
    def all_released(self) -> bool:
        return self.released == {**self.made, "stream": 1}
