# mypy: disable-error-code="import-untyped,untyped-decorator,valid-type,misc,type-arg,no-any-return"
"""UTF-8 texts of a column to rows of 32-bit characters, each as wide as the longest, as numpy has them."""

from __future__ import annotations

try:
    import cython
except ModuleNotFoundError:  # the compiler needs the literal import
    from febe._kernel import shim as cython

COMPILED: bool = cython.compiled


def longest(values: cython.const[cython.uchar][::1], offsets: cython.const[cython.int][::1]) -> int:
    """Count the characters of the longest text."""
    i: cython.Py_ssize_t
    k: cython.Py_ssize_t
    count: cython.Py_ssize_t
    most: cython.Py_ssize_t = 0
    fault: cython.bint = False
    with cython.nogil:
        for i in range(offsets.shape[0] - 1):
            if offsets[i] < 0 or offsets[i + 1] > len(values):
                fault = True
                break
            count = 0
            for k in range(offsets[i], offsets[i + 1]):
                if values[k] & 0xC0 != 0x80:
                    count += 1
            most = count if count > most else most
    if fault:
        raise ValueError("offsets outside the texts")
    return most


def spread(
    values: cython.const[cython.uchar][::1],
    offsets: cython.const[cython.int][::1],
    out: cython.uint[::1],
    width: cython.Py_ssize_t,
) -> None:
    """Write each text's characters to a row of `width`, zeros after them; the texts are UTF-8."""
    i: cython.Py_ssize_t
    k: cython.Py_ssize_t
    p: cython.Py_ssize_t
    stop: cython.Py_ssize_t
    byte: cython.int
    letter: cython.uint
    rows: cython.Py_ssize_t = offsets.shape[0] - 1
    fault: cython.bint = False
    if rows * width > len(out):
        raise ValueError("no room for the texts")
    with cython.nogil:
        for i in range(rows):
            p = i * width
            stop = p + width
            letter = 0
            if offsets[i] < 0 or offsets[i + 1] > len(values):
                fault = True
                break
            for k in range(offsets[i], offsets[i + 1]):
                byte = values[k]
                if byte & 0xC0 == 0x80:
                    if p == i * width:
                        fault = True
                        break
                    out[p - 1] = (out[p - 1] << 6 | byte & 0x3F) & 0x1FFFFF
                    continue
                if p == stop:
                    fault = True
                    break
                letter = byte if byte < 0x80 else byte & 31 if byte < 0xE0 else byte & 15 if byte < 0xF0 else byte & 7
                out[p] = letter
                p += 1
            if fault:
                break
            while p < stop:
                out[p] = 0
                p += 1
    if fault:
        raise ValueError("offsets outside the texts, or no UTF-8")
