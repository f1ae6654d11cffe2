"""The loader process: reads sound files, encodes them and lays them into the arena.

It is a process and not a thread because decoding and resampling would hold the interpreter
lock of the tick, and because a disk may stall for as long as it likes.
"""

from __future__ import annotations

import bisect
import os
import signal
import socket
import sys
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ccengine.dsp import g711
from ccengine.dsp.wav import read_wav
from ccengine.errors import CcengineError
from ccengine.media.play import (
    MARGIN_BYTES,
    Arena,
    FreeProgram,
    KeepProgram,
    LoadedFiles,
    LoadFiles,
    ToLoader,
)
from ccengine.units import db_to_gain

_SAMPLE_RATE: Final = 8000
_CACHE_BYTES: Final = 64 << 20
_ALIGN: Final = 64

Encoded = NDArray[np.uint8]


class Space:
    """First-fit allocator over the arena."""

    def __init__(self, size: int) -> None:
        self._holes: list[tuple[int, int]] = [(0, size)]
        self._used: dict[int, int] = {}

    def take(self, size: int) -> int | None:
        """Return the start of ``size`` free bytes, None when there is no such hole."""
        size = -(-size // _ALIGN) * _ALIGN
        for index, (start, room) in enumerate(self._holes):
            if room >= size:
                if room == size:
                    del self._holes[index]
                else:
                    self._holes[index] = (start + size, room - size)
                self._used[start] = size
                return start
        return None

    def keep(self, start: int, size: int) -> None:
        """Mark a stretch as used that an earlier allocator gave."""
        size = -(-size // _ALIGN) * _ALIGN
        for index, (hole, room) in enumerate(self._holes):
            if hole <= start and start + size <= hole + room:
                rest = [(hole, start - hole), (start + size, hole + room - start - size)]
                self._holes[index : index + 1] = [piece for piece in rest if piece[1]]
                self._used[start] = size
                return

    def give(self, start: int) -> None:
        """Free what :meth:`take` returned, joining it with the holes beside it."""
        size = self._used.pop(start, 0)
        if not size:
            return
        index = bisect.bisect(self._holes, (start, 0))
        if index < len(self._holes) and self._holes[index][0] == start + size:
            size += self._holes.pop(index)[1]
        if index and sum(self._holes[index - 1]) == start:
            before, room = self._holes[index - 1]
            self._holes[index - 1] = (before, room + size)
        else:
            self._holes.insert(index, (start, size))


class Files:
    """Encoded sound files, the last used ones kept; a file that changed is read again."""

    def __init__(self, limit: int = _CACHE_BYTES) -> None:
        self._limit = limit
        self._size = 0
        self._cache: OrderedDict[tuple[str, int, int, str, float], Encoded] = OrderedDict()

    def get(self, path: str, law: str, gain_db: float) -> Encoded:
        """Return a file encoded in ``law``; CcengineError or OSError when it fails."""
        status = Path(path).stat()
        key = (path, status.st_mtime_ns, status.st_size, law, gain_db)
        found = self._cache.get(key)
        if found is not None:
            self._cache.move_to_end(key)
            return found
        samples = read_wav(Path(path), _SAMPLE_RATE)
        if gain_db:
            louder = np.rint(samples * db_to_gain(gain_db))
            samples = np.clip(louder, -32768, 32767).astype(np.int16)
        encoded = g711.encode(law, samples, np.empty(samples.shape, np.uint8))
        self._cache[key] = encoded
        self._size += encoded.size
        while self._size > self._limit and len(self._cache) > 1:
            self._size -= self._cache.popitem(last=False)[1].size
        return encoded


class Loader:
    """Answers the worker's requests, one after the other."""

    def __init__(self, sock: socket.socket, arena: Arena) -> None:
        self._socket = sock
        self._arena = arena
        self._space = Space(arena.size)
        self._files = Files()
        self._decoder: msgspec.msgpack.Decoder[ToLoader] = msgspec.msgpack.Decoder(ToLoader)

    def run(self) -> None:
        """Serve until the worker is gone."""
        while True:
            data = self._socket.recv(65536)
            if not data:
                return
            message = self._decoder.decode(data)
            if isinstance(message, FreeProgram):
                self._space.give(message.start)
            elif isinstance(message, KeepProgram):
                self._space.keep(message.start, message.size + MARGIN_BYTES)
            else:
                self._socket.send(msgspec.msgpack.encode(self._load(message)))

    def _load(self, request: LoadFiles) -> LoadedFiles:
        parts: list[Encoded] = []
        for path in request.files:
            try:
                parts.append(self._files.get(path, request.law, request.gain_db))
            except CcengineError as error:
                return LoadedFiles(request.id, error=_name(path, str(error)))
            except OSError as error:
                return LoadedFiles(request.id, error=_name(path, error.strerror or "unreadable"))
        program = np.concatenate(parts)
        if not program.size:
            return LoadedFiles(request.id, error=_name(request.files[0], "holds no sound"))
        start = self._space.take(program.size + MARGIN_BYTES)
        if start is None:
            return LoadedFiles(request.id, full=True)
        end = start + program.size
        self._arena.bytes[start:end] = program
        margin = self._arena.bytes[end : end + MARGIN_BYTES]
        margin[...] = (
            np.resize(program, MARGIN_BYTES) if request.loop else g711.SILENCE[request.law]
        )
        return LoadedFiles(request.id, start, int(program.size))


def _name(path: str, problem: str) -> str:
    return problem if path in problem else f"{path}: {problem}"


def main() -> None:
    """Run the loader on the descriptors that the worker passed on the command line."""
    control, memory, size = (int(argument) for argument in sys.argv[1:4])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(5)
    # The worker may be pinned already; the loader is to stay out of its way.
    with suppress(OSError):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    sock = socket.socket(fileno=control)
    try:
        Loader(sock, Arena(size, memory)).run()
    except (ConnectionError, BrokenPipeError):
        return


if __name__ == "__main__":
    main()
