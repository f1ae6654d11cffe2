"""Sequence numbers and timestamps that do not wrap (:rfc:`3550` appendix A.1).

All differences are taken modulo the width of the counter, so a clock that wraps is a clock
that goes on.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

MAX_DROPOUT: Final = 3000
"""A step forward of this many packets or more is a source that started afresh."""

MAX_MISORDER: Final = 100
"""A step back of this many packets or more is a source that started afresh."""


def sequence_step(new: int, old: int) -> int:
    """Return how far ``new`` is after ``old``, -32768 to 32767."""
    return ((new - old + 0x8000) & 0xFFFF) - 0x8000


def timestamp_step(new: int, old: int) -> int:
    """Return how far ``new`` is after ``old``, -2**31 to 2**31 - 1."""
    return ((new - old + 0x80000000) & 0xFFFFFFFF) - 0x80000000


def sequence_steps(new: NDArray[np.uint16], old: NDArray[np.uint16]) -> NDArray[np.int16]:
    """Return :func:`sequence_step` for arrays."""
    return np.subtract(new, old).view(np.int16)


def timestamp_steps(new: NDArray[np.uint32], old: NDArray[np.uint32]) -> NDArray[np.int32]:
    """Return :func:`timestamp_step` for arrays."""
    return np.subtract(new, old).view(np.int32)


class ExtendedSequence:
    """The 32-bit extended sequence number of one source, and what it says of loss.

    A source is taken as it comes (no probation): the socket is locked to its peer.
    """

    __slots__ = ("base", "highest", "received")

    def __init__(self, first: int) -> None:
        self.base = first & 0xFFFF
        self.highest = self.base
        self.received = 0

    def update(self, sequence: int) -> bool:
        """Count a packet; False when it jumps too far to be of the same run."""
        step = sequence_step(sequence, self.highest & 0xFFFF)
        if not -MAX_MISORDER < step < MAX_DROPOUT:
            return False
        self.received += 1
        self.highest = max(self.highest, self.highest + step)
        return True

    @property
    def expected(self) -> int:
        """Return how many packets the source has sent as far as is known."""
        return self.highest - self.base + 1

    @property
    def lost(self) -> int:
        """Return expected minus received; negative when packets were duplicated."""
        return self.expected - self.received
