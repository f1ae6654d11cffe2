"""Foreign programs as children: started, listened to, and ended by their own pid."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from ccengine.errors import CcengineError

_TAIL_LINES = 200
_END_S = 3.0


class PeerError(CcengineError):
    """A peer did not do what the test wanted; the message ends with the tail of its log."""

    code = "CC9000"


class PeerProcess:
    """A child process whose output is kept; a context manager that ends only this child.

    Output is read by a thread of its own: each line goes to :meth:`line_read`, and
    :meth:`wait_for` wakes up whenever something was read, so nothing sleeps.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._child: subprocess.Popen[bytes] | None = None
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []

    # --- life ---------------------------------------------------------------------------------

    def spawn(
        self,
        command: Sequence[str],
        *,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        talk: bool = False,
    ) -> None:
        """Start the program in a session of its own; with ``talk`` its stdin is a pipe.

        Raises:
            PeerError: the program is not installed.

        """
        try:
            self._child = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE if talk else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise PeerError(f"{command[0]} is not installed", cure="run `make setup`") from error
        self.background(self._read_output)

    def background(self, work: Callable[[], None]) -> None:
        """Run ``work`` in a thread that ends with the child."""
        thread = threading.Thread(target=work, name=f"{self.name}-reader", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _read_output(self) -> None:
        child = self._child
        assert child is not None
        assert child.stdout is not None
        for raw in child.stdout:
            line = raw.decode("utf-8", "replace").rstrip()
            with self._changed:
                self._tail.append(line)
                self.line_read(line)
                self._changed.notify_all()
        child.wait()
        with self._changed:
            self._changed.notify_all()

    def line_read(self, line: str) -> None:
        """Look at a line of output (for subclasses; runs in the reader's thread, locked)."""

    def stop(self) -> None:
        """End the child: TERM, and KILL when it does not listen."""
        child = self._child
        if child is None:
            return
        if child.poll() is None:
            self.terminate(child)
            try:
                child.wait(_END_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(_END_S)
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                stream.close()
        self._child = None

    def terminate(self, child: subprocess.Popen[bytes]) -> None:
        """Ask the child to end (subclasses may ask more politely)."""
        child.terminate()

    def kill(self) -> None:
        """End the child at once, as a machine that loses its power would."""
        if self._child is not None:
            self._child.send_signal(signal.SIGKILL)

    def __enter__(self) -> Self:
        """Start."""
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def start(self) -> None:
        """Start the program and wait until it is ready (for subclasses)."""
        raise NotImplementedError

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    # --- state ----------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """Return the child's process id."""
        if self._child is None:
            raise PeerError(f"{self.name} does not run")
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """Return the exit code, ``None`` while the child runs."""
        return None if self._child is None else self._child.poll()

    @property
    def is_running(self) -> bool:
        """Whether the child lives."""
        return self._child is not None and self._child.poll() is None

    def lines(self) -> list[str]:
        """Return the output so far (its last 200 lines)."""
        return list(self._tail)

    def log_tail(self, lines: int = 25) -> str:
        """Return the last lines of output."""
        return "\n".join(list(self._tail)[-lines:])

    def error(self, message: str) -> PeerError:
        """Return an error with the tail of the log."""
        if not self.is_running and self._threads:
            self._threads[0].join(1.0)  # its last words may not be read yet
        state = "" if self.is_running else f" (ended with code {self.exit_code})"
        return PeerError(f"{self.name}{state}: {message}\n--- {self.name} ---\n{self.log_tail()}")

    def send_line(self, line: str) -> None:
        """Write a line to the child's stdin."""
        child = self._child
        if child is None or child.stdin is None:
            raise self.error("has no stdin")
        try:
            child.stdin.write(line.encode() + b"\n")
            child.stdin.flush()
        except BrokenPipeError:
            raise self.error("does not listen any more") from None

    def wait_for(
        self,
        condition: Callable[[], bool],
        what: str,
        timeout_s: float = 10.0,
        *,
        needs_life: bool = True,
    ) -> None:
        """Wait until ``condition`` holds; it is looked at whenever the child says something.

        Raises:
            PeerError: it does not hold in time, or the child ended.

        """
        with self._changed:
            self._changed.wait_for(
                lambda: condition() or (needs_life and not self.is_running), timeout_s
            )
            if condition():
                return
        if needs_life and not self.is_running:
            raise self.error(f"ended before {what}")
        raise self.error(f"no {what} in {timeout_s:g} s")

    def changed(self) -> threading.Condition:
        """Return the condition to notify when state changes outside of the output."""
        return self._changed
