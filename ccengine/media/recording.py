"""Recordings as the media tick sees them: frames go into a ring, a writer elsewhere does the rest.

Nothing here waits for the disk.  A frame is copied into shared memory by one numpy operation
for all recorded legs of a group; every 0.96 s of a recording (staggered over the slots) its
range is told to the writer in a packet that is never waited for.  When the disk is so slow
that the ring is full, whole blocks are dropped and counted, and the file keeps time by
silence and a mark.
"""

from __future__ import annotations

import logging
import math
import mmap
import os
import re
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ccengine.clock import Clock
from ccengine.dsp import g711
from ccengine.errors import MediaError
from ccengine.media import recording_ring as ring
from ccengine.media.recording_link import Mode, WriterLink
from ccengine.media.recording_ring import BLOCK, CHANNELS, SAMPLE_RATE, Layout

LEFT: Final = 0
RIGHT: Final = 1

_log = logging.getLogger(__name__)
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_PAUSED: Final = 1
_DROPPING: Final = 2
_STAGGER: Final = 480  # a whole number of frames for every usual packet time
_RANGES_PER_MESSAGE: Final = 400
_MAX_DEATHS: Final = 3
_TABLES: Final = np.stack([np.arange(256, dtype=np.uint8), g711.ALAW_TO_ULAW, g711.ULAW_TO_ALAW])
_TABLE_TO: Final = {"PCMU": 1, "PCMA": 2}


@dataclass(frozen=True, slots=True)
class RecordingSettings:
    """How many recordings fit at once and how much of each is kept while the disk is slow.

    A slot takes ``ring_blocks`` times 15 kB once it is used.  ``mode`` says where the writer
    runs; a process keeps the interpreter lock of the tick to the tick.
    """

    capacity: int = 1024
    ring_blocks: int = 4
    mode: Mode = "process"


@dataclass(frozen=True, slots=True)
class RecordingResult:
    """A recording is closed; fields as in ``RecordingDone`` of the control protocol."""

    key: str
    files: tuple[str, ...]
    duration_s: float
    error: str = ""


@dataclass(slots=True)
class _Slot:
    """The books of one open recording."""

    key: str
    folder: str
    law: str
    sides: list[str]
    attached: list[bool]
    handed: int  # everything before is the writer's, or was dropped
    told: int  # the end of the last range that the writer was told of
    floor: int = 0  # everything before is off the ring, whatever `released` says
    closing: bool = False


