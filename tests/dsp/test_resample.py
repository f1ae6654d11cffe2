"""Resampling judged by FFT: what passes keeps its level, what must not pass is gone."""

from __future__ import annotations

import numpy as np
import pytest

from ccengine.dsp.resample import resample, resample_float

PAIRS = [(8000, 16000), (16000, 8000), (48000, 8000), (44100, 8000), (44100, 16000),
         (22050, 16000), (8000, 48000), (11025, 8000)]  # fmt: skip


def sine(rate: int, hertz: float, seconds: float = 0.5) -> np.ndarray:
    return 10000.0 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)


def spectrum(samples: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    middle = samples[len(samples) // 8 : -len(samples) // 8]
    window = np.blackman(len(middle))
    # Scaled so that the root of the summed squares over a line is its amplitude.
    scale = 2 / np.sqrt(len(middle) * np.sum(window**2))
    level = np.abs(np.fft.rfft(middle * window)) * scale
    return np.fft.rfftfreq(len(middle), 1 / rate), level


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_tone_in_the_pass_band_keeps_level_and_brings_no_company(
    source: int, target: int
) -> None:
    for hertz in (300.0, 1000.0, 0.80 * min(source, target) / 2):
        at, level = spectrum(resample_float(sine(source, hertz), source, target), target)
        near = np.abs(at - hertz) < 40
        assert 20 * np.log10(np.sqrt(np.sum(level[near] ** 2)) / 10000) == pytest.approx(
            0.0, abs=0.1
        )
        assert 20 * np.log10(level[~near].max() / 10000) < -70


@pytest.mark.parametrize(("source", "target"), [p for p in PAIRS if p[0] > p[1]])
def test_what_the_new_rate_cannot_carry_is_gone(source: int, target: int) -> None:
    for ratio in (1.0, 1.2, 1.9):
        hertz = ratio * target / 2
        if hertz < source / 2:
            _, level = spectrum(resample_float(sine(source, hertz), source, target), target)
            assert 20 * np.log10(level.max() / 10000 + 1e-12) < -60, (source, target, hertz)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_nothing_is_delayed_and_the_length_fits(source: int, target: int) -> None:
    got = resample_float(sine(source, 500.0), source, target)
    assert len(got) == -(-int(source * 0.5) * target // source)
    expected = sine(target, 500.0, 1.0)[: len(got)]
    inner = slice(target // 20, -target // 20)
    assert np.abs(got - expected)[inner].max() < 10000 * 0.002


def test_constant_stays_constant_and_loud_is_clipped_not_wrapped() -> None:
    flat = resample(np.full(4000, 20000, np.int16), 8000, 16000)
    assert set(flat[500:-500].tolist()) == {20000}
    square = np.where(np.arange(4000) // 20 % 2, 32767, -32768).astype(np.int16)
    loud = resample(square, 8000, 16000)
    assert loud.max() == 32767
    assert loud.min() == -32768


def test_same_rate_and_nothing_are_left_alone() -> None:
    samples = np.arange(10, dtype=np.int16)
    assert resample(samples, 8000, 8000) is samples
    assert resample(np.empty(0, np.int16), 8000, 16000).size == 0
    with pytest.raises(ValueError, match="positive"):
        resample_float(np.ones(3), 0, 8000)
