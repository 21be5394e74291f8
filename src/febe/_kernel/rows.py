"""Rows and parameters, between bytes and Python: the kernel's face to the core."""

from __future__ import annotations

from febe._kernel.decode import RowDecoder, decode_value
from febe._kernel.encode import Json, ParameterEncoder, RowEncoder, encode_value

__all__ = ["Json", "ParameterEncoder", "RowDecoder", "RowEncoder", "decode_value", "encode_value"]
