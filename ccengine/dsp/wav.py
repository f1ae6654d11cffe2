"""WAV files: reads what people bring (PCM 8 to 32 bits, float, A-law, µ-law), writes PCM16.

Source: Microsoft/IBM RIFF multimedia programming interface 1.0 and its 1994 revision for
format tags; WAVE_FORMAT_EXTENSIBLE carries the real tag in its sub-format.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ccengine.dsp import g711
from ccengine.dsp.resample import resample_float
from ccengine.dsp.riff import (
    FORMAT_ALAW,
    FORMAT_FLOAT,
    FORMAT_PCM,
    FORMAT_ULAW,
    WavFormat,
    wav_header,
)
from ccengine.errors import PromptError

_FORMAT_EXTENSIBLE: Final = 0xFFFE
_LAW_OF_FORMAT = {FORMAT_ALAW: g711.ALAW, FORMAT_ULAW: g711.ULAW}
_CURE = "convert it with: sox FILE -b 16 -c 1 -r 16000 OUT.wav"
_MAX_RATE = 384_000


@dataclass(frozen=True, slots=True)
class WavFile:
    """A file as it stands: its format and the bytes of its ``data`` chunk."""

    path: Path
    format: WavFormat
    data: bytes

    @property
    def frames(self) -> int:
        """Return the number of samples of each channel."""
        return len(self.data) // self.format.frame_bytes

    @property
    def duration_s(self) -> float:
        """Return the length in seconds."""
        return self.frames / self.format.sample_rate

    def raw(self) -> NDArray[np.uint8]:
        """Return the bytes u8[frames, channels] of an 8-bit format (A-law, µ-law, PCM8)."""
        if self.format.bits != 8:
            raise PromptError(f"{self.path}: {self.format.bits} bits a sample, not 8")
        whole = self.frames * self.format.channels
        return np.frombuffer(self.data, np.uint8, whole).reshape(-1, self.format.channels)

    def samples(self) -> NDArray[np.float64]:
        """Return f8[frames, channels] in the scale of 16 bits (±32768)."""
        kind = self.format
        whole = self.data[: self.frames * kind.frame_bytes]
        return _to_float(self.path, kind, whole).reshape(-1, kind.channels)


def _fail(path: Path, message: str) -> PromptError:
    return PromptError(f"{path}: {message}", cure=_CURE)


def _to_float(path: Path, kind: WavFormat, data: bytes) -> NDArray[np.float64]:
    key = (kind.tag, kind.bits)
    if kind.tag in _LAW_OF_FORMAT and kind.bits == 8:
        codes = np.frombuffer(data, np.uint8)
        return g711.DECODE[_LAW_OF_FORMAT[kind.tag]][codes].astype(np.float64)
    if key == (FORMAT_PCM, 8):  # the only unsigned one
        return (np.frombuffer(data, np.uint8).astype(np.float64) - 128.0) * 256.0
    if key == (FORMAT_PCM, 16):
        return np.frombuffer(data, "<i2").astype(np.float64)
    if key == (FORMAT_PCM, 24):
        triples = np.frombuffer(data, np.uint8).reshape(-1, 3)
        wide = np.zeros((len(triples), 4), np.uint8)
        wide[:, 1:] = triples
        return wide.view("<i4")[:, 0].astype(np.float64) / 65536.0
    if key == (FORMAT_PCM, 32):
        return np.frombuffer(data, "<i4").astype(np.float64) / 65536.0
    if key in {(FORMAT_FLOAT, 32), (FORMAT_FLOAT, 64)}:
        floats = np.frombuffer(data, f"<f{kind.bits // 8}").astype(np.float64)
        if not np.all(np.isfinite(floats)):
            raise _fail(path, "its samples are not numbers")
        return floats * 32768.0
    raise _fail(path, f"format {kind.tag} with {kind.bits} bits cannot be played")


def _read_format(path: Path, chunk: bytes) -> WavFormat:
    if len(chunk) < 16:
        raise _fail(path, "its fmt chunk is cut short")
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == _FORMAT_EXTENSIBLE and len(chunk) >= 26:
        tag = struct.unpack_from("<H", chunk, 24)[0]
    if not 1 <= channels <= 64 or not 1 <= bits <= 64 or not 1 <= rate <= _MAX_RATE:
        raise _fail(path, f"{channels} channels, {bits} bits at {rate} Hz make no sense")
    return WavFormat(tag, channels, rate, bits)


def open_wav(path: Path) -> WavFile:
    """Read a file without converting it; :class:`PromptError` says why it is no WAV file.

    A ``data`` chunk that claims more than the file holds, as of a writer that was killed, is
    read as far as it goes.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PromptError(
            f"{path}: {error.strerror}", cure="put the file there or correct the name"
        ) from error
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise _fail(path, "this is no WAV file")
    kind: WavFormat | None = None
    at = 12
    while at + 8 <= len(content):
        name, size = content[at : at + 4], struct.unpack_from("<I", content, at + 4)[0]
        body = at + 8
        if name == b"fmt ":
            kind = _read_format(path, content[body : body + size])
        elif name == b"data":
            if kind is None:
                raise _fail(path, "data come before the format")
            return WavFile(path, kind, content[body : body + size])
        at = body + size + (size & 1)
    raise _fail(path, "it holds no sound")


def read_wav(path: Path, sample_rate: int) -> NDArray[np.int16]:
    """Return the sound of a file as i2[N], one channel at ``sample_rate`` Hz.

    Channels are averaged.  :class:`PromptError` names the file and the cure.
    """
    file = open_wav(path)
    mono = file.samples().mean(axis=1)
    out = resample_float(mono, file.format.sample_rate, sample_rate)
    return np.clip(np.rint(out), -32768, 32767).astype(np.int16)


def write_wav(path: Path, samples: NDArray[np.int16], sample_rate: int) -> None:
    """Write i2[N] or i2[N, channels] as a PCM16 file; :class:`OSError` when that fails."""
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    data = samples.astype("<i2").tobytes()
    kind = WavFormat(FORMAT_PCM, channels, sample_rate, 16)
    path.write_bytes(wav_header(kind, len(data)) + data)
