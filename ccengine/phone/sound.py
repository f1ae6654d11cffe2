"""What a phone says: sound that is encoded once and shared by all who say it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ccengine.dsp import g711
from ccengine.dsp.tone import sines
from ccengine.dsp.wav import read_wav
from ccengine.errors import MediaError

SAMPLE_RATE = 8000


class Sound:
    """PCM at 8 kHz, played from the start, for ever when ``loop``, else silence follows.

    Payloads are made once for each codec and packet time: two hundred phones that say the
    same cost no more than one.
    """

    __slots__ = ("_frames", "loop", "pcm")

    def __init__(self, pcm: NDArray[np.int16], *, loop: bool = False) -> None:
        self.pcm = pcm
        self.loop = loop
        self._frames: dict[tuple[str, int], tuple[bytes, ...]] = {}

    @classmethod
    def silence(cls) -> Sound:
        """Return silence without end."""
        return _SILENCE

    @classmethod
    def tone(cls, *frequencies: float, level_dbov: float = -16.0) -> Sound:
        """Return a sum of sines without end, each of whole Hz, at ``level_dbov``."""
        wave = sines(frequencies, level_dbov, SAMPLE_RATE, SAMPLE_RATE)
        return cls(np.clip(np.rint(wave), -32768, 32767).astype(np.int16), loop=True)

    @classmethod
    def wav(cls, path: Path, *, loop: bool = False) -> Sound:
        """Return the sound of a file; :class:`PromptError` when it cannot be read."""
        return cls(read_wav(path, SAMPLE_RATE), loop=loop)

    def frames(self, codec: str, ptime_ms: int) -> tuple[bytes, ...]:
        """Return the payloads, one for each packet; :class:`MediaError` for a strange codec."""
        key = (codec, ptime_ms)
        found = self._frames.get(key)
        if found is None:
            found = self._frames[key] = self._encode(codec, ptime_ms)
        return found

    def _encode(self, codec: str, ptime_ms: int) -> tuple[bytes, ...]:
        if codec not in g711.ENCODE:
            raise MediaError(f"the phone does not speak {codec}", cure="offer PCMU or PCMA")
        size = SAMPLE_RATE * ptime_ms // 1000
        pcm = self.pcm
        if self.loop and pcm.size % size:
            # Repeat until the loop ends where a packet does.
            pcm = np.tile(pcm, size // np.gcd(size, pcm.size % size))
        pcm = np.concatenate([pcm, np.zeros(-pcm.size % size, np.int16)])
        if not pcm.size:
            pcm = np.zeros(size, np.int16)
        data = g711.encode(codec, pcm, np.empty(pcm.size, np.uint8)).tobytes()
        return tuple(data[start : start + size] for start in range(0, len(data), size))


_SILENCE = Sound(np.zeros(SAMPLE_RATE // 50, np.int16), loop=True)


def decode(codec: str, payload: bytes) -> NDArray[Any]:
    """Return i2 samples of one payload."""
    coded = np.frombuffer(payload, np.uint8)
    return g711.decode(codec, coded, np.empty(coded.size, np.int16))
