"""The RIFF header of WAV files, without numpy so that small processes can write files too.

Source: Microsoft/IBM RIFF multimedia programming interface 1.0 and its 1994 revision.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

FORMAT_PCM: Final = 1
FORMAT_FLOAT: Final = 3
FORMAT_ALAW: Final = 6
FORMAT_ULAW: Final = 7


@dataclass(frozen=True, slots=True)
class WavFormat:
    """What a file's ``fmt`` chunk says; ``tag`` is the real tag of an extensible format."""

    tag: int
    channels: int
    sample_rate: int
    bits: int

    @property
    def frame_bytes(self) -> int:
        """Return the bytes of one sample of all channels."""
        return self.channels * ((self.bits + 7) // 8)


def wav_header(kind: WavFormat, data_bytes: int) -> bytes:
    """Return everything that stands before the samples, for a ``data`` chunk of that size.

    Formats other than PCM get the longer ``fmt`` and the ``fact`` chunk that they must have.
    """
    frame = kind.frame_bytes
    fmt = struct.pack(
        "<HHIIHH", kind.tag, kind.channels, kind.sample_rate, kind.sample_rate * frame, frame,
        kind.bits,
    )  # fmt: skip
    chunks = b""
    if kind.tag == FORMAT_PCM:
        chunks += struct.pack("<4sI", b"fmt ", len(fmt)) + fmt
    else:
        chunks += struct.pack("<4sI", b"fmt ", len(fmt) + 2) + fmt + b"\0\0"
        chunks += struct.pack("<4sII", b"fact", 4, data_bytes // frame)
    chunks += struct.pack("<4sI", b"data", data_bytes)
    riff = 4 + len(chunks) + data_bytes + (data_bytes & 1)
    return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + chunks
