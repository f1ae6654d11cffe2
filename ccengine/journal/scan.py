"""Reading segments: whole frames in order, and an exact report of what is not readable."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ccengine.errors import JournalError
from ccengine.journal.frame import Fault, RawFrame, find_frame, frame_at
from ccengine.journal.segment import (
    HEADER_BYTES,
    Segment,
    SegmentHeader,
    decode_header,
    list_segments,
)

_WORDS = {
    "end": "the data end here",
    "short": "a frame is cut short",
    "length": "a frame has an impossible length",
    "checksum": "the checksum of a frame does not match",
    "payload": "a frame does not hold facts",
    "sequence": "facts are missing",
    "header": "the header of the segment is damaged",
}


@dataclass(frozen=True, slots=True)
class Damage:
    """A place of the journal that cannot be read.

    ``seq`` is the first fact that is lost; ``next_seq`` and ``next_offset`` tell where reading
    can go on within the segment, None when nothing readable follows in it.
    """

    path: Path
    offset: int
    seq: int
    fault: Fault | Literal["sequence", "header"]
    next_seq: int | None = None
    next_offset: int | None = None

    def __str__(self) -> str:
        if self.fault == "header":
            lost = "its facts may still be readable"
        elif self.next_seq is None:
            lost = f"nothing after fact {self.seq - 1} is readable in this segment"
        else:
            lost = f"facts {self.seq} to {self.next_seq - 1} are lost"
        return f"{self.path} at byte {self.offset}: {_WORDS[self.fault]}; {lost}"


def read_segment(path: Path) -> memoryview:
    """Return the segment without the hole at its end; raises :class:`JournalError`.

    A segment is allocated whole before it is written: reading megabytes of nothing would be
    most of the time of a takeover.
    """
    try:
        with path.open("rb") as file:
            size = _written(file.fileno())
            return memoryview(file.read(size) if size else b"")
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror}", cure="check its permissions") from error


def _written(fd: int) -> int:
    """Return where the last written region of a file ends, its size where holes are not told."""
    end = 0
    while True:
        try:
            begin = os.lseek(fd, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                end = os.fstat(fd).st_size
            break
        end = os.lseek(fd, begin, os.SEEK_HOLE)
    os.lseek(fd, 0, os.SEEK_SET)
    return end


def scan(data: memoryview, path: Path, next_seq: int) -> Iterator[RawFrame | Damage]:
    """Yield the frames of one segment in order; ``next_seq`` is the fact expected first.

    An unreadable place is yielded as :class:`Damage`, then the frames behind it follow; the
    regular end is not.  Whoever must not go past a damage stops at it.
    """
    offset = HEADER_BYTES
    while True:
        found = frame_at(data, offset)
        if found == "end":
            return
        if isinstance(found, RawFrame) and found.first_seq == next_seq:
            yield found
        else:
            wrong: Fault | Literal["sequence"] = (
                "sequence" if isinstance(found, RawFrame) else found
            )
            follower = (
                found
                if isinstance(found, RawFrame) and found.first_seq > next_seq
                else find_frame(data, offset + 1, next_seq)
            )
            if follower is None:
                yield Damage(path, offset, next_seq, wrong)
                return
            yield Damage(path, offset, next_seq, wrong, follower.first_seq, follower.start)
            yield follower
            found = follower
        offset = found.end
        next_seq = found.next_seq


def scan_folder(folder: Path, from_seq: int) -> Iterator[RawFrame | Damage | SegmentHeader]:
    """Yield headers, frames and damages from the segment that holds ``from_seq`` on.

    Frames wholly before ``from_seq`` are yielded too; the caller trims.
    """
    next_seq: int | None = None
    for segment in segments_from(folder, from_seq):
        if next_seq is not None and segment.first_seq > next_seq:
            yield Damage(segment.path, 0, next_seq, "sequence", segment.first_seq, HEADER_BYTES)
        data = read_segment(segment.path)
        try:
            yield decode_header(data, segment.path)
        except JournalError:
            yield Damage(segment.path, 0, segment.first_seq, "header")
        next_seq = segment.first_seq
        for found in scan(data, segment.path, next_seq):
            if isinstance(found, RawFrame):
                next_seq = found.next_seq
            yield found


def segments_from(folder: Path, from_seq: int) -> list[Segment]:
    """Return the segment that holds ``from_seq`` and those after it."""
    segments = list_segments(folder)
    begin = 0
    for index, segment in enumerate(segments):
        if segment.first_seq <= from_seq:
            begin = index
    return segments[begin:]
