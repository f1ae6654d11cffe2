"""What is shipped can be played: complete, as loud as promised, clean at both ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from ccengine.dialplan.spoken import say_count, say_digits, say_number
from ccengine.dsp import measure
from ccengine.dsp.wav import open_wav

ROOT = Path(__file__).parents[2] / "prompts"
MANIFEST = yaml.safe_load((ROOT / "manifest.yaml").read_text("utf-8"))
LOCK = yaml.safe_load((ROOT / "manifest.lock.yaml").read_text("utf-8"))["files"]
KEYS = sorted(MANIFEST["prompts"])
SPOKEN = [f"{language}/{key}.wav" for language in ("zh", "en") for key in KEYS]
MUSIC = "music/music_on_hold.wav"
RATE = 16000


def sound_of(name: str) -> np.ndarray:
    file = open_wav(ROOT / name)
    assert (file.format.tag, file.format.channels, file.format.bits) == (1, 1, 16)
    assert file.format.sample_rate == RATE == MANIFEST["sample_rate"]
    return file.samples()[:, 0]


def test_the_files_are_those_of_the_manifest() -> None:
    """Every key in both languages, checksums and lengths as locked, nothing besides."""
    done = subprocess.run(
        [sys.executable, ROOT / "render.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert set(LOCK) == {*SPOKEN, MUSIC}


def test_the_manifest_says_what_they_are() -> None:
    assert MANIFEST["kind"] in {"recording", "synthesised placeholder"}
    assert MANIFEST["licence"] == "CC0-1.0"
    assert set(MANIFEST["voices"]) == {"zh", "en"}
    for key, entry in MANIFEST["prompts"].items():
        assert "tone" in entry or (entry["zh"] and entry["en"]), key
    assert sum(path.stat().st_size for path in ROOT.rglob("*.wav")) <= 10_000_000


@pytest.mark.parametrize("name", SPOKEN)
def test_each_prompt_is_clean(name: str) -> None:
    sound = sound_of(name)
    assert measure.active_level(sound, RATE) == pytest.approx(MANIFEST["level_dbov"], abs=1.5)
    assert np.abs(sound).max() < 32000, "clips"
    assert abs(sound.mean()) < 33, "direct current"
    assert LOCK[name]["duration_s"] == pytest.approx(len(sound) / RATE, abs=0.001)
    loud = np.flatnonzero(np.abs(sound) > np.abs(sound).max() * 0.02)
    assert loud[0] <= 0.15 * RATE
    assert len(sound) - loud[-1] <= 0.15 * RATE
    assert max(abs(sound[0]), abs(sound[-1])) < 100, "clicks at its ends"


def test_the_music_loops_without_a_seam() -> None:
    """Across the seam nothing jumps and no click sounds that the music has not elsewhere."""
    sound = sound_of(MUSIC)
    assert 40 <= len(sound) / RATE <= 75
    assert np.abs(sound).max() < 32000
    steps = np.abs(np.diff(sound))
    assert abs(sound[0] - sound[-1]) <= np.percentile(steps, 99.9)
    window = np.hanning(1024)

    def high(part: np.ndarray) -> float:
        """Return the energy above 4.7 kHz, where the music has nothing but a click has."""
        return float(np.sum(np.abs(np.fft.rfft(part * window))[300:] ** 2))

    usual = max(high(sound[at : at + 1024]) for at in range(0, len(sound) - 1024, 512))
    assert high(np.concatenate([sound[-512:], sound[:512]])) <= 2 * usual
    cut = sound[:-3000]  # the instrument does hear a seam where there is one
    assert high(np.concatenate([cut[-512:], cut[:512]])) > 100 * usual


def test_the_music_is_quieter_than_speech_and_never_silent() -> None:
    sound = sound_of(MUSIC)
    assert -28 <= measure.level(sound) <= -22
    seconds = sound[: len(sound) // RATE * RATE].reshape(-1, RATE)
    levels = [measure.level(second) for second in seconds]
    assert min(levels) > -36
    assert max(levels) < -18


@pytest.mark.parametrize("language", ["zh", "en"])
def test_whatever_is_spoken_has_a_prompt(language: str) -> None:
    values = [*range(-20, 2300), *(10**power + 1 for power in range(3, 16))]
    used = {key for value in values for key in say_number(value, language)}
    used |= set(say_digits("+0123456789*#", language)) | set(say_count(2, language))
    assert used <= set(KEYS)
