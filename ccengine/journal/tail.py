"""Finding the place where a journal goes on, and cutting off what a crash left behind it."""

from __future__ import annotations

import logging
import os
import uuid
from dataclasses import dataclass
from pathlib import Path

from ccengine.errors import JournalError
from ccengine.journal.frame import RawFrame
from ccengine.journal.registry import EpochStarted, Registry
from ccengine.journal.scan import Damage, read_segment, scan
from ccengine.journal.segment import (
    HEADER_BYTES,
    Segment,
    SegmentHeader,
    begin_segment,
    decode_header,
    list_segments,
)

_log = logging.getLogger(__name__)

FIRST_SEQ = 1


@dataclass(frozen=True, slots=True)
class Tail:
    """Where to write on: ``fd`` stands at ``offset`` of the last segment."""

    fd: int
    offset: int
    next_seq: int
    epoch: int
    journal_id: str


def find_tail(folder: Path, segment_bytes: int) -> Tail:
    """Return the place behind the last whole frame, in a new journal when there is none.

    What follows that place is cut off and kept as ``<segment>.torn``.  Raises OSError and
    :class:`JournalError`.
    """
    for draft in folder.glob(".draft-*"):
        draft.unlink(missing_ok=True)
    segments = list_segments(folder)
    while segments:
        last = segments.pop()
        data = read_segment(last.path)
        if len(data) >= HEADER_BYTES and any(data[:HEADER_BYTES]):
            return _tail_of(last, data, segment_bytes)
        # Power was lost between name and header: nothing was ever written into it.
        last.path.rename(last.path.with_suffix(".torn"))
    header = SegmentHeader(FIRST_SEQ, 0, uuid.uuid4().hex)
    fd = begin_segment(folder, header, segment_bytes)
    return Tail(fd, HEADER_BYTES, FIRST_SEQ, 0, header.journal_id)


def _tail_of(segment: Segment, data: memoryview, segment_bytes: int) -> Tail:
    header = decode_header(data, segment.path)
    if header.first_seq != segment.first_seq:
        raise JournalError(f"{segment.path} was renamed", cure="give it its own name again")
    offset, next_seq, epoch = HEADER_BYTES, header.first_seq, header.epoch
    for found in scan(data, segment.path, next_seq):
        if isinstance(found, Damage):
            _log.error("%s", found)
        else:
            offset, next_seq = found.end, found.next_seq
            epoch = max(epoch, _epoch_in(found))
    fd = os.open(segment.path, os.O_RDWR | os.O_CLOEXEC)
    if any(chunk.strip(b"\0") for chunk in _chunks(data, offset)):
        _cut(segment.path, fd, data, offset)
        _reserve(fd, segment_bytes)
    os.lseek(fd, offset, os.SEEK_SET)
    return Tail(fd, offset, next_seq, epoch, header.journal_id)


def _chunks(data: memoryview, offset: int, size: int = 1 << 16) -> list[bytes]:
    return [bytes(data[place : place + size]) for place in range(offset, len(data), size)]


def _epoch_in(frame: RawFrame) -> int:
    kind, version = EpochStarted.FACT
    epoch = 0
    for stream, fact_type, fact_version, data in frame.entries:
        if fact_type == kind and fact_version == version:
            fact = Registry(()).decode(fact_type, fact_version, stream, data)
            if isinstance(fact, EpochStarted):
                epoch = max(epoch, fact.epoch)
    return epoch


def _cut(path: Path, fd: int, data: memoryview, offset: int) -> None:
    torn = path.with_name(f"{path.stem}-{offset}.torn")
    try:
        torn.write_bytes(bytes(data[offset:]).rstrip(b"\0"))
    except OSError as error:
        # What is cut was never acknowledged; a full disk must not stop the engine for it.
        _log.warning("%s cannot be kept: %s", torn, error.strerror)
    _log.warning("%s: torn tail cut off at byte %d", path, offset)
    os.ftruncate(fd, offset)


def _reserve(fd: int, segment_bytes: int) -> None:
    try:
        os.posix_fallocate(fd, 0, segment_bytes)
    except OSError as error:
        _log.warning("the last segment of the journal cannot be preallocated: %s", error.strerror)
