"""Conversions between the units of the field."""

from __future__ import annotations

import math

MILLISECONDS_PER_SECOND = 1000


def seconds_to_ms(seconds: float) -> int:
    """Return whole milliseconds, rounded to nearest."""
    return round(seconds * MILLISECONDS_PER_SECOND)


def db_to_gain(decibels: float) -> float:
    """Return the amplitude ratio of a level difference in dB."""
    return float(10.0 ** (decibels / 20.0))


def gain_to_db(gain: float) -> float:
    """Return the level difference in dB of an amplitude ratio; silence is minus infinity."""
    return 20.0 * math.log10(gain) if gain > 0 else -math.inf


def samples_of(duration_ms: float, sample_rate: int) -> int:
    """Return the number of samples in ``duration_ms`` at ``sample_rate`` Hz."""
    return round(duration_ms * sample_rate / MILLISECONDS_PER_SECOND)


def format_duration(seconds: float) -> str:
    """Return ``m:ss`` or ``h:mm:ss`` for people; negative time counts as zero."""
    whole = max(0, int(seconds))
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
