"""Every drain's facts into the journal, also while the disk is full or failing."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from ccengine.errors import JournalError
from ccengine.journal.coalesce import coalesce
from ccengine.journal.journal import Journal
from ccengine.ports import FactData

_log = logging.getLogger(__name__)


class Books:
    """Writes facts in order; what the disk does not take waits in front of the next.

    ``lost`` counts facts that no journal can take: a flaw of ours that is logged.
    """

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.lost = 0
        self._waiting: list[FactData] = []
        self._warned = False

    @property
    def waiting(self) -> int:
        """How many facts wait for room."""
        return len(self._waiting)

    def has_room(self) -> bool:
        """Return whether new calls may come: nothing waits, and there is a next segment."""
        room = not self._waiting and not self.journal.full()
        if room == self._warned:
            self._warned = not room
            if room:
                _log.warning("the journal has room again: new calls are taken")
            else:
                _log.error("the journal has no room: new calls get 503 until there is some")
        return room

    def write(self, facts: Sequence[FactData], now: float, at: datetime) -> None:
        """Write the facts of one drain as one frame, those that wait first."""
        if not facts and not self._waiting:
            return
        together = [*self._waiting, *coalesce(facts)]
        try:
            self.journal.append(together, now, at)
        except JournalError as error:
            if isinstance(error.__cause__, OSError):
                if not self._waiting:
                    _log.error("%s; facts wait in memory", error)
                self._waiting = together
                return
            self._write_singly(together, now, at)
        self._waiting = []

    def _write_singly(self, facts: Sequence[FactData], now: float, at: datetime) -> None:
        """Let one fact that cannot be written take no other with it."""
        for fact in facts:
            try:
                self.journal.append([fact], now, at)
            except JournalError as error:
                self.lost += 1
                _log.error("a fact of %s is lost: %s", fact.stream, error)
