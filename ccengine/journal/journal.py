"""The journal as its one holder sees it: open, append, close."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Self

from ccengine.clock import Clock
from ccengine.errors import JournalError, JournalFullError, JournalLockedError
from ccengine.journal.frame import FrameEncoder
from ccengine.journal.registry import EpochStarted, Registry
from ccengine.journal.segment import (
    DEFAULT_SEGMENT_BYTES,
    HEADER_BYTES,
    LOCK_NAME,
    SegmentHeader,
    begin_segment,
    no_room,
)
from ccengine.journal.status import StatusPage
from ccengine.journal.tail import Tail, find_tail
from ccengine.ports import FactData

_log = logging.getLogger(__name__)

_ROLL_AGAIN_S = 1.0


class Journal:
    """An append-only file of facts, held by one process at a time.

    ``epoch`` counts the holders, ``next_seq`` is the number of the next fact (the first is 1)
    and ``journal_id`` never changes during the life of the folder.
    """

    def __init__(
        self,
        folder: Path,
        lock_fd: int,
        tail: Tail,
        *,
        boot_id: str,
        segment_bytes: int,
        registry: Registry,
    ) -> None:
        self.folder = folder
        self.journal_id = tail.journal_id
        self.epoch = tail.epoch + 1
        self.next_seq = tail.next_seq
        self._lock_fd = lock_fd
        self._fd = tail.fd
        self._offset = tail.offset
        self._segment_bytes = segment_bytes
        self._encoder = FrameEncoder(boot_id, registry)
        self._status = StatusPage(folder)
        self._starved = False
        self._roll_at = 0.0

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        boot_id: str,
        clock: Clock,
        registry: Registry,
        segment_bytes: int = DEFAULT_SEGMENT_BYTES,
    ) -> Journal:
        """Take the journal over, or make a new one, and write the fact of the new epoch.

        A torn tail is cut off and kept beside its segment.  Raises
        :class:`JournalLockedError` with the holder's pid, :class:`JournalFullError` when
        there is no room for the first segment, :class:`JournalError` otherwise.
        """
        lock_fd = _lock(folder)
        try:
            tail = find_tail(folder, segment_bytes)
            journal = cls(
                folder,
                lock_fd,
                tail,
                boot_id=boot_id,
                segment_bytes=segment_bytes,
                registry=registry,
            )
        except JournalError:
            os.close(lock_fd)
            raise
        except OSError as error:
            os.close(lock_fd)
            raise _failure(folder, error) from error
        try:
            start = EpochStarted(journal.epoch, boot_id, os.getpid())
            journal.append([start], clock.now(), clock.at())
        except JournalError:
            journal.close()
            raise
        return journal

    def append(self, facts: Sequence[FactData], now: float, at: datetime) -> int:
        """Write the facts of one drain as one frame; return the number of the last fact.

        ``now`` is monotonic seconds, ``at`` aware UTC.  When this returns, the facts survive
        the death of this process; they are on the disk within a second.  On an error nothing
        of the frame is in the journal and the next append may succeed:
        :class:`JournalFullError` when the disk is full (the caller keeps the facts and offers
        them again in front of later ones, or stops), :class:`JournalError` for a fact that no
        replay could read or a failing disk.
        """
        if not facts:
            return self.next_seq - 1
        frame = self._encoder.encode(facts, self.next_seq, now, at.timestamp())
        if self._offset + len(frame) > self._segment_bytes and self._offset > HEADER_BYTES:
            self._roll(now)
        try:
            written = os.write(self._fd, frame)
            if written != len(frame):
                self._write_rest(frame, written)
        except OSError as error:
            self._undo()
            raise _failure(self.folder, error) from error
        self._offset += written
        self.next_seq += len(facts)
        return self.next_seq - 1

    def full(self) -> bool:
        """Return whether there is no room for the next segment: new calls get 503.

        The segment in hand still takes the facts of calls in progress.
        """
        return self._starved or self._status.read().full

    def close(self) -> None:
        """Let go of the journal; the next holder may open it.  Twice is once."""
        if self._fd < 0:
            return
        os.close(self._fd)
        self._status.close()
        os.ftruncate(self._lock_fd, 0)  # its pid is no holder any more
        os.close(self._lock_fd)
        self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _roll(self, now: float) -> None:
        if now < self._roll_at:
            return
        header = SegmentHeader(self.next_seq, self.epoch, self.journal_id)
        try:
            fd = begin_segment(self.folder, header, self._segment_bytes)
        except OSError as error:
            # The segment in hand grows past its size as long as the disk lets it.
            if not self._starved:
                _log.error("no next segment in %s: %s", self.folder, error.strerror)
            self._starved = True
            self._roll_at = now + _ROLL_AGAIN_S
            return
        os.close(self._fd)
        self._fd = fd
        self._offset = HEADER_BYTES
        self._starved = False

    def _write_rest(self, frame: bytes, written: int) -> None:
        # A write to a file is cut short by a full disk or a limit: the rest says which.
        view = memoryview(frame)
        while written < len(frame):
            written += os.write(self._fd, view[written:])

    def _undo(self) -> None:
        os.ftruncate(self._fd, self._offset)
        os.lseek(self._fd, self._offset, os.SEEK_SET)


def refuse_held(folder: Path) -> None:
    """Raise :class:`JournalLockedError` when a process holds the journal, without taking it."""
    try:
        fd = os.open(folder / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _failure(folder, error) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _held(folder, fd) from error
    finally:
        os.close(fd)


def _held(folder: Path, fd: int) -> JournalLockedError:
    holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
    return JournalLockedError(
        f"journal {folder} is held by process {holder}",
        cure="stop that process or give this one another folder",
    )


def _failure(folder: Path, error: OSError) -> JournalError:
    if no_room(error):
        return JournalFullError(f"journal {folder}: {error.strerror}", cure="make room on its disk")
    return JournalError(f"journal {folder}: {error.strerror}", cure="check the path and the disk")


def _lock(folder: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise _failure(folder, error) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        held = _held(folder, fd)
        os.close(fd)
        raise held from error
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode("ascii"), 0)
    return fd
