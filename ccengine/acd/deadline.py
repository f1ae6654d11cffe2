"""Deadlines by key: each key has at most one, changed and forgotten at will."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Literal, TypeAlias

DeadlineKey: TypeAlias = tuple[Literal["agent", "entry"], str]

_SLACK = 256


class Deadlines:
    """A heap with lazy deletion: the mapping tells the truth, the heap its order."""

    __slots__ = ("_due", "_heap")

    def __init__(self) -> None:
        self._due: dict[DeadlineKey, float] = {}
        self._heap: list[tuple[float, DeadlineKey]] = []

    def __len__(self) -> int:
        return len(self._due)

    def set(self, key: DeadlineKey, when: float | None) -> None:
        """Give ``key`` the deadline ``when``, or none."""
        if when is None:
            self._due.pop(key, None)
        elif self._due.get(key) != when:
            self._due[key] = when
            heappush(self._heap, (when, key))
        if len(self._heap) > 4 * len(self._due) + _SLACK:
            self._heap = [(due, name) for name, due in self._due.items()]
            heapify(self._heap)

    def next(self) -> float | None:
        """Return the earliest deadline."""
        heap = self._heap
        while heap:
            when, key = heap[0]
            if self._due.get(key) == when:
                return when
            heappop(heap)
        return None

    def pop_due(self, now: float) -> DeadlineKey | None:
        """Forget and return the earliest key that is due at ``now``."""
        when = self.next()
        if when is None or when > now:
            return None
        key = heappop(self._heap)[1]
        del self._due[key]
        return key
