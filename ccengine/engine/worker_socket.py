"""The asyncio side of the control sockets to media workers: connect, read, write, reconnect."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable
from pathlib import Path

RECONNECT_S = 0.1
MAX_PACKET_BYTES = 1 << 17

_log = logging.getLogger(__name__)


class WorkerSocket:
    """One SOCK_SEQPACKET connection that is made again whenever it is lost.

    ``on_open`` and ``on_close`` tell of each connection, ``on_packet`` of what comes in.
    Sending never waits: what the socket does not take now follows when it does.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        *,
        on_open: Callable[[str], None],
        on_close: Callable[[str], None],
        on_packet: Callable[[str, bytes], None],
    ) -> None:
        self.name = name
        self._path = path
        self._on_open = on_open
        self._on_close = on_close
        self._on_packet = on_packet
        self._socket: socket.socket | None = None
        self._waiting: deque[bytes] = deque()
        self._retry: asyncio.TimerHandle | None = None
        self._closed = False

    def start(self) -> None:
        """Connect now, or as soon as the worker listens."""
        if self._closed:
            return
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.setblocking(False)
        try:
            connection.connect(str(self._path))
        except OSError:
            connection.close()
            self._retry = asyncio.get_running_loop().call_later(RECONNECT_S, self.start)
            return
        self._socket = connection
        asyncio.get_running_loop().add_reader(connection.fileno(), self._readable)
        self._on_open(self.name)

    def send(self, data: bytes) -> None:
        """Send one packet, in order, without waiting."""
        if self._socket is None:
            return  # the attach after the reconnection sends whatever is missing
        self._waiting.append(data)
        if len(self._waiting) == 1:
            self._flush()

    def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting and self._socket is not None:
            try:
                self._socket.send(self._waiting[0])
            except BlockingIOError:
                loop.add_writer(self._socket.fileno(), self._flush)
                return
            except OSError as error:
                self.drop(f"sending failed: {error}")
                return
            self._waiting.popleft()
        if self._socket is not None:
            loop.remove_writer(self._socket.fileno())

    def _readable(self) -> None:
        while self._socket is not None:
            try:
                data = self._socket.recv(MAX_PACKET_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                self.drop(f"receiving failed: {error}")
                return
            if not data:
                self.drop("the worker closed it")
                return
            self._on_packet(self.name, data)

    def drop(self, reason: str) -> None:
        """Close the connection and make another."""
        self._shut()
        if not self._closed:
            _log.warning("media worker %s: connection lost: %s", self.name, reason)
            self._on_close(self.name)
            self._retry = asyncio.get_running_loop().call_later(RECONNECT_S, self.start)

    def _shut(self) -> None:
        if self._socket is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._socket.fileno())
            loop.remove_writer(self._socket.fileno())
            self._socket.close()
            self._socket = None
        self._waiting.clear()

    def close(self) -> None:
        """Close for good."""
        self._closed = True
        if self._retry is not None:
            self._retry.cancel()
        self._shut()
