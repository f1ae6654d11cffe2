"""A phase group: the legs that are served together, once every packet time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ccengine.media.bridge import Bridge
from ccengine.media.engine import Engine
from ccengine.media.keying import Keying
from ccengine.media.leg import NO_EVENT, Leg, LegTable
from ccengine.media.play import Arena
from ccengine.media.playout import Playout
from ccengine.media.reception import Reception
from ccengine.media.recording import RecordingWriter
from ccengine.rtp.jitter import JitterBuffer
from ccengine.rtp.packet import HEADER_BYTES, HeaderBatch, header_view, payload_view

SLOT_MS: Final = 5
"""A group is due every so many slots."""

PTIMES_MS: Final = (10, 20, 30, 40, 60)
SAMPLES_PER_MS: Final = 8
_MAX_PTIME_MS: Final = 60
_MARKER: Final = 0x80
# Fifteen CSRCs and a small header extension.
_HEADER_ROOM: Final = HEADER_BYTES + 60 + 24


def row_bytes(ptime_ms: int, bytes_per_ms: int = SAMPLES_PER_MS) -> int:
    """Return the width of a row for packets of one codec and packet time.

    Peers may send longer packets than they announced, up to 60 ms.  The width is an odd
    number of cache lines, so that the headers of many rows do not share a cache set.
    """
    lines = -(-(_HEADER_ROOM + max(ptime_ms, _MAX_PTIME_MS) * bytes_per_ms) // 64)
    return 64 * (lines | 1)


class GroupEvents(Protocol):
    """What a group tells of its legs while a tick runs."""

    def key_pressed(self, leg: Leg, key: str, duration_ms: int) -> None:
        """Tell of a telephone-event that has ended."""

    def play_ended(self, leg: Leg) -> None:
        """Tell that the last frame of the leg's uppermost play is out."""

    def digits_sent(self, leg: Leg) -> None:
        """Tell that the last packet of the leg's digits is out."""


@dataclass(frozen=True, slots=True)
class Rig:
    """What all groups of a worker share."""

    engine: Engine
    arena: Arena
    writer: RecordingWriter
    events: GroupEvents


