"""The SIP network layer: bytes and flows in, bytes and flows out."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping
from itertools import count
from types import MappingProxyType

from ccengine.net.counters import NetCounters
from ccengine.net.settings import ListenerSettings, NetSettings
from ccengine.net.sockets import (
    WILDCARDS,
    ListenError,
    enlarge_receive_buffer,
    is_address,
    open_listener,
    source_address,
)
from ccengine.net.tcp import TcpListener
from ccengine.net.udp import MAX_DATAGRAM, UdpListener
from ccengine.sip.flow import Flow

_NOTHING_ADOPTED: Mapping[str, socket.socket] = MappingProxyType({})
_ADDRESSES_REMEMBERED = 4096

log = logging.getLogger(__name__)


class NetLayer:
    """Every SIP socket of one process.

    ``on_message(data, flow)`` gets each datagram, or each message of a stream, unparsed.
    ``on_flow_failed(flow, reason)`` tells that what was sent on a flow may not have arrived;
    it is called from the loop, never from inside :meth:`send`.  ``first_connection`` is the
    number of the first connection: who takes over from another process passes one above all
    that the other used, so that numbers never repeat.
    """

    def __init__(
        self,
        settings: NetSettings,
        on_message: Callable[[bytes, Flow], None],
        on_flow_failed: Callable[[Flow, str], None],
        *,
        first_connection: int = 1,
    ) -> None:
        self.settings = settings
        self.counters = NetCounters()
        self._on_message = on_message
        self._on_flow_failed = on_flow_failed
        self._numbers = count(first_connection)
        self._udp: dict[str, UdpListener] = {}
        self._tcp: dict[str, TcpListener] = {}
        self._by_name = {listener.name: listener for listener in settings.listeners}
        self._addresses: dict[tuple[str, str], tuple[str, int]] = {}
        self._sweep: asyncio.TimerHandle | None = None

    # --- life --------------------------------------------------------------------------------

    async def start(self, adopted: Mapping[str, socket.socket] = _NOTHING_ADOPTED) -> None:
        """Open every listener, or take the socket of its name from ``adopted``.

        Raises:
            ListenError: a listener cannot be opened; those before it are closed again.

        """
        if len(self._by_name) != len(self.settings.listeners):
            raise ListenError("two listeners have the same name", cure="rename one of them")
        try:
            for listener in self.settings.listeners:
                await self._start(listener, adopted.get(listener.name))
        except ListenError:
            await self.close()
            raise
        if self._tcp:
            self._schedule_sweep()

    async def _start(self, settings: ListenerSettings, sock: socket.socket | None) -> None:
        size = self.settings.receive_buffer_bytes
        if sock is None:
            sock = open_listener(settings, size)
        else:
            sock.setblocking(False)
        name = settings.name
        if settings.transport == "UDP":
            obtained = enlarge_receive_buffer(sock, size)
            if obtained < size:
                log.warning(
                    "listener %s: receive buffer is %d bytes, %d wanted; raise net.core.rmem_max",
                    name,
                    obtained,
                    size,
                )
            udp = self._udp[name] = UdpListener(name, sock, self.counters, self._on_message)
            await udp.start()
            return
        tcp = self._tcp[name] = TcpListener(
            name,
            sock,
            self.settings,
            self.counters,
            lambda: next(self._numbers),
            self._on_message,
            self._on_flow_failed,
        )
        await tcp.start()

    async def close(self) -> None:
        """Close every socket; flows do not fail by this."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for tcp in self._tcp.values():
            await tcp.close()
        for udp in self._udp.values():
            udp.close()
        self._tcp.clear()
        self._udp.clear()
        await asyncio.sleep(0)  # transports close their sockets in the next turn

    def _schedule_sweep(self) -> None:
        limits = self.settings
        period = min(1.0, limits.message_timeout_s / 2, limits.idle_timeout_s / 2)
        loop = asyncio.get_running_loop()

        def sweep() -> None:
            for tcp in self._tcp.values():
                tcp.sweep(period)
            self._sweep = loop.call_later(period, sweep)

        self._sweep = loop.call_later(period, sweep)

    # --- use ---------------------------------------------------------------------------------

    def send(self, data: bytes, flow: Flow) -> None:
        """Send a message; never waits and never raises: failures come as a failed flow."""
        reason = self._send(data, flow)
        if not reason:
            self.counters.messages_out += 1
            self.counters.bytes_out += len(data)
            return
        self.counters.send_failures += 1
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # the loop has ended: nobody is left to be told
            return
        loop.call_soon(self._on_flow_failed, flow, reason)

    def _send(self, data: bytes, flow: Flow) -> str:
        if flow.transport == "UDP":
            udp = self._udp.get(flow.listener)
            if udp is None:
                return f"there is no UDP listener {flow.listener!r}"
            if len(data) > MAX_DATAGRAM:
                return f"{len(data)} bytes do not fit into a datagram"
            return udp.send(data, flow.remote)
        tcp = self._tcp.get(flow.listener)
        if tcp is None:
            return f"there is no TCP listener {flow.listener!r}"
        return tcp.send(data, flow)

    def sockets(self) -> dict[str, socket.socket]:
        """Return the listening sockets by name, for the keeper's deposit."""
        found = {name: udp.sock for name, udp in self._udp.items()}
        found.update((name, tcp.sock) for name, tcp in self._tcp.items())
        return found

    def local_address(self, flow: Flow) -> tuple[str, int]:
        """Return host and port that Via and Contact shall show to the peer of ``flow``.

        The advertised address, else the bound one; a listener on all interfaces answers with
        the address that the routing table takes toward that peer.

        Raises:
            ListenError: there is no such listener.

        """
        key = (flow.listener, flow.remote[0])
        known = self._addresses.get(key)
        if known is not None:
            return known
        settings = self._by_name.get(flow.listener)
        if settings is None:
            raise ListenError(f"there is no listener {flow.listener!r}")
        host, port = self._bound(settings)
        if settings.advertised_host:
            host = settings.advertised_host
        elif host in WILDCARDS:
            host = self._source(flow)
        address = (host, settings.advertised_port or port)
        if len(self._addresses) >= _ADDRESSES_REMEMBERED:
            self._addresses.clear()
        self._addresses[key] = address
        return address

    def _bound(self, settings: ListenerSettings) -> tuple[str, int]:
        sock = self.sockets().get(settings.name)
        if sock is None or sock.fileno() < 0:
            return settings.host, settings.port
        name = sock.getsockname()
        return str(name[0]), int(name[1])

    def _source(self, flow: Flow) -> str:
        tcp = self._tcp.get(flow.listener)
        local = tcp.local_of(flow.connection) if tcp is not None else None
        if local is not None:
            return local[0]
        return source_address(flow.remote) if is_address(flow.remote[0]) else "127.0.0.1"
