"""Renders the prompts of the manifest: ``python prompts/render.py [--check] [key ...]``.

Needs ``espeak-ng``.  Each prompt is synthesised, resampled, freed of direct current, of long
pauses and of silence at its ends, levelled (active speech level), and written as 16 kHz
PCM16.  Checksums and lengths go to ``manifest.lock.yaml``.  ``--check`` renders nothing: it
compares the files with the lock and fails when they differ.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from ccengine.dsp.measure import active_level
from ccengine.dsp.resample import resample_float
from ccengine.dsp.tone import TONE_PLANS, render
from ccengine.dsp.wav import open_wav, write_wav

HERE = Path(__file__).parent
MANIFEST = HERE / "manifest.yaml"
LOCK = HERE / "manifest.lock.yaml"
LANGUAGES = ("zh", "en")
MUSIC = ("music/music_on_hold.wav",)
EDGE_S = 0.03  # silence that is left at both ends
FADE_S = 0.005
PAUSE_S = 0.18
PEAK = 30000.0
WORD_LETTERS = 9


def synthesise(text: str, voice: dict[str, Any], rate: int) -> NDArray[np.float64]:
    """Return speech f8[N] at ``rate``; the synthesiser's errors end the program."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        word = len(text) <= WORD_LETTERS and " " not in text and "。" not in text
        speed = voice["word_words_per_minute" if word else "words_per_minute"]
        command = ["espeak-ng", "-v", voice["voice"], "-s", str(speed)]
        command += ["-p", str(voice["pitch"]), "-w", str(path), "--", text]
        subprocess.run(command, check=True)
        file = open_wav(path)
        return resample_float(file.samples().mean(axis=1), file.format.sample_rate, rate)


def trim(sound: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """Cut silence (45 dB below the loudest 10 ms) at both ends but for ``EDGE_S``, and fade."""
    size = rate // 100
    frames = np.pad(sound, (0, -len(sound) % size)).reshape(-1, size)
    power = np.mean(frames**2, axis=1)
    loud = np.flatnonzero(power > power.max() * 10**-4.5)
    edge = round(EDGE_S * rate)
    out = sound[max(0, loud[0] * size - edge) : (loud[-1] + 1) * size + edge].copy()
    ramp = np.linspace(0.0, 1.0, round(FADE_S * rate))
    out[: len(ramp)] *= ramp
    out[-len(ramp) :] *= ramp[::-1]
    return out


def shorten_pauses(sound: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """Cut pauses inside the text down to ``PAUSE_S``; the synthesiser makes them long."""
    size = rate // 100
    frames = np.pad(sound, (0, -len(sound) % size)).reshape(-1, size)
    quiet = np.mean(frames**2, axis=1) < np.mean(frames**2) * 10**-4.0
    run = 0
    keep = np.ones(len(quiet), bool)
    for index, silent in enumerate(quiet):
        run = run + 1 if silent else 0
        keep[index] = run <= PAUSE_S * 100
    return frames[keep].reshape(-1)


def high_pass(sound: NDArray[np.float64], rate: int, cutoff: float = 60.0) -> NDArray[np.float64]:
    """Take away direct current and rumble below ``cutoff`` by the spectrum's low end."""
    spectrum = np.fft.rfft(np.pad(sound, (0, rate // 10)))
    at = np.fft.rfftfreq(len(sound) + rate // 10, 1 / rate)
    spectrum *= np.clip((at - cutoff / 2) / (cutoff / 2), 0.0, 1.0)
    return np.fft.irfft(spectrum, len(sound) + rate // 10)[: len(sound)]


def limit(sound: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bend what lies above 3/4 of ``PEAK`` softly so that nothing passes ``PEAK``."""
    knee = 0.75 * PEAK
    over = np.abs(sound) > knee
    out = sound.copy()
    excess = (np.abs(sound[over]) - knee) / (PEAK - knee)
    out[over] = np.sign(sound[over]) * (knee + (PEAK - knee) * np.tanh(excess))
    return out


def levelled(sound: NDArray[np.float64], rate: int, dbov: float) -> NDArray[np.int16]:
    """Return the sound at the wanted active level, limited, without clipping."""
    for _ in range(4):  # the limiter takes some of the level
        sound = limit(sound * 10 ** ((dbov - active_level(sound, rate)) / 20))
    return np.rint(sound).astype(np.int16)


def make(key: str, entry: dict[str, Any], language: str, manifest: dict[str, Any]) -> None:
    """Render one prompt in one language to its file."""
    rate = manifest["sample_rate"]
    if "tone" in entry:
        tone = TONE_PLANS[entry["tone"]["plan"]][entry["tone"]["name"]]
        clean = trim(render(tone, rate).astype(float), rate)
    else:
        text = entry.get("say", {}).get(language, entry[language])
        # A hint for those who speak the other language is said in theirs.
        spoken = entry.get("spoken_in", {}).get(language, language)
        speech = synthesise(text, manifest["voices"][spoken], rate)
        clean = trim(shorten_pauses(high_pass(speech, rate), rate), rate)
    samples = levelled(clean, rate, manifest["level_dbov"])
    path = HERE / language / f"{key}.wav"
    path.parent.mkdir(exist_ok=True)
    write_wav(path, samples, rate)


def facts(name: str) -> dict[str, Any]:
    """Return what the lock says about one file."""
    path = HERE / name
    return {
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "duration_s": round(open_wav(path).duration_s, 3),
    }


def names(manifest: dict[str, Any]) -> list[str]:
    """Return every file that belongs to the manifest, relative to this folder."""
    spoken = [f"{language}/{key}.wav" for language in LANGUAGES for key in manifest["prompts"]]
    return [*spoken, *MUSIC]


def check(manifest: dict[str, Any]) -> list[str]:
    """Return what is wrong with the files, one line each."""
    lock = yaml.safe_load(LOCK.read_text("utf-8"))["files"]
    wanted = names(manifest)
    found = [path.relative_to(HERE).as_posix() for path in HERE.rglob("*.wav")]
    wrong = [f"{name}: not in the manifest" for name in sorted(set(found) - set(wanted))]
    for name in wanted:
        if name not in found:
            wrong.append(f"{name}: missing; run python prompts/render.py")
        elif facts(name) != lock.get(name):
            wrong.append(f"{name}: differs from manifest.lock.yaml")
    return wrong


def main() -> int:
    """Render everything, or the keys that are named, or check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("keys", nargs="*")
    arguments = parser.parse_args()
    manifest = yaml.safe_load(MANIFEST.read_text("utf-8"))
    if not arguments.check:
        for key in arguments.keys or manifest["prompts"]:
            for language in LANGUAGES:
                make(key, manifest["prompts"][key], language, manifest)
        files = {name: facts(name) for name in names(manifest)}
        head = "# Written by render.py: checksum and length of every file of the manifest.\n"
        LOCK.write_text(head + yaml.safe_dump({"files": files}), "utf-8")
    problems = check(manifest)
    sys.stderr.writelines(f"{problem}\n" for problem in problems)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
