"""What can be told of sound by listening: where a tone is, where it is silent, where a file is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ccengine.dsp.measure import level, tone_level
from ccengine.dsp.wav import open_wav

_WINDOW_S = 0.02  # tones of whole 50 Hz do not disturb each other over this time
_SILENT_DBOV = -50.0
_LEVEL_WINDOW_S = 0.2

Pcm = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Burst:
    """A stretch of a tone: seconds from the start of the sound."""

    begin: float
    end: float

    @property
    def length_s(self) -> float:
        """Return how long it lasts."""
        return self.end - self.begin


def bursts(pcm: NDArray[Any], rate: int, frequency: float) -> list[Burst]:
    """Return where in samples [N] a tone sounds: at half its usual strength or more.

    Edges are right within a millisecond when other tones lie whole multiples of 50 Hz away.
    """
    size = int(rate * _WINDOW_S)
    if pcm.size <= size:
        return []
    turned = pcm * np.exp(-2j * np.pi * frequency / rate * np.arange(pcm.size))
    sums = np.concatenate([[0.0], np.cumsum(turned)])
    strength = np.abs(sums[size:] - sums[:-size]) / size
    if level(pcm) < _SILENT_DBOV or strength.max() < 30:
        return []
    loud = strength > np.percentile(strength[strength > strength.max() / 4], 50) / 2
    edges = np.flatnonzero(np.diff(np.concatenate([[False], loud, [False]]).astype(np.int8)))
    middle = size / 2
    return [
        Burst((begin + middle) / rate, (end + middle) / rate)
        for begin, end in edges.reshape(-1, 2)
        if end - begin > size
    ]


def longest_burst(pcm: NDArray[Any], rate: int, frequency: float) -> Burst:
    """Return the longest stretch of a tone; a length of 0 when it is nowhere."""
    found = bursts(pcm, rate, frequency)
    return max(found, key=lambda one: one.length_s, default=Burst(0.0, 0.0))


def cut(pcm: Pcm, rate: int, burst: Burst, margin_s: float = 0.0) -> Pcm:
    """Return the samples of a stretch without ``margin_s`` at its ends."""
    return pcm[int((burst.begin + margin_s) * rate) : int((burst.end - margin_s) * rate)]


def steady_level(pcm: NDArray[Any], rate: int, frequency: float) -> float:
    """Return the level of a tone in dBov: the median over windows of 0.2 s."""
    size = int(rate * _LEVEL_WINDOW_S)
    starts = range(0, max(1, pcm.size - size + 1), size)
    return float(
        np.median([tone_level(pcm[start : start + size], rate, frequency) for start in starts])
    )


def longest_silence_s(pcm: NDArray[Any], rate: int, floor_dbov: float = _SILENT_DBOV) -> float:
    """Return the longest time for which no sample of [N] is above ``floor_dbov``."""
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > 32768 * 10 ** (floor_dbov / 20))
    ends = np.concatenate([[-1], loud, [pcm.size]])
    return float(np.max(np.diff(ends)) - 1) / rate


def place_of(part: NDArray[Any], whole: NDArray[Any]) -> tuple[int, float]:
    """Return where ``part`` [M] stands in ``whole`` [N] best, and how alike they are there.

    Alike is the correlation coefficient, 1.0 for the same up to a factor.
    """
    if part.size > whole.size or not part.size:
        return 0, 0.0
    length = 1 << int(np.ceil(np.log2(whole.size + part.size)))
    wide = whole.astype(np.float64)
    spectrum = np.fft.rfft(wide, length) * np.conj(np.fft.rfft(part.astype(np.float64), length))
    dots = np.fft.irfft(spectrum, length)[: whole.size - part.size + 1]
    squares = np.concatenate([[0.0], np.cumsum(wide * wide)])
    powers = squares[part.size :] - squares[: -part.size]
    norm = np.sqrt(np.maximum(powers, 1.0)) * np.linalg.norm(part.astype(np.float64))
    alike = dots / np.maximum(norm, 1.0)
    best = int(np.argmax(alike))
    return best, float(alike[best])


def both_sides(path: Path) -> tuple[Pcm, Pcm, int]:
    """Return left and right of a stereo file as 16-bit samples, and their rate in Hz."""
    file = open_wav(path)
    samples = np.rint(file.samples()).astype(np.int16)
    return samples[:, 0].copy(), samples[:, 1].copy(), file.format.sample_rate
