"""Recordings on disk: segments that can be played at any moment, and the file of marks.

A segment is a stereo WAV file in the law of the call (format 7 or 6).  Each append writes the
samples behind what the header knows of, and then the header: whoever is killed in between
leaves a valid file that lacks its last second, and the bytes behind it are ignored by players.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ccengine.dsp.riff import FORMAT_ALAW, FORMAT_ULAW, WavFormat, wav_header
from ccengine.media.recording_ring import CHANNELS, SAMPLE_RATE

FORMAT_OF_LAW: Final = {"PCMU": FORMAT_ULAW, "PCMA": FORMAT_ALAW}
MARKS_VERSION: Final = 1
_MODE: Final = 0o640


class SegmentGoneError(OSError):
    """The file was deleted while it was being written."""


class SegmentFile:
    """One WAV file that grows by appends; every method may raise :class:`OSError`."""

    __slots__ = ("_bytes", "_fd", "_format", "_header_bytes", "path")

    def __init__(self, folder: Path, key: str, law: str) -> None:
        self._format = WavFormat(FORMAT_OF_LAW[law], CHANNELS, SAMPLE_RATE, 8)
        self._bytes = 0
        header = wav_header(self._format, 0)
        self._header_bytes = len(header)
        folder.mkdir(parents=True, exist_ok=True)
        self._fd, self.path = self._create(folder, key)
        try:
            self._write_all(header, 0)
        except OSError:
            self.close()
            self.path.unlink(missing_ok=True)
            raise

    @staticmethod
    def _create(folder: Path, key: str) -> tuple[int, Path]:
        number = 1
        while True:
            path = folder / f"{key}-{number}.wav"
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                return os.open(path, flags, _MODE), path
            except FileExistsError:  # a segment of before a transfer or a crash
                number += 1

    @property
    def samples(self) -> int:
        """Return the samples of each side that the header vouches for."""
        return self._bytes // CHANNELS

    def _write_all(self, data: bytes | bytearray, offset: int) -> None:
        view = memoryview(data)
        while view:
            written = os.pwrite(self._fd, view, offset)
            view = view[written:]
            offset += written

    def append(self, data: bytes | bytearray) -> None:
        """Add interleaved samples; on failure the file stays as it was before."""
        try:
            if os.fstat(self._fd).st_nlink == 0:
                raise SegmentGoneError(0, "the file was deleted", str(self.path))
            self._write_all(data, self._header_bytes + self._bytes)
            self._write_all(wav_header(self._format, self._bytes + len(data)), 0)
        except SegmentGoneError:
            raise
        except OSError:
            # A full disk takes part of an append; what the header knows of stays playable.
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._header_bytes + self._bytes)
            raise
        self._bytes += len(data)

    def close(self) -> None:
        """Close the file; the header is already right."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def samples_in(path: Path) -> int:
    """Return the samples that a segment's header vouches for; 0 when it cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(58)
    except OSError:
        return 0
    if len(head) < 58 or head[50:54] != b"data":
        return 0
    return int(struct.unpack_from("<I", head, 54)[0]) // CHANNELS


class MarksFile:
    """The JSON file beside the segments: which they are, and what happened when.

    It is replaced as a whole (write, rename) under a lock on its folder, so that a successor
    of a writer that died adds to the same document.
    """

    __slots__ = ("_folder", "_key", "_law", "_path")

    def __init__(self, folder: Path, key: str, law: str) -> None:
        self._folder = folder
        self._key = key
        self._law = law
        self._path = folder / f"{key}.json"

    @property
    def path(self) -> Path:
        """Return where the document is."""
        return self._path

    def read(self) -> dict[str, Any]:
        """Return the document, a new one when there is none that can be read."""
        try:
            document = json.loads(self._path.read_bytes())
            if isinstance(document, dict) and document.get("version") == MARKS_VERSION:
                return document
        except (OSError, ValueError):
            pass
        return {
            "version": MARKS_VERSION,
            "key": self._key,
            "law": self._law,
            "sample_rate": SAMPLE_RATE,
            "left": "caller",
            "right": "agent",
            "segments": [],
            "marks": [],
        }

    @contextlib.contextmanager
    def update(self) -> Iterator[dict[str, Any]]:
        """Give the document to be changed and write it back; :class:`OSError` when that fails."""
        lock = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            document = self.read()
            yield document
            draft = self._path.with_suffix(".json.new")
            draft.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", "utf-8")
            draft.replace(self._path)
        finally:
            os.close(lock)
