"""Timers of a sans-IO machine: a heap that forgets cancelled entries lazily."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

Owner = TypeVar("Owner")


class Timer(Generic[Owner]):
    """One pending expiry: whose it is and what it is called there."""

    __slots__ = ("name", "owner")

    def __init__(self, owner: Owner, name: str) -> None:
        self.owner: Owner | None = owner
        self.name = name


class TimerQueue(Generic[Owner]):
    """Pending timers in the order of their expiry; equal instants keep the order of arming.

    A cancelled timer lets go of its owner at once, so memory that it held is free; its empty
    entry leaves the heap when its time comes or when such entries outnumber the live ones.
    """

    __slots__ = ("_cancelled", "_count", "_heap")

    _COMPACT_ABOVE = 64

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer[Owner]]] = []
        self._count = 0
        self._cancelled = 0

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled

    def arm(self, due: float, owner: Owner, name: str) -> Timer[Owner]:
        """Return a new timer of ``owner`` that expires at ``due`` (monotonic seconds)."""
        timer = Timer(owner, name)
        self._count += 1
        heappush(self._heap, (due, self._count, timer))
        return timer

    def cancel(self, timer: Timer[Owner] | None) -> None:
        """Forget a timer; None, an expired and a cancelled one are fine."""
        if timer is None or timer.owner is None:
            return
        timer.owner = None
        self._cancelled += 1
        if self._cancelled > self._COMPACT_ABOVE and 2 * self._cancelled > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].owner is not None]
            heapify(self._heap)
            self._cancelled = 0

    def next_due(self) -> float | None:
        """Return the instant of the earliest live timer, None when there is none."""
        heap = self._heap
        while heap:
            due, _, timer = heap[0]
            if timer.owner is not None:
                return due
            heappop(heap)
            self._cancelled -= 1
        return None

    def pop_due(self, now: float) -> tuple[Owner, str] | None:
        """Return and forget the earliest timer that is due at ``now``: its owner and name."""
        heap = self._heap
        while heap:
            due, _, timer = heap[0]
            owner = timer.owner
            if owner is None:
                heappop(heap)
                self._cancelled -= 1
                continue
            if due > now:
                return None
            heappop(heap)
            timer.owner = None
            return owner, timer.name
        return None
