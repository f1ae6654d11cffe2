"""One process of the keeper: started, watched by pidfd, reaped."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from ccengine.keeper.spec import ProcessSpec

ENV_SOCKET = "CCENGINE_KEEPER"
ENV_NAME = "CCENGINE_PROCESS"


class Child:
    """A running process.

    ``spare`` is True until it becomes the active one; ``idle`` says that it has reported ready
    as a spare, ``told_at`` when it was told to take over, ``ready_at`` when it was ready to
    serve, ``heard_at`` when it last gave a sign of life.
    """

    def __init__(self, spec: ProcessSpec, socket_path: Path, spare: bool, now: float) -> None:
        argv = [*spec.argv, "--spare"] if spare else list(spec.argv)
        env = {**os.environ, **spec.env, ENV_SOCKET: str(socket_path), ENV_NAME: spec.name}
        # A group of its own: Ctrl-C on a terminal reaches the keeper alone, which stops the
        # children in their order.
        self._popen = subprocess.Popen(
            argv, env=env, cwd=spec.cwd, stdin=subprocess.DEVNULL, process_group=0
        )
        self.pid = self._popen.pid
        self.pidfd = os.pidfd_open(self.pid)
        self.spec = spec
        self.spare = self.was_spare = spare
        self.idle = False
        self.told_at: float | None = None
        self.started_at = now
        self.ready_at: float | None = None
        self.heard_at = now
        self.killed_for = ""

    @property
    def state(self) -> str:
        """The state in one word: ``starting``, ``idle`` (a spare), ``ready``."""
        if self.spare:
            return "idle" if self.idle else "starting"
        return "starting" if self.ready_at is None else "ready"

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; one that has just died does not mind."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, number)

    def reap(self) -> int:
        """Collect the dead process, kill what it left in its group, return the exit status.

        A negative status is the number of the signal that ended it.
        """
        # Before the wait: until then nobody else can have this number.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        status = self._popen.wait()
        os.close(self.pidfd)
        return status

    def patience_ends(self) -> float | None:
        """Return when this process is to be killed for its silence, None for never."""
        if self.spare:
            return None
        if self.ready_at is None:
            return self.started_at + self.spec.start_s if self.spec.start_s else None
        return self.heard_at + self.spec.heartbeat_s if self.spec.heartbeat_s else None


def start_time(pid: int) -> int | None:
    """Return when a process started, in ticks since boot, None when it is gone (proc(5))."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *rest = stat.rpartition(")")[2].split()
    return None if state == "Z" else int(rest[18])
