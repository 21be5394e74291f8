"""Codes of the hot kinds: values that the kernel reads and writes itself, each type in its two formats.

The code of the binary format is that of the text format plus one (format codes 0 and 1 of the manual).
"""

from __future__ import annotations

CALL = 0
"""Not a kind: the column has a Python callable."""

BOOL_TEXT, BOOL_BINARY = 2, 3
INT2_TEXT, INT2_BINARY = 4, 5
INT4_TEXT, INT4_BINARY = 6, 7
INT8_TEXT, INT8_BINARY = 8, 9
OID_TEXT, OID_BINARY = 10, 11
FLOAT4_TEXT, FLOAT4_BINARY = 12, 13
FLOAT8_TEXT, FLOAT8_BINARY = 14, 15
STRING_TEXT, STRING_BINARY = 16, 17
BYTEA_TEXT, BYTEA_BINARY = 18, 19
DATE_TEXT, DATE_BINARY = 20, 21
TIMESTAMP_TEXT, TIMESTAMP_BINARY = 22, 23
TIMESTAMPTZ_TEXT, TIMESTAMPTZ_BINARY = 24, 25
NUMERIC_TEXT, NUMERIC_BINARY = 26, 27
UUID_TEXT, UUID_BINARY = 28, 29
JSON_TEXT, JSON_BINARY = 30, 31
JSONB_TEXT, JSONB_BINARY = 32, 33
CHAR_TEXT, CHAR_BINARY = 34, 35

COUNT = 36

HOLDING = frozenset((CALL, JSON_TEXT, JSON_BINARY, JSONB_TEXT, JSONB_BINARY))
"""Those whose values may hold others, which the cyclic collector has to know of."""
