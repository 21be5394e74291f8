"""Columns of Arrow batches as numpy arrays, without a Python object for a value.

| Arrow | numpy |
|---|---|
| integers, floats, bool | the same |
| date32, timestamp, time64 | datetime64[D], datetime64[us] (UTC where there is a zone), timedelta64[us] |
| interval | a structure of months, days and nanoseconds |
| utf8, a dictionary of it | StringDType |
| fixed-size binary (uuid) | V16 |
| binary | objects: numpy's own bytes lose zeros at their end |

A column with NULLs is a masked array.  numpy has no decimals, lists or structs: TypeError; ask for numeric as text.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from febe._kernel import characters
from febe.types._arrow_export import Exported
from febe.types.arrow import ArrowField
from febe.types.arrow_rows import ArrowBatch, ArrowTable

if TYPE_CHECKING:
    import numpy

__all__ = ["numpy_columns"]

_SAME = {
    "s": "i2", "i": "i4", "l": "i8", "I": "u4", "f": "f4", "g": "f8", "tdD": "i4", "ttu": "i8", "tsu:": "i8",
    "tsu:UTC": "i8", "w:16": "V16",
}  # fmt: skip
_MOMENTS = {"tdD": "M8[D]", "ttu": "m8[us]", "tsu:": "M8[us]", "tsu:UTC": "M8[us]"}
_INTERVAL = [("months", "i4"), ("days", "i4"), ("nanoseconds", "i8")]
_CHARACTERS = 1 << 20
"""The most characters that are spread out at one time."""


def numpy_columns(source: ArrowTable | Iterable[ArrowBatch]) -> dict[str, numpy.ndarray[Any, Any]]:
    """Give each column of a table, or of batches, as one array; of several columns with one name the last.

    Errors: TypeError for a column that numpy has no array for; ValueError when there is no batch to tell the columns.
    """
    import numpy as np

    batches = list(source)
    if isinstance(source, ArrowTable):
        schema = source.schema
    elif batches:
        schema = batches[0].schema
    else:
        raise ValueError("no batch")
    found: dict[str, numpy.ndarray[Any, Any]] = {}
    for place, field in enumerate(schema.children):
        parts = [_array(np, field, batch.columns[place]) for batch in batches] or [_array(np, field, _nothing(field))]
        join = np.ma.concatenate if any(isinstance(part, np.ma.MaskedArray) for part in parts) else np.concatenate
        found[field.name] = parts[0] if len(parts) == 1 else join(parts)
    return found


def _nothing(field: ArrowField) -> Exported:
    made = Exported(length=0, nulls=0, buffers=[None, bytearray(8), bytearray(8)])
    if field.dictionary is not None:
        made.dictionary = _nothing(field.dictionary)
    return made


def _array(np: Any, field: ArrowField, column: Exported) -> Any:
    rows = column.length
    values = _values(np, field, column)
    validity = column.buffers[0]
    if validity is None:
        return values
    mask = np.unpackbits(np.frombuffer(validity, np.uint8), count=rows, bitorder="little") == 0
    return np.ma.array(values, mask=mask)


def _values(np: Any, field: ArrowField, column: Exported) -> Any:
    form, rows = field.format, column.length
    if field.dictionary is not None:
        assert column.dictionary is not None
        labels = _texts(np, column.dictionary)
        codes = np.frombuffer(column.buffers[1], np.int32, rows)
        return labels[codes] if len(labels) else np.empty(rows, labels.dtype)
    if form in _SAME:
        values = np.frombuffer(column.buffers[1], _SAME[form], rows)
        if form == "tdD":
            return values.astype("M8[D]")
        return values.view(_MOMENTS[form]) if form in _MOMENTS else values
    if form == "b":
        return np.unpackbits(np.frombuffer(column.buffers[1], np.uint8), count=rows, bitorder="little").view(bool)
    if form == "tin":
        return np.frombuffer(column.buffers[1], np.dtype(_INTERVAL), rows)
    if form == "u":
        return _texts(np, column)
    if form == "z":
        offsets = np.frombuffer(column.buffers[1], np.int32, rows + 1).tolist()
        data = column.buffers[2] or b""
        made = np.empty(rows, object)
        made[:] = [bytes(data[begin:end]) for begin, end in pairwise(offsets)]
        return made
    raise TypeError(f'column "{field.name}" of Arrow format {form} has no numpy array')


def _texts(np: Any, column: Exported) -> Any:
    rows = column.length
    offsets = np.frombuffer(column.buffers[1], np.int32, rows + 1)
    data = column.buffers[2] or bytearray()
    made = np.empty(rows, np.dtypes.StringDType())
    step = 4096
    at = 0
    while at < rows:
        some = offsets[at : at + step + 1]
        width = max(1, characters.longest(data, some))
        if width * (len(some) - 1) > _CHARACTERS and step > 1:
            step //= 2
            continue
        spread = np.empty((len(some) - 1) * width, np.uint32)
        characters.spread(data, some, spread, width)
        made[at : at + len(some) - 1] = spread.view(f"U{width}")
        at += len(some) - 1
    return made
