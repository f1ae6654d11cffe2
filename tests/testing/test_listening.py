"""The ears of the tests hear what is there."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from ccengine.dsp.tone import sines
from ccengine.testing import listening

RATE = 8000


def tone(frequency: float, seconds: float, level_dbov: float = -16.0) -> np.ndarray:
    wave = sines((frequency,), level_dbov, int(seconds * RATE), RATE)
    return np.rint(wave).astype(np.int16)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * RATE), np.int16)


def test_edges_of_bursts_are_found_beside_another_tone() -> None:
    wave = np.concatenate([silence(0.3), tone(600, 0.5), silence(0.2), tone(600, 1.0)])
    wave = wave + tone(1000, wave.size / RATE)
    found = listening.bursts(wave, RATE, 600)
    assert [(one.begin, one.end) for one in found] == [
        (pytest.approx(0.3, abs=0.001), pytest.approx(0.8, abs=0.001)),
        (pytest.approx(1.0, abs=0.001), pytest.approx(2.0, abs=0.011)),
    ]
    assert listening.longest_burst(wave, RATE, 600) == found[1]
    assert listening.bursts(wave, RATE, 1500) == []
    assert listening.bursts(silence(1), RATE, 600) == []
    assert listening.longest_burst(silence(1), RATE, 600).length_s == 0.0


def test_a_glitch_does_not_move_the_steady_level() -> None:
    wave = tone(700, 2.0)
    wave[8000:8400] = 0
    assert listening.steady_level(wave, RATE, 700) == pytest.approx(-16.0, abs=0.05)


def test_silence_is_measured() -> None:
    wave = np.concatenate([tone(700, 0.5), silence(0.123), tone(700, 0.5)])
    assert listening.longest_silence_s(wave, RATE) == pytest.approx(0.123, abs=0.001)
    assert listening.longest_silence_s(tone(700, 1.0), RATE) < 0.001
    assert listening.longest_silence_s(silence(0.5), RATE) == pytest.approx(0.5, abs=0.001)


def test_a_part_is_found_in_the_whole() -> None:
    noise = np.random.default_rng(1).integers(-9000, 9000, 8000).astype(np.int16)
    assert listening.place_of(noise[3000:5000] // 2, noise) == (3000, pytest.approx(1.0, abs=0.01))
    assert listening.place_of(noise, noise[:100]) == (0, 0.0)
    assert listening.place_of(tone(700, 0.1), noise)[1] < 0.3


def test_both_sides_of_a_file(tmp_path: Path) -> None:
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 2, 8000, 32000, 4, 16)
    header = b"RIFF" + struct.pack("<I", 44) + b"WAVE" + fmt + b"data" + struct.pack("<I", 8)
    (tmp_path / "two.wav").write_bytes(header + np.array([1, -2, 3, -4], "<i2").tobytes())
    left, right, rate = listening.both_sides(tmp_path / "two.wav")
    assert (left.tolist(), right.tolist(), rate) == ([1, 3], [-2, -4], 8000)
