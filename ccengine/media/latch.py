"""Symmetric RTP: the first valid source of a leg is locked, everybody else stays outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ccengine.errors import RtpError
from ccengine.media.leg import Leg
from ccengine.media.poller import Poller
from ccengine.media.udp import Address, disconnect
from ccengine.rtp.packet import parse

_MAX_DATAGRAM: Final = 2048
_READS: Final = 16
# After a re-latch, packets of the old source that are still under way must not win.
_OLD_SOURCE_S: Final = 1.0

OnLatched = Callable[[Leg], None]


class Latching:
    """Legs whose source is not known yet: a few sockets, read one packet at a time."""

    def __init__(self, poller: Poller, now: Callable[[], float], on_latched: OnLatched) -> None:
        self._poller = poller
        self._now = now
        self._on_latched = on_latched
        self.garbage = 0

    def open(self, leg: Leg) -> None:
        """Wait for a leg's first packet, or lock it to the description when it must not latch."""
        want = leg.want
        if not want.latch and want.remote_host and want.remote_port:
            self.lock(leg, (want.remote_host, want.remote_port))
            return
        self._poller.add(leg.pair.rtp.fileno(), lambda: self._readable(leg))

    def reopen(self, leg: Leg) -> None:
        """Wait for a new source: the description of the remote has changed."""
        if leg.latched is not None:
            leg.refused_source = leg.latched
            leg.refused_until = self._now() + _OLD_SOURCE_S
            leg.latched = None
            disconnect(leg.pair.rtp)
        self.close(leg)
        self.open(leg)

    def close(self, leg: Leg) -> None:
        """Stop waiting for a leg's packets."""
        self._poller.remove(leg.pair.rtp.fileno())

    def _readable(self, leg: Leg) -> None:
        for _ in range(_READS):
            try:
                data, source = leg.pair.rtp.recvfrom(_MAX_DATAGRAM)
            except OSError:
                return
            if self._acceptable(leg, data, source[:2]):
                leg.pending.append(data)
                self.lock(leg, source[:2])
                return

    def _acceptable(self, leg: Leg, data: bytes, source: Address) -> bool:
        try:
            packet = parse(data)
        except RtpError:
            self.garbage += 1
            return False
        want = leg.want
        described = source == (want.remote_host, want.remote_port)
        refused = source == leg.refused_source and self._now() < leg.refused_until
        if refused and not described:
            return False
        if packet.payload_type not in (want.codec.payload_type, want.event_pt):
            leg.strangers += 1
            return False
        return True

    def lock(self, leg: Leg, source: Address) -> None:
        """Lock a leg to ``source``: the kernel drops what comes from anywhere else."""
        try:
            leg.pair.rtp.connect(source)
        except OSError:
            # No route to there: whoever sent it cannot be answered.
            leg.pending.clear()
            leg.strangers += 1
            return
        self.close(leg)
        leg.latched = source
        self._drain_strangers(leg, source)
        self._on_latched(leg)

    def _drain_strangers(self, leg: Leg, source: Address) -> None:
        """Sort what was queued before the lock: connecting does not purge it."""
        while True:
            try:
                data, other = leg.pair.rtp.recvfrom(_MAX_DATAGRAM)
            except OSError:
                return
            if other[:2] == source:
                leg.pending.append(data)
            else:
                leg.strangers += 1
