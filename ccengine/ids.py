"""Makers of identifiers: random in production, reproducible in tests and simulations."""

from __future__ import annotations

import os
import random
from typing import Protocol

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


class IdMaker(Protocol):
    """Makes identifiers that never repeat within one maker."""

    def make(self, prefix: str = "") -> str:
        """Return ``prefix`` followed by letters and digits, unique to this maker."""

    def number(self, bits: int) -> int:
        """Return an unpredictable number of at most ``bits`` bits."""


def _base36(value: int, width: int) -> str:
    digits = []
    for _ in range(width):
        value, rest = divmod(value, 36)
        digits.append(_ALPHABET[rest])
    return "".join(digits)


class RandomIds:
    """Unpredictable identifiers from the system's generator (about 82 bits each)."""

    __slots__ = ("_pool", "_used")

    _POOL_BYTES = 4096

    def __init__(self) -> None:
        self._pool = b""
        self._used = 0

    def _take(self, size: int) -> bytes:
        # One system call for hundreds of identifiers: a call needs about a dozen of them.
        if self._used + size > len(self._pool):
            self._pool = os.urandom(self._POOL_BYTES)
            self._used = 0
        start = self._used
        self._used = start + size
        return self._pool[start : self._used]

    def make(self, prefix: str = "") -> str:
        """Return ``prefix`` and 20 hexadecimal digits."""
        return prefix + self._take(10).hex()

    def number(self, bits: int) -> int:
        """Return an unpredictable number of at most ``bits`` bits."""
        return int.from_bytes(self._take((bits + 7) // 8)) >> (-bits % 8)


class SeededIds:
    """Reproducible identifiers for tests and simulations."""

    __slots__ = ("_count", "_random")

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._count = 0

    def make(self, prefix: str = "") -> str:
        """Return ``prefix``, a running number and six reproducible letters."""
        self._count += 1
        return f"{prefix}{self._count}{_base36(self._random.getrandbits(32), 6)}"

    def number(self, bits: int) -> int:
        """Return a reproducible number of at most ``bits`` bits."""
        return self._random.getrandbits(bits)
