"""What a side wants of its audio, and what two sides agreed on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ccengine.sdp.codec import EVENT, PCMA, PCMU, CodecOffer
from ccengine.sdp.description import Direction


@dataclass(frozen=True, slots=True)
class LocalMedia:
    """Our side of the audio: where we receive, what we speak in order of preference.

    ``host`` is the address to advertise.  ``ptime_ms`` is what we like to receive; ``event``
    offers telephone-event (:rfc:`4733`).  ``direction`` is from our point of view: put the
    peer on hold with ``sendonly`` or ``inactive``.
    """

    host: str
    port: int
    codecs: tuple[CodecOffer, ...] = (PCMU, PCMA)
    ptime_ms: int = 20
    event: bool = True
    direction: Direction = "sendrecv"

    def offered(self) -> tuple[CodecOffer, ...]:
        """Return the codecs with one telephone-event for each clock rate (:rfc:`4733` 2.1)."""
        return _with_events(self.codecs) if self.event else self.codecs


@lru_cache(maxsize=256)
def _with_events(codecs: tuple[CodecOffer, ...]) -> tuple[CodecOffer, ...]:
    rates = dict.fromkeys(codec.clock_rate for codec in codecs)
    events = []
    for index, rate in enumerate(rates):
        number = EVENT.payload_type - index
        events.append(CodecOffer(EVENT.name, number, rate, fmtp=EVENT.fmtp))
    return codecs + tuple(events)


@dataclass(frozen=True, slots=True)
class MediaPlan:
    """What offer and answer agreed on for the audio of one leg.

    ``remote_port`` 0 means that there is no audio at all.  We send ``payload_type`` and get
    ``receive_payload_type``; ``event_pt`` is the telephone-event that we send, -1 for none,
    ``receive_event_pt`` the one that we get.  ``others`` are further codecs that the peer
    may switch to without asking; a re-offer of one codec alone ends that.
    """

    remote_host: str
    remote_port: int
    codec: str
    payload_type: int
    receive_payload_type: int
    clock_rate: int = 8000
    ptime_ms: int = 20
    event_pt: int = -1
    receive_event_pt: int = -1
    send: bool = True
    receive: bool = True
    remote_rtcp_port: int = 0
    others: tuple[str, ...] = ()

    @property
    def direction(self) -> Direction:
        """Return the direction from our point of view."""
        if self.send:
            return "sendrecv" if self.receive else "sendonly"
        return "recvonly" if self.receive else "inactive"
