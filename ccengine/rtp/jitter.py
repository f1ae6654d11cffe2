"""A fixed jitter buffer for many streams at once, in blocks of 10 ms.

Packets are placed by timestamp, not by sequence number, so packets of any multiple of 10 ms,
silence suppression and a peer that changes its packet time are all the same case.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ccengine.rtp.sequence import timestamp_steps

BLOCK_MS: Final = 10
RING_BLOCKS: Final = 32
_MASK = RING_BLOCKS - 1
_NEVER = -(1 << 30)
_LATE_IN_A_ROW = 3
# A source whose clock is fast, or ours slow, may run this far ahead of the fixed delay.
_SLACK_BLOCKS = 8
# For so long after a start, so many packets in a row that all come sooner than the first one
# did tell that the first one had waited somewhere.
_SETTLE_BLOCKS = 50
_EARLY_IN_A_ROW = 8

Index = NDArray[np.intp]


class JitterBuffer:
    """Rows of streams with one byte a sample, each played ``delay_ms`` after its arrival.

    A row is started by its first packet and is from then on read at the pace of
    :meth:`get`.  The first packet may have waited for its sender or for us: when the packets
    that follow it within half a second all come sooner, the play point moves forward, so that
    ``delay_ms`` holds for them.  Late packets are dropped and counted; three of them in a
    row, or one that is too early for the ring, start the row afresh where the source is now.
    """

    def __init__(self, capacity: int, *, clock_rate: int = 8000, delay_ms: int = 40) -> None:
        self.block = clock_rate * BLOCK_MS // 1000
        self.delay = delay_ms // BLOCK_MS
        self.capacity = capacity
        # np.full touches the memory, so that no tick waits for page faults.
        self._bytes = np.full((capacity, RING_BLOCKS, self.block), 0, np.uint8)
        self._ring = self._bytes.view(np.dtype((np.void, self.block)))[..., 0]
        self._tag = np.full((capacity, RING_BLOCKS), _NEVER, np.int64)
        self._play = np.zeros(capacity, np.int64)
        self._ref_block = np.zeros(capacity, np.int64)
        self._ref_timestamp = np.zeros(capacity, np.uint32)
        self._settles = np.zeros(capacity, np.int64)
        self._early_run = np.zeros(capacity, np.int16)
        self._early_by = np.zeros(capacity, np.int64)
        self._started = np.zeros(capacity, np.bool_)
        self._late_run = np.zeros(capacity, np.int16)
        self.late = np.zeros(capacity, np.int64)
        self.resyncs = np.zeros(capacity, np.int64)

    def reset(self, row: int) -> None:
        """Forget a row's stream and its counts."""
        self._tag[row] = _NEVER
        self._play[row] = 0
        self._started[row] = False
        self._late_run[row] = 0
        self.late[row] = 0
        self.resyncs[row] = 0

    def restart(self, row: int) -> None:
        """Let the next packet begin a new timeline: the source changed its SSRC or clock."""
        self._started[row] = False

    def move(self, source: JitterBuffer, source_row: int | slice, row: int | slice) -> None:
        """Copy a row (or some) of ``source`` (or of this buffer) with its state to ``row``."""
        for name in (
            "_bytes",
            "_tag",
            "_play",
            "_ref_block",
            "_ref_timestamp",
            "_settles",
            "_early_run",
            "_early_by",
            "_started",
            "_late_run",
            "late",
            "resyncs",
        ):
            getattr(self, name)[row] = getattr(source, name)[source_row]

    def depth(self, row: int) -> int:
        """Return how many blocks are stored ahead of the play point."""
        return int(np.count_nonzero(self._tag[row] >= self._play[row]))

    def put(self, rows: Index, timestamps: NDArray[np.uint32], payload: NDArray[np.uint8]) -> None:
        """Store one packet of equal size for each of ``rows`` (distinct).

        ``payload`` is u8[M, S]; S beyond a multiple of the block is cut off.
        """
        count = payload.shape[1] // self.block
        if not count or not rows.shape[0]:
            return
        play = self._play[rows]
        step = timestamp_steps(timestamps, self._ref_timestamp[rows])
        block = self._ref_block[rows] + step // self.block
        ahead = block - play
        late = ahead + count <= 0
        fresh = ~self._started[rows]
        late &= ~fresh
        if late.any():
            fresh |= self._count_late(rows, late, ahead)
        self._late_run[rows[~late]] = 0
        fresh |= ahead > self.delay + _SLACK_BLOCKS
        fresh |= ahead + count > RING_BLOCKS
        if fresh.any():
            block = np.where(fresh, play + self.delay, block)
            self._resync(rows[fresh], timestamps[fresh], block[fresh])
            late &= ~fresh
        if late.any():
            keep = ~late
            rows, block, payload = rows[keep], block[keep], payload[keep]
            timestamps = timestamps[keep]
        self._store(rows, block, payload, count)
        self._follow(rows, timestamps, block)
        self._settle(rows, block)

    def _count_late(
        self, rows: Index, late: NDArray[np.bool_], ahead: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Count late packets; return which rows have to start afresh."""
        behind = rows[late]
        self.late[behind] += 1
        self._late_run[behind] += 1
        again: NDArray[np.bool_] = late & (self._late_run[rows] >= _LATE_IN_A_ROW)
        # Further behind than the ring is long: no packet of this clock can ever be in time.
        again |= late & (ahead < -RING_BLOCKS)
        return again

    def _resync(
        self, rows: Index, timestamps: NDArray[np.uint32], block: NDArray[np.int64]
    ) -> None:
        self.resyncs[rows] += self._started[rows]
        self._started[rows] = True
        self._late_run[rows] = 0
        self._ref_timestamp[rows] = timestamps
        self._ref_block[rows] = block
        self._settles[rows] = self._play[rows] + _SETTLE_BLOCKS
        self._early_run[rows] = 0

    def _settle(self, rows: Index, block: NDArray[np.int64]) -> None:
        """Move the play point of young rows forward when packets keep coming early."""
        young = self._play[rows] < self._settles[rows]
        if not young.any():
            return
        rows, block = rows[young], block[young]
        ahead = block - self._play[rows] - self.delay
        run = np.where(ahead > 0, self._early_run[rows] + 1, 0)
        by = np.where(run > 1, np.minimum(self._early_by[rows], ahead), ahead)
        over = run >= _EARLY_IN_A_ROW
        self._play[rows[over]] += by[over]
        self._early_run[rows] = np.where(over, 0, run)
        self._early_by[rows] = by

    def _store(
        self, rows: Index, block: NDArray[np.int64], payload: NDArray[np.uint8], count: int
    ) -> None:
        items = np.ndarray(
            shape=(payload.shape[0], count),
            dtype=self._ring.dtype,
            buffer=np.ascontiguousarray(payload).data,
            strides=(payload.shape[1], self.block),
        )
        for index in range(count):
            slot = (block + index) & _MASK
            self._ring[rows, slot] = items[:, index]
            self._tag[rows, slot] = block + index

    def _follow(
        self, rows: Index, timestamps: NDArray[np.uint32], block: NDArray[np.int64]
    ) -> None:
        """Move the reference along, so that differences stay far from the clock's wrap."""
        step = timestamp_steps(timestamps, self._ref_timestamp[rows])
        # Only whole blocks: the reference keeps its place within a block.
        whole = (step // self.block).astype(np.int64)
        self._ref_timestamp[rows] += (whole * self.block).astype(np.uint32)
        self._ref_block[rows] = block

    def get(self, rows: Index, out: NDArray[np.uint8], have: NDArray[np.bool_]) -> None:
        """Take the next frame of each of ``rows`` into ``out`` u8[M, S].

        ``have`` bool[M] tells which frames are whole; the bytes of the others are undefined.
        """
        count = out.shape[1] // self.block
        play = self._play[rows]
        items = np.ndarray(
            shape=(out.shape[0], count),
            dtype=self._ring.dtype,
            buffer=out.data,
            strides=(out.strides[0], self.block),
        )
        have[...] = True
        for index in range(count):
            slot = (play + index) & _MASK
            items[:, index] = self._ring[rows, slot]
            have &= self._tag[rows, slot] == play + index
        self._play[rows] = play + count
