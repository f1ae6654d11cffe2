"""What a phone hears: books of every packet, the packets themselves when wanted, digits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ccengine.errors import RtpError
from ccengine.phone.sound import SAMPLE_RATE, decode
from ccengine.rtp import packet
from ccengine.rtp.event import EventReceiver, PressedKey, parse_event
from ccengine.rtp.sequence import sequence_step

# Packet types 192 to 223 of RTCP look like these payload types (RFC 5761 section 4).
_RTCP_TYPES = range(64, 96)
_MISSING_REMEMBERED = 1000


@dataclass(slots=True)
class HeardStats:
    """The books of what came in.

    ``lost`` counts what never came, ``late`` what came out of order, ``repeated`` what came
    twice, ``restarts`` new sources (SSRC).  ``max_gap_s`` is the longest time
    between two packets; ``first_at`` and ``last_at`` are arrival times (``now``).
    """

    packets: int = 0
    octets: int = 0
    lost: int = 0
    late: int = 0
    repeated: int = 0
    restarts: int = 0
    garbage: int = 0
    rtcp: int = 0
    timestamp_jumps: int = 0
    max_gap_s: float = 0.0
    first_at: float = 0.0
    last_at: float = 0.0


@dataclass(frozen=True, slots=True)
class HeardPacket:
    """One RTP packet as it came: ``at`` is its arrival (``now``)."""

    at: float
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool
    source: tuple[str, int]


class Hearing:
    """Takes the packets of one call.

    ``keep`` keeps each packet in ``packets``, else only the books are kept.
    """

    def __init__(self, *, keep: bool) -> None:
        self.keep = keep
        self.stats = HeardStats()
        self.packets: list[HeardPacket] = []
        self.keys: list[PressedKey] = []
        self.codec = "PCMU"
        self.payload_type = -1
        self.event_pt = -1
        self._events = EventReceiver()
        self._ssrc = -1
        self._sequence = 0
        self._timestamp = 0
        self._size = 0
        self._missing: set[int] = set()

    def agree(self, codec: str, payload_type: int, event_pt: int) -> None:
        """Say what the payload types mean from now on."""
        self.codec = codec
        self.payload_type = payload_type
        self.event_pt = event_pt

    def receive(self, data: bytes, source: tuple[str, int], at: float) -> None:
        """Take a datagram."""
        stats = self.stats
        try:
            heard = packet.parse(data)
        except RtpError:
            stats.garbage += 1
            return
        if heard.payload_type in _RTCP_TYPES:
            stats.rtcp += 1
            return
        if stats.packets:
            stats.max_gap_s = max(stats.max_gap_s, at - stats.last_at)
        else:
            stats.first_at = at
        stats.packets += 1
        stats.octets += len(data)
        stats.last_at = at
        self._follow(heard)
        if self.keep:
            self.packets.append(
                HeardPacket(
                    at,
                    heard.payload_type,
                    heard.sequence,
                    heard.timestamp,
                    heard.ssrc,
                    heard.payload,
                    heard.marker,
                    source,
                )
            )
        if heard.payload_type == self.event_pt:
            self._key(heard, at)

    def _follow(self, heard: packet.RtpPacket) -> None:
        """Keep the books of sequence and timestamp."""
        stats = self.stats
        if heard.ssrc != self._ssrc:
            stats.restarts += self._ssrc >= 0
            self._ssrc = heard.ssrc
            self._missing.clear()
        else:
            step = sequence_step(heard.sequence, self._sequence)
            if step <= 0:
                self._came_late(heard.sequence)
                return
            stats.lost += step - 1
            self._missing.update(
                (self._sequence + number) & 0xFFFF
                for number in range(max(1, step - _MISSING_REMEMBERED), step)
            )
            is_audio = heard.payload_type == self.payload_type
            expected = (self._timestamp + step * self._size) & 0xFFFFFFFF
            # A talkspurt after a pause begins with the marker and may jump.
            if is_audio and self._size and not heard.marker and heard.timestamp != expected:
                stats.timestamp_jumps += 1
        self._sequence = heard.sequence
        if heard.payload_type == self.payload_type:
            self._timestamp = heard.timestamp
            self._size = len(heard.payload)
        else:
            self._size = 0  # an event stands still in time: what follows cannot be foretold

    def _came_late(self, sequence: int) -> None:
        """Tell a packet that was missing from one that came before."""
        stats = self.stats
        if sequence not in self._missing:
            stats.repeated += 1
            return
        self._missing.discard(sequence)
        stats.late += 1
        stats.lost -= 1

    def _key(self, heard: packet.RtpPacket, at: float) -> None:
        try:
            self.keys += self._events.receive(parse_event(heard.payload), heard.timestamp, at)
        except RtpError:
            self.stats.garbage += 1

    def expire(self, at: float) -> bool:
        """Finish a key whose end was lost; return whether there was one."""
        key = self._events.expire(at) if self._events.busy else None
        if key is not None:
            self.keys.append(key)
        return key is not None

    @property
    def digits(self) -> str:
        """Return the keys as text."""
        return "".join(key.key for key in self.keys)

    def audio(self) -> NDArray[np.int16]:
        """Return what was heard as PCM at 8 kHz, placed by timestamp, silence in holes.

        Packets of one source after another are joined in order of arrival.  Only what was
        kept is here (see ``keep``).
        """
        pieces = []
        source: list[HeardPacket] = []
        for heard in self.packets:
            if heard.payload_type != self.payload_type:
                continue
            if source and heard.ssrc != source[-1].ssrc:
                pieces.append(_place(self.codec, source))
                source = []
            source.append(heard)
        if source:
            pieces.append(_place(self.codec, source))
        return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)


_LONGEST = SAMPLE_RATE * 3600


def _place(codec: str, packets: list[HeardPacket]) -> NDArray[np.int16]:
    first = packets[0].timestamp
    placed = []
    for heard in packets:
        at = (heard.timestamp - first) & 0xFFFFFFFF
        if at < _LONGEST:  # anything else lies before the first packet
            placed.append((at, decode(codec, heard.payload)))
    out = np.zeros(max(at + samples.size for at, samples in placed), np.int16)
    for at, samples in placed:
        out[at : at + samples.size] = samples
    return out
