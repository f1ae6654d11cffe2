"""Checking a journal from its first segment to its last without changing it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ccengine.journal.frame import RawFrame
from ccengine.journal.scan import Damage, scan_folder
from ccengine.journal.segment import SegmentHeader, list_segments


@dataclass(frozen=True, slots=True)
class Report:
    """What a journal holds and what of it cannot be read.

    ``last_epoch`` is the one in force when the last segment was begun.  ``torn_tail`` is the
    unfinished end that a crash leaves, which the next holder cuts off; it is no damage.
    """

    segments: int
    frames: int
    facts: int
    first_seq: int
    next_seq: int
    last_epoch: int
    damages: tuple[Damage, ...]
    torn_tail: Damage | None

    @property
    def sound(self) -> bool:
        """Whether every fact that was ever acknowledged is readable."""
        return not self.damages


def verify(folder: Path) -> Report:
    """Read every frame of ``folder`` and report; raises JournalError when it cannot be read."""
    segments = list_segments(folder)
    first_seq = segments[0].first_seq if segments else 1
    frames = facts = epoch = 0
    next_seq = first_seq
    damages: list[Damage] = []
    for found in scan_folder(folder, first_seq):
        if isinstance(found, Damage):
            damages.append(found)
        elif isinstance(found, SegmentHeader):
            epoch = max(epoch, found.epoch)
        elif isinstance(found, RawFrame):
            frames += 1
            facts += len(found.entries)
            next_seq = found.next_seq
    torn = damages.pop() if damages and _is_torn(damages[-1], segments[-1].path) else None
    return Report(len(segments), frames, facts, first_seq, next_seq, epoch, tuple(damages), torn)


def _is_torn(damage: Damage, last: Path) -> bool:
    return damage.path == last and damage.next_seq is None and damage.fault != "header"
