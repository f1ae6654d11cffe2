"""Recordings as the media tick sees them: rows go into a ring, a writer elsewhere does the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEFT = 0
RIGHT = 1


@dataclass(frozen=True, slots=True)
class RecordingSettings:
    """How many recordings fit at once and how much of each is kept while the disk is slow."""

    capacity: int = 1024
    ring_blocks: int = 4


@dataclass(frozen=True, slots=True)
class RecordingResult:
    """A recording is closed (or failed); fields as in :class:`RecordingDone` of control."""

    key: str
    files: tuple[str, ...]
    duration_s: float
    error: str = ""


class RecordingWriter:
    """The tick's side of all recordings of one worker; every method takes microseconds.

    A *channel* is ``2 * slot + side`` (side 0 left = caller, 1 right = agent).  Each leg that
    is recorded owns one channel; per group and tick one :meth:`put` takes all their rows.
    """

    def __init__(self, settings: RecordingSettings) -> None:
        raise NotImplementedError

    def start(self) -> None:
        """Start the writer; call it before the first tick."""

    def open(self, key: str, folder: str, law: str, *, sides: tuple[str, str] = ("", "")) -> int:
        """Begin a recording in the G.711 law of its file; return its slot (O(µs)).

        ``sides`` name who speaks left and right, for the marks; "" = nobody yet.
        """
        raise NotImplementedError

    def attach(self, slot: int, side: int, name: str, law: str) -> int:
        """Let a leg speak on one side; return its channel.  A new name is a transfer."""
        raise NotImplementedError

    def detach(self, slot: int, side: int) -> None:
        """Let a side fall silent."""

    def put(
        self,
        channels: NDArray[np.intp],
        payload: NDArray[np.uint8],
        have: NDArray[np.bool_] | None = None,
    ) -> None:
        """Take one frame u8[M, S] for M channels and move each on by S samples.

        Rows where ``have`` is False are recorded as silence.  Every attached channel is put
        once per frame, whether something came or not: that is what keeps the sides in sync.
        """

    def pause(self, slot: int) -> None:
        """Record silence from now on (marked)."""

    def resume(self, slot: int) -> None:
        """Record again (marked)."""

    def close(self, slot: int) -> None:
        """End a recording; :meth:`poll` tells later that it is on disk."""

    def poll(self) -> list[RecordingResult]:
        """Return recordings that ended or failed since the last poll; never blocks."""
        raise NotImplementedError

    def stop(self, timeout_s: float = 5.0) -> None:
        """Close everything and wait until it is on disk."""
