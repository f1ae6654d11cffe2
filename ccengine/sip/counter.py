"""What a SIP endpoint counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class SipCounters:
    """Plain counts since the start of one endpoint; they only grow."""

    requests_in: int = 0
    responses_in: int = 0
    messages_out: int = 0
    malformed: int = 0
    """Messages that could not be read and could not be answered."""
    refused: int = 0
    """Requests that the endpoint answered with an error by itself."""
    stray_responses: int = 0
    """Responses that match no client transaction."""
    stray_acks: int = 0
    """ACKs that match neither a transaction nor an unacknowledged 2xx."""
    retransmissions_in: int = 0
    retransmissions_out: int = 0
    timeouts: int = 0
    """Client transactions to which nobody answered in time."""
    transport_failures: int = 0
    acks_missing: int = 0
    unanswered: int = 0
    """Requests to us that our own side left without an answer until it was too late."""
    late_commands: int = 0
    """Commands for a session or request that was over already."""
