"""The table of codecs agrees with the registered payload types (RFC 3551 section 6)."""

from __future__ import annotations

import pytest

from ccengine.sdp.codec import CODECS, STATIC


@pytest.mark.parametrize(
    ("number", "name", "rate", "channels"),
    [
        (0, "PCMU", 8000, 1),
        (3, "GSM", 8000, 1),
        (8, "PCMA", 8000, 1),
        (9, "G722", 8000, 1),
        (10, "L16", 44100, 2),
        (13, "CN", 8000, 1),
        (18, "G729", 8000, 1),
        (34, "H263", 90000, 1),
    ],
)
def test_static_payload_types(number: int, name: str, rate: int, channels: int) -> None:
    codec = STATIC[number]
    assert (codec.name, codec.clock_rate, codec.channels) == (name, rate, channels)


def test_every_static_entry_stands_under_its_number() -> None:
    assert all(codec.payload_type == number for number, codec in STATIC.items())
    assert all(name == codec.name.upper() for name, codec in CODECS.items())
