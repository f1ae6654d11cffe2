"""The tick's line to the recording writer: starts it, talks to it, notices its death."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections import deque
from typing import Literal, TypeAlias

from ccengine.clock import Clock
from ccengine.media import recording_ring as ring
from ccengine.media.recording_process import Recorder, serve
from ccengine.media.recording_ring import Layout

Mode: TypeAlias = Literal["process", "thread"]


class WriterLink:
    """One writer, in a process or a thread; messages to it are queued and never waited for."""

    def __init__(
        self, mode: Mode, memory: memoryview, memory_fd: int, layout: Layout, clock: Clock
    ) -> None:
        self._mode = mode
        self._memory = memory
        self._memory_fd = memory_fd
        self._layout = layout
        self._clock = clock
        self._out: deque[ring.ToWriter] = deque()
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None

    @property
    def connected(self) -> bool:
        """Return whether a writer was started and its end has not been seen."""
        return self._socket is not None

    @property
    def pid(self) -> int:
        """Return the writer's process id; 0 when it is no process."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> None:
        """Start a writer with an empty queue; takes a millisecond or two."""
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        mine.setblocking(False)
        self._socket = mine
        self._out.clear()
        if self._mode == "thread":
            recorder = Recorder(self._memory, self._layout, self._clock)
            self._thread = threading.Thread(
                target=_serve_and_close, args=(theirs, recorder), name="recordings", daemon=True
            )
            self._thread.start()
            return
        with theirs:
            numbers = (theirs.fileno(), self._memory_fd, self._layout.slots, self._layout.blocks)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ccengine.media.recording_process", *map(str, numbers)],
                pass_fds=numbers[:2],
                stdin=subprocess.DEVNULL,
            )

    def send(self, message: ring.ToWriter) -> None:
        """Queue a message and send what can be sent without waiting."""
        self._out.append(message)
        self.flush()

    def flush(self) -> None:
        """Send what can be sent without waiting; the rest stays queued."""
        while self._out and self._socket is not None:
            try:
                self._socket.send(ring.encode(self._out[0]))
            except OSError:  # full, or the writer is gone, which receive() will see
                return
            self._out.popleft()

    def receive(self, timeout_s: float = 0.0) -> ring.FromWriter | None:
        """Return the next message, None when there is none or the writer is gone.

        Afterwards :attr:`connected` tells which.
        """
        self.flush()
        if self._socket is None:
            return None
        self._socket.settimeout(timeout_s)
        try:
            data = self._socket.recv(ring.MAX_MESSAGE_BYTES)
        except (BlockingIOError, TimeoutError):
            return None
        except ConnectionResetError:
            data = b""
        finally:
            self._socket.setblocking(False)
        if data:
            return ring.decode_from_writer(data)
        self._hang_up()
        if self._process is not None:
            self._process.wait()
        return None

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def stop(self, timeout_s: float) -> None:
        """Hang up and wait until the writer has ended; one that hangs is killed."""
        self._hang_up()
        if self._process is not None:
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._thread is not None:
            self._thread.join(timeout_s)


def _serve_and_close(link: socket.socket, recorder: Recorder) -> None:
    with contextlib.closing(link):
        serve(link, recorder)
