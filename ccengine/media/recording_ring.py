"""What the tick and the recording writer share: a ring of samples and the messages about it.

The ring lives in one anonymous file (memfd) that both map.  Positions are samples since the
slot was opened and never wrap; a slot keeps the last ``blocks`` blocks of either side.  The
sides lie apart, because the tick copies whole rows fastest; the writer interleaves them.  The
tick owns ``cursor``, the writer ``released``: each number has
one side that writes it.  Without numpy, so that the writer's process stays small.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

SAMPLE_RATE: Final = 8000
CHANNELS: Final = 2
BLOCK: Final = 7680
"""Samples in a block: 0.96 s, which frames of 5, 10, 20, 30, 40, 60 and 80 ms divide."""
MAX_MESSAGE_BYTES: Final = 32_768
_WORD: Final = 8


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are in the shared memory; sizes follow from slots and blocks per slot."""

    slots: int
    blocks: int

    @property
    def ring_samples(self) -> int:
        """Return the samples of each side that a slot keeps."""
        return self.blocks * BLOCK

    @property
    def slot_bytes(self) -> int:
        """Return the bytes of one slot's ring."""
        return self.ring_samples * CHANNELS

    @property
    def cursor_at(self) -> int:
        """Return the offset of int64[slots, 2]: where the tick writes next on each side."""
        return 0

    @property
    def released_at(self) -> int:
        """Return the offset of int64[slots]: everything before is free to be overwritten."""
        return self.slots * CHANNELS * _WORD

    @property
    def ring_at(self) -> int:
        """Return the offset of the rings: uint8[slots, 2, ring_samples]."""
        end = self.slots * (CHANNELS + 1) * _WORD
        return -(-end // mmap.PAGESIZE) * mmap.PAGESIZE

    @property
    def size(self) -> int:
        """Return the bytes of the whole memory."""
        return self.ring_at + self.slots * self.slot_bytes


class _Message(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Base of everything on the socket between tick and writer."""


class Open(_Message, frozen=True):
    """Begin a recording; ``position`` is its first sample, ``at`` ISO 8601 UTC."""

    slot: int
    key: str
    folder: str
    law: str
    position: int
    sides: tuple[str, str]
    reason: str
    at: str


class Write(_Message, frozen=True):
    """These (slot, start, stop) ranges are complete; none crosses the end of a block."""

    ranges: tuple[tuple[int, int, int], ...]


class Mark(_Message, frozen=True):
    """Something happened at ``position``; ``sides`` is who speaks from here on.

    With ``cut`` a new segment begins here.
    """

    slot: int
    position: int
    reason: str
    sides: tuple[str, str]
    at: str
    cut: bool = False


class Close(_Message, frozen=True):
    """Nothing comes after what was written."""

    slot: int
    at: str


ToWriter: TypeAlias = Open | Write | Mark | Close


class Closed(_Message, frozen=True):
    """A recording is on disk, all of it unless ``error`` says otherwise."""

    slot: int
    key: str
    files: tuple[str, ...]
    duration_s: float
    error: str


class Trouble(_Message, frozen=True):
    """A recording loses sound from here on; told once for each row of failures."""

    slot: int
    key: str
    error: str


FromWriter: TypeAlias = Closed | Trouble

_encoder = msgspec.msgpack.Encoder()
_to_writer: msgspec.msgpack.Decoder[ToWriter] = msgspec.msgpack.Decoder(ToWriter)
_from_writer: msgspec.msgpack.Decoder[FromWriter] = msgspec.msgpack.Decoder(FromWriter)


def encode(message: ToWriter | FromWriter) -> bytes:
    """Return one message as bytes for one packet."""
    return _encoder.encode(message)


def decode_to_writer(data: bytes) -> ToWriter:
    """Return a message of the tick."""
    return _to_writer.decode(data)


def decode_from_writer(data: bytes) -> FromWriter:
    """Return a message of the writer."""
    return _from_writer.decode(data)
