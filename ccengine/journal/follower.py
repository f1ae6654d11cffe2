"""Following a journal that another process writes, across its segments."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Literal

from ccengine.journal.frame import Fault, Frame, RawFrame, find_frame, frame_at
from ccengine.journal.registry import Registry
from ccengine.journal.scan import Damage, segments_from
from ccengine.journal.segment import HEADER_BYTES, Segment, list_segments, segment_path

_log = logging.getLogger(__name__)

_READ_BYTES = 256 << 10


class Follower:
    """Reads the frames that hold fact ``from_seq`` or later, then each new one.

    It never waits: :meth:`poll` returns what is there.  ``next_seq`` is the first fact that it
    has not returned.  A frame that is being written looks like a damage for a moment, so a
    place counts as damaged only when it still does at the next poll and something readable
    follows; it is then logged, kept in ``damages`` and passed over.
    """

    def __init__(self, folder: Path, registry: Registry, from_seq: int = 1) -> None:
        self.damages: list[Damage] = []
        self._folder = folder
        self._registry = registry
        self._wanted = from_seq
        self._expected = 0
        self._path: Path | None = None
        self._fd = -1
        self._offset = 0
        self._data = memoryview(b"")
        self._place = 0
        self._suspect = -1

    @property
    def next_seq(self) -> int:
        """The number of the first fact that was not returned yet."""
        return max(self._expected, self._wanted)

    def poll(self, max_facts: int = 1000) -> list[Frame]:
        """Return the frames that are there, ending with the one that reaches ``max_facts``.

        An empty list means that nothing new is there.  Raises OSError when a segment cannot be
        read and :class:`ccengine.errors.JournalError` when the folder cannot.
        """
        frames: list[Frame] = []
        count = 0
        while count < max_facts:
            raw = self._next()
            if raw is None:
                break
            if raw.next_seq > self._wanted:
                frame = raw.decode(self._registry, self._wanted)
                frames.append(frame)
                count += len(frame.facts)
        return frames

    def sync(self) -> None:
        """Bring the segment being read to the disk (fdatasync); those before it already are."""
        if self._fd >= 0:
            os.fdatasync(self._fd)

    def close(self) -> None:
        """Close the segment."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _next(self) -> RawFrame | None:
        if self._fd < 0 and not self._open_first():
            return None
        found: RawFrame | Fault | None = frame_at(self._data, self._place)
        if not isinstance(found, RawFrame):
            found = self._read_on()
        if not isinstance(found, RawFrame):
            found = self._cross(found)
        return None if found is None else self._take(found)

    def _take(self, raw: RawFrame) -> RawFrame:
        self._place = raw.end
        if raw.first_seq > self._expected:
            place = self._offset + raw.start
            self._lost(place, "sequence", raw.first_seq, place)
        self._expected = raw.next_seq
        self._suspect = -1
        return raw

    def _read_on(self) -> RawFrame | Fault:
        """Read again from the place that could not be read, in larger pieces if need be."""
        self._offset += self._place
        self._place = 0
        size = _READ_BYTES
        while True:
            self._data = memoryview(os.pread(self._fd, size, self._offset))
            found = frame_at(self._data, 0)
            if found != "short" or len(self._data) < size:
                return found
            size *= 4

    def _cross(self, fault: Fault) -> RawFrame | None:
        if fault == "end":
            following = segment_path(self._folder, self._expected)
            if self._path == following or not following.exists():
                return None
            # The holder finishes a segment before it begins the next one; look once more.
            found = self._read_on()
            if isinstance(found, RawFrame):
                return found
            if found == "end":
                self._open(Segment(following, self._expected))
                return self._first()
        return self._pass_damage(fault)

    def _pass_damage(self, fault: Fault) -> RawFrame | None:
        if self._suspect != self._offset:
            self._suspect = self._offset
            return None
        rest = memoryview(os.pread(self._fd, os.fstat(self._fd).st_size, self._offset))
        found = find_frame(rest, 1, self._expected)
        if found is not None:
            self._lost(self._offset, fault, found.first_seq, self._offset + found.start)
            self._data = rest
            return found
        later = [s for s in list_segments(self._folder) if s.first_seq > self._expected]
        if not later:
            return None
        self._lost(self._offset, fault)
        self._open(later[0])
        return self._first()

    def _first(self) -> RawFrame | None:
        found = self._read_on()
        return found if isinstance(found, RawFrame) else None

    def _open_first(self) -> bool:
        segments = segments_from(self._folder, self._wanted) if self._folder.exists() else []
        if not segments:
            return False
        if segments[0].first_seq > self._wanted > 1:
            _log.error(
                "facts %d to %d are gone from %s",
                self._wanted,
                segments[0].first_seq - 1,
                self._folder,
            )
        self._open(segments[0])
        return True

    def _open(self, segment: Segment) -> None:
        fd = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
        self.sync()
        self.close()
        self._fd = fd
        self._path = segment.path
        self._expected = segment.first_seq
        self._offset = HEADER_BYTES
        self._place = 0
        self._data = memoryview(b"")

    def _lost(
        self,
        offset: int,
        fault: Fault | Literal["sequence"],
        next_seq: int | None = None,
        next_offset: int | None = None,
    ) -> None:
        assert self._path is not None
        damage = Damage(self._path, offset, self._expected, fault, next_seq, next_offset)
        _log.error("%s", damage)
        self.damages.append(damage)
        if next_seq is not None:
            self._expected = next_seq
