"""A receiver of raw datagrams with the kernel's own arrival times."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from ccengine.testing.peers.process import PeerError

_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@qq")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)
_BUFFER_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Datagram:
    """One datagram: ``at`` is the kernel's wall-clock time of arrival in seconds."""

    at: float
    data: bytes
    source: tuple[str, int]


class RawRtp:
    """A plain socket on an even port; a thread keeps every datagram that comes.

    It never sends by itself, so nothing is latched to it until :meth:`send`.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.host = host
        self.datagrams: list[Datagram] = []
        self._changed = threading.Condition()
        self._sock = self._open()
        self.port: int = self._sock.getsockname()[1]
        self._thread: threading.Thread | None = None

    def _open(self) -> socket.socket:
        for _ in range(100):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind((self.host, 0))
            if sock.getsockname()[1] % 2 == 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
                sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
                return sock
            sock.close()
        raise PeerError(f"no even port is free on {self.host}")

    def __enter__(self) -> Self:
        """Begin to receive."""
        self._thread = threading.Thread(target=self._receive, name="raw-rtp", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop receiving and close."""
        with suppress(OSError):  # "not connected" is normal; the call wakes the thread
            self._sock.shutdown(socket.SHUT_RDWR)
        if self._thread is not None:
            self._thread.join(3.0)
        self._sock.close()

    def _receive(self) -> None:
        while True:
            try:
                data, ancillary, _, source = self._sock.recvmsg(65536, _ANCILLARY_BYTES)
            except ConnectionError:
                continue  # an ICMP error of something sent
            except OSError:
                return
            if not ancillary:  # woken by shutdown
                return
            seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2])
            with self._changed:
                self.datagrams.append(Datagram(seconds + nanoseconds * 1e-9, data, source))
                self._changed.notify_all()

    def send(self, data: bytes, remote: tuple[str, int]) -> None:
        """Send a datagram from the same port."""
        self._sock.sendto(data, remote)

    def wait(self, count: int, timeout_s: float = 5.0) -> list[Datagram]:
        """Wait until ``count`` datagrams have come in all; return them.

        Raises:
            PeerError: they do not come in time.

        """
        with self._changed:
            self._changed.wait_for(lambda: len(self.datagrams) >= count, timeout_s)
            if len(self.datagrams) < count:
                raise PeerError(
                    f"{len(self.datagrams)} of {count} datagrams came to port {self.port} "
                    f"in {timeout_s:g} s"
                )
            return list(self.datagrams)
