"""RTP/RTCP port pairs that are bound ahead of need, so that an SDP answer needs no wait."""

from __future__ import annotations

import errno
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ccengine.media.udp import bind_pair


@dataclass(frozen=True, slots=True)
class PortPair:
    """A bound pair: RTP on ``port``, RTCP on ``port + 1``."""

    port: int
    rtp: socket.socket
    rtcp: socket.socket

    def close(self) -> None:
        """Close both sockets."""
        self.rtp.close()
        self.rtcp.close()


OnBind = Callable[[PortPair], None]
"""Called for every pair that was bound: the place to deposit duplicates of its sockets."""


class PortLeases:
    """The pairs of one worker: free ones ahead, used ones, and those that rest after use.

    Ports taken by others are passed over and tried again in the next round.
    """

    def __init__(
        self,
        host: str,
        port_min: int,
        port_max: int,
        *,
        ahead: int = 256,
        quarantine_s: float = 5.0,
        on_bind: OnBind | None = None,
    ) -> None:
        self._host = host
        even = port_min + port_min % 2
        self._ports = deque(range(even, port_max, 2))
        self._range = range(even, port_max, 2)
        self._ahead = min(ahead, len(self._ports))
        self._quarantine_s = quarantine_s
        self._on_bind = on_bind
        self._free: dict[int, PortPair] = {}
        self._used: set[int] = set()
        self._resting: deque[tuple[float, int]] = deque()
        self._new: list[int] = []
        self._retry_at = 0.0
        self._failure = 0
        self._passed = 0

    @property
    def free(self) -> tuple[int, ...]:
        """Return the ports that are bound and free."""
        return tuple(self._free)

    @property
    def free_count(self) -> int:
        """Return how many ports are bound and free."""
        return len(self._free)

    def refill(self, now: float, batch: int = 4) -> tuple[int, ...]:
        """Bind some pairs where free ones are short; return ports newly free.

        ``batch`` pairs, more when a burst of calls has taken most: a sixteenth of what lacks.
        """
        while self._resting and self._resting[0][0] <= now:
            self._ports.append(self._resting.popleft()[1])
        if len(self._free) < self._ahead and now >= self._retry_at:
            self._bind(now, max(batch, (self._ahead - len(self._free)) // 16))
        new, self._new = tuple(self._new), []
        return new

    def _bind(self, now: float, batch: int) -> None:
        for _ in range(min(batch, self._ahead - len(self._free), len(self._ports))):
            port = self._ports.popleft()
            if self._open(port) is not None:
                self._passed = 0
                self._new.append(port)
                continue
            self._ports.append(port)
            self._passed += 1
            if self._failure != errno.EADDRINUSE or self._passed >= len(self._ports):
                # The limit of open files, or every port is taken: not in every tick.
                self._passed = 0
                self._retry_at = now + 0.1
                return

    def _open(self, port: int) -> PortPair | None:
        try:
            rtp, rtcp = bind_pair(self._host, port)
        except OSError as error:
            self._failure = error.errno or 0
            return None
        pair = PortPair(port, rtp, rtcp)
        self._free[port] = pair
        if self._on_bind is not None:
            self._on_bind(pair)
        return pair

    def take(self, port: int) -> PortPair | None:
        """Return the pair of ``port`` for a leg; None when it cannot be had.

        A port of the range that is not bound yet (asked for by a signalling process that
        knew this worker's predecessor) is bound on the spot.
        """
        pair = self._free.pop(port, None)
        if pair is None and port in self._range and port not in self._used:
            pair = self._open(port)
            if pair is not None:
                del self._free[port]
                self._unlist(port)
        if pair is not None:
            self._used.add(port)
        return pair

    def _unlist(self, port: int) -> None:
        if port in self._ports:
            self._ports.remove(port)
        self._resting = deque(entry for entry in self._resting if entry[1] != port)

    def release(self, pair: PortPair, now: float) -> None:
        """Close a pair that a leg has used; its port rests before it is bound afresh."""
        pair.close()
        self._used.discard(pair.port)
        self._resting.append((now + self._quarantine_s, pair.port))

    def close(self) -> None:
        """Close every free pair."""
        for pair in self._free.values():
            pair.close()
        self._free.clear()
