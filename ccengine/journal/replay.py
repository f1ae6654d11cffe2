"""Replay: every fact of a journal in order, as the dataclasses that the machines apply."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from ccengine.journal.frame import Frame, RawFrame
from ccengine.journal.registry import Registry
from ccengine.journal.scan import Damage, scan_folder

_log = logging.getLogger(__name__)


class Replay(Iterator[Frame]):
    """The frames of a journal from a fact on; ``damages`` holds what could not be read.

    ``next_seq`` is the number of the fact after the last frame that was returned.
    """

    def __init__(
        self, folder: Path, registry: Registry, from_seq: int = 0, *, skip_damage: bool = False
    ) -> None:
        self.damages: list[Damage] = []
        self.next_seq = from_seq
        self._frames = self._read(folder, registry, from_seq, skip_damage)

    def __iter__(self) -> Replay:
        return self

    def __next__(self) -> Frame:
        frame = next(self._frames)
        self.next_seq = frame.next_seq
        return frame

    def _read(
        self, folder: Path, registry: Registry, from_seq: int, skip_damage: bool
    ) -> Iterator[Frame]:
        for found in scan_folder(folder, from_seq):
            if isinstance(found, RawFrame):
                if found.next_seq > from_seq:
                    yield found.decode(registry, from_seq)
            elif isinstance(found, Damage):
                self.damages.append(found)
                _log.error("%s", found)
                if not skip_damage:
                    return


def replay(
    folder: Path, registry: Registry, from_seq: int = 0, *, skip_damage: bool = False
) -> Replay:
    """Return an iterator over the frames of ``folder`` that hold fact ``from_seq`` or later.

    Facts before ``from_seq`` are left out.  At a place that cannot be read the iteration ends
    and ``damages`` of the iterator tells where and what is lost; with ``skip_damage`` it goes
    on behind it.  An unreadable folder or file raises :class:`ccengine.errors.JournalError`.
    """
    return Replay(folder, registry, from_seq, skip_damage=skip_damage)
