"""The demo's engine: started as a child, waited for, stopped with all that belongs to it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from ccengine.api.control import SOCKET_NAME, ControlClient
from ccengine.errors import CommandError

if TYPE_CHECKING:
    from ccengine.config.loader import Config

START_LIMIT_S = 60.0
STOP_LIMIT_S = 60.0
_POLL_S = 0.1
_TAIL_LINES = 5


class EngineProcess:
    """An engine in a session of its own: a terminal's Ctrl-C reaches us alone."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.log_path = config.path.parent / "var" / "engine.log"
        self._control = ControlClient(config.settings.run.folder / SOCKET_NAME)
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, command: str, **arguments: Any) -> Any:
        """Ask the engine; :class:`CommandError` when it does not answer."""
        return self._control.ask(command, **arguments)

    def start(self) -> None:
        """Start the engine; what it logs goes to ``var/engine.log``."""
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("wb") as log:
            self._process = self._spawn(log)

    def _spawn(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "ccengine", "run", "-c", str(self._config.path)]
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait_ready(self) -> None:
        """Wait until calls can be answered; :class:`CommandError` when that fails."""
        for _ in _until(START_LIMIT_S):
            self.refuse_dead()
            try:
                if self.ask("status")["rtp_ports_free"]:
                    return
            except CommandError:
                continue
        raise CommandError(f"the engine is not ready after {START_LIMIT_S:g} s", cure=self._see())

    def refuse_dead(self) -> None:
        """Raise :class:`CommandError` with its last words when the engine has ended."""
        if self._process is None or self._process.poll() is not None:
            raise CommandError(f"the engine ended: {self._last_words()}", cure=self._see())

    def _last_words(self) -> str:
        lines = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
        return " | ".join(line.removeprefix("ccengine: ") for line in lines[-_TAIL_LINES:])

    def _see(self) -> str:
        return f"see {self.log_path}"

    def stop(self) -> None:
        """Stop the engine in order; kill what does not end, or when interrupted."""
        process = self._process
        if process is None:
            return
        try:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            process.wait(STOP_LIMIT_S)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._process = None


def _until(limit_s: float) -> Iterator[None]:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        yield
        time.sleep(_POLL_S)
