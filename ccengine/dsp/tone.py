"""Tones: sums of sines with a cadence and an exact level, and the tone plans of some countries.

A plan is data: :data:`TONE_PLANS` maps a plan name to its tones.  Sources: ITU-T E.180/Q.35
(03/98) and its supplement 2 for national values; YD/T and GB 3380 practice for China (450 Hz);
TIA/EIA-464-B precise tones for the US; BS 6305 for the UK.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ccengine.dsp.measure import DBM0_AT_0_DBOV, amplitude_of_dbov

FOREVER: Final = 0.0


@dataclass(frozen=True, slots=True)
class Burst:
    """A stretch of a cadence: these frequencies in Hz (none = silence) for ``duration_s``.

    A duration of :data:`FOREVER` ends a cadence that is not repeated.
    """

    frequencies: tuple[float, ...]
    duration_s: float = FOREVER


@dataclass(frozen=True, slots=True)
class Tone:
    """A named signal: bursts, repeated for ever unless ``once`` or the last never ends.

    ``level_dbm0`` is the level of each frequency while it sounds.
    """

    bursts: tuple[Burst, ...]
    level_dbm0: float = -10.0
    once: bool = False

    @property
    def cycle_s(self) -> float:
        """Return the length of one cadence; 0 when the tone is continuous."""
        if any(burst.duration_s == FOREVER for burst in self.bursts):
            return 0.0
        return sum(burst.duration_s for burst in self.bursts)


def dbm0_to_dbov(level_dbm0: float) -> float:
    """Return the level against digital overload (ITU-T G.711: 0 dBm0 is 6.15 dB below)."""
    return level_dbm0 - DBM0_AT_0_DBOV


def sines(
    frequencies: tuple[float, ...], level_dbov: float, samples: int, rate: int, first: int = 0
) -> NDArray[np.float64]:
    """Return f8[samples] of sines that each have ``level_dbov`` (0 dBov: a full-scale square).

    ``first`` is the number of the first sample, so that pieces join without a click.
    """
    at = (np.arange(first, first + samples, dtype=np.float64)) / rate
    total = np.zeros(samples)
    for hertz in frequencies:
        total += np.sin(2.0 * np.pi * hertz * at)
    return total * amplitude_of_dbov(level_dbov)


def render(tone: Tone, rate: int, duration_s: float | None = None) -> NDArray[np.int16]:
    """Return a tone as i2 at ``rate`` Hz for ``duration_s``, by default one cadence.

    A continuous tone has no cadence: one second of it is returned, and with frequencies of
    whole Hz that loops without a seam.
    """
    total = round((tone.cycle_s or 1.0 if duration_s is None else duration_s) * rate)
    out = np.zeros(total)
    level = dbm0_to_dbov(tone.level_dbm0)
    at = 0
    while at < total:
        for burst in tone.bursts:
            length = total - at
            if burst.duration_s != FOREVER:
                length = min(length, round(burst.duration_s * rate))
            out[at : at + length] = sines(burst.frequencies, level, length, rate, at)
            at += length
        if tone.once:
            break
    return np.clip(np.rint(out), -32768, 32767).astype(np.int16)


def _cadence(frequencies: tuple[float, ...], *on_off: float) -> tuple[Burst, ...]:
    return tuple(
        Burst(() if index % 2 else frequencies, seconds) for index, seconds in enumerate(on_off)
    )


_BEEP = Tone((Burst((1400.0,), 0.3),), level_dbm0=-13.0, once=True)

TONE_PLANS: Final = MappingProxyType(
    {
        "china": MappingProxyType(
            {
                "dial": Tone((Burst((450.0,)),)),
                "ringback": Tone(_cadence((450.0,), 1.0, 4.0)),
                "busy": Tone(_cadence((450.0,), 0.35, 0.35)),
                "congestion": Tone(_cadence((450.0,), 0.7, 0.7)),
                "beep": _BEEP,
            }
        ),
        "us": MappingProxyType(
            {
                "dial": Tone((Burst((350.0, 440.0)),), level_dbm0=-13.0),
                "ringback": Tone(_cadence((440.0, 480.0), 2.0, 4.0), level_dbm0=-19.0),
                "busy": Tone(_cadence((480.0, 620.0), 0.5, 0.5), level_dbm0=-24.0),
                "congestion": Tone(_cadence((480.0, 620.0), 0.25, 0.25), level_dbm0=-24.0),
                "beep": _BEEP,
            }
        ),
        "uk": MappingProxyType(
            {
                "dial": Tone((Burst((350.0, 450.0)),), level_dbm0=-13.0),
                "ringback": Tone(_cadence((400.0, 450.0), 0.4, 0.2, 0.4, 2.0), level_dbm0=-19.0),
                "busy": Tone(_cadence((400.0,), 0.375, 0.375), level_dbm0=-19.0),
                "congestion": Tone(_cadence((400.0,), 0.4, 0.35, 0.225, 0.525), level_dbm0=-19.0),
                "beep": _BEEP,
            }
        ),
        "itu": MappingProxyType(
            {
                "dial": Tone((Burst((425.0,)),)),
                "ringback": Tone(_cadence((425.0,), 1.0, 4.0)),
                "busy": Tone(_cadence((425.0,), 0.5, 0.5)),
                "congestion": Tone(_cadence((425.0,), 0.25, 0.25)),
                "beep": _BEEP,
            }
        ),
    }
)
"""Plan name (``china``, ``us``, ``uk``, ``itu``) to tone name to :class:`Tone`."""
