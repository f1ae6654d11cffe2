"""One TCP connection that carries SIP (:rfc:`3261` section 18.3, :rfc:`5626`)."""

from __future__ import annotations

import asyncio
from typing import Protocol, cast
from zlib import crc32

from ccengine.errors import SipParseError
from ccengine.net.counters import NetCounters
from ccengine.net.settings import NetSettings
from ccengine.sip.flow import Flow
from ccengine.sip.framing import PONG, Ping, StreamFramer
from ccengine.sip.message import BadRequestError
from ccengine.sip.reply import response_to
from ccengine.sip.validation import is_answerable


class ConnectionOwner(Protocol):
    """What a connection tells: the listener that it belongs to."""

    settings: NetSettings
    counters: NetCounters

    def connected(self, connection: Connection) -> None:
        """Take note of a connection that is open; its flow is made here."""

    def message_received(self, data: bytes, flow: Flow) -> None:
        """Take a whole message."""

    def connection_closed(self, connection: Connection, reason: str) -> None:
        """Take note of the end."""


class Connection(asyncio.Protocol):
    """Frames what comes in, limits what goes out, knows how long it has been quiet.

    ``born`` and the other ticks are numbers of the owner's sweep, so that no connection
    needs a timer of its own.
    """

    def __init__(self, owner: ConnectionOwner, number: int, tick: int, *, dialled: bool) -> None:
        self.number = number
        self.dialled = dialled
        self.remote: tuple[str, int] = ("", 0)
        self.local: tuple[str, int] = ("", 0)
        self.flow: Flow | None = None
        self._owner = owner
        self._framer = StreamFramer()
        self._transport: asyncio.Transport | None = None
        self._reason = ""
        self._active = True
        self._quiet_since = tick
        # A peer that connects owes a message; one that we dialled owes nothing yet.  It came
        # after this sweep, so its time begins with the next.
        self._half_since = -1 if dialled else tick + 1

    # --- asyncio's calls --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set the limits and tell the owner."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=self._owner.settings.write_buffer_bytes)
        peer = transport.get_extra_info("peername") or ("", 0)
        own = transport.get_extra_info("sockname") or ("", 0)
        self.remote, self.local = (peer[0], peer[1]), (own[0], own[1])
        self._owner.connected(self)

    def data_received(self, data: bytes) -> None:
        """Frame and pass on; bytes that can never become a message end the connection."""
        owner = self._owner
        owner.counters.bytes_in += len(data)
        self._active = True
        flow = self.flow
        if flow is None or self._reason:
            return
        for item in self._framer.feed(data):
            if isinstance(item, bytes):
                self._half_since = -1
                owner.counters.messages_in += 1
                owner.message_received(item, flow)
            elif isinstance(item, Ping):
                self._half_since = -1
                owner.counters.keepalives += 1
                self.send(PONG)
            else:
                owner.counters.closed_bad_framing += 1
                self._refuse(item)

    def _refuse(self, error: SipParseError) -> None:
        """Answer what can still be answered, then close: where the next begins is lost."""
        transport = self._transport
        if transport is not None and not self._reason:
            transport.write(_answer_to(error, self.remote))
        self.finish(f"bad framing: {error.message}")

    def eof_received(self) -> bool:
        """Close when the peer has finished: a half-open connection carries no dialog."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner why."""
        reason = self._reason or (str(exc) if exc is not None else "closed by the peer")
        self._transport = None
        self._owner.connection_closed(self, reason)

    # --- the owner's calls --------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether something can be sent."""
        return self._transport is not None and not self._reason

    def send(self, data: bytes) -> str:
        """Queue a message; return ``""`` or why it cannot be sent."""
        transport = self._transport
        if transport is None or self._reason:
            return self._reason or "the connection is closed"
        if transport.get_write_buffer_size() + len(data) > self._owner.settings.write_buffer_bytes:
            self._owner.counters.closed_not_reading += 1
            self.close("the peer does not read")
            return self._reason
        transport.write(data)
        return ""

    def close(self, reason: str) -> None:
        """Close at once; the owner hears of it with this reason."""
        if self._transport is not None and not self._reason:
            self._reason = reason
            self._transport.abort()

    def finish(self, reason: str) -> None:
        """Close after what is queued has gone."""
        if self._transport is not None and not self._reason:
            self._reason = reason
            self._transport.close()

    def abort(self) -> None:
        """Throw away what is queued and close."""
        if self._transport is not None:
            self._transport.abort()

    def sweep(self, tick: int, idle_ticks: int, half_ticks: int) -> None:
        """Close when quiet for too long or stuck inside a message."""
        if self._active:
            self._active = False
            self._quiet_since = tick
        if self._half_since < 0 and self._framer.pending_bytes:
            self._half_since = tick
        if self._half_since >= 0 and tick - self._half_since >= half_ticks:
            self._owner.counters.closed_half_message += 1
            self.close("no whole message came in time")
        elif tick - self._quiet_since >= idle_ticks:
            self._owner.counters.closed_idle += 1
            self.close("idle")


def _answer_to(error: SipParseError, remote: tuple[str, int]) -> bytes:
    """Return the stateless refusal of a request whose end cannot be found, else nothing."""
    if not isinstance(error, BadRequestError):
        return b""
    request = error.request
    if not is_answerable(request):
        return b""
    # The same request always gets the same tag (RFC 3261 section 8.2.7).
    tag = f"{crc32((request.header('call-id') or '').encode('utf-8', 'surrogateescape')):08x}"
    return response_to(request, error.status, to_tag=tag, source=remote).to_bytes()
