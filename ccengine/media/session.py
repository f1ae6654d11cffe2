"""The worker's end of its control socket: one signalling process at a time, never waited for."""

from __future__ import annotations

import logging
import os
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import msgspec

from ccengine.media import control
from ccengine.media.control import (
    Ack,
    Drops,
    FromWorker,
    Have,
    Hello,
    Leases,
    Load,
    ToWorker,
    Want,
    Wants,
    Welcome,
    WorkerEvent,
)
from ccengine.media.poller import Poller

Emit = Callable[[Callable[[int], WorkerEvent]], None]
"""Takes a maker of an event, which is called with the next sequence number."""

_log = logging.getLogger(__name__)
_READS: Final = 4
_PAGE: Final = 500
_MAX_STRANGERS: Final = 8
_BACKLOG: Final = 32
# Events that nobody fetches: hours of keys and hang-ups, not a leak.
_MAX_EVENTS: Final = 200_000


class Attached(Protocol):
    """What a session needs of its worker."""

    def have(self) -> list[tuple[str, int]]:
        """Return key and revision of every object."""

    def free_ports(self) -> tuple[int, ...]:
        """Return the ports that are free for new legs."""

    def drain(self) -> None:
        """End after the last leg."""


class Session:
    """Listens, greets, lists, takes wants into ``inbox`` and sends events until acknowledged.

    The newest epoch is in charge; an older one is refused.  Nothing here blocks: what the
    socket does not take waits, and a load report is dropped when others wait.
    """

    def __init__(self, name: str, path: Path, poller: Poller, worker: Attached) -> None:
        self._name = name
        self._path = path
        self._poller = poller
        self._worker = worker
        self._epoch = -1
        self._peer: socket.socket | None = None
        self._waiting: dict[int, socket.socket] = {}
        self._outbox: deque[bytes] = deque()
        self._events: deque[WorkerEvent] = deque()
        self._seq = 0
        self.inbox: deque[Want | str] = deque()
        self.lost_events = 0
        self.garbage = 0
        self._listener = self._listen()

    def _listen(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.setblocking(False)
        self._path.unlink(missing_ok=True)
        listener.bind(str(self._path))
        self._path.chmod(0o600)
        listener.listen(4)
        self._poller.add(listener.fileno(), self._accept)
        return listener

    @property
    def attached(self) -> bool:
        """Return whether a signalling process is connected."""
        return self._peer is not None

    def close(self) -> None:
        """Close every connection and remove the socket's name."""
        self._poller.remove(self._listener.fileno())
        self._listener.close()
        self._path.unlink(missing_ok=True)
        for sock in tuple(self._waiting.values()):
            self._hang_up(sock)
        if self._peer is not None:
            self.flush()
            self._hang_up(self._peer)

    # --- connections --------------------------------------------------------------------------

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        sock.setblocking(False)
        if len(self._waiting) >= _MAX_STRANGERS:
            sock.close()
            return
        self._waiting[sock.fileno()] = sock
        self._poller.add(sock.fileno(), lambda: self._readable(sock))

    def _hang_up(self, sock: socket.socket) -> None:
        self._poller.remove(sock.fileno())
        self._waiting.pop(sock.fileno(), None)
        sock.close()
        if sock is self._peer:
            self._peer = None
            self._outbox.clear()

    def _readable(self, sock: socket.socket) -> None:
        for _ in range(_READS):
            try:
                data = sock.recv(control.MAX_MESSAGE_BYTES + 4096)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._hang_up(sock)
                return
            try:
                message = control.decode_to_worker(data)
            except msgspec.DecodeError:
                self.garbage += 1
                continue
            self._take(sock, message)

    def _take(self, sock: socket.socket, message: ToWorker) -> None:
        if isinstance(message, Hello):
            self._hello(sock, message)
        elif sock is not self._peer:
            self.garbage += 1
        elif isinstance(message, Wants):
            self.inbox.extend(message.objects)
        elif isinstance(message, Drops):
            self.inbox.extend(message.keys)
        elif isinstance(message, Ack):
            while self._events and self._events[0].seq <= message.seq:
                self._events.popleft()
        else:
            self._worker.drain()

    def _hello(self, sock: socket.socket, hello: Hello) -> None:
        refused = ""
        if hello.version != control.PROTOCOL_VERSION:
            refused = f"protocol version {hello.version}, this worker speaks "
            refused += str(control.PROTOCOL_VERSION)
        elif hello.epoch < self._epoch:
            refused = f"epoch {hello.epoch} is over, {self._epoch} is in charge"
        welcome = Welcome(control.PROTOCOL_VERSION, self._name, os.getpid(), refused)
        if refused:
            _log.warning("a signalling process is refused: %s", refused)
            with suppress(OSError):
                sock.send(control.encode(welcome))
            self._hang_up(sock)
            return
        if self._peer is not None and self._peer is not sock:
            self._hang_up(self._peer)
        # What the predecessor wanted but was not done yet is wanted again by its successor.
        self.inbox.clear()
        self._epoch = hello.epoch
        self._waiting.pop(sock.fileno(), None)
        self._peer = sock
        self._outbox.clear()
        self._send(welcome)
        self._list()

    def _list(self) -> None:
        have = self._worker.have()
        for start in range(0, max(1, len(have)), _PAGE):
            page = tuple(have[start : start + _PAGE])
            self._send(Have(page, last=start + _PAGE >= len(have)))
        self._send(Leases(self._worker.free_ports()))
        for event in self._events:
            self._send(event)

    # --- sending ------------------------------------------------------------------------------

    def emit(self, make: Callable[[int], WorkerEvent]) -> None:
        """Number an event, keep it until acknowledged, send it."""
        self._seq += 1
        event = make(self._seq)
        self._events.append(event)
        if len(self._events) > _MAX_EVENTS:
            self._events.popleft()
            self.lost_events += 1
        if self._peer is not None:
            self._outbox.append(control.encode(event))

    def announce(self, ports: tuple[int, ...]) -> None:
        """Tell of ports that are newly free."""
        if self._peer is not None:
            self._send(Leases(ports))

    def report(self, load: Load) -> None:
        """Send a load report, unless the socket does not keep up."""
        if self._peer is not None and len(self._outbox) < _BACKLOG:
            self._send(load)

    def _send(self, message: FromWorker) -> None:
        self._outbox.append(control.encode(message))

    def flush(self) -> None:
        """Send what the socket takes now."""
        while self._outbox and self._peer is not None:
            try:
                self._peer.send(self._outbox[0])
            except BlockingIOError:
                return
            except OSError:
                self._hang_up(self._peer)
                return
            self._outbox.popleft()
