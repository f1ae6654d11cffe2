"""Segments: the files that a journal consists of, their names and headers.

A segment is named after its first fact, ``<first_seq:020d>.ccj``, and begins with a header of
64 bytes (little-endian)::

    magic 8 | version u16 | unused u16 | crc32 u32 | first_seq u64 | epoch u64 | journal_id 16

The checksum covers everything after itself.  ``journal_id`` is drawn once for each journal and
tells a projection whether its offset belongs to this journal.  The file is preallocated, so
zeros follow the last frame; ``.next`` is the preallocated file that becomes the next segment.
"""

from __future__ import annotations

import errno
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from struct import Struct

from ccengine.errors import JournalError

MAGIC = b"CCJOURN\n"
VERSION = 1
HEADER_BYTES = 64
SUFFIX = ".ccj"
NEXT_NAME = ".next"
LOCK_NAME = "lock"
STATUS_NAME = "status"
DEFAULT_SEGMENT_BYTES = 64 << 20

_HEAD = Struct("<8sHHI")
_BODY = Struct("<QQ16s16x")


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """What a segment says of itself; ``epoch`` was in force when it was begun."""

    first_seq: int
    epoch: int
    journal_id: str

    def encode(self) -> bytes:
        """Return the 64 bytes of the header."""
        body = _BODY.pack(self.first_seq, self.epoch, bytes.fromhex(self.journal_id))
        return _HEAD.pack(MAGIC, VERSION, 0, zlib.crc32(body)) + body


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of the journal, known by its name."""

    path: Path
    first_seq: int


def list_segments(folder: Path) -> list[Segment]:
    """Return the segments in order; an unreadable folder raises :class:`JournalError`."""
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError as error:
        raise JournalError(
            f"journal {folder} cannot be read: {error.strerror}",
            cure="check the path and its permissions",
        ) from error
    return sorted(
        (
            Segment(folder / name, int(name.removesuffix(SUFFIX)))
            for name in names
            if name.endswith(SUFFIX) and name.removesuffix(SUFFIX).isdigit()
        ),
        key=lambda segment: segment.first_seq,
    )


def segment_path(folder: Path, first_seq: int) -> Path:
    """Return the path of the segment that begins with fact ``first_seq``."""
    return folder / f"{first_seq:020d}{SUFFIX}"


def decode_header(data: bytes | memoryview, path: Path) -> SegmentHeader:
    """Return the header that ``data`` begins with; raises :class:`JournalError`."""
    if len(data) < HEADER_BYTES:
        raise JournalError(f"{path}: shorter than a segment's header")
    magic, version, _, crc = _HEAD.unpack_from(data)
    if magic != MAGIC:
        raise JournalError(f"{path}: no segment of a journal", cure="remove the file")
    if version != VERSION:
        raise JournalError(
            f"{path}: format {version} of the journal, this version reads {VERSION}",
            cure="run the version of ccengine that wrote it",
        )
    if zlib.crc32(data[_HEAD.size : HEADER_BYTES]) != crc:
        raise JournalError(f"{path}: the header is damaged", cure="restore it from a backup")
    first_seq, epoch, journal_id = _BODY.unpack_from(data, _HEAD.size)
    return SegmentHeader(first_seq, epoch, journal_id.hex())


def read_header(path: Path) -> SegmentHeader:
    """Return the header of a segment; raises :class:`JournalError`."""
    try:
        with path.open("rb", buffering=0) as file:
            return decode_header(file.read(HEADER_BYTES), path)
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror}") from error


def no_room(error: OSError) -> bool:
    """Return whether the system refused for want of room (disk, quota or file size)."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def preallocate(path: Path, size: int) -> int:
    """Make a new file of ``size`` zeros whose blocks are reserved; return its descriptor.

    Raises OSError, see :func:`no_room`, and leaves nothing behind then.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    try:
        os.posix_fallocate(fd, 0, size)
    except OSError:
        os.close(fd)
        path.unlink(missing_ok=True)
        raise
    return fd


def provide_next(folder: Path, size: int) -> bool:
    """Make sure that ``.next`` exists; return whether it had to be made.

    ``.next`` appears whole and never replaces another one, because the holder of the journal
    may be turning that one into a segment at this moment.  Raises OSError.
    """
    target = folder / NEXT_NAME
    if target.exists():
        return False
    draft = folder / f".draft-{os.getpid()}"
    os.close(preallocate(draft, size))
    try:
        target.hardlink_to(draft)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def begin_segment(folder: Path, header: SegmentHeader, size: int) -> int:
    """Turn ``.next``, or a file made now, into a segment; return its descriptor.

    The descriptor stands behind the header.  The segment appears under its name only with
    its header in it.  Raises OSError, with :func:`no_room` when there is no room for it.
    """
    source = folder / NEXT_NAME
    try:
        fd = os.open(source, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        source = folder / f".draft-{os.getpid()}"
        fd = preallocate(source, size)
    try:
        os.write(fd, header.encode())
        source.rename(segment_path(folder, header.first_seq))
    except OSError:
        os.close(fd)
        raise
    return fd
