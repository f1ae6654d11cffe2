"""G.711 companding: A-law and µ-law bytes to and from 16-bit linear samples.

Every conversion is one table look-up over a whole array (``np.take`` with ``out=``), so a
tick decodes or encodes all legs of a codec at once and makes no garbage.

Source: ITU-T G.711 (11/88) tables 1a to 2b, aligned to 16 bits as in ITU-T G.191: a sample
and its one's complement have the same magnitude.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
Samples: TypeAlias = NDArray[np.int16]
_T = TypeVar("_T", bound=np.generic)

ULAW: Final = "PCMU"
ALAW: Final = "PCMA"
LAWS: Final = (ULAW, ALAW)

_ALAW_EVEN_BITS = 0x55
_ULAW_BIAS = 33  # in steps of the 14-bit scale that G.711 defines µ-law on
_ULAW_CLIP = 0x1FFF


def _ulaw_decode_table() -> Samples:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    exponent = (code >> 4) & 7
    magnitude = ((((code & 0x0F) << 1) + _ULAW_BIAS) << exponent) - _ULAW_BIAS
    return (np.where(code & 0x80, -magnitude, magnitude) << 2).astype(np.int16)


def _alaw_decode_table() -> Samples:
    code = np.arange(256, dtype=np.int32) ^ _ALAW_EVEN_BITS
    exponent = (code >> 4) & 7
    mantissa = ((code & 0x0F) << 1) + 1
    magnitude = np.where(exponent, (mantissa + 32) << np.maximum(exponent - 1, 0), mantissa)
    return (np.where(code & 0x80, magnitude, -magnitude) << 3).astype(np.int16)


def _magnitudes() -> tuple[NDArray[np.bool_], NDArray[np.int32]]:
    linear = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    return linear < 0, np.where(linear < 0, ~linear, linear)


def _segment(value: NDArray[np.int32], first: int) -> NDArray[np.int32]:
    """Return how many of the 7 doublings of ``first`` a value has reached (0 to 7)."""
    edges = first << np.arange(7, dtype=np.int32)
    return np.searchsorted(edges, value, side="right").astype(np.int32)


def _ulaw_encode_table() -> Bytes:
    negative, magnitude = _magnitudes()
    biased = np.minimum((magnitude >> 2) + _ULAW_BIAS, _ULAW_CLIP)
    exponent = _segment(biased, 64)
    code = (exponent << 4) | ((biased >> (exponent + 1)) & 0x0F)
    signed: NDArray[np.int32] = np.where(negative, code | 0x80, code)
    return (signed ^ 0xFF).astype(np.uint8)


def _alaw_encode_table() -> Bytes:
    negative, magnitude = _magnitudes()
    scaled = magnitude >> 4
    exponent = _segment(scaled, 16)
    mantissa = (scaled >> np.maximum(exponent - 1, 0)) & 0x0F
    code = (exponent << 4) | mantissa
    signed: NDArray[np.int32] = np.where(negative, code, code | 0x80)
    return (signed ^ _ALAW_EVEN_BITS).astype(np.uint8)


def _frozen(table: NDArray[_T]) -> NDArray[_T]:
    table.setflags(write=False)
    return table


DECODE: Final = MappingProxyType(
    {ULAW: _frozen(_ulaw_decode_table()), ALAW: _frozen(_alaw_decode_table())}
)
"""Law to int16[256]: the sample that each byte stands for."""

DECODE_FLOAT: Final = MappingProxyType(
    {law: _frozen(table.astype(np.float32)) for law, table in DECODE.items()}
)
"""Law to float32[256]: the same samples, in the same scale, for mixing in floats."""

ENCODE: Final = MappingProxyType(
    {ULAW: _frozen(_ulaw_encode_table()), ALAW: _frozen(_alaw_encode_table())}
)
"""Law to uint8[65536], indexed by the uint16 view of an int16 sample."""

ULAW_TO_ALAW: Final = _frozen(ENCODE[ALAW][DECODE[ULAW].view(np.uint16)])
"""uint8[256]: a µ-law byte as the A-law byte of the same linear value."""

ALAW_TO_ULAW: Final = _frozen(ENCODE[ULAW][DECODE[ALAW].view(np.uint16)])
"""uint8[256]: an A-law byte as the µ-law byte of the same linear value."""

SILENCE: Final = MappingProxyType({ULAW: 0xFF, ALAW: 0xD5})
"""Law to the byte that stands for zero (µ-law) or the smallest positive value (A-law)."""


def decode(name: str, payload: Bytes, out: Samples) -> Samples:
    """Decode ``payload`` u8[...] of law ``name`` into ``out`` i2 of the same shape.

    ``out`` is also returned.  Unknown names raise :class:`KeyError`.
    """
    return np.take(DECODE[name], payload, out=out, mode="clip")


def encode(name: str, pcm: Samples, out: Bytes) -> Bytes:
    """Encode ``pcm`` i2[...] as law ``name`` into ``out`` u8 of the same shape.

    ``out`` is also returned.  ``pcm`` may be strided but not of another type.
    """
    return np.take(ENCODE[name], pcm.view(np.uint16), out=out, mode="clip")


def transcode_table(source: str, target: str) -> Bytes | None:
    """Return u8[256] that turns bytes of ``source`` into ``target``; None when equal."""
    if source == target:
        return None
    return {ULAW: ULAW_TO_ALAW, ALAW: ALAW_TO_ULAW}[source]
