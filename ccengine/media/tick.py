"""The worker's clockwork: slots of 5 ms, how late they are, and when there is time for the rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import numpy as np

SLOT_S: Final = 0.005
# A worker that was stopped for longer than this does not catch up: what is lost is lost.
_MAX_BEHIND_SLOTS: Final = 200


class Lateness:
    """Lateness of ticks over the time since the last look, in seconds.

    Lateness is the start of a slot's work minus its schedule; ``done`` is the end of the
    work, after the last packet was sent, minus the schedule.
    """

    def __init__(self, size: int = 4096) -> None:
        self._late = np.full(size, 0.0)
        self._done = np.full(size, 0.0)
        self._count = 0

    def add(self, late: float, done: float) -> None:
        """Note one slot; the oldest are forgotten when nobody looks."""
        at = self._count % len(self._late)
        self._late[at] = late
        self._done[at] = done
        self._count += 1

    def take(self) -> tuple[float, float, float, float]:
        """Return p50, p99 and maximum of lateness and p99 of ``done`` in ms; begin anew."""
        count = min(self._count, len(self._late))
        self._count = 0
        if not count:
            return 0.0, 0.0, 0.0, 0.0
        late = self._late[:count]
        done = self._done[:count]
        return (
            float(np.percentile(late, 50)) * 1000,
            float(np.percentile(late, 99)) * 1000,
            float(late.max()) * 1000,
            float(np.percentile(done, 99)) * 1000,
        )


class Clockwork:
    """Runs ``visit(slot, now)`` on schedule and ``between(until)`` in the time left.

    This is the one loop beside :mod:`ccengine.clock` that reads the clock.
    """

    def __init__(
        self, visit: Callable[[int, float], bool], between: Callable[[int, float], None]
    ) -> None:
        self._visit = visit
        self._between = between
        self._origin = time.monotonic()
        self._slot = 0
        self.lateness = Lateness()
        self.skipped = 0
        self.stopping = False

    def step(self) -> None:
        """Wait for the next slot, serve it, and use what is left of it."""
        due = self._origin + self._slot * SLOT_S
        now = time.monotonic()
        if now < due:
            time.sleep(due - now)
            now = time.monotonic()
        late = now - due
        slot = self._slot
        if self._visit(slot, now):
            self.lateness.add(late, time.monotonic() - due)
        self._slot += 1
        if late > _MAX_BEHIND_SLOTS * SLOT_S:
            behind = int(late / SLOT_S)
            self._origin += behind * SLOT_S
            self.skipped += behind
        self._between(slot, due + SLOT_S)

    def run(self) -> None:
        """Run until ``stopping`` is set."""
        while not self.stopping:
            self.step()
