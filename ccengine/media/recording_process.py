"""The recording writer: takes ranges of the ring to disk, in a process or thread of its own.

It alone touches the disk.  When the tick's process dies, the ring is still here: what was
recorded up to then is written, every file is closed, and the writer ends.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import resource
import signal
import socket
import sys
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ccengine.clock import Clock, SystemClock
from ccengine.media import recording_ring as ring
from ccengine.media.recording_file import MarksFile, SegmentFile, samples_in
from ccengine.media.recording_ring import BLOCK, CHANNELS, SAMPLE_RATE, Layout

LEFT: Final = 0
RIGHT: Final = 1
_SILENCE: Final = {"PCMU": b"\xff", "PCMA": b"\xd5"}
_RETRY_SAMPLES: Final = 5 * SAMPLE_RATE
_MAX_GAP_SAMPLES: Final = 24 * 3600 * SAMPLE_RATE


@dataclass(slots=True)
class _Recording:
    """One recording in progress; positions are samples of the slot."""

    slot: int
    key: str
    folder: Path
    law: str
    sides: tuple[str, str]
    start: int
    written: int
    segment_start: int
    marks: MarksFile
    offset_s: float = 0.0
    file: SegmentFile | None = None
    error: str = ""
    failing: bool = False
    retry_at: int = 0
    files: list[str] = field(default_factory=list)
    duration_s: float = 0.0

    def seconds(self, position: int) -> float:
        """Return where ``position`` is in the whole recording, in seconds."""
        return round(self.offset_s + (position - self.start) / SAMPLE_RATE, 4)


class Recorder:
    """Carries out the messages of one tick over a ring in ``memory``."""

    def __init__(self, memory: memoryview, layout: Layout, clock: Clock) -> None:
        self._layout = layout
        self._clock = clock
        ring_end = layout.ring_at + layout.slots * layout.slot_bytes
        self._ring = memory[layout.ring_at : ring_end]
        self._cursor = memory[layout.cursor_at : layout.released_at].cast("q")
        released_end = layout.released_at + 8 * layout.slots
        self._released = memory[layout.released_at : released_end].cast("q")
        self._silence = {law: byte * (BLOCK * CHANNELS) for law, byte in _SILENCE.items()}
        self._recordings: dict[int, _Recording] = {}
        self._replies: list[ring.FromWriter] = []

    def poll(self) -> list[ring.FromWriter]:
        """Return and forget what the tick must know."""
        replies, self._replies = self._replies, []
        return replies

    def receive(self, message: ring.ToWriter) -> None:
        """Carry out one message; what the disk refuses becomes a reply, never an exception."""
        if isinstance(message, ring.Open):
            self._open(message)
        elif isinstance(message, ring.Write):
            for slot, start, stop in message.ranges:
                self._write(self._recordings[slot], start, stop)
        elif isinstance(message, ring.Mark):
            self._mark(message)
        else:
            self._close(self._recordings.pop(message.slot), message.at, "end", "")

    def finish(self) -> None:
        """Write what the ring still holds and close everything: the tick is gone."""
        at = self._clock.at().isoformat()
        for slot, recording in sorted(self._recordings.items()):
            last = max(self._cursor[CHANNELS * slot : CHANNELS * slot + CHANNELS])
            last = min(last, recording.written + self._layout.ring_samples)
            while recording.written < last:
                edge = (recording.written // BLOCK + 1) * BLOCK
                self._write(recording, recording.written, min(last, edge))
            self._close(recording, at, "error", "the media worker ended")
        self._recordings.clear()

    # --- segments ---------------------------------------------------------------------------

    def _open(self, message: ring.Open) -> None:
        folder = Path(message.folder)
        recording = _Recording(
            slot=message.slot,
            key=message.key,
            folder=folder,
            law=message.law,
            sides=message.sides,
            start=message.position,
            written=message.position,
            segment_start=message.position,
            marks=MarksFile(folder, message.key, message.law),
        )
        self._recordings[message.slot] = recording
        self._begin_segment(recording, message.reason, message.at)

    def _begin_segment(self, recording: _Recording, reason: str, at: str) -> None:
        try:
            recording.file = SegmentFile(recording.folder, recording.key, recording.law)
            with recording.marks.update() as document:
                _mend(document, recording.folder)
                recording.offset_s = _offset(document, recording, at)
                self._note_segment(document, recording, reason, at)
            recording.failing = False
        except OSError as error:
            self._fail(recording, error)

    @staticmethod
    def _note_segment(
        document: dict[str, Any], recording: _Recording, reason: str, at: str
    ) -> None:
        position = recording.segment_start = recording.written
        segment = {
            "file": recording.file.path.name if recording.file else "",
            "start": at,
            "offset_s": recording.seconds(position),
            "duration_s": None,
            "law": recording.law,
            "left": recording.sides[0],
            "right": recording.sides[1],
            "reason": reason,
        }
        document["segments"].append(segment)
        _add_mark(document, at, recording.seconds(position), reason)

    def _end_segment(
        self, recording: _Recording, at: str, reason: str, detail: str, position: int
    ) -> None:
        """Close the file; a last mark is kept when the folder allows it."""
        file, recording.file = recording.file, None
        try:
            with recording.marks.update() as document:
                if file is not None:
                    for segment in document["segments"]:
                        if segment["file"] == file.path.name:
                            segment["duration_s"] = file.samples / SAMPLE_RATE
                _add_mark(document, at, recording.seconds(position), reason, detail)
                _summarise(recording, document)
        except OSError as error:
            self._fail(recording, error)
        finally:
            if file is not None:
                file.close()

    def _close(self, recording: _Recording, at: str, reason: str, detail: str) -> None:
        self._end_segment(recording, at, reason, detail, recording.written)
        self._replies.append(
            ring.Closed(
                slot=recording.slot,
                key=recording.key,
                files=tuple(recording.files),
                duration_s=recording.duration_s,
                error=recording.error,
            )
        )

    def _fail(self, recording: _Recording, error: OSError) -> None:
        reason = f"{error.filename or recording.folder}: {error.strerror}"
        recording.error = recording.error or reason
        recording.retry_at = recording.written + _RETRY_SAMPLES
        if not recording.failing:
            recording.failing = True
            self._replies.append(ring.Trouble(recording.slot, recording.key, reason))
        if recording.file is not None:
            self._end_segment(recording, self._now(), "error", reason, recording.written)

    # --- samples ----------------------------------------------------------------------------

    def _write(self, recording: _Recording, start: int, stop: int) -> None:
        size = stop - start
        first = recording.slot * self._layout.slot_bytes + start % self._layout.ring_samples
        second = first + self._layout.ring_samples
        left, right = self._ring[first : first + size], self._ring[second : second + size]
        data = bytearray(size * CHANNELS)
        data[LEFT::CHANNELS] = left
        data[RIGHT::CHANNELS] = right
        # What was taken becomes silent at once, so that rows that are never put are silence.
        left[:] = right[:] = self._silence[recording.law][:size]
        if recording.file is None and start >= recording.retry_at:
            recording.written = start
            self._begin_segment(recording, "error", self._now())
        if recording.file is not None:
            try:
                self._fill_gap(recording, start)
                recording.file.append(data)
            except OSError as error:
                self._fail(recording, error)
        recording.written = stop
        self._released[recording.slot] = stop

    def _fill_gap(self, recording: _Recording, start: int) -> None:
        """Keep time over what the tick had to drop: silence, and a mark that says so."""
        missing = min(start - recording.written, _MAX_GAP_SAMPLES)
        if missing <= 0 or recording.file is None:
            return
        with recording.marks.update() as document:
            detail = f"{missing / SAMPLE_RATE:.2f} s lost: the disk was too slow"
            _add_mark(document, self._now(), recording.seconds(recording.written), "gap", detail)
        while missing:
            piece = min(missing, BLOCK)
            recording.file.append(self._silence[recording.law][: piece * CHANNELS])
            missing -= piece

    # --- marks ------------------------------------------------------------------------------

    def _mark(self, message: ring.Mark) -> None:
        recording = self._recordings[message.slot]
        recording.sides = message.sides
        if message.cut and recording.file is not None and recording.file.samples:
            self._end_segment(recording, message.at, "cut", message.reason, message.position)
            self._begin_segment(recording, message.reason, message.at)
            return
        if recording.file is None:
            return
        name = recording.file.path.name
        try:
            with recording.marks.update() as document:
                _add_mark(document, message.at, recording.seconds(message.position), message.reason)
                for segment in document["segments"]:
                    if segment["file"] == name:
                        # A side that fell silent is still who was heard in this segment.
                        segment["left"] = message.sides[0] or segment["left"]
                        segment["right"] = message.sides[1] or segment["right"]
        except OSError as error:
            self._fail(recording, error)

    def _now(self) -> str:
        return self._clock.at().isoformat()


def _add_mark(
    document: dict[str, Any], at: str, offset_s: float, reason: str, detail: str = ""
) -> None:
    mark = {"at": at, "offset_s": offset_s, "reason": reason}
    if detail:
        mark["detail"] = detail
    document["marks"].append(mark)


def _mend(document: dict[str, Any], folder: Path) -> None:
    """Fill in the length of segments whose writer was killed."""
    for segment in document["segments"]:
        if segment["duration_s"] is None:
            segment["duration_s"] = samples_in(folder / segment["file"]) / SAMPLE_RATE


def _offset(document: dict[str, Any], recording: _Recording, at: str) -> float:
    """Return seconds between the recording's start and this writer's first sample."""
    if not document["segments"] or recording.start != recording.written or recording.files:
        return recording.offset_s
    first = datetime.fromisoformat(document["segments"][0]["start"])
    return max(0.0, (datetime.fromisoformat(at) - first).total_seconds())


def _summarise(recording: _Recording, document: dict[str, Any]) -> None:
    segments = [one for one in document["segments"] if one["file"]]
    recording.files = [str(recording.folder / one["file"]) for one in segments]
    recording.duration_s = round(sum(one["duration_s"] or 0.0 for one in segments), 4)


def serve(link: socket.socket, recorder: Recorder) -> None:
    """Serve one tick until its end of ``link`` (SOCK_SEQPACKET, blocking) is closed."""
    while True:
        try:
            data = link.recv(ring.MAX_MESSAGE_BYTES)
        except ConnectionResetError:
            data = b""
        if not data:
            recorder.finish()
            return
        recorder.receive(ring.decode_to_writer(data))
        for reply in recorder.poll():
            # The tick may be gone; the next receive says so.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                link.send(ring.encode(reply))


def _leave_the_tick_alone() -> None:
    """Give up a real-time class and a pinned core inherited from the media worker."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    with contextlib.suppress(OSError, ValueError):
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    # Whoever stops the engine stops the worker; its end is this process's end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def main(arguments: list[str]) -> int:
    """Serve as a process: file descriptors of socket and memory, slots, blocks."""
    link_fd, memory_fd, slots, blocks = (int(text) for text in arguments)
    _leave_the_tick_alone()
    layout = Layout(slots, blocks)
    memory = memoryview(mmap.mmap(memory_fd, layout.size))
    os.close(memory_fd)
    with socket.socket(fileno=link_fd) as link:
        serve(link, Recorder(memory, layout, SystemClock()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
