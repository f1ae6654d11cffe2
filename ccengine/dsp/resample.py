"""Change of sample rate: a polyphase filter of windowed sinc, for any two rates.

Used when a prompt is loaded, never in a tick.  The Kaiser window is set for 80 dB of stop-band
rejection; the transition lies between 88 % and 100 % of the lower Nyquist frequency.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_STOP_DB = 80.0
_PASS_EDGE = 0.88
_BLOCK = 8192  # outputs of one phase at a time; bounds the memory for long files


@lru_cache(maxsize=16)
def _phases(up: int, down: int) -> NDArray[np.float64]:
    """Return the filter as [up, taps]: row ``p`` makes the outputs of phase ``p``."""
    cutoff = 0.5 / max(up, down)  # of the rate that both share, in cycles per sample
    width = (1.0 - _PASS_EDGE) * cutoff
    beta = 0.1102 * (_STOP_DB - 8.7)
    half = math.ceil((_STOP_DB - 7.95) / (2.285 * 2 * math.pi * width) / 2)
    taps = math.ceil((2 * half + 1) / up)
    taps += taps % 2
    length = taps * up
    # The centre falls on a multiple of `up`, so the delay is whole input samples.
    at = np.arange(length, dtype=np.float64) - (taps // 2) * up
    middle = cutoff - width / 2
    window_at = np.clip(1.0 - (at / (length / 2)) ** 2, 0.0, None)
    window = np.i0(beta * np.sqrt(window_at)) / np.i0(beta)
    kernel = 2 * middle * np.sinc(2 * middle * at) * window
    rows = kernel.reshape(taps, up).T[:, ::-1]
    # Every phase passes direct current unchanged: no ripple at the output rate.
    return np.ascontiguousarray(rows / rows.sum(axis=1, keepdims=True))


def resample_float(samples: NDArray[np.float64], source: int, target: int) -> NDArray[np.float64]:
    """Return ``samples`` f8[N] at rate ``source`` Hz as f8[ceil(N·target/source)].

    The first output falls on the first input: nothing is delayed.
    """
    if source <= 0 or target <= 0:
        raise ValueError("sample rates are positive")
    if source == target or samples.size == 0:
        return samples
    common = math.gcd(source, target)
    up, down = target // common, source // common
    rows = _phases(up, down)
    taps = rows.shape[1]
    count = -(-samples.size * up // down)
    # Output n stands at n·down/up of the input; its window ends taps/2 samples behind that.
    padded = np.concatenate([np.zeros(taps // 2 - 1), samples, np.zeros(taps)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, taps)
    out = np.empty(count, dtype=np.float64)
    for first in range(min(up, count)):
        start, phase = divmod(first * down, up)
        mine = windows[start::down][: len(range(first, count, up))]
        target_view = out[first::up]
        for block in range(0, len(mine), _BLOCK):
            target_view[block : block + _BLOCK] = mine[block : block + _BLOCK] @ rows[phase]
    return out


def resample(samples: NDArray[np.int16], source: int, target: int) -> NDArray[np.int16]:
    """Return ``samples`` i2[N] at rate ``source`` Hz as i2 at ``target`` Hz, clipped."""
    if source == target:
        return samples
    out = resample_float(samples.astype(np.float64), source, target)
    return np.clip(np.rint(out), -32768, 32767).astype(np.int16)
