"""Tones have the level, the frequencies and the cadence that their plan says."""

from __future__ import annotations

import numpy as np
import pytest

from ccengine.dsp import g711, measure
from ccengine.dsp.tone import FOREVER, TONE_PLANS, Burst, Tone, dbm0_to_dbov, render, sines

EVERY = [(plan, name) for plan, tones in TONE_PLANS.items() for name in tones]


@pytest.mark.parametrize(("plan", "name"), EVERY)
@pytest.mark.parametrize("rate", [8000, 16000])
def test_each_burst_sounds_as_planned(plan: str, name: str, rate: int) -> None:
    tone = TONE_PLANS[plan][name]
    pcm = render(tone, rate)
    at = 0
    for burst in tone.bursts:
        length = round(burst.duration_s * rate) if burst.duration_s != FOREVER else len(pcm)
        piece = pcm[at : at + length]
        at += length
        if not burst.frequencies:
            assert not piece.any()
            continue
        found = measure.tones_in(piece, rate)
        assert sorted(round(one.frequency) for one in found) == sorted(burst.frequencies)
        for one in found:
            assert one.level_dbov == pytest.approx(dbm0_to_dbov(tone.level_dbm0), abs=0.1)
    assert at == len(pcm)


def test_every_plan_has_every_tone() -> None:
    for tones in TONE_PLANS.values():
        assert set(tones) == {"dial", "ringback", "busy", "congestion", "beep"}


@pytest.mark.parametrize(
    ("law", "codes"),
    [
        ("PCMU", (0x1E, 0x0B, 0x0B, 0x1E, 0x9E, 0x8B, 0x8B, 0x9E)),
        ("PCMA", (0x34, 0x21, 0x21, 0x34, 0xB4, 0xA1, 0xA1, 0xB4)),
    ],
)
def test_zero_dbm0_is_the_reference_sine_of_g711(law: str, codes: tuple[int, ...]) -> None:
    """ITU-T G.711 tables 5 and 6: the 1 kHz sequence of 0 dBm0, decoded, measures 0 dBm0."""
    sequence = np.array(codes * 100, np.uint8)
    pcm = g711.decode(law, sequence, np.empty(800, np.int16))
    assert measure.level(pcm) == pytest.approx(dbm0_to_dbov(0.0), abs=0.1)


def test_pieces_join_without_a_click() -> None:
    whole = sines((450.0,), -10, 1600, 8000)
    parts = np.concatenate([sines((450.0,), -10, 160, 8000, at) for at in range(0, 1600, 160)])
    np.testing.assert_allclose(whole, parts, atol=1e-6)


def test_a_continuous_tone_loops_and_a_cadence_repeats() -> None:
    dial = render(TONE_PLANS["china"]["dial"], 8000).astype(int)
    assert abs(dial[0] - dial[-1]) <= np.abs(np.diff(dial)).max()
    busy = render(TONE_PLANS["china"]["busy"], 8000, 1.4)
    assert not busy[2800:5600].any()
    assert busy[5600:8400].any()


def test_once_means_once() -> None:
    beep = render(Tone((Burst((1000.0,), 0.1),), once=True), 8000, 0.5)
    assert beep[:800].any()
    assert not beep[800:].any()
