"""WAV files: what sox writes we read, what we write the standard library reads."""

from __future__ import annotations

import contextlib
import struct
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccengine.dsp import g711
from ccengine.dsp.riff import FORMAT_ULAW, WavFormat, wav_header
from ccengine.dsp.wav import open_wav, read_wav, write_wav
from ccengine.errors import PromptError

TONE = (12000 * np.sin(2 * np.pi * 500 * np.arange(8000) / 8000)).astype(np.int16)

SOX_FORMATS = [
    ("-b", "8", "-e", "unsigned-integer"),
    ("-b", "16", "-e", "signed-integer"),
    ("-b", "24", "-e", "signed-integer"),  # sox writes these as WAVE_FORMAT_EXTENSIBLE
    ("-b", "32", "-e", "signed-integer"),
    ("-b", "32", "-e", "floating-point"),
    ("-b", "64", "-e", "floating-point"),
    ("-e", "a-law"),
    ("-e", "mu-law"),
]


@pytest.mark.parametrize("options", SOX_FORMATS, ids=" ".join)
def test_reads_what_sox_writes(tmp_path: Path, options: tuple[str, ...]) -> None:
    write_wav(tmp_path / "in.wav", TONE, 8000)
    target = tmp_path / "out.wav"
    subprocess.run(["sox", "-D", tmp_path / "in.wav", *options, target], check=True)
    got = read_wav(target, 8000)
    tolerance = {"8": 256, "a-law": 512, "mu-law": 512}.get(options[1], 1)
    assert len(got) == len(TONE)
    assert np.abs(got.astype(int) - TONE).max() <= tolerance


def test_stereo_at_another_rate_becomes_one_channel(tmp_path: Path) -> None:
    time = np.arange(44100) / 44100
    left = 12000 * np.sin(2 * np.pi * 500 * time)
    stereo = np.stack([left, np.zeros_like(left)], axis=1).astype(np.int16)
    write_wav(tmp_path / "s.wav", stereo, 44100)
    got = read_wav(tmp_path / "s.wav", 8000)
    assert len(got) == 8000
    assert np.abs(got[400:-400] - TONE[400:-400] / 2).max() < 20


def test_written_files_are_read_by_the_standard_library(tmp_path: Path) -> None:
    write_wav(tmp_path / "w.wav", TONE, 16000)
    with wave.open(str(tmp_path / "w.wav")) as file:
        assert file.getparams()[:4] == (1, 2, 16000, 8000)
        assert file.readframes(8000) == TONE.tobytes()


def test_raw_bytes_of_a_stereo_ulaw_file(tmp_path: Path) -> None:
    data = np.random.default_rng(2).integers(0, 256, (400, 2), dtype=np.uint8)
    header = wav_header(WavFormat(FORMAT_ULAW, 2, 8000, 8), data.size)
    (tmp_path / "u.wav").write_bytes(header + data.tobytes())
    file = open_wav(tmp_path / "u.wav")
    np.testing.assert_array_equal(file.raw(), data)
    np.testing.assert_array_equal(file.samples(), g711.DECODE["PCMU"][data])
    assert file.duration_s == pytest.approx(0.05)
    info = subprocess.run(["soxi", tmp_path / "u.wav"], check=True, capture_output=True, text=True)
    assert "u-law" in info.stdout
    assert "400 samples" in info.stdout


def test_unknown_chunks_and_odd_sizes_are_skipped(tmp_path: Path) -> None:
    plain = wav_header(WavFormat(1, 1, 8000, 16), 4)
    body = plain[12:36] + struct.pack("<4sI", b"LIST", 3) + b"abc\0" + plain[36:] + b"\1\0\2\0"
    (tmp_path / "c.wav").write_bytes(plain[:12] + body)
    assert read_wav(tmp_path / "c.wav", 8000).tolist() == [1, 2]


def test_a_data_chunk_that_was_cut_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    whole = wav_header(WavFormat(1, 1, 8000, 16), 2000) + b"\1\0" * 10 + b"\1"
    (tmp_path / "cut.wav").write_bytes(whole)
    assert read_wav(tmp_path / "cut.wav", 8000).tolist() == [1] * 10


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no WAV file"),
        (b"ID3 an mp3 file", "no WAV file"),
        (wav_header(WavFormat(1, 1, 8000, 16), 0)[:36], "no sound"),
        (wav_header(WavFormat(0x55, 1, 8000, 16), 4) + b"abcd", "cannot be played"),
        (wav_header(WavFormat(1, 0, 8000, 16), 0), "make no sense"),
    ],
)
def test_an_error_names_the_file_and_the_cure(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    with pytest.raises(PromptError, match=message) as caught:
        read_wav(path, 8000)
    assert "bad.wav" in str(caught.value)
    assert "sox" in caught.value.cure


def test_a_missing_file_is_a_prompt_error(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=r"nowhere\.wav: No such file"):
        read_wav(tmp_path / "nowhere.wav", 8000)


@given(st.binary(max_size=200), st.integers(0, 60))
def test_garbage_is_sound_or_a_prompt_error(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes, at: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.wav"
    head = wav_header(WavFormat(FORMAT_ULAW, 2, 8000, 8), 40) + bytes(40)
    path.write_bytes(head[:at] + junk + head[at + len(junk) :])
    with contextlib.suppress(PromptError):
        read_wav(path, 8000)
