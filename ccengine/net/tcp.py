"""SIP over TCP: a listening socket, and every connection made by it or for it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from ccengine.net.connection import Connection
from ccengine.net.counters import NetCounters
from ccengine.net.settings import NetSettings
from ccengine.net.sockets import WILDCARDS, is_address
from ccengine.sip.flow import Flow


class _Opening:
    """A connection that is being opened and what waits for it."""

    __slots__ = ("messages", "size", "task")

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.size = 0
        self.task: asyncio.Task[None] | None = None


class TcpListener:
    """Accepts and opens connections for one listener of the configuration.

    A message for a flow with connection 0 goes over an open connection to that address or
    opens one; when that connection dies, both its own flow and the flow with 0 have failed.
    """

    def __init__(
        self,
        name: str,
        sock: socket.socket,
        settings: NetSettings,
        counters: NetCounters,
        next_number: Callable[[], int],
        on_message: Callable[[bytes, Flow], None],
        on_flow_failed: Callable[[Flow, str], None],
    ) -> None:
        self.name = name
        self.sock = sock
        self.settings = settings
        self.counters = counters
        self._next_number = next_number
        self._on_message = on_message
        self._on_flow_failed = on_flow_failed
        self._server: asyncio.Server | None = None
        self._by_number: dict[int, Connection] = {}
        self._by_remote: dict[tuple[str, int], Connection] = {}
        self._opening: dict[tuple[str, int], _Opening] = {}
        self._tick = 0
        self._closed = False

    async def start(self) -> None:
        """Begin to accept."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, sock=self.sock)

    def _accept(self) -> asyncio.Protocol:
        if self.counters.connections >= self.settings.max_connections:
            self.counters.refused_full += 1
            return _Refusal()
        self.counters.accepted += 1
        return Connection(self, self._next_number(), self._tick, dialled=False)

    # --- what connections tell -------------------------------------------------------------

    def connected(self, connection: Connection) -> None:
        """Give the connection its flow and remember it."""
        connection.flow = Flow("TCP", self.name, connection.remote, connection.number)
        self.counters.connections += 1
        self._by_number[connection.number] = connection
        self._by_remote[connection.remote] = connection
        if self._closed:
            connection.close("the listener is closed")

    def message_received(self, data: bytes, flow: Flow) -> None:
        """Pass a message up."""
        self._on_message(data, flow)

    def connection_closed(self, connection: Connection, reason: str) -> None:
        """Forget the connection and tell who may be waiting for something on it."""
        self.counters.connections -= 1
        self._by_number.pop(connection.number, None)
        if self._by_remote.get(connection.remote) is connection:
            del self._by_remote[connection.remote]
            if connection.dialled and not self._closed:
                self._on_flow_failed(Flow("TCP", self.name, connection.remote), reason)
        if connection.flow is not None and not self._closed:
            self._on_flow_failed(connection.flow, reason)

    # --- what the layer asks ---------------------------------------------------------------

    def send(self, data: bytes, flow: Flow) -> str:
        """Send, or queue behind a connection being opened; return ``""`` or why not."""
        if self._closed:
            return "the listener is closed"
        if flow.connection:
            connection = self._by_number.get(flow.connection)
            return connection.send(data) if connection is not None else "the connection is gone"
        connection = self._by_remote.get(flow.remote)
        if connection is not None and connection.is_open:
            return connection.send(data)
        return self._open(data, flow.remote)

    def _open(self, data: bytes, remote: tuple[str, int]) -> str:
        if not is_address(remote[0]):
            return f"{remote[0]!r} is no address"
        opening = self._opening.get(remote)
        if opening is None:
            if self.counters.connections + len(self._opening) >= self.settings.max_connections:
                self.counters.refused_full += 1
                return "too many connections"
            opening = self._opening[remote] = _Opening()
            opening.task = asyncio.get_running_loop().create_task(self._connect(remote, opening))
        opening.size += len(data)
        if opening.size > self.settings.write_buffer_bytes:
            return "too much is waiting for the connection to open"
        opening.messages.append(data)
        return ""

    async def _connect(self, remote: tuple[str, int], opening: _Opening) -> None:
        loop = asyncio.get_running_loop()
        own = self.sock.getsockname()[0]
        try:
            async with asyncio.timeout(self.settings.connect_timeout_s):
                _, connection = await loop.create_connection(
                    lambda: Connection(self, self._next_number(), self._tick, dialled=True),
                    remote[0],
                    remote[1],
                    local_addr=None if own in WILDCARDS else (own, 0),
                )
        except (OSError, OverflowError) as error:  # a timeout is an OSError as well
            self.counters.connect_failures += 1
            reason = getattr(error, "strerror", None) or str(error) or "no answer in time"
            if not self._closed:
                self._on_flow_failed(Flow("TCP", self.name, remote), f"cannot connect: {reason}")
            return
        finally:
            self._opening.pop(remote, None)
        self.counters.opened += 1
        for message in opening.messages:
            if connection.send(message):
                break  # closed meanwhile: connection_closed has told

    def local_of(self, connection: int) -> tuple[str, int] | None:
        """Return our end of a connection, or ``None`` when it is gone."""
        found = self._by_number.get(connection)
        return found.local if found is not None else None

    def sweep(self, period_s: float) -> None:
        """Look for connections that are idle or stuck; called every ``period_s``."""
        self._tick += 1
        idle = max(1, round(self.settings.idle_timeout_s / period_s))
        half = max(1, round(self.settings.message_timeout_s / period_s))
        for connection in list(self._by_number.values()):
            connection.sweep(self._tick, idle, half)

    async def close(self) -> None:
        """Stop accepting, close every connection after what is queued, without failures."""
        self._closed = True
        server, self._server = self._server, None
        if server is not None:
            server.close()
        else:
            self.sock.close()
        tasks = [opening.task for opening in self._opening.values() if opening.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in list(self._by_number.values()):
            connection.finish("the listener is closed")
        # A transport says goodbye in a later turn of the loop; a peer that does not read
        # would hold it for ever.
        for _ in range(3):
            await asyncio.sleep(0)
        for connection in list(self._by_number.values()):
            connection.abort()


class _Refusal(asyncio.Protocol):
    """Closes a connection at once because there are too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
