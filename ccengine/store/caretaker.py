"""Looking after the journal's files: bringing them to the disk and making the next one ahead."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ccengine.clock import Clock
from ccengine.journal.segment import list_segments, provide_next
from ccengine.journal.status import JournalStatus, StatusPage

_log = logging.getLogger(__name__)


class Caretaker:
    """Does its round at every :meth:`step`: fdatasync, next segment, status page.

    It stays free of the database, so nothing that a database does delays it.
    """

    def __init__(self, folder: Path, segment_bytes: int, clock: Clock) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._clock = clock
        self._page = StatusPage(folder)
        self._status = JournalStatus()
        self._synced: Path | None = None
        self._failing: set[str] = set()

    def step(self, *, store_down: bool, projected_seq: int) -> None:
        """Do one round and publish how things stand."""
        self._attempt("bring the journal to the disk", self._sync)
        full = not self._attempt("make room for the next segment", self._provide)
        old = self._status
        new = replace(old, full=full, store_down=store_down, projected_seq=projected_seq)
        if not old.at or (full, store_down) != (old.full, old.store_down):
            new = replace(new, at=self._clock.at().timestamp())
        if new != old:
            self._status = new
            self._page.write(new)

    def close(self) -> None:
        """Bring everything to the disk and let go."""
        self._attempt("bring the journal to the disk", self._sync)
        self._page.close()

    def _attempt(self, what: str, deed: Callable[[], object]) -> bool:
        """Return whether ``deed`` went well; log the first failure and the recovery."""
        try:
            deed()
        except OSError as error:
            if what not in self._failing:
                self._failing.add(what)
                _log.error("cannot %s in %s: %s", what, self._folder, error.strerror)
            return False
        if what in self._failing:
            self._failing.remove(what)
            _log.warning("can %s again in %s", what, self._folder)
        return True

    def _sync(self) -> None:
        paths = [segment.path for segment in list_segments(self._folder)]
        begin = paths.index(self._synced) if self._synced in paths else 0
        for path in paths[begin:]:
            _sync_path(path)
            if path != self._synced:
                _sync_path(self._folder)  # its name too
                self._synced = path

    def _provide(self) -> None:
        provide_next(self._folder, self._segment_bytes)


def _sync_path(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fdatasync(fd)
    finally:
        os.close(fd)
