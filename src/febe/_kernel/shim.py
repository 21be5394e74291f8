"""The few names of the module `cython` that the kernel's source uses, for running where Cython is not installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

compiled = False
Py_ssize_t = bint = int


def _same(thing: T) -> T:
    return thing


cclass = cfunc = ccall = inline = final = _same


def _decorator(*_values: object, **_options: object) -> Callable[[T], T]:
    return _same


def declare(*_type: object, **_options: object) -> None:
    """A C attribute's declaration: interpreted, an attribute is there when it is set."""


exceptval = boundscheck = wraparound = cdivision = _decorator


class _NoGil:
    """`with cython.nogil:` and `@cython.nogil`."""

    def __call__(self, function: T) -> T:
        return function

    def __enter__(self) -> None: ...

    def __exit__(self, *_error: object) -> None: ...


nogil = _NoGil()
