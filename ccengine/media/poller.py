"""The slow path: few descriptors at a time, looked at between ticks."""

from __future__ import annotations

import select
from collections.abc import Callable

Ready = Callable[[], None]


class Poller:
    """Calls back for descriptors that have something to read; never waits."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._ready: dict[int, Ready] = {}

    def add(self, fd: int, ready: Ready) -> None:
        """Call ``ready`` whenever ``fd`` is readable or its other end is gone."""
        self._ready[fd] = ready
        self._epoll.register(fd, select.EPOLLIN)

    def remove(self, fd: int) -> None:
        """Look at ``fd`` no longer; an unknown one is ignored."""
        if self._ready.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def poll(self, limit: int = 64) -> int:
        """Call back for up to ``limit`` descriptors; return for how many."""
        events = self._epoll.poll(0, limit)
        for fd, _ in events:
            # One callback may have removed the descriptor of the next.
            ready = self._ready.get(fd)
            if ready is not None:
                ready()
        return len(events)

    def close(self) -> None:
        """Close the epoll descriptor."""
        self._epoll.close()
