"""Settings of a SIP endpoint."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """How a SIP endpoint behaves (timers: :rfc:`3261` section 17.1.1.1, in seconds).

    ``allow`` is advertised; ``methods`` are those, beside INVITE, ACK, CANCEL and BYE, that
    the owner answers when they come outside a dialog, all others get 405 or 501.
    ``supported`` are the option tags that a request may require.
    """

    t1_s: float = 0.5
    t2_s: float = 4.0
    t4_s: float = 5.0
    user_agent: str = "ccengine"
    allow: tuple[str, ...] = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS")
    methods: tuple[str, ...] = ("OPTIONS", "REGISTER", "INFO", "MESSAGE")
    supported: tuple[str, ...] = ()
    max_forwards: int = 70
