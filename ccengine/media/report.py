"""RTCP of all legs: reports every few seconds, staggered, and what the peers report."""

from __future__ import annotations

import heapq
import os
from typing import Final

from ccengine.clock import Clock
from ccengine.errors import RtpError
from ccengine.media.control import LegStats
from ccengine.media.leg import Leg
from ccengine.media.poller import Poller
from ccengine.media.udp import Address
from ccengine.rtp import rtcp
from ccengine.rtp.rtcp import ReportBlock, RtcpReport, SenderInfo

_MAX_DATAGRAM: Final = 2048
_READS: Final = 4
_PER_SLOT: Final = 8
_CLOCK_KHZ: Final = 8


class Reports:
    """Builds, sends and reads reports; sequence and loss come from the legs' columns."""

    def __init__(self, poller: Poller, clock: Clock, name: str, interval_s: float) -> None:
        self._poller = poller
        self._clock = clock
        self._cname = f"{name}-{os.getpid()}@ccengine"
        self._interval_s = interval_s
        self._due: list[tuple[float, int, Leg]] = []
        self._count = 0
        self.garbage = 0

    def open(self, leg: Leg, now: float) -> None:
        """Listen for a leg's RTCP and report about it from now on."""
        self._poller.add(leg.pair.rtcp.fileno(), lambda: self._readable(leg))
        # Legs that were made together report apart: half to one and a half intervals.
        self._count += 1
        leg.rtcp.due = now + self._interval_s * (0.5 + self._count * 0.618 % 1)
        heapq.heappush(self._due, (leg.rtcp.due, self._count, leg))

    def close(self, leg: Leg) -> None:
        """Say BYE (:rfc:`3550` section 6.6) and listen no more."""
        leg.rtcp.due = 0.0
        self._send(leg, self._clock.now(), bye=True)
        self._poller.remove(leg.pair.rtcp.fileno())

    def send_due(self, now: float) -> None:
        """Send the reports that are due, a few at a time."""
        for _ in range(_PER_SLOT):
            if not self._due or self._due[0][0] > now:
                return
            due, number, leg = heapq.heappop(self._due)
            if leg.rtcp.due != due:
                continue
            leg.rtcp.due = max(due + self._interval_s, now)
            heapq.heappush(self._due, (leg.rtcp.due, number, leg))
            self._send(leg, now)

    # --- sending ----------------------------------------------------------------------------

    def _target(self, leg: Leg) -> Address | None:
        if leg.rtcp.remote is not None:
            return leg.rtcp.remote
        remote = leg.remote
        return (remote[0], remote[1] + 1) if remote is not None and remote[1] < 65535 else None

    def _send(self, leg: Leg, now: float, *, bye: bool = False) -> None:
        target = self._target(leg)
        if target is None:
            return
        table, row = leg.group.table, leg.row
        sender = self._sender(leg, now) if table.sent[row] else None
        blocks = (self._block(leg, now),) if table.rx_run[row] else ()
        report = RtcpReport(leg.ssrc, sender, blocks, self._cname, (leg.ssrc,) if bye else ())
        try:
            leg.pair.rtcp.sendto(rtcp.build(report), target)
        except OSError:
            return

    def _sender(self, leg: Leg, now: float) -> SenderInfo:
        group, row = leg.group, leg.row
        table = group.table
        gap = group.visited - int(table.tx_visit[row])
        since = int((now - group.visited_at) * 1000 * _CLOCK_KHZ)
        timestamp = int(table.tx_ts[row]) + max(0, gap) * group.frame + max(0, since)
        ntp = rtcp.ntp_time(self._clock.at().timestamp())
        return SenderInfo(ntp, timestamp, int(table.sent[row]), int(table.octets[row]))

    def _block(self, leg: Leg, now: float) -> ReportBlock:
        table, row, state = leg.group.table, leg.row, leg.rtcp
        expected = table.expected(row)
        received = int(table.received[row])
        fraction = rtcp.fraction_lost(
            expected - state.expected_prior, received - state.received_prior
        )
        state.expected_prior, state.received_prior = expected, received
        delay = int((now - state.last_sr_at) * 65536) if state.last_sr else 0
        return ReportBlock(
            int(table.rx_ssrc[row]),
            fraction,
            table.lost(row),
            int(table.rx_ext[row]),
            int(table.jitter[row]),
            state.last_sr,
            delay,
        )

    # --- receiving -----------------------------------------------------------------------------

    def _readable(self, leg: Leg) -> None:
        for _ in range(_READS):
            try:
                data, source = leg.pair.rtcp.recvfrom(_MAX_DATAGRAM)
            except OSError:
                return
            remote = leg.remote
            if remote is None or source[0] != remote[0]:
                leg.strangers += 1
                continue
            try:
                report = rtcp.parse(data)
            except RtpError:
                self.garbage += 1
                continue
            leg.rtcp.remote = source[:2]
            self._take(leg, report)

    def _take(self, leg: Leg, report: RtcpReport) -> None:
        state = leg.rtcp
        arrival = rtcp.ntp_time(self._clock.at().timestamp())
        if report.sender is not None:
            state.peer = report.sender
            state.last_sr = rtcp.middle_ntp(report.sender.ntp)
            state.last_sr_at = self._clock.now()
        for block in report.blocks:
            if block.ssrc != leg.ssrc:
                continue
            state.loss_remote = block.fraction_lost / 256
            trip = rtcp.round_trip_s(arrival, block)
            if trip is not None:
                state.round_trip_ms = trip * 1000


def stats_of(leg: Leg, seq: int) -> LegStats:
    """Return the books of a leg."""
    table, row = leg.group.table, leg.row
    return LegStats(
        seq,
        leg.key,
        sent=int(table.sent[row]),
        received=int(table.received[row]),
        lost=table.lost(row),
        late=int(leg.group.jitter.late[row]),
        rejected=int(table.rejected[row]) + leg.strangers,
        jitter_ms=float(table.jitter[row]) / _CLOCK_KHZ,
        loss_remote=leg.rtcp.loss_remote,
        round_trip_ms=leg.rtcp.round_trip_ms,
    )
