"""What the network layer counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class NetCounters:
    """Totals since the start; ``connections`` alone goes up and down."""

    messages_in: int = 0
    messages_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    keepalives: int = 0
    send_failures: int = 0
    receive_errors: int = 0
    connections: int = 0
    accepted: int = 0
    opened: int = 0
    refused_full: int = 0
    connect_failures: int = 0
    closed_idle: int = 0
    closed_half_message: int = 0
    closed_not_reading: int = 0
    closed_bad_framing: int = 0
