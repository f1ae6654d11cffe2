"""G.711 against the interpreter's own converter, an implementation that is not ours."""

from __future__ import annotations

import audioop

import numpy as np
import pytest

from ccengine.dsp import g711

ALL = np.arange(256, dtype=np.uint8)
ORACLE_DECODE = {"PCMU": audioop.ulaw2lin, "PCMA": audioop.alaw2lin}
ORACLE_ENCODE = {"PCMU": audioop.lin2ulaw, "PCMA": audioop.lin2alaw}


@pytest.mark.parametrize("law", g711.LAWS)
def test_decode_equals_the_oracle_for_every_byte(law: str) -> None:
    expected = np.frombuffer(ORACLE_DECODE[law](ALL.tobytes(), 2), dtype="<i2")
    out = np.empty(256, np.int16)
    assert g711.decode(law, ALL, out) is out
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(g711.DECODE_FLOAT[law], expected.astype(np.float32))


@pytest.mark.parametrize("law", g711.LAWS)
def test_encode_equals_the_oracle_but_for_ties(law: str) -> None:
    """A value on a decision edge may go either way; the level that it gets is as near."""
    linear = np.arange(65536, dtype=np.uint16).view(np.int16)
    expected = np.frombuffer(ORACLE_ENCODE[law](linear.tobytes(), 2), dtype=np.uint8)
    got = g711.encode(law, linear, np.empty(65536, np.uint8))
    table = g711.DECODE[law].astype(np.int32)
    wide = linear.astype(np.int32)
    ours, theirs = np.abs(table[got] - wide), np.abs(table[expected] - wide)
    assert np.count_nonzero(got != expected) <= 127 * 4  # the negative edges of 127 steps
    assert np.all(ours <= theirs + 4)  # 4 = one step of the 14-bit scale


@pytest.mark.parametrize("law", g711.LAWS)
def test_decoded_bytes_encode_to_themselves(law: str) -> None:
    """Tandem coding adds nothing; µ-law's negative zero 0x7f is the one synonym."""
    pcm = g711.decode(law, ALL, np.empty(256, np.int16))
    back = g711.encode(law, pcm, np.empty(256, np.uint8))
    expected = ALL.copy()
    if law == "PCMU":
        expected[0x7F] = 0xFF
    np.testing.assert_array_equal(back, expected)


@pytest.mark.parametrize("law", g711.LAWS)
def test_encode_is_monotone_and_symmetric(law: str) -> None:
    linear = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)
    level = g711.DECODE[law][g711.encode(law, linear, np.empty(65536, np.uint8))]
    assert np.all(np.diff(level.astype(np.int32)) >= 0)
    np.testing.assert_array_equal(level, -level[::-1])


def test_rows_of_many_legs_at_once() -> None:
    payload = np.random.default_rng(1).integers(0, 256, (37, 160), dtype=np.uint8)
    pcm = g711.decode("PCMA", payload, np.empty((37, 160), np.int16))
    np.testing.assert_array_equal(g711.encode("PCMA", pcm, np.empty((37, 160), np.uint8)), payload)


def test_transcoding_equals_decode_then_encode() -> None:
    a_of_u = audioop.lin2alaw(audioop.ulaw2lin(ALL.tobytes(), 2), 2)
    u_of_a = audioop.lin2ulaw(audioop.alaw2lin(ALL.tobytes(), 2), 2)
    assert g711.ULAW_TO_ALAW.tobytes() == a_of_u
    assert g711.ALAW_TO_ULAW.tobytes() == u_of_a
    assert g711.transcode_table("PCMU", "PCMU") is None
    assert g711.transcode_table("PCMA", "PCMU") is g711.ALAW_TO_ULAW


def test_silence_is_the_smallest_level() -> None:
    for law, byte in g711.SILENCE.items():
        assert abs(int(g711.DECODE[law][byte])) == np.abs(g711.DECODE[law]).min()


def test_tables_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        g711.DECODE["PCMU"][0] = 1
