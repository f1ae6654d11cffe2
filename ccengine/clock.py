"""The only place that reads a clock, beside the media tick.

``now`` is monotonic seconds, ``at`` is aware UTC.  Within one boot of the machine monotonic
time holds across processes; ``boot_id`` tells boots apart.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant in both ways of telling time: ``now`` monotonic seconds, ``at`` aware UTC."""

    now: float
    at: datetime

    def after(self, seconds: float) -> Moment:
        """Return the instant ``seconds`` later (earlier when negative)."""
        return Moment(self.now + seconds, self.at + timedelta(seconds=seconds))

    def on_clock(self, here: Moment) -> Moment:
        """Return the same UTC instant on the monotonic clock on which ``here`` is now."""
        return Moment(here.now + (self.at - here.at).total_seconds(), self.at)


class Clock(Protocol):
    """Tells the time in the two ways that the engine needs."""

    def now(self) -> float:
        """Return monotonic seconds."""

    def at(self) -> datetime:
        """Return the wall clock as aware UTC."""


class SystemClock:
    """The machine's clocks."""

    __slots__ = ()

    def now(self) -> float:
        """Return seconds of ``CLOCK_MONOTONIC``, which all processes of a boot share."""
        return time.monotonic()

    def at(self) -> datetime:
        """Return the wall clock as aware UTC."""
        return datetime.now(UTC)


class VirtualClock:
    """A clock that moves only when told to; wall and monotonic time move together."""

    __slots__ = ("_now", "_origin")

    def __init__(self, now: float = 1000.0, at: datetime | None = None) -> None:
        self._now = now
        start = at if at is not None else datetime(2026, 1, 5, 1, 0, tzinfo=UTC)
        self._origin = start - timedelta(seconds=now)

    def now(self) -> float:
        """Return the virtual monotonic seconds."""
        return self._now

    def at(self) -> datetime:
        """Return the virtual wall clock."""
        return self._origin + timedelta(seconds=self._now)

    def advance(self, seconds: float) -> float:
        """Move forward by ``seconds`` (not negative) and return the new ``now``."""
        if seconds < 0:
            raise ValueError("a clock does not run backwards")
        self._now += seconds
        return self._now

    def advance_to(self, now: float) -> float:
        """Move forward to ``now``; an earlier instant leaves the clock where it is."""
        self._now = max(self._now, now)
        return self._now


def moment_of(clock: Clock) -> Moment:
    """Return what a clock tells right now, in both ways."""
    return Moment(clock.now(), clock.at())


@cache
def boot_id() -> str:
    """Return the kernel's identifier of this boot, or ``"unknown"`` where there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"
