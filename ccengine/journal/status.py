"""The page by which the writer process tells the holder of the journal how things stand.

It is a file of fixed size, overwritten in place, so it can be written when the disk is full.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from struct import Struct

from ccengine.journal.segment import STATUS_NAME

_PAGE = Struct("<8s??6xQd")
_MAGIC = b"CCSTAT1\n"


@dataclass(frozen=True, slots=True)
class JournalStatus:
    """What the writer last said.

    ``full``: there is no room for the next segment.  ``store_down``: the database does not
    take what the journal has.  ``projected_seq`` is the first fact that the database does not
    have yet.  ``at`` is POSIX seconds of the last change, 0 when no writer ever spoke.
    """

    full: bool = False
    store_down: bool = False
    projected_seq: int = 0
    at: float = 0.0


class StatusPage:
    """The status file of a journal's folder, made when it is not there."""

    __slots__ = ("_fd",)

    def __init__(self, folder: Path) -> None:
        self._fd = os.open(folder / STATUS_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        if os.fstat(self._fd).st_size < _PAGE.size:
            os.pwrite(self._fd, _PAGE.pack(_MAGIC, False, False, 0, 0.0), 0)

    def read(self) -> JournalStatus:
        """Return what was last written; about half a microsecond."""
        data = os.pread(self._fd, _PAGE.size, 0)
        if len(data) < _PAGE.size:
            return JournalStatus()
        magic, full, store_down, projected_seq, at = _PAGE.unpack(data)
        return (
            JournalStatus(full, store_down, projected_seq, at)
            if magic == _MAGIC
            else (JournalStatus())
        )

    def write(self, status: JournalStatus) -> None:
        """Replace what the page says."""
        page = _PAGE.pack(_MAGIC, status.full, status.store_down, status.projected_seq, status.at)
        os.pwrite(self._fd, page, 0)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)
