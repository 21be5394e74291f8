"""money as Money: a number of the currency's smallest unit (manual: "Monetary Types").

How many digits follow the point, and what stands around them, is lc_monetary's and told to no client: text is read in
any locale and written as in the locale C.
"""

from __future__ import annotations

import re
from decimal import Decimal
from struct import Struct
from typing import NamedTuple

from febe.types import oids
from febe.types._codec import Registry, both

_BINARY = Struct("!q")


class Money(NamedTuple):
    """An amount of `units`: cents where the currency has cents."""

    units: int

    def decimal(self, places: int = 2) -> Decimal:
        """Give the amount when `places` digits follow the point."""
        return Decimal(self.units).scaleb(-places)

    @classmethod
    def of(cls, amount: Decimal | int, places: int = 2) -> Money:
        """Make it of an amount.  Errors: ValueError where more than `places` digits follow the point."""
        units = Decimal(amount).scaleb(places)
        if units != int(units):
            raise ValueError(f"{amount} has more than {places} digits after the point")
        return cls(int(units))


def _decode_text(data: bytes) -> Money:
    text = data.decode()
    digits = re.sub(r"\D", "", text)
    if not digits or not digits.isascii() or len(digits) > 20:
        raise ValueError("invalid text for money")
    units = int(digits)
    # cash_out: a minus sign before or after, or parentheses
    return Money(_checked(-units if "-" in text or "(" in text else units))


def _decode_binary(data: bytes) -> Money:
    if len(data) != 8:
        raise ValueError(f"{len(data)} bytes are no binary money")
    return Money(*_BINARY.unpack(data))


def _checked(units: int) -> int:
    if not -0x8000000000000000 <= units <= 0x7FFFFFFFFFFFFFFF:
        raise OverflowError("number out of range of money")
    return units


def _units(value: object) -> int:
    if not isinstance(value, Money):
        raise TypeError(f"a Money wanted, not {type(value).__name__}: Money.of() makes one of an amount")
    return _checked(value.units)


def _encode_text(value: object) -> bytes:
    units = _units(value)
    whole, cents = divmod(abs(units), 100)
    return f"{'-' if units < 0 else ''}${whole:,}.{cents:02d}".encode()


def _encode_binary(value: object) -> bytes:
    return _BINARY.pack(_units(value))


def register(registry: Registry) -> None:
    """Add money."""
    both(registry, oids.MONEY, (_decode_text, _decode_binary), (_encode_text, _encode_binary), Money)
