"""The keeper's process: ``python -m ccengine.keeper.main SPEC.json``.

It starts, watches and restarts the processes of the specification, keeps a duplicate of every
descriptor that they deposit, and stops them in order on SIGTERM or SIGINT: signalling, media,
writer.  It exits with 0 once nothing runs any more, 1 when it could not begin.
"""

from __future__ import annotations

import contextlib
import logging
import resource
import selectors
import signal
import socket
import sys
import time
from pathlib import Path

from ccengine.errors import KeeperError
from ccengine.keeper.child import Child
from ccengine.keeper.server import Server, refuse_second
from ccengine.keeper.spec import KeeperSpec, load_spec
from ccengine.keeper.supervisor import Supervisor, refuse_orphans

_log = logging.getLogger("ccengine.keeper")


class Keeper:
    """One selector loop over the children's pidfds, the socket and the signals."""

    def __init__(self, spec: KeeperSpec) -> None:
        self._selector = selectors.DefaultSelector()
        self._supervisor = Supervisor(spec, time.monotonic())
        refuse_second(spec.socket)
        refuse_orphans(self._supervisor)
        self._server = Server(spec.socket, self._selector, self._supervisor)
        self._wake, self._woken = socket.socketpair()
        for end in (self._wake, self._woken):
            end.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ, self._signalled)

    def run(self) -> None:
        """Run until everything has been stopped."""
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        try:
            while True:
                deadline = self._step()
                if self._supervisor.done:
                    break
                now = time.monotonic()
                timeout = None if deadline is None else max(0.0, deadline - now)
                for key, _ in self._selector.select(timeout):
                    # An earlier one of the batch may have closed this one.
                    if self._selector.get_map().get(key.fd) == key:
                        key.data()
        finally:
            signal.set_wakeup_fd(-1)
            self._server.close()
            self._supervisor.close()
            self._wake.close()
            self._woken.close()
            self._selector.close()

    def _step(self) -> float | None:
        supervisor = self._supervisor
        deadline = supervisor.tick(time.monotonic())
        for child in _take(supervisor.started):
            self._selector.register(
                child.pidfd, selectors.EVENT_READ, lambda child=child: self._died(child)
            )
        for child in _take(supervisor.activated):
            self._server.push(child.pid, "activate")
        for child in _take(supervisor.stopped):
            self._server.push(child.pid, "stop")
        return deadline

    def _died(self, child: Child) -> None:
        self._selector.unregister(child.pidfd)
        self._supervisor.reaped(child, time.monotonic())

    def _signalled(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for number in self._woken.recv(64):
                if number in (signal.SIGTERM, signal.SIGINT):
                    self._supervisor.stop(time.monotonic())


def _take(children: list[Child]) -> list[Child]:
    taken = children.copy()
    children.clear()
    return taken


def raise_open_files() -> None:
    """Raise the limit of open files to what is allowed: every socket is kept here too."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main(arguments: list[str]) -> int:
    """Run the keeper; return its exit status."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m ccengine.keeper.main SPEC.json\n")
        return 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s keeper[%(process)d] %(message)s")
    raise_open_files()
    try:
        keeper = Keeper(load_spec(Path(arguments[0])))
    except KeeperError as error:
        sys.stderr.write(f"ccengine: {error}\n")
        return 1
    keeper.run()
    _log.info("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
