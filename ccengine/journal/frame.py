"""Frames: the all-or-nothing unit of the journal, one for each drain of the engine.

A frame is ``length`` and ``crc32`` (little-endian, 32 bits each) before ``length`` bytes of
payload.  The checksum covers the length as well.  The payload is a msgpack array of five::

    [first_seq, at, mono, boot_id, [[stream, type, version, data], …]]

``at`` is POSIX seconds, ``mono`` monotonic seconds within ``boot_id``.  The first three are
stored in their longest encodings, so they stand at fixed places and a frame can be skipped
without decoding it.  A length of 0 is the preallocated part of a segment: the end.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from struct import Struct
from typing import Literal

import msgspec

from ccengine.errors import JournalError
from ccengine.journal.registry import RawFact, Registry
from ccengine.ports import FactData

HEADER = Struct("<II")
_LENGTH = Struct("<I")
_FIXED = Struct(">BBQBdBd")  # array of 5, uint 64, float 64, float 64
_SEQ = Struct(">Q")
_ARRAY_OF_5, _UINT64, _FLOAT64 = 0x95, 0xCF, 0xCB

MAX_FRAME_BYTES = 64 << 20
"""No drain comes near this; a longer length is damage, not a frame."""

_PayloadType = tuple[int, float, float, str, list[tuple[str, str, int, msgspec.Raw]]]
_PAYLOAD: msgspec.msgpack.Decoder[_PayloadType] = msgspec.msgpack.Decoder(_PayloadType)


@dataclass(frozen=True, slots=True)
class Frame:
    """The facts of one drain; ``first_seq`` numbers the first of them.

    ``at`` is aware UTC, ``now`` monotonic seconds, which hold within ``boot_id``.
    """

    first_seq: int
    at: datetime
    now: float
    boot_id: str
    facts: tuple[FactData | RawFact, ...]

    @property
    def next_seq(self) -> int:
        """Return the number of the first fact after this frame."""
        return self.first_seq + len(self.facts)


@dataclass(frozen=True, slots=True)
class RawFrame:
    """A frame whose checksum holds, its facts still encoded.

    It lies at ``start`` to ``end`` of the data that it was found in.
    """

    first_seq: int
    at: float
    now: float
    boot_id: str
    entries: list[tuple[str, str, int, msgspec.Raw]]
    start: int
    end: int

    @property
    def next_seq(self) -> int:
        """Return the number of the first fact after this frame."""
        return self.first_seq + len(self.entries)

    def decode(self, registry: Registry, from_seq: int = 0) -> Frame:
        """Return the frame with its facts as dataclasses, without those before ``from_seq``."""
        skip = max(0, from_seq - self.first_seq)
        decode = registry.decode
        facts = [
            decode(kind, version, stream, data)
            for stream, kind, version, data in (self.entries[skip:] if skip else self.entries)
        ]
        at = datetime.fromtimestamp(self.at, UTC)
        return Frame(self.first_seq + skip, at, self.now, self.boot_id, tuple(facts))


Fault = Literal["end", "short", "length", "checksum", "payload"]
"""Why there is no frame at an offset; ``end`` is the regular end of the data."""


class FrameEncoder:
    """Makes frames for one process; ``boot_id`` goes into each of them."""

    __slots__ = ("_boot", "_encode", "_names")

    def __init__(self, boot_id: str, registry: Registry) -> None:
        self._names = registry.names
        encoder = msgspec.msgpack.Encoder()
        self._encode = encoder.encode
        self._boot = encoder.encode(boot_id)

    def encode(self, facts: Sequence[FactData], first_seq: int, now: float, at: float) -> bytes:
        """Return one whole frame; ``now`` and ``at`` are seconds, monotonic and POSIX.

        Raises :class:`JournalError` for a fact whose class is not in the registry.
        """
        names = self._names
        try:
            entries = [(fact.stream, *names[type(fact)], fact) for fact in facts]
        except KeyError as error:
            raise JournalError(
                f"{error.args[0].__qualname__} is no fact of this journal",
                cure="add it to the FACTS of its room",
            ) from error
        body = self._encode(entries)
        fixed = _FIXED.pack(_ARRAY_OF_5, _UINT64, first_seq, _FLOAT64, at, _FLOAT64, now)
        payload = b"".join((fixed, self._boot, body))
        return HEADER.pack(len(payload), checksum(payload)) + payload


def checksum(payload: bytes | memoryview) -> int:
    """Return the CRC-32 of the payload's length and the payload."""
    return zlib.crc32(payload, zlib.crc32(_LENGTH.pack(len(payload))))


def frame_at(data: memoryview, offset: int) -> RawFrame | Fault:
    """Return the frame that begins at ``offset``, or why there is none."""
    remaining = len(data) - offset
    if remaining < HEADER.size:
        # Not one non-zero byte is the end; the beginning of a header is a torn frame.
        return "short" if any(data[offset:]) else "end"
    length, crc = HEADER.unpack_from(data, offset)
    if length == 0:
        return "end" if crc == 0 else "checksum"
    if length < _FIXED.size or length > MAX_FRAME_BYTES:
        return "length"
    start = offset + HEADER.size
    if length > remaining - HEADER.size:
        return "short"
    payload = data[start : start + length]
    if checksum(payload) != crc:
        return "checksum"
    try:
        first_seq, at, now, boot_id, entries = _PAYLOAD.decode(payload)
    except msgspec.MsgspecError:
        return "payload"
    return RawFrame(first_seq, at, now, boot_id, entries, offset, start + length)


def find_frame(data: memoryview, offset: int, last_seq: int) -> RawFrame | None:
    """Return the next whole frame at or after ``offset``, or None.

    Looks for the fixed beginning of a payload whose ``first_seq`` shares its five high bytes
    with ``last_seq`` or the number range after it, then lets the checksum decide.
    """
    blob = bytes(data[offset:])
    best: RawFrame | None = None
    for high in {_SEQ.pack(last_seq)[:5], _SEQ.pack(last_seq + (1 << 24))[:5]}:
        pattern = bytes((_ARRAY_OF_5, _UINT64)) + high
        position = blob.find(pattern)
        while position >= 0:
            start = offset + position - HEADER.size
            found = frame_at(data, start) if start >= offset else "end"
            if isinstance(found, RawFrame) and found.first_seq > last_seq:
                if best is None or found.start < best.start:
                    best = found
                break
            position = blob.find(pattern, position + 1)
    return best