class Group:
    """Legs of one unit phase: rows of bytes, columns of numbers, and their tick.

    Rows 0 to ``count - 1`` are in use; a leg that goes is replaced by the last one.
    """

    def __init__(self, ptime_ms: int, phase: int, rig: Rig, capacity: int = 16) -> None:
        self.ptime_ms = ptime_ms
        self.phase = phase
        self.period = ptime_ms // SLOT_MS
        self.frame = ptime_ms * SAMPLES_PER_MS
        self.packet = HEADER_BYTES + self.frame
        self.rig = rig
        self.legs: list[Leg] = []
        self.rooms: dict[str, Bridge] = {}
        self.garbage = 0
        self.packets_in = 0
        self.packets_out = 0
        self.visited = 0
        self.visited_at = 0.0
        self.batch = rig.engine.batch()
        self._allocate(capacity)
        self.reception = Reception(self)
        self.playout = Playout(self)
        self.keying = Keying(self)

    # --- rows ---------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """Return how many legs there are."""
        return len(self.legs)

    def _allocate(self, capacity: int) -> None:
        width = row_bytes(self.ptime_ms)
        self.capacity = capacity
        self.rx_rows = np.zeros((capacity, width), np.uint8)
        self.tx_rows = np.zeros((capacity, width), np.uint8)
        # Touched now, so that no tick waits for the first page fault.
        self.rx_rows.fill(0)
        self.tx_rows.fill(0)
        self.tx_rows[:, 0] = 0x80
        self.lengths = np.zeros(capacity, np.int32)
        self.headers = HeaderBatch(self.rx_rows)
        self.tx_headers = header_view(self.tx_rows)
        self.rx_payload = payload_view(self.rx_rows, self.frame)
        self.tx_payload = payload_view(self.tx_rows, self.frame)
        self.table = LegTable(capacity)
        self.jitter = JitterBuffer(capacity)
        self.batch.rows(self.rx_rows, self.tx_rows, self.packet)

    def _grow(self) -> None:
        table, jitter, tx_rows = self.table, self.jitter, self.tx_rows
        self._allocate(2 * self.capacity)
        used = slice(0, self.count)
        self.table.move(table, used, used)
        self.jitter.move(jitter, used, used)
        self.tx_rows[used] = tx_rows[used]
        self.playout.resize(self.capacity)

    def append(self, leg: Leg, old: Group | None = None) -> None:
        """Take a leg in as the last row, with its numbers from ``old`` when it comes from there.

        ``leg.row`` must still be its row in ``old``.
        """
        if self.count == self.capacity:
            self._grow()
        row = self.count
        if old is None:
            self.table.clear(row)
            self.jitter.reset(row)
        else:
            self.table.move(old.table, leg.row, row)
            self.jitter.move(old.jitter, leg.row, row)
            self.playout.move(old.playout, leg.row, row)
        self.legs.append(leg)
        self.batch.append()
        leg.group, leg.row = self, row
        self.tx_headers["ssrc"][row] = leg.ssrc
        self.refresh(leg)

    def remove(self, row: int) -> Leg | None:
        """Forget a row; return the leg that has taken its place, if another one has."""
        last = self.legs.pop()
        self.batch.remove(row)
        moved = None
        if row < len(self.legs):
            end = len(self.legs)
            self.table.move(self.table, end, row)
            self.jitter.move(self.jitter, end, row)
            self.playout.move(self.playout, end, row)
            self.tx_rows[row] = self.tx_rows[end]
            self.legs[row] = last
            last.row = row
            moved = last
        self.playout.dirty = True
        return moved

    def refresh(self, leg: Leg) -> None:
        """Write what a leg is wanted to be into its row, and its socket into the batch."""
        want, row, table = leg.want, leg.row, self.table
        table.pt[row] = table.tx_pt[row] = want.codec.payload_type
        table.event_pt[row] = want.event_pt if 0 <= want.event_pt < 128 else NO_EVENT
        table.alaw[row] = want.codec.name == "PCMA"
        table.receive[row] = want.receive
        table.eager[row] = want.codec.ptime_ms < self.ptime_ms
        table.timeout[row] = want.timeout_s
        table.can_send[row] = want.send and leg.remote is not None
        if leg.latched is not None:
            self.batch.connected(row, leg.pair.rtp)
        else:
            self.batch.target(row, leg.pair.rtp, leg.remote)
        self.playout.dirty = True

    # --- sending ---------------------------------------------------------------------------

    def stamp(self, rows: NDArray[np.intp], visit: int) -> None:
        """Write headers for one frame of our own on each of ``rows``: the next in its line.

        The timestamp follows the time that has passed since the frame before; a frame after
        a gap carries the marker (:rfc:`3551` section 4.1).
        """
        table = self.table
        gap = np.maximum(visit - table.tx_visit[rows], 1)
        started = table.tx_started[rows]
        marker = (gap > 1) | ~started
        gap[~started] = 0
        timestamp = table.tx_ts[rows] + (gap * self.frame).astype(np.uint32)
        sequence = table.tx_seq[rows] + np.uint16(1)
        second = table.tx_pt[rows] | np.where(marker, _MARKER, 0).astype(np.uint8)
        self.put_headers(rows, second, sequence, timestamp)
        table.tx_seq[rows] = sequence
        table.tx_ts[rows] = timestamp
        table.tx_visit[rows] = visit
        table.tx_started[rows] = True
        table.tx_run[rows] = 0
        table.sent[rows] += 1
        table.octets[rows] += self.frame

    def put_headers(
        self,
        rows: NDArray[np.intp],
        second: NDArray[np.uint8],
        sequence: NDArray[np.uint16],
        timestamp: NDArray[np.uint32],
    ) -> None:
        """Write what changes from packet to packet into the headers of ``rows``."""
        headers = self.tx_headers
        headers["second"][rows] = second
        headers["sequence"][rows] = sequence
        headers["timestamp"][rows] = timestamp

    def send(self, rows: NDArray[np.intp]) -> None:
        """Send the usual packet of each of ``rows``."""
        self.packets_out += len(rows)
        self.batch.tx(rows.tolist())

    # --- the tick ---------------------------------------------------------------------------

    def visit(self, visit: int, now: float) -> None:
        """Serve every leg once at ``now``: receive, pass on, play, mix, record."""
        self.visited, self.visited_at = visit, now
        self.reception.visit(visit, now)
        self.keying.visit(visit, now)
        self._play(visit)
        self.playout.visit(visit)
        self.batch.flush()

    def _play(self, visit: int) -> None:
        table, count = self.table, self.count
        ready = table.playing[:count] & table.can_send[:count]
        ready &= ~table.keying[:count]
        rows = np.flatnonzero(ready)
        if not len(rows):
            return
        at = table.play_at[rows]
        self.tx_payload[rows] = self.rig.arena.frames(self.frame)[at]
        self.stamp(rows, visit)
        self.send(rows)
        at += self.frame
        table.play_at[rows] = at
        over = at >= table.play_end[rows]
        if over.any():
            self._end_plays(rows[over])

    def _end_plays(self, rows: NDArray[np.intp]) -> None:
        table = self.table
        for row in rows.tolist():
            if table.play_loop[row]:
                start = int(table.play_start[row])
                length = int(table.play_end[row]) - start
                table.play_at[row] = start + (int(table.play_at[row]) - start) % length
            else:
                self.rig.events.play_ended(self.legs[row])
