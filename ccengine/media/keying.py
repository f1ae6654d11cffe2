"""Telephone-events on the legs of a group: heard, passed on, sent (:rfc:`4733`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ccengine.errors import RtpError
from ccengine.media.control import DigitsWant
from ccengine.media.leg import NO_EVENT, Leg
from ccengine.rtp.event import EventSender, parse_event
from ccengine.rtp.packet import HEADER_BYTES
from ccengine.rtp.sequence import sequence_step

if TYPE_CHECKING:
    from ccengine.media.group import Group

_MARKER: Final = 0x80
# A passed-on event whose end never comes gives the line back after this long.
_FORWARD_TIMEOUT_S: Final = 0.2


class Keying:
    """Events are rare, so they are dealt with packet by packet."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._sending: dict[str, Leg] = {}
        self._listening: dict[str, Leg] = {}
        self._forwarding: dict[str, tuple[Leg, float]] = {}

    # --- legs come and go --------------------------------------------------------------------

    def adopt(self, leg: Leg) -> None:
        """Go on with what a leg was doing when it joined the group."""
        self._group.table.keying[leg.row] = False
        if leg.sending is not None or leg.digits:
            self._sending[leg.key] = leg
        if leg.events.busy:
            self._listening[leg.key] = leg

    def forget(self, leg: Leg) -> None:
        """Let go of a leg that leaves the group."""
        self._sending.pop(leg.key, None)
        self._listening.pop(leg.key, None)
        self._forwarding.pop(leg.key, None)

    def send(self, leg: Leg, want: DigitsWant) -> None:
        """Queue digits on a leg."""
        leg.digits.append(want)
        self._sending[leg.key] = leg

    def cancel(self, leg: Leg, key: str) -> None:
        """Send no more of some digits; an event in hand is cut off."""
        leg.digits = type(leg.digits)(want for want in leg.digits if want.key != key)
        if leg.sending is not None and leg.sending[0].key == key:
            leg.sending = None
            self._group.table.keying[leg.row] = False

    # --- receiving -----------------------------------------------------------------------------

    def receive(
        self,
        leg: Leg,
        data: bytes,
        *,
        sequence: int,
        timestamp: int,
        marker: bool,
        visit: int,
        now: float,
    ) -> None:
        """Take one event packet of a leg: tell of keys, pass it on to the other party."""
        group = self._group
        try:
            payload = parse_event(data)
        except RtpError:
            group.table.rejected[leg.row] += 1
            return
        for key in leg.events.receive(payload, timestamp, now):
            group.rig.events.key_pressed(leg, key.key, key.duration_ms)
        if leg.events.busy:
            self._listening[leg.key] = leg
        else:
            self._listening.pop(leg.key, None)
        other = self._other_party(leg)
        if other is None:
            return
        if group.table.peer[leg.row] >= 0:
            self._relay(leg, other, data, (sequence, timestamp), visit, marker=marker)
        else:
            self._forward(other, data, timestamp, visit, now, ended=payload.end)

    def _other_party(self, leg: Leg) -> Leg | None:
        """Return the one other leg that is to get the leg's events, if any."""
        table = self._group.table
        if leg.bridge is None or len(leg.bridge.legs) != 2:
            return None
        other = leg.bridge.legs[0] if leg.bridge.legs[1] is leg else leg.bridge.legs[1]
        row = other.row
        taken = table.playing[row] or other.sending is not None
        if other.group is not self._group or taken or not table.can_send[row]:
            return None
        return other if table.event_pt[row] != NO_EVENT else None

    def _relay(
        self,
        leg: Leg,
        other: Leg,
        data: bytes,
        numbers: tuple[int, int],
        visit: int,
        *,
        marker: bool,
    ) -> None:
        """Send an event as it came, in the numbers of the relayed run."""
        group, table = self._group, self._group.table
        row, peer = leg.row, other.row
        sequence, timestamp = numbers
        if table.tx_run[peer] != table.rx_run[row]:
            group.reception.map_run(
                np.array([row]),
                np.array([peer]),
                np.array([sequence], np.uint16),
                np.array([timestamp], np.uint32),
                visit,
            )
        sequence = (sequence + int(table.seq_shift[peer])) & 0xFFFF
        timestamp = (timestamp + int(table.ts_shift[peer])) & 0xFFFFFFFF
        if sequence_step(sequence, int(table.tx_seq[peer])) > 0:
            table.tx_seq[peer] = sequence
        self._emit(peer, data, sequence, timestamp, marker=marker)

    def _forward(
        self, other: Leg, data: bytes, timestamp: int, visit: int, now: float, *, ended: bool
    ) -> None:
        """Send an event of the other party in a line of our own, instead of its audio."""
        table, row = self._group.table, other.row
        begins = other.forwarded is None or other.forwarded[0] != timestamp
        if begins:
            other.forwarded = (timestamp, self._start(row, visit))
        assert other.forwarded is not None
        self._next(row, data, other.forwarded[1], marker=begins)
        if ended:
            table.keying[row] = False
            self._forwarding.pop(other.key, None)
        else:
            table.keying[row] = True
            self._forwarding[other.key] = (other, now + _FORWARD_TIMEOUT_S)

    # --- sending ---------------------------------------------------------------------------------

    def visit(self, visit: int, now: float) -> None:
        """Send what is due and end what never ended."""
        if self._sending:
            for leg in tuple(self._sending.values()):
                self._send_next(leg, visit)
        if self._listening:
            self._expire(now)
        if self._forwarding:
            for key, (leg, until) in tuple(self._forwarding.items()):
                if now >= until:
                    self._group.table.keying[leg.row] = False
                    del self._forwarding[key]

    def _expire(self, now: float) -> None:
        for leg in tuple(self._listening.values()):
            key = leg.events.expire(now)
            if key is not None:
                self._group.rig.events.key_pressed(leg, key.key, key.duration_ms)
            if not leg.events.busy:
                del self._listening[leg.key]

    def _send_next(self, leg: Leg, visit: int) -> None:
        table, row = self._group.table, leg.row
        if not table.can_send[row]:
            return
        if leg.sending is None:
            if not leg.digits:
                del self._sending[leg.key]
                return
            want = leg.digits.popleft()
            sender = EventSender(
                want.digits,
                duration_ms=want.duration_ms,
                gap_ms=want.gap_ms,
                ptime_ms=self._group.ptime_ms,
            )
            leg.sending = want, sender
        sender = leg.sending[1]
        frame = sender.next()
        table.keying[row] = frame is not None
        if frame is not None:
            if frame.marker:
                leg.event_start = self._start(row, visit)
            self._next(row, frame.payload, leg.event_start, marker=frame.marker)
        if sender.done:
            self._group.rig.events.digits_sent(leg)
            leg.sending = None
            table.keying[row] = False

    def _start(self, row: int, visit: int) -> int:
        """Return the timestamp of an event that begins now, in the leg's own line."""
        table = self._group.table
        gap = max(visit - int(table.tx_visit[row]), 1)
        if not table.tx_started[row]:
            gap = 0
            table.tx_started[row] = True
            table.tx_visit[row] = visit
        # What is relayed later has to be mapped afresh.
        table.tx_run[row] = 0
        return (int(table.tx_ts[row]) + gap * self._group.frame) & 0xFFFFFFFF

    def _next(self, row: int, data: bytes, timestamp: int, *, marker: bool) -> None:
        table = self._group.table
        sequence = (int(table.tx_seq[row]) + 1) & 0xFFFF
        table.tx_seq[row] = sequence
        self._emit(row, data, sequence, timestamp, marker=marker)

    def _emit(self, row: int, data: bytes, sequence: int, timestamp: int, *, marker: bool) -> None:
        group, table = self._group, self._group.table
        headers = group.tx_headers
        headers["second"][row] = int(table.event_pt[row]) | (_MARKER if marker else 0)
        headers["sequence"][row] = sequence
        headers["timestamp"][row] = timestamp
        end = HEADER_BYTES + len(data)
        group.tx_rows[row, HEADER_BYTES:end] = np.frombuffer(data, np.uint8)
        group.batch.tx_size(row, end)
        group.packets_out += 1
        table.sent[row] += 1
        table.octets[row] += len(data)