class RecordingWriter:
    """The tick's side of all recordings of one worker; every method takes microseconds.

    A *channel* is ``2 * slot + side`` (side 0 left = caller, 1 right = agent).  Each leg that
    is recorded owns one channel; for each group and tick one :meth:`put` takes all their rows.
    """

    def __init__(self, settings: RecordingSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._layout = Layout(settings.capacity, settings.ring_blocks)
        self._memory_fd = os.memfd_create("ccengine-recordings")
        os.ftruncate(self._memory_fd, self._layout.size)
        self._memory = memoryview(mmap.mmap(self._memory_fd, self._layout.size))
        slots = settings.capacity
        self._cursor = np.frombuffer(self._memory, np.int64, slots * CHANNELS)
        # The same numbers for the places that deal with one slot: ten times faster than numpy.
        words = self._memory[: self._layout.released_at + 8 * slots].cast("q")
        self._cursors = words[: slots * CHANNELS]
        self._released = words[slots * CHANNELS :]
        ring_bytes = slots * self._layout.slot_bytes
        self._ring = np.frombuffer(self._memory, np.uint8, ring_bytes, self._layout.ring_at)
        self._frames: dict[int, NDArray[np.void]] = {}
        self._mute = np.zeros(slots, np.uint8)
        self._any_mute = False
        self._convert = np.zeros(slots * CHANNELS, np.uint8)  # which row of _TABLES
        self._any_convert = False
        self._free = deque(range(slots))
        self._open: dict[int, _Slot] = {}
        self._ranges: list[tuple[int, int, int]] = []
        self._results: list[RecordingResult] = []
        self._link = WriterLink(settings.mode, self._memory, self._memory_fd, self._layout, clock)
        self._deaths = 0
        self._failing = False
        self.dropped_blocks = 0

    # --- life of the writer -----------------------------------------------------------------

    def start(self) -> None:
        """Start the writer; call it before the first tick, it takes milliseconds."""
        self._link.start()

    @property
    def writer_pid(self) -> int:
        """Return the process id of the writer; 0 when it is no process."""
        return self._link.pid

    def stop(self, timeout_s: float = 5.0) -> list[RecordingResult]:
        """Close every recording and wait until all is on disk; return the last results.

        This one may block: up to ``timeout_s`` for each thing that it waits for.
        """
        for slot in list(self._open):
            self.close(slot)
        while self._open and self._exchange(timeout_s):
            pass
        results = self.poll()
        self._link.stop(timeout_s)
        if self._memory_fd >= 0:
            os.close(self._memory_fd)
            self._memory_fd = -1
        return results

    # --- recordings -------------------------------------------------------------------------

    def open(self, key: str, folder: str, law: str) -> int:
        """Begin a recording in the G.711 law of its file (the caller's); return its slot.

        :class:`MediaError` when the key is no file name, the law is unknown or every slot is
        in use.  A key that was recorded before is continued in a new segment.
        """
        if not _KEY.fullmatch(key):
            raise MediaError(f"recording {key!r}: no file name", cure="use letters and digits")
        if law not in g711.SILENCE:
            raise MediaError(f"recording {key}: {law} is not G.711", cure="use PCMU or PCMA")
        if not self._free:
            limit = self._settings.capacity
            raise MediaError(
                f"recording {key}: {limit} recordings are open", cure="raise the capacity"
            )
        slot = self._free.popleft()
        start = slot * 7 % (BLOCK // _STAGGER) * _STAGGER
        size = self._layout.slot_bytes
        self._ring[slot * size : (slot + 1) * size] = g711.SILENCE[law]
        self._cursor[CHANNELS * slot : CHANNELS * slot + CHANNELS] = start
        self._released[slot] = start
        self._mute[slot] = 0
        self._open[slot] = _Slot(key, folder, law, ["", ""], [False, False], start, start)
        self._link.send(ring.Open(slot, key, folder, law, start, ("", ""), "start", self._at()))
        return slot

    def attach(self, slot: int, side: int, name: str, law: str, frame: int = 160) -> int:
        """Let a leg speak on one side and return its channel; ``frame`` is samples per put.

        To be called between ticks, like everything here but :meth:`put`.

        ``name`` says in the marks who it is.  Another name where someone spoke before is a
        transfer and begins a new segment.  A leg in the other law is converted.
        """
        books = self._open[slot]
        channel = CHANNELS * slot + side
        books.attached[side] = True
        # Between ticks both sides stand at the same place: begin there, on a whole frame.
        size = math.gcd(frame, BLOCK)
        self._cursor[channel] = -(-self._last(slot) // size) * size
        self._convert[channel] = 0 if law == books.law else _TABLE_TO[books.law]
        self._any_convert = bool(self._convert.any())
        before, books.sides[side] = books.sides[side], name
        if name != before:
            self._mark(slot, "transfer" if before else "join", cut=bool(before))
        return channel

    def detach(self, slot: int, side: int) -> None:
        """Let a side fall silent; its channel must not be put any more."""
        books = self._open[slot]
        if books.attached[side]:
            books.attached[side] = False
            self._mark(slot, "leave")

    def pause(self, slot: int) -> None:
        """Record silence from now on, with a mark; what is said does not reach the ring."""
        if not self._mute[slot] & _PAUSED:
            self._set_mute(slot, int(self._mute[slot]) | _PAUSED)
            self._mark(slot, "pause")

    def resume(self, slot: int) -> None:
        """Record again, with a mark."""
        if self._mute[slot] & _PAUSED:
            self._set_mute(slot, int(self._mute[slot]) & ~_PAUSED)
            self._mark(slot, "resume")

    def close(self, slot: int) -> None:
        """End a recording; :meth:`poll` tells later that it is on disk."""
        books = self._open[slot]
        if books.closing:
            return
        self._hand_over(slot, self._last(slot))
        self._end_ranges()
        books.closing = True
        self._link.send(ring.Close(slot, self._at()))

    # --- the tick ---------------------------------------------------------------------------

    def put(
        self,
        channels: NDArray[np.intp],
        payload: NDArray[np.uint8],
        have: NDArray[np.bool_] | None = None,
    ) -> None:
        """Take one frame u8[M, S] for M different channels and move each on by S samples.

        Rows where ``have`` bool[M] is False are recorded as silence.  Every attached channel
        is put once per frame, whether something came or not: that keeps the sides in sync.
        """
        size = payload.shape[1]
        if BLOCK % size:
            part = math.gcd(size, BLOCK)
            for first in range(0, size, part):
                self.put(channels, payload[:, first : first + part], have)
            return
        cursor = self._cursor[channels]
        if self._any_convert:
            payload = self._in_the_law_of_the_file(channels, payload)
        frames = self._frames_of(size)
        per_channel = self._layout.ring_samples // size
        at = cursor // size % per_channel + channels * per_channel
        rows = np.ascontiguousarray(payload).view(frames.dtype)[:, 0]
        if have is not None or self._any_mute:
            heard = np.ones(len(channels), np.bool_) if have is None else have
            keep = np.flatnonzero(heard & (self._mute[channels >> 1] == 0))
            frames[at[keep]] = rows[keep]
        else:
            frames[at] = rows
        cursor += size
        self._cursor[channels] = cursor
        crossing = cursor % BLOCK < size
        if crossing.any():
            for slot in set((channels[crossing] >> 1).tolist()):
                self._cross(slot)
            self._end_ranges()

    def poll(self) -> list[RecordingResult]:
        """Return recordings that ended since the last poll; never blocks.

        Call it every few ticks: it also sends what did not fit and replaces a dead writer.
        """
        while self._exchange():
            pass
        if self._deaths > _MAX_DEATHS:
            self._give_up()
        results, self._results = self._results, []
        return results

    @property
    def open_count(self) -> int:
        """Return the recordings that are open or not yet on disk."""
        return len(self._open)

    @property
    def backlog(self) -> int:
        """Return the blocks that were handed over and are not on disk yet."""
        late = 0
        for slot, books in self._open.items():
            late += max(0, books.told - max(books.floor, self._released[slot]))
        return -(-late // BLOCK)

    # --- inside -----------------------------------------------------------------------------

    def _at(self) -> str:
        return self._clock.at().isoformat()

    def _frames_of(self, size: int) -> NDArray[np.void]:
        """Return the rings as one row of ``size`` bytes for each frame: three times as fast."""
        view = self._frames.get(size)
        if view is None:
            view = self._frames[size] = self._ring.view(f"V{size}")
        return view

    def _in_the_law_of_the_file(
        self, channels: NDArray[np.intp], payload: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        tables = self._convert[channels]
        foreign = np.flatnonzero(tables)
        if foreign.size == 0:
            return payload
        payload = payload.copy()
        payload[foreign] = _TABLES[tables[foreign][:, np.newaxis], payload[foreign]]
        return payload

    def _set_mute(self, slot: int, bits: int) -> None:
        self._mute[slot] = bits
        self._any_mute = bool(self._mute.any())

    def _last(self, slot: int) -> int:
        """Return the position that the side in front has reached."""
        return max(self._cursors[CHANNELS * slot], self._cursors[CHANNELS * slot + 1])

    def _behind(self, slot: int) -> int:
        """Return the position that every attached side has reached."""
        attached = self._open[slot].attached
        left, right = self._cursors[CHANNELS * slot], self._cursors[CHANNELS * slot + 1]
        if attached[LEFT] and attached[RIGHT]:
            return min(left, right)
        if attached[LEFT]:
            return left
        return right if attached[RIGHT] else max(left, right)

    def _mark(self, slot: int, reason: str, *, cut: bool = False) -> None:
        books = self._open[slot]
        position = max(self._behind(slot), books.handed)
        if cut:
            self._hand_over(slot, position)
        self._end_ranges()
        sides = (books.sides[LEFT], books.sides[RIGHT])
        self._link.send(ring.Mark(slot, position, reason, sides, self._at(), cut))

    def _cross(self, slot: int) -> None:
        """Hand over the blocks that both sides have passed, now that one has entered a block."""
        books = self._open.get(slot)
        if books is None or books.closing:
            return
        base = CHANNELS * slot
        last = self._last(slot)
        edge = last // BLOCK * BLOCK
        # A side that has stopped without being detached holds nobody up by more than a block.
        done = max(self._behind(slot) // BLOCK * BLOCK, edge - BLOCK)
        dropping = bool(self._mute[slot] & _DROPPING)
        if done > books.handed:
            if dropping:
                books.handed = done
            else:
                self._hand_over(slot, done)
            for channel in (base, base + 1):
                self._cursors[channel] = max(self._cursors[channel], done)
        released = self._released[slot]
        if dropping and released >= books.told:  # the whole ring is free again
            books.handed = books.floor = edge
            self._set_mute(slot, int(self._mute[slot]) & ~_DROPPING)
        elif dropping or max(released, books.floor) < edge - (self._layout.blocks - 1) * BLOCK:
            self.dropped_blocks += 1
            self._set_mute(slot, int(self._mute[slot]) | _DROPPING)

    def _hand_over(self, slot: int, upto: int) -> None:
        books = self._open[slot]
        if self._mute[slot] & _DROPPING:
            books.handed = upto
        while books.handed < upto:
            stop = min(upto, (books.handed // BLOCK + 1) * BLOCK)
            self._ranges.append((slot, books.handed, stop))
            books.handed = books.told = stop

    def _end_ranges(self) -> None:
        while self._ranges:
            some = tuple(self._ranges[:_RANGES_PER_MESSAGE])
            del self._ranges[:_RANGES_PER_MESSAGE]
            self._link.send(ring.Write(some))

    def _exchange(self, timeout_s: float = 0.0) -> bool:
        """Take one message of the writer; False when there is none."""
        message = self._link.receive(timeout_s)
        if message is None:
            if not self._link.connected and self._deaths <= _MAX_DEATHS:
                self._replace_writer()
            return False
        self._deaths = 0
        if isinstance(message, ring.Trouble):
            self._note_trouble(message)
        else:
            self._release(
                message.slot,
                RecordingResult(message.key, message.files, message.duration_s, message.error),
            )
        return True

    def _note_trouble(self, trouble: ring.Trouble) -> None:
        """Log the first of many failures: the disk that fails one recording fails them all."""
        if not self._failing:
            self._failing = True
            _log.error("recording %s is not written: %s", trouble.key, trouble.error)

    def _release(self, slot: int, result: RecordingResult) -> None:
        del self._open[slot]
        self._convert[CHANNELS * slot : CHANNELS * slot + CHANNELS] = 0
        self._any_convert = bool(self._convert.any())
        self._set_mute(slot, 0)
        self._free.append(slot)
        self._results.append(result)
        if self._failing and not result.error:
            self._failing = False
            _log.info("recordings are written again")

    def _replace_writer(self) -> None:
        """Start another writer where one died; every recording goes on in a new segment."""
        self._deaths += 1
        if self._deaths > _MAX_DEATHS:
            _log.error("recording stops: its writer died %d times", self._deaths)
            return
        _log.warning("the recording writer died and is replaced")
        self._link.start()
        now = self._clock.at()
        for slot, books in self._open.items():
            done = max(self._released[slot], books.floor)
            sides = (books.sides[LEFT], books.sides[RIGHT])
            behind = timedelta(seconds=(self._last(slot) - done) / SAMPLE_RATE)
            at = (now - behind).isoformat()
            self._link.send(
                ring.Open(slot, books.key, books.folder, books.law, done, sides, "error", at)
            )
            upto, books.handed = books.handed, done
            self._hand_over(slot, upto)
            self._end_ranges()
            if books.closing:
                self._link.send(ring.Close(slot, at))

    def _give_up(self) -> None:
        """Answer for a writer that cannot be had: what is closed ends with an error."""
        for slot, books in list(self._open.items()):
            if books.closing:
                self._release(
                    slot, RecordingResult(books.key, (), 0.0, "the recording writer is gone")
                )
