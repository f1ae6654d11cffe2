"""Levels and tones in a signal: what an acoustic measuring set would say.

Levels are dBov of ITU-T G.100.1: 0 dBov is the power of a full-scale square wave, so a
full-scale sine has -3.01 dBov.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

FULL_SCALE: Final = 32768.0
DBM0_AT_0_DBOV: Final = 6.15
"""dBm0 = dBov + 6.15: a full-scale sine has 3.14 dBm0 in A-law (ITU-T G.711; µ-law 3.17)."""


@dataclass(frozen=True, slots=True)
class FoundTone:
    """A line in a spectrum: frequency in Hz and level in dBov."""

    frequency: float
    level_dbov: float


def amplitude_of_dbov(level_dbov: float) -> float:
    """Return the peak (16-bit scale) of a sine that has this level."""
    return float(FULL_SCALE * math.sqrt(2.0) * 10.0 ** (level_dbov / 20.0))


def _dbov(mean_square: float) -> float:
    return 10.0 * math.log10(mean_square / FULL_SCALE**2) if mean_square > 0 else -math.inf


def level(pcm: NDArray[Any]) -> float:
    """Return the level of samples [N] in dBov; silence and nothing are minus infinity."""
    if pcm.size == 0:
        return -math.inf
    wide = pcm.astype(np.float64)
    return _dbov(float(np.mean(wide * wide)))


def active_level(pcm: NDArray[Any], rate: int, margin_db: float = 15.9) -> float:
    """Return the level of the parts of [N] that are speech, in dBov.

    Frames of 20 ms count when they lie less than ``margin_db`` below the result; the threshold
    is found by iteration, after the margin of ITU-T P.56.
    """
    size = max(1, rate // 50)
    frames = pcm[: pcm.size // size * size].astype(np.float64).reshape(-1, size)
    if frames.size == 0:
        return level(pcm)
    power = np.mean(frames * frames, axis=1)
    mean = float(power.mean())
    for _ in range(20):
        if mean <= 0:
            return -math.inf
        active = power[power >= mean * 10 ** (-margin_db / 10)]
        found = float(active.mean())
        if math.isclose(found, mean, rel_tol=1e-9):
            break
        mean = found
    return _dbov(mean)


def tone_level(pcm: NDArray[Any], rate: int, frequency: float) -> float:
    """Return the level in dBov of one frequency in samples [N] (Goertzel's single bin).

    A Hann window keeps other tones out that are 4/N·rate away or more.
    """
    if pcm.size == 0:
        return -math.inf
    window = np.hanning(pcm.size)
    turns = np.exp(-2j * np.pi * frequency / rate * np.arange(pcm.size))
    peak = 2.0 * abs(np.dot(pcm.astype(np.float64) * window, turns)) / max(window.sum(), 1e-9)
    return _dbov(float(peak) ** 2 / 2.0)


def tones_in(
    pcm: NDArray[Any], rate: int, *, floor_dbov: float = -50.0, range_db: float = 25.0
) -> tuple[FoundTone, ...]:
    """Return the tones in samples [N], the loudest first; frequency within 1 Hz for 0.2 s.

    Lines below ``floor_dbov`` or more than ``range_db`` under the loudest are not tones but
    noise, distortion of companding or leakage.
    """
    if pcm.size < 16:
        return ()
    # Blackman-Harris: side lobes below -92 dB, main lobe four bins to each side of a line, and
    # the line up to half a bin away from its highest bin.
    turn = 2.0 * np.pi * np.arange(pcm.size) / pcm.size
    window = 0.35875 - 0.48829 * np.cos(turn) + 0.14128 * np.cos(2 * turn)
    window -= 0.01168 * np.cos(3 * turn)
    power = np.abs(np.fft.rfft(pcm.astype(np.float64) * window)) ** 2
    power *= 2.0 / (pcm.size * float(np.sum(window * window)))
    found: list[FoundTone] = []
    left = power.copy()
    left[:6] = 0.0  # direct current and its skirt
    while True:
        peak = int(np.argmax(left))
        low, high = max(0, peak - 5), peak + 6
        line = left[low:high]
        loudness = _dbov(float(line.sum()))
        edge = max(floor_dbov, found[0].level_dbov - range_db) if found else floor_dbov
        if loudness < edge or left[peak] <= 0:
            return tuple(found)
        centre = float(np.dot(line, np.arange(low, low + line.size)) / line.sum())
        found.append(FoundTone(centre * rate / pcm.size, loudness))
        left[low:high] = 0.0


def hears(pcm: NDArray[Any], rate: int, frequency: float, *, floor_dbov: float = -50.0) -> bool:
    """Return whether a tone within 4 Hz of ``frequency`` is among :func:`tones_in`."""
    tones = tones_in(pcm, rate, floor_dbov=floor_dbov)
    return any(abs(tone.frequency - frequency) <= 4.0 for tone in tones)
