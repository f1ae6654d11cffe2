"""SIP over UDP: one socket, datagrams up and down (:rfc:`3261` section 18)."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import cast

from ccengine.net.counters import NetCounters
from ccengine.net.sockets import is_address
from ccengine.sip.flow import Flow

log = logging.getLogger(__name__)

_FLOWS_REMEMBERED = 8192
MAX_DATAGRAM = 65_507


class UdpListener(asyncio.DatagramProtocol):
    """Datagrams of one socket; the socket is ours and closed by :meth:`close`."""

    def __init__(
        self,
        name: str,
        sock: socket.socket,
        counters: NetCounters,
        on_message: Callable[[bytes, Flow], None],
    ) -> None:
        self.name = name
        self.sock = sock
        self._counters = counters
        self._on_message = on_message
        self._transport: asyncio.DatagramTransport | None = None
        self._flows: dict[tuple[str, int], Flow] = {}

    async def start(self) -> None:
        """Begin to read."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=self.sock)
        self._transport = transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (asyncio's call)."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Pass a datagram on; one of line ends alone is a keep-alive (:rfc:`5626` 3.5.1)."""
        counters = self._counters
        counters.bytes_in += len(data)
        if len(data) <= 4 and not data.strip(b"\r\n\0"):
            counters.keepalives += 1
            return
        counters.messages_in += 1
        self._on_message(data, self._flow(addr))

    def _flow(self, addr: tuple[str, int]) -> Flow:
        remote = addr[:2]
        flow = self._flows.get(remote)
        if flow is None:
            if len(self._flows) >= _FLOWS_REMEMBERED:
                self._flows.clear()
            flow = self._flows[remote] = Flow("UDP", self.name, (remote[0], remote[1]))
        return flow

    def error_received(self, exc: Exception) -> None:
        """Count an error that the system reports without saying about whom (asyncio's call)."""
        self._counters.receive_errors += 1
        log.debug("listener %s: %s", self.name, exc)

    def send(self, data: bytes, remote: tuple[str, int]) -> str:
        """Send a datagram; return ``""`` or why it cannot be sent."""
        if not is_address(remote[0]):
            return f"{remote[0]!r} is no address"
        transport = self._transport
        if transport is None or transport.is_closing():
            return "the listener is closed"
        try:
            self.sock.sendto(data, remote)
        except BlockingIOError:
            transport.sendto(data, remote)  # the kernel is full: the loop sends it later
        except (OSError, OverflowError) as error:
            return str(getattr(error, "strerror", None) or error)
        return ""

    def close(self) -> None:
        """Stop reading and close the socket."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()
        else:
            self.sock.close()
