"""Plays: sound files as encoded bytes in memory that a loader process fills.

A *program* is all files of a play back to back in one codec.  It lies in one stretch of the
arena, so that a tick takes the next frame of every playing leg in a single gather.
"""

from __future__ import annotations

import mmap
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from ccengine.media.control import PlayWant

MARGIN_BYTES: Final = 480
"""What follows the end of a program: silence, or its begin again when it loops."""

# A file may have been replaced on disk: a program that nobody hears is not reused for ever.
_FRESH_S: Final = 30.0
# A file that kills its loader is not tried for ever.
_MAX_TRIES: Final = 3
_MAX_PACKET: Final = 65536
_MAX_FILES_BYTES: Final = 60_000

ProgramKey: TypeAlias = tuple[tuple[str, ...], str, float, bool]


class LoadFiles(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Worker to loader: put these files into the arena as one program."""

    id: int
    files: tuple[str, ...]
    law: str
    gain_db: float
    loop: bool


class FreeProgram(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Worker to loader: the program at ``start`` is heard by nobody."""

    start: int


class KeepProgram(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Worker to a new loader: its predecessor left this program, do not lay others over it."""

    start: int
    size: int


class LoadedFiles(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Loader to worker: where the program is; ``full`` when the arena has no room."""

    id: int
    start: int = 0
    size: int = 0
    error: str = ""
    full: bool = False


ToLoader: TypeAlias = LoadFiles | FreeProgram | KeepProgram


class Arena:
    """Memory that worker and loader share; the loader writes, the worker reads."""

    def __init__(self, size: int, fd: int | None = None) -> None:
        self.size = size
        if fd is None:
            fd = os.memfd_create("ccengine-prompts")
            os.ftruncate(fd, size)
        self.fd = fd
        self._map = mmap.mmap(fd, size)
        self.bytes: NDArray[np.uint8] = np.frombuffer(self._map, np.uint8)
        self.frames: Callable[[int], NDArray[np.void]] = lru_cache(maxsize=8)(self._frames)

    def _frames(self, width: int) -> NDArray[np.void]:
        """Return the arena as overlapping items: item i is ``width`` bytes from byte i on."""
        return np.ndarray(
            shape=(self.size - width + 1,),
            dtype=np.dtype((np.void, width)),
            buffer=self.bytes.data,
            strides=(1,),
        )


@dataclass(slots=True)
class Program:
    """Files in the arena: ``size`` bytes from ``start`` on; ``users`` plays hold it."""

    key: ProgramKey
    start: int
    size: int
    loaded_at: float
    users: int = 0


@dataclass(slots=True)
class Play:
    """A wanted play of a leg; ``at`` is where in the arena it goes on, -1 before its begin."""

    want: PlayWant
    program: Program | None = None
    at: int = -1


OnLoaded = Callable[[Program | None, str], None]
"""Called with a program that is in the arena, or with None and what is wrong."""


@dataclass(slots=True)
class _Request:
    key: ProgramKey
    waiting: list[OnLoaded] = field(default_factory=list)
    tries: int = 0


class Programs:
    """The worker's side of the loader: programs by key, requests on their way.

    Nothing here waits for the loader; :meth:`receive` takes its answers when they come.
    """

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._programs: dict[ProgramKey, Program] = {}
        self._live: dict[int, Program] = {}
        self._requests: dict[int, _Request] = {}
        self._by_key: dict[ProgramKey, int] = {}
        self._next_id = 0
        self._unsent: deque[bytes] = deque()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._decoder = msgspec.msgpack.Decoder(LoadedFiles)
        self.restarts = -1

    # --- the process ----------------------------------------------------------------------

    def start(self) -> socket.socket:
        """Start the loader, in place of one that died; return the socket of its answers."""
        self._clean_up()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        command = [sys.executable, "-m", "ccengine.media.loader"]
        command += [str(theirs.fileno()), str(self._arena.fd), str(self._arena.size)]
        self._process = subprocess.Popen(
            command,
            pass_fds=(theirs.fileno(), self._arena.fd),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        self._socket = ours
        self.restarts += 1
        for program in self._live.values():
            self._send(KeepProgram(program.start, program.size))
        for number, request in tuple(self._requests.items()):
            if request.tries < _MAX_TRIES:
                self._ask(number, request)
            else:
                self._loaded(LoadedFiles(number, error="the loader fails over it"), 0.0)
        return ours

    def stop(self) -> None:
        """End the loader."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.terminate()
            self._process.wait(5)
            self._process = None

    def _send(self, message: ToLoader) -> None:
        self._unsent.append(msgspec.msgpack.encode(message))
        self.flush()

    def flush(self) -> None:
        """Send what is waiting, as far as the loader takes it."""
        while self._unsent and self._socket is not None:
            try:
                self._socket.send(self._unsent[0])
            except OSError:
                return
            self._unsent.popleft()

    def _ask(self, number: int, request: _Request) -> None:
        request.tries += 1
        files, law, gain_db, loop = request.key
        self._send(LoadFiles(number, files, law, gain_db, loop))

    # --- programs ----------------------------------------------------------------------------

    def request(self, want: PlayWant, law: str, now: float, on_loaded: OnLoaded) -> None:
        """Get a play's program; ``on_loaded`` is called at once when it is there already."""
        key: ProgramKey = (want.files, law, want.gain_db, want.loop)
        program = self._programs.get(key)
        if program is not None and (program.users or now - program.loaded_at < _FRESH_S):
            on_loaded(program, "")
            return
        if not want.files:
            on_loaded(None, "there is nothing to play")
            return
        if sum(map(len, want.files)) + 5 * len(want.files) > _MAX_FILES_BYTES:
            on_loaded(None, f"{len(want.files)} files are too many for one play")
            return
        number = self._by_key.get(key)
        if number is None:
            self._next_id += 1
            number = self._by_key[key] = self._next_id
            self._requests[number] = _Request(key)
            self._ask(number, self._requests[number])
        self._requests[number].waiting.append(on_loaded)

    def receive(self, now: float) -> bool:
        """Take the loader's answers; False when it has died (call :meth:`start` again)."""
        assert self._socket is not None
        while True:
            try:
                data = self._socket.recv(_MAX_PACKET)
            except BlockingIOError:
                self.flush()
                return True
            except OSError:
                data = b""
            if not data:
                return False
            self._loaded(self._decoder.decode(data), now)

    def _clean_up(self) -> None:
        """Let go of a loader that is gone, and with it of the knowledge what is free.

        The next one is told of the programs that lie in the arena.
        """
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._unsent.clear()

    def _loaded(self, answer: LoadedFiles, now: float) -> None:
        request = self._requests.get(answer.id)
        if request is None:
            return
        if answer.full and self._evict():
            self._ask(answer.id, request)
            return
        del self._requests[answer.id]
        del self._by_key[request.key]
        program: Program | None = None
        error = "the memory for prompts is full" if answer.full else answer.error
        if not error:
            program = Program(request.key, answer.start, answer.size, now)
            self._live[program.start] = program
            self._replace(program)
        for on_loaded in request.waiting:
            on_loaded(program, error)
        if program is not None and not program.users:
            program.loaded_at = now

    def _replace(self, program: Program) -> None:
        old = self._programs.pop(program.key, None)
        self._programs[program.key] = program
        if old is not None and not old.users:
            self._free(old)

    def _free(self, program: Program) -> None:
        self._live.pop(program.start, None)
        self._send(FreeProgram(program.start))

    def _evict(self) -> bool:
        """Free every program that nobody hears; False when there is none."""
        idle = [program for program in self._programs.values() if not program.users]
        for program in idle:
            del self._programs[program.key]
            self._free(program)
        return bool(idle)

    def hold(self, program: Program) -> None:
        """Keep a program in the arena while a play has it."""
        program.users += 1

    def release(self, program: Program) -> None:
        """Let go of a program; it stays for a while, in case it is wanted again."""
        program.users -= 1
        if not program.users and self._programs.get(program.key) is not program:
            self._free(program)
