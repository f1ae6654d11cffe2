"""The measuring set agrees with arithmetic."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ccengine.dsp import g711, measure
from ccengine.dsp.tone import sines


def test_levels_of_known_signals() -> None:
    assert measure.level(np.full(100, -32768, np.int16)) == pytest.approx(0.0)
    full = 32768 * np.sin(2 * np.pi * np.arange(800) / 80)
    assert measure.level(full) == pytest.approx(-3.01, abs=0.01)
    assert measure.level(np.zeros(10, np.int16)) == -math.inf
    assert measure.level(np.empty(0, np.int16)) == -math.inf


@pytest.mark.parametrize("dbov", [-6.0, -20.0, -40.0])
@pytest.mark.parametrize("hertz", [440.0, 1000.3, 3217.0])
def test_a_tone_is_found_where_and_as_loud_as_it_is(dbov: float, hertz: float) -> None:
    pcm = sines((hertz,), dbov, 1600, 8000).astype(np.int16)
    (found,) = measure.tones_in(pcm, 8000)
    assert found.frequency == pytest.approx(hertz, abs=1.0)
    assert found.level_dbov == pytest.approx(dbov, abs=0.1)
    assert measure.tone_level(pcm, 8000, hertz) == pytest.approx(dbov, abs=0.1)


def test_two_tones_through_g711_are_two_tones() -> None:
    pcm = (sines((600.0,), -20, 4000, 8000) + sines((1700.0,), -32, 4000, 8000)).astype(np.int16)
    coded = g711.encode("PCMA", pcm, np.empty(4000, np.uint8))
    heard = g711.decode("PCMA", coded, np.empty(4000, np.int16))
    found = measure.tones_in(heard, 8000)
    assert [round(one.frequency) for one in found] == [600, 1700]
    assert found[1].level_dbov == pytest.approx(-32, abs=0.3)
    assert measure.hears(heard, 8000, 1702)
    assert not measure.hears(heard, 8000, 1000)
    assert measure.tone_level(heard, 8000, 1000.0) < -60


def test_silence_and_noise_hold_no_tones() -> None:
    assert measure.tones_in(np.zeros(8000, np.int16), 8000) == ()
    assert measure.tones_in(np.zeros(3, np.int16), 8000) == ()
    noise = np.random.default_rng(3).normal(0, 30, 8000).astype(np.int16)
    assert measure.tones_in(noise, 8000) == ()


def test_active_level_does_not_count_pauses() -> None:
    speech = sines((500.0,), -20, 8000, 8000)
    with_pause = np.concatenate([speech, np.zeros(24000)])
    assert measure.level(with_pause) == pytest.approx(-26, abs=0.1)
    assert measure.active_level(with_pause, 8000) == pytest.approx(-20, abs=0.1)
    assert measure.active_level(np.zeros(800), 8000) == -math.inf
