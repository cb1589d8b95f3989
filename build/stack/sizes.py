"""Sizes as Docker writes them."""

from __future__ import annotations

import re
from decimal import Decimal

_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def in_bytes(size: str) -> int:
    """A size such as 512m or 1.5gb, of which each unit is 1024 of the one below, in bytes."""
    match = re.fullmatch(r"([0-9.]+)([bkmg]?)b?", size.lower())
    assert match, size
    return int(Decimal(match[1]) * _UNITS[match[2]])
