"""Composes the music on hold: ``python prompts/compose.py`` writes ``music/music_on_hold.wav``.

Sixteen bars of four chords, slow: a soft pad, a plucked arpeggio over it, and a sparse melody
in the last eight bars.  Everything is added into a ring, so that what rings on at the end
sounds into the beginning: the loop has no seam.  The music keeps below 3.4 kHz, because most
people hear it through G.711.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ccengine.dsp.measure import level
from ccengine.dsp.wav import write_wav

RATE = 16000
BEAT_S = 0.78  # 77 beats a minute: 50 s
BARS = 16
LEVEL_DBOV = -24.0  # below speech, so that an announcement after it is not a shock
CHORDS = (  # semitones from A3, from the bass up
    (-9, 3, 7, 10, 17),  # C major
    (-12, 0, 3, 7, 12),  # A minor
    (-16, -4, 0, 3, 8),  # F major
    (-14, -2, 2, 5, 10),  # G major
)
MELODY = (  # (bar, beat, semitones from A4, beats)
    (8, 0, 7, 3), (9, 0, 3, 1.5), (9, 2, 0, 2), (10, 0, 3, 2), (10, 2, 5, 2), (11, 0, 2, 3.5),
    (12, 0, 7, 2), (12, 2, 10, 2), (13, 0, 7, 3), (14, 0, 8, 2), (14, 2, 5, 2), (15, 0, 5, 3.5),
)  # fmt: skip
SIZE = round(BARS * 4 * BEAT_S * RATE)


def add(ring: NDArray[np.float64], start_s: float, sound: NDArray[np.float64]) -> None:
    """Add a sound at a time of the loop; what passes the end goes on at the beginning."""
    at = (round(start_s * RATE) + np.arange(len(sound))) % SIZE
    np.add.at(ring, at, sound)


def hertz(semitones: float) -> float:
    """Return the frequency of a note by its distance from A3 (220 Hz)."""
    return float(220.0 * 2.0 ** (semitones / 12.0))


def pad(semitones: float, seconds: float) -> NDArray[np.float64]:
    """Return a soft string: three detuned voices with few overtones, slow in and out."""
    time = np.arange(round(seconds * RATE)) / RATE
    out = np.zeros(len(time))
    for cents in (-5.0, 0.0, 6.0):
        base = hertz(semitones + cents / 100.0)
        for overtone, strength in ((1, 1.0), (2, 0.35), (3, 0.12), (4, 0.05)):
            if base * overtone < 3200:
                out += strength * np.sin(2 * np.pi * base * overtone * time + cents)
    swell = np.clip(np.minimum(time / 1.2, (seconds - time) / 1.6), 0.0, 1.0)
    bowed: NDArray[np.float64] = out * np.sin(0.5 * np.pi * swell) ** 2
    return bowed * (1 + 0.08 * np.sin(2 * np.pi * 0.4 * time))


def pluck(semitones: float, seconds: float = 2.5) -> NDArray[np.float64]:
    """Return a plucked string whose overtones die sooner than its ground tone."""
    time = np.arange(round(seconds * RATE)) / RATE
    base = hertz(semitones)
    out = np.zeros(len(time))
    for overtone in range(1, 9):
        if base * overtone * 1.01 < 3300:
            bent = base * overtone * np.sqrt(1 + 0.0002 * overtone**2)
            decay = np.exp(-time * (1.4 + 0.9 * overtone))
            out += np.sin(2 * np.pi * bent * time) * decay / overtone**1.2
    attack = np.clip(time / 0.006, 0.0, 1.0)
    end = np.clip((seconds - time) / 0.2, 0.0, 1.0)
    plucked: NDArray[np.float64] = out * attack * end
    return plucked


def compose() -> NDArray[np.float64]:
    """Return the loop f8[SIZE], not yet levelled."""
    ring = np.zeros(SIZE)
    chance = np.random.default_rng(2)  # small unevenness of a player; always the same
    bar_s = 4 * BEAT_S
    for bar in range(BARS):
        chord = CHORDS[bar % len(CHORDS)]
        for index, note in enumerate(chord):
            add(ring, bar * bar_s - 0.4, (0.5 if index else 0.8) * pad(note, bar_s + 1.6))
        order = (1, 2, 3, 4, 3, 2, 3, 2) if bar % 2 == 0 else (1, 3, 2, 4, 2, 3, 4, 2)
        for eighth, index in enumerate(order):
            strength = 1.5 * (1.0 if eighth % 4 == 0 else 0.75) * chance.uniform(0.9, 1.05)
            late = chance.uniform(0.0, 0.012)
            start = bar * bar_s + eighth * BEAT_S / 2 + late
            add(ring, start, strength * pluck(chord[index] + 12))
    for bar, beat, note, beats in MELODY:
        tone = pluck(note + 12, beats * BEAT_S + 1.5)
        add(ring, bar * bar_s + beat * BEAT_S, 1.3 * tone)
    return ring


def main() -> None:
    """Write the file at its level."""
    music = compose()
    music -= music.mean()
    music *= 10 ** ((LEVEL_DBOV - level(music)) / 20)
    path = Path(__file__).parent / "music" / "music_on_hold.wav"
    path.parent.mkdir(exist_ok=True)
    write_wav(path, np.rint(np.clip(music, -32767, 32767)).astype(np.int16), RATE)


if __name__ == "__main__":
    main()
