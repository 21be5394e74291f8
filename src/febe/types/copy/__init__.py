"""COPY's formats in both directions (manual: "COPY"): rows to bytes, bytes that come in pieces to rows."""

from febe._kernel.copy_fields import DEFAULT
from febe.types.copy.arrow import ArrowCopyEncoder, plan_to_send
from febe.types.copy.arrow_decoder import ArrowCopyDecoder, ArrowCopyReader
from febe.types.copy.column import CopyColumn
from febe.types.copy.decoder import CopyDecoder
from febe.types.copy.encoder import CopyEncoder, Framing
from febe.types.copy.errors import CopyEncodeError, CopyError
from febe.types.copy.format import CopyFormat

__all__ = [
    "DEFAULT",
    "ArrowCopyDecoder",
    "ArrowCopyEncoder",
    "ArrowCopyReader",
    "CopyColumn",
    "CopyDecoder",
    "CopyEncodeError",
    "CopyEncoder",
    "CopyError",
    "CopyFormat",
    "Framing",
    "plan_to_send",
]
