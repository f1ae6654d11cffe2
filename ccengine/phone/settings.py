"""Settings of phones: who they are, and what they do when they are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ccengine.sdp import PCMA, PCMU, CodecOffer
from ccengine.sip.flow import Transport


@dataclass(frozen=True, slots=True)
class FarmSettings:
    """Phones that share one SIP socket and one endpoint.

    ``registrar`` is the address of the engine (numeric host, port), ``domain`` the host of
    the addresses-of-record, by default the registrar's.  ``host`` is our own address; port 0
    lets the system choose.  ``t1_s`` shortens retransmission in tests.
    """

    registrar: tuple[str, int]
    domain: str = ""
    host: str = "127.0.0.1"
    port: int = 0
    transport: Transport = "UDP"
    codecs: tuple[CodecOffer, ...] = (PCMU, PCMA)
    ptime_ms: int = 20
    user_agent: str = "ccengine-phone"
    t1_s: float = 0.5


@dataclass(frozen=True, slots=True)
class Answer:
    """Ring, and answer ``after_s`` later."""

    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Reject:
    """Reject with ``status``, ``after_s`` later (ringing until then when it is not 0)."""

    status: int = 486
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Ring:
    """Ring and never answer."""


@dataclass(frozen=True, slots=True)
class Vanish:
    """Be gone, as if the power failed: nothing is answered any more.

    With ``after_s`` the phone rings until then.
    """

    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Manual:
    """Do nothing: whoever holds the phone takes the call from :meth:`Phone.next_call`."""


Behaviour: TypeAlias = Answer | Reject | Ring | Vanish | Manual
"""What a phone does when it is called."""
