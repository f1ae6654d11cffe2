"""All recordings of a worker: which leg speaks on which side of which one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from ccengine.dsp import g711
from ccengine.media.bridging import NameIndex
from ccengine.media.control import RecordingWant
from ccengine.media.leg import Leg
from ccengine.media.recording import RecordingResult, RecordingWriter


@dataclass(slots=True)
class Recording:
    """A wanted recording, its slot at the writer and the legs on its two sides."""

    want: RecordingWant
    slot: int
    sides: list[Leg | None] = field(default_factory=lambda: [None, None])
    paused: bool = False


class Recordings:
    """Recordings by key; ``legs`` are the legs that exist, shared with the plane.

    A leg is recorded once: by the recording that was wanted first.
    """

    def __init__(self, legs: Mapping[str, Leg], writer: RecordingWriter) -> None:
        self._legs = legs
        self._writer = writer
        self._recordings: dict[str, Recording] = {}
        self._names = NameIndex()
        # Keys that are closed and not yet on disk; one may be recorded again meanwhile.
        self._closing: Counter[str] = Counter()

    def __contains__(self, key: str) -> bool:
        return key in self._recordings

    def want(self, want: RecordingWant) -> None:
        """Begin or change a recording; :class:`MediaError` when it cannot begin."""
        recording = self._recordings.get(want.key)
        if recording is None:
            sides = [self._legs[key] for key in (want.left, want.right) if key in self._legs]
            law = sides[0].want.codec.name if sides else g711.ULAW
            slot = self._writer.open(want.key, want.folder, law)
            recording = self._recordings[want.key] = Recording(want, slot)
        else:
            self._names.remove(want.key, (recording.want.left, recording.want.right))
            recording.want = want
        self._names.add(want.key, (want.left, want.right))
        if want.paused != recording.paused:
            recording.paused = want.paused
            (self._writer.pause if want.paused else self._writer.resume)(recording.slot)
        self._wire(recording)

    def drop(self, key: str) -> None:
        """End a recording; :meth:`poll` tells when it is on disk."""
        recording = self._recordings.pop(key)
        self._names.remove(key, (recording.want.left, recording.want.right))
        for side in range(2):
            self._detach(recording, side)
        self._writer.close(recording.slot)
        self._closing[key] += 1

    def fit(self, leg: str) -> None:
        """Let a leg that is new speak in the recordings that name it."""
        for key in self._names.users(leg):
            self._wire(self._recordings[key])

    def leave(self, leg: Leg) -> None:
        """Let a leg fall silent in its recording: it goes away, or changes its codec."""
        recording = self._recordings.get(leg.recording)
        if recording is not None:
            self._detach(recording, recording.sides.index(leg))

    def poll(self) -> list[RecordingResult]:
        """Return the recordings that are on disk or that the writer gave up."""
        results = self._writer.poll()
        for result in results:
            if self._closing[result.key]:
                self._closing[result.key] -= 1
                self._closing += Counter()  # forgets what has come down to nothing
                continue
            recording = self._recordings.pop(result.key, None)
            if recording is not None:
                # Given up: the slot is no longer ours to put into.
                self._names.remove(result.key, (recording.want.left, recording.want.right))
                for leg in recording.sides:
                    if leg is not None:
                        _mute(leg)
        return results

    def _wire(self, recording: Recording) -> None:
        for side, key in enumerate((recording.want.left, recording.want.right)):
            leg = self._legs.get(key)
            if recording.sides[side] is leg:
                continue
            self._detach(recording, side)
            if leg is None or leg.recording:
                continue
            leg.group.table.channel[leg.row] = self._writer.attach(
                recording.slot, side, leg.key, leg.want.codec.name, leg.group.frame
            )
            leg.group.playout.dirty = True
            leg.recording = recording.want.key
            recording.sides[side] = leg

    def _detach(self, recording: Recording, side: int) -> None:
        leg = recording.sides[side]
        if leg is not None:
            recording.sides[side] = None
            _mute(leg)
            self._writer.detach(recording.slot, side)


def _mute(leg: Leg) -> None:
    leg.recording = ""
    leg.group.table.channel[leg.row] = -1
    leg.group.playout.dirty = True
