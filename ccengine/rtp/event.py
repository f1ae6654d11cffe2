"""Telephone-events: keys as RTP packets (:rfc:`4733`)."""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass
from typing import Final

from ccengine.errors import MediaError, RtpError

KEYS: Final = "0123456789*#ABCD"
"""The DTMF events 0 to 15 (:rfc:`4733` section 3.2), in order."""

END_PACKETS: Final = 3
"""How often the last packet of an event is sent (:rfc:`4733` section 2.5.1.4)."""

MAX_DURATION: Final = 0xFFFF
_EVENT = struct.Struct("!BBH")
_END = 0x80
_VOLUME = 0x3F


@dataclass(frozen=True, slots=True)
class EventPayload:
    """The payload of one telephone-event packet; ``duration`` is in timestamp units."""

    event: int
    duration: int
    end: bool = False
    volume: int = 10

    def pack(self) -> bytes:
        """Return the four bytes of the payload."""
        flags = (_END if self.end else 0) | (self.volume & _VOLUME)
        return _EVENT.pack(self.event, flags, min(self.duration, MAX_DURATION))


def parse_event(payload: bytes | memoryview) -> EventPayload:
    """Return the first event of a payload; :class:`RtpError` when it is too short."""
    if len(payload) < _EVENT.size:
        raise RtpError(f"telephone-event of {len(payload)} bytes")
    event, flags, duration = _EVENT.unpack_from(payload)
    return EventPayload(event, duration, bool(flags & _END), flags & _VOLUME)


@dataclass(frozen=True, slots=True)
class PressedKey:
    """A key that was pressed and released."""

    key: str
    duration_ms: int


class EventReceiver:
    """Turns the packets of one source into one :class:`PressedKey` for each event.

    An event is known by its timestamp.  Its end is the end bit, a later event, or silence
    for ``timeout_s`` when all end packets were lost.
    """

    __slots__ = ("_clock_rate", "_duration", "_event", "_last", "_open", "_timeout", "_timestamp")

    def __init__(self, clock_rate: int = 8000, timeout_s: float = 0.2) -> None:
        self._clock_rate = clock_rate
        self._timeout = timeout_s
        self._timestamp: int | None = None
        self._open = False
        self._event = 0
        self._duration = 0
        self._last = 0.0

    @property
    def busy(self) -> bool:
        """Return whether an event has begun and not ended."""
        return self._open

    def receive(self, payload: EventPayload, timestamp: int, now: float) -> list[PressedKey]:
        """Take a packet; return the keys that ended with it (two when an end was lost)."""
        keys: list[PressedKey] = []
        if payload.event >= len(KEYS):
            return keys
        if timestamp != self._timestamp:
            if self._is_older(timestamp):
                return keys
            if self._open:
                keys.append(self._finish())
            self._timestamp = timestamp
            self._event = payload.event
            self._duration = 0
            self._open = True
        elif not self._open:
            return keys
        self._duration = max(self._duration, payload.duration)
        self._last = now
        if payload.end:
            keys.append(self._finish())
        return keys

    def _is_older(self, timestamp: int) -> bool:
        # A straggler of the event before the one in hand; anything further back is a clock
        # that started afresh.
        if self._timestamp is None:
            return False
        behind = (self._timestamp - timestamp) & 0xFFFFFFFF
        return 0 < behind < self._clock_rate

    def expire(self, now: float) -> PressedKey | None:
        """Return the key whose end never came, once it has been silent long enough."""
        if self._open and now - self._last >= self._timeout:
            return self._finish()
        return None

    def _finish(self) -> PressedKey:
        self._open = False
        return PressedKey(KEYS[self._event], self._duration * 1000 // self._clock_rate)


@dataclass(frozen=True, slots=True)
class EventFrame:
    """One packet to be sent: ``age`` is how long ago the event began, in timestamp units."""

    payload: bytes
    marker: bool
    age: int


class EventSender:
    """The schedule of digits to be sent on one leg, one packet a frame.

    Each event: the first packet with the marker, growing duration, then three end packets,
    all with the timestamp of its begin (:rfc:`4733` sections 2.5.1.1 to 2.5.1.4).  The end
    packets go out one a frame, so that one burst of loss does not take all of them.
    """

    __slots__ = ("_digits", "_frame", "_frames", "_gap_frames", "_position", "_rest")

    def __init__(
        self, digits: str, *, duration_ms: int, gap_ms: int, ptime_ms: int, clock_rate: int = 8000
    ) -> None:
        wrong = [digit for digit in digits if digit.upper() not in KEYS]
        if wrong:
            raise MediaError(f"{wrong[0]!r} is no DTMF key", cure="use 0-9, *, # and A-D")
        self._digits = deque(KEYS.index(digit.upper()) for digit in digits)
        self._frame = clock_rate * ptime_ms // 1000
        limit = MAX_DURATION // self._frame
        self._frames = min(max(1, -(-duration_ms // ptime_ms)), limit)
        # The repeated end packets already fill part of the gap.
        self._gap_frames = max(0, -(-gap_ms // ptime_ms) - (END_PACKETS - 1))
        self._position = 0
        self._rest = 0

    @property
    def done(self) -> bool:
        """Return whether the last packet is out."""
        return not self._digits

    @property
    def resting(self) -> bool:
        """Return whether the next frame belongs to the gap between two digits."""
        return self._rest > 0

    def next(self) -> EventFrame | None:
        """Return the packet of this frame, None in a gap and after the end."""
        if self._rest:
            self._rest -= 1
            return None
        if not self._digits:
            return None
        position = self._position
        grown = min(position + 1, self._frames)
        end = position + 1 >= self._frames
        frame = EventFrame(
            EventPayload(self._digits[0], grown * self._frame, end).pack(),
            marker=position == 0,
            age=position * self._frame,
        )
        self._position += 1
        if self._position == self._frames + END_PACKETS - 1:
            self._digits.popleft()
            self._position = 0
            self._rest = self._gap_frames if self._digits else 0
        return frame
