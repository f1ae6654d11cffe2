"""Settings of the SIP network layer."""

from __future__ import annotations

from dataclasses import dataclass

from ccengine.sip.flow import Transport


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """One socket that SIP comes in by.

    ``name`` appears in flows and in the keeper's deposit.  ``port`` 0 lets the system choose.
    ``advertised_host`` and ``advertised_port`` are what Via and Contact shall say when the
    engine stands behind an address translation.
    """

    name: str
    transport: Transport
    host: str = "0.0.0.0"
    port: int = 5060
    advertised_host: str = ""
    advertised_port: int = 0


@dataclass(frozen=True, slots=True)
class NetSettings:
    """The listeners and the limits that they keep.

    A connection is closed after ``idle_timeout_s`` without a byte, after
    ``message_timeout_s`` inside half a message (or before its first one), and when more than
    ``write_buffer_bytes`` wait for a peer that does not read.
    """

    listeners: tuple[ListenerSettings, ...]
    receive_buffer_bytes: int = 4 << 20
    max_connections: int = 10_000
    connect_timeout_s: float = 5.0
    idle_timeout_s: float = 3_700.0
    message_timeout_s: float = 15.0
    write_buffer_bytes: int = 256 << 10
