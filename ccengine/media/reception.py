"""What happens to received packets: checked, counted, passed on, put into jitter buffers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ccengine.media.leg import Leg
from ccengine.rtp.packet import HEADER_BYTES, Selection
from ccengine.rtp.sequence import (
    MAX_DROPOUT,
    MAX_MISORDER,
    sequence_steps,
    timestamp_steps,
)

if TYPE_CHECKING:
    from ccengine.media.group import Group

COMFORT_NOISE: Final = 13
_MARKER: Final = 0x80
# Every leg is drained until nothing comes in one of so many visits (clock drift).
_DRAIN_EVERY: Final = 8
_MAX_DRAIN: Final = 16
# A timestamp that runs this far ahead of the time that has passed is a new clock.
_MAX_LEAP: Final = 4000


class Reception:
    """The receiving half of a group's tick."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._runs = 0
        self.pending: list[Leg] = []
        self._again: set[int] = set()

    def visit(self, visit: int, now: float) -> None:
        """Receive what has come for the group and pass it on."""
        group = self._group
        if self.pending:
            self._take_pending(visit, now)
        count = group.count
        lengths = group.lengths[:count]
        if group.batch.rx(None, group.lengths):
            self._take(slice(0, count), lengths, visit, now)
        self._drain(visit, now)

    def _take_pending(self, visit: int, now: float) -> None:
        """Take packets that came before their sockets were connected, oldest first."""
        group = self._group
        while self.pending:
            self.pending = [leg for leg in self.pending if leg.group is group and leg.pending]
            rows, sizes = [], []
            for leg in self.pending:
                data = leg.pending.popleft()[: group.rx_rows.shape[1]]
                group.rx_rows[leg.row, : len(data)] = np.frombuffer(data, np.uint8)
                rows.append(leg.row)
                sizes.append(len(data))
            if rows:
                self._take(np.array(rows, np.intp), np.array(sizes, np.int32), visit, now)

    def _drain(self, visit: int, now: float) -> None:
        """Read on where more may wait: now and then everywhere, at once after a key press."""
        group, table, count = self._group, self._group.table, self._group.count
        lengths = group.lengths
        rows = set(np.flatnonzero(table.eager[:count] & (lengths[:count] > 0)).tolist())
        turn = visit % _DRAIN_EVERY
        rows.update(
            (np.flatnonzero(lengths[turn:count:_DRAIN_EVERY]) * _DRAIN_EVERY + turn).tolist()
        )
        rows |= self._again
        self._again.clear()
        for _ in range(_MAX_DRAIN):
            if not rows or not group.batch.rx(rows, lengths):
                return
            got = np.array([row for row in rows if lengths[row]], np.intp)
            self._take(got, lengths[got], visit, now)
            rows = set(got.tolist())
            self._again.clear()

    # --- classification ---------------------------------------------------------------------

    def _take(self, select: Selection, lengths: NDArray[np.int32], visit: int, now: float) -> None:
        """Deal with at most one datagram for each selected row; 0 bytes mean none."""
        group = self._group
        table, headers, m = group.table, group.headers, lengths.shape[0]
        bad = headers.parse(select, lengths)
        valid = headers.valid[:m]
        if bad:
            self._refuse(select, (lengths > 0) & ~valid)
            group.garbage += bad
        kind = headers.payload_type[:m]
        audio = kind == table.pt[select]
        audio &= valid
        known = (kind == table.event_pt[select]) | (kind == COMFORT_NOISE)
        known &= valid
        known |= audio
        step = sequence_steps(headers.sequence[:m], table.rx_seq[select])
        fine = (headers.ssrc[:m] == table.rx_ssrc[select]) & (table.rx_run[select] > 0)
        fine &= (step > 0) & (step < MAX_DROPOUT)
        fine &= known
        elapsed = (visit - table.rx_visit[select]) * group.frame
        leap = timestamp_steps(headers.timestamp[:m], table.rx_ts[select]).astype(np.int64)
        fine &= ((leap >= 0) & (leap <= elapsed + _MAX_LEAP)) | ~audio
        if not fine.all() or not audio.all():
            self._exceptions(select, (valid, audio, known, fine), (step, elapsed, leap), visit, now)
        index = np.flatnonzero(audio)
        if not len(index):
            return
        group.packets_in += len(index)
        if len(index) == m:
            self._account(select, step, elapsed, leap, visit, now)
            rows = np.arange(m) if isinstance(select, slice) else select
        else:
            rows = index if isinstance(select, slice) else select[index]
            self._account(rows, step[index], elapsed[index], leap[index], visit, now)
        self._deliver(rows, index, visit)

    def _account(
        self,
        select: Selection,
        step: NDArray[np.int16],
        elapsed: NDArray[np.int64],
        leap: NDArray[np.int64],
        visit: int,
        now: float,
    ) -> None:
        """Count audio packets; the jitter estimate is that of :rfc:`3550` appendix A.8.

        Arrival times are known to one tick only, which is the resolution of the estimate.
        """
        table = self._group.table
        table.rx_ext[select] += step
        table.rx_seq[select] = table.rx_ext[select].astype(np.uint16)
        table.rx_ts[select] += leap.astype(np.uint32)
        table.rx_visit[select] = visit
        table.received[select] += 1
        table.heard[select] = now
        change = np.abs(elapsed - leap).astype(np.float32)
        change -= table.jitter[select]
        change *= 1 / 16
        table.jitter[select] += change

    def _refuse(self, select: Selection, mask: NDArray[np.bool_]) -> None:
        index = np.flatnonzero(mask)
        rows = index if isinstance(select, slice) else select[index]
        self._group.table.rejected[rows] += 1

    def _exceptions(
        self,
        select: Selection,
        masks: tuple[NDArray[np.bool_], ...],
        steps: tuple[NDArray[np.int16], NDArray[np.int64], NDArray[np.int64]],
        visit: int,
        now: float,
    ) -> None:
        """Deal one by one with packets that are not simply the next of their run.

        Afterwards ``audio`` holds only what is to be delivered, and the steps of a packet
        that begins a new run are those of a packet that follows.
        """
        valid, audio, known, fine = masks
        step, elapsed, leap = steps
        unknown = valid & ~known
        if unknown.any():
            self._refuse(select, unknown)
        headers, frame = self._group.headers, self._group.frame
        for at in np.flatnonzero(known & ~(fine & audio)).tolist():
            row = at if isinstance(select, slice) else int(select[at])
            if not fine[at]:
                order = self._unusual(row, at, int(step[at]), visit)
                if order is None:
                    audio[at] = False
                    continue
                step[at] = order
                elapsed[at] = leap[at] = frame if order else 0
            if not audio[at]:
                self._count_other(row, int(step[at]), now)
                if headers.payload_type[at] == self._group.table.event_pt[row]:
                    self._key(row, at, visit, now)

    def _unusual(self, row: int, at: int, step: int, visit: int) -> int | None:
        """Return the step of a packet out of line: 1 for a new run, 0 for an older packet.

        None for a duplicate, which nobody needs.
        """
        table, headers = self._group.table, self._group.headers
        same = table.rx_run[row] > 0 and headers.ssrc[at] == table.rx_ssrc[row]
        if same and step == 0:
            return None
        if same and -MAX_MISORDER < step < 0:
            return 0
        restarted = not same or not 0 < step < MAX_DROPOUT
        self._new_run(row, at, visit, restarted=restarted)
        return 1 if restarted else step

    def _new_run(self, row: int, at: int, visit: int, *, restarted: bool) -> None:
        """Begin a new run; ``restarted`` when its sequence numbers begin afresh as well."""
        group = self._group
        table, headers = group.table, group.headers
        self._runs += 1
        if restarted:
            table.lost_before[row] = table.lost(row)
            sequence = int(headers.sequence[at])
            table.rx_ext[row] = sequence - 1
            table.rx_base[row] = sequence
            table.rx_base_received[row] = table.received[row]
            table.rx_ssrc[row] = headers.ssrc[at]
            group.legs[row].rtcp.expected_prior = 0
            group.legs[row].rtcp.received_prior = int(table.received[row])
        table.rx_ts[row] = (int(headers.timestamp[at]) - group.frame) & 0xFFFFFFFF
        table.rx_visit[row] = visit - 1
        # Unique over all groups, so that a leg keeps its run when it moves.
        table.rx_run[row] = self._runs * 1024 + group.ptime_ms * 8 + group.phase
        group.jitter.restart(row)

    def _count_other(self, row: int, step: int, now: float) -> None:
        table = self._group.table
        table.rx_ext[row] += step
        table.rx_seq[row] = int(table.rx_ext[row]) & 0xFFFF
        table.received[row] += 1
        table.heard[row] = now
        self._group.packets_in += 1

    def _key(self, row: int, at: int, visit: int, now: float) -> None:
        group, headers = self._group, self._group.headers
        # Senders repeat the end at once: the rest of it is waiting already.
        self._again.add(row)
        if not group.table.receive[row]:
            return
        start, size = int(headers.offset[at]), int(headers.size[at])
        group.keying.receive(
            group.legs[row],
            group.rx_rows[row, start : start + size].tobytes(),
            sequence=int(headers.sequence[at]),
            timestamp=int(headers.timestamp[at]),
            marker=bool(headers.marker[at]),
            visit=visit,
            now=now,
        )

    # --- delivery ------------------------------------------------------------------------------

    def _deliver(self, rows: NDArray[np.intp], at: NDArray[np.intp], visit: int) -> None:
        """Pass audio packets of ``rows`` on; ``at`` are their places in the header batch."""
        table = self._group.table
        peer = table.peer[rows]
        target = np.maximum(peer, 0)
        relayed = (peer >= 0) & table.receive[rows] & table.can_send[target]
        relayed &= ~(table.playing[target] | table.keying[target])
        if relayed.all():
            self._relay(rows, at, peer, visit)
        elif relayed.any():
            self._relay(rows[relayed], at[relayed], peer[relayed], visit)
        buffered = table.buffered[rows] & table.receive[rows]
        if buffered.all():
            self._buffer(rows, at)
        elif buffered.any():
            self._buffer(rows[buffered], at[buffered])

    def _relay(
        self, rows: NDArray[np.intp], at: NDArray[np.intp], peer: NDArray[np.intp], visit: int
    ) -> None:
        """Send the payloads of ``rows`` on the legs ``peer``, renumbered."""
        group = self._group
        table, headers = group.table, group.headers
        sequence, timestamp = headers.sequence[at], headers.timestamp[at]
        marker = headers.marker[at]
        fresh = table.tx_run[peer] != table.rx_run[rows]
        if fresh.any():
            self.map_run(rows[fresh], peer[fresh], sequence[fresh], timestamp[fresh], visit)
            marker = marker | fresh
        sequence += table.seq_shift[peer]
        timestamp += table.ts_shift[peer]
        size, offset = headers.size[at], headers.offset[at]
        second = table.tx_pt[peer] | (marker.view(np.uint8) << np.uint8(7))
        group.put_headers(peer, second, sequence, timestamp)
        newer = sequence_steps(sequence, table.tx_seq[peer]) > 0
        if newer.all():
            table.tx_seq[peer], table.tx_ts[peer] = sequence, timestamp
        else:
            table.tx_seq[peer[newer]] = sequence[newer]
            table.tx_ts[peer[newer]] = timestamp[newer]
        table.tx_visit[peer] = visit
        table.sent[peer] += 1
        table.octets[peer] += size
        usual = (size == group.frame) & (offset == HEADER_BYTES)
        if usual.all():
            group.tx_payload[peer] = group.rx_payload[rows]
            group.send(peer)
            return
        group.tx_payload[peer[usual]] = group.rx_payload[rows[usual]]
        group.send(peer[usual])
        self._relay_odd(rows[~usual], peer[~usual], offset[~usual], size[~usual])

    def _relay_odd(
        self,
        rows: NDArray[np.intp],
        peer: NDArray[np.intp],
        offset: NDArray[np.int32],
        size: NDArray[np.int32],
    ) -> None:
        group = self._group
        for row, target, start, length in zip(
            rows.tolist(), peer.tolist(), offset.tolist(), size.tolist(), strict=True
        ):
            packet = group.rx_rows[row, start : start + length]
            group.tx_rows[target, HEADER_BYTES : HEADER_BYTES + length] = packet
            group.batch.tx_size(target, HEADER_BYTES + length)
            group.packets_out += 1

    def map_run(
        self,
        rows: NDArray[np.intp],
        peer: NDArray[np.intp],
        sequence: NDArray[np.uint16],
        timestamp: NDArray[np.uint32],
        visit: int,
    ) -> None:
        """Map the numbers of new runs so that the outgoing ones go on without a break.

        Sequence numbers follow on, timestamps by the time that has passed.
        """
        group, table = self._group, self._group.table
        gap = np.maximum(visit - table.tx_visit[peer], 1)
        gap[~table.tx_started[peer]] = 0
        start = table.tx_ts[peer] + (gap * group.frame).astype(np.uint32)
        table.seq_shift[peer] = table.tx_seq[peer] + np.uint16(1) - sequence
        table.ts_shift[peer] = start - timestamp
        table.tx_run[peer] = table.rx_run[rows]
        table.tx_started[peer] = True

    def _buffer(self, rows: NDArray[np.intp], at: NDArray[np.intp]) -> None:
        """Put packets into the jitter buffer, all of one shape in one go."""
        group, headers = self._group, self._group.headers
        timestamp = headers.timestamp[at]
        size, offset = headers.size[at], headers.offset[at]
        usual = (size == group.frame) & (offset == HEADER_BYTES)
        if usual.all():
            payload = group.rx_payload[rows].view(np.uint8).reshape(len(rows), group.frame)
            group.jitter.put(rows, timestamp, payload)
            return
        shapes = size.astype(np.int64) << 16 | offset
        for shape in np.unique(shapes).tolist():
            same = shapes == shape
            start, length = shape & 0xFFFF, shape >> 16
            payload = group.rx_rows[rows[same], start : start + length]
            if length > 0:
                group.jitter.put(rows[same], timestamp[same], payload)
