"""What the parts of the switch share: state, machines below, and the way to speak up."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ccengine.call.record import CallFact, CallRecord, CallSet, CallState, LegRecord, LegSet
from ccengine.call.route import Router
from ccengine.events import Event
from ccengine.ids import IdMaker
from ccengine.media.link import MediaLink
from ccengine.ports import CallEvent
from ccengine.sip.endpoint import SipEndpoint
from ccengine.sip.flow import Flow
from ccengine.sip.registrar import LocationService


@dataclass(frozen=True, slots=True)
class ExtensionSettings:
    """A phone's account: what others see of it."""

    number: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class CallSettings:
    """How the switch behaves; times in seconds.

    ``trusted`` are source addresses (networks in CIDR form) that may call without digest
    authentication.  ``recording_mode`` says when recording begins.  ``media_host`` is the
    address in our session descriptions, empty for the one of the SIP flow.  ``listener``
    sends to parties that are not registered.
    """

    domain: str
    extensions: Mapping[str, ExtensionSettings] = field(default_factory=dict)
    trusted: tuple[str, ...] = ()
    codecs: tuple[str, ...] = ("PCMA", "PCMU")
    recording_mode: Literal["answer", "connect", "off"] = "connect"
    recording_folder: str = "recordings"
    rtp_timeout_s: float = 60.0
    hold_timeout_s: float = 3600.0
    ring_timeout_s: float = 60.0
    stats_wait_s: float = 3.0
    retry_after_s: int = 5
    media_host: str = ""
    listener: str = "udp"


@dataclass(slots=True)
class CallCounters:
    """Plain counts of what happened since the start."""

    arrived: int = 0
    refused: int = 0
    unauthorized: int = 0
    ended: int = 0
    media_lost: int = 0
    flaws: int = 0
    registrations: int = 0


class CallContext:
    """State and neighbours of the switch, handed to each of its parts."""

    def __init__(
        self,
        *,
        settings: CallSettings,
        sip: SipEndpoint,
        media: MediaLink,
        locations: LocationService,
        router: Router,
        ids: IdMaker,
        facts: list[Any],
        local_address: Callable[[Flow], tuple[str, int]],
    ) -> None:
        self.settings = settings
        self.sip = sip
        self.media = media
        self.locations = locations
        self.router = router
        self.ids = ids
        self.local_address = local_address
        self.state = CallState()
        self.counters = CallCounters()
        self.events: deque[CallEvent] = deque()
        self.notices: list[Event] = []
        self.accepting = True
        self._facts = facts

    def record(self, fact: CallFact) -> None:
        """Apply a fact and put it into the journal frame in hand."""
        self.state.apply(fact)
        self._facts.append(fact)

    def put_call(self, call: CallRecord) -> CallRecord:
        """State what a call is like now."""
        self.record(CallSet(call))
        return call

    def put_leg(self, leg: LegRecord) -> LegRecord:
        """State what a leg is like now."""
        self.record(LegSet(leg))
        return leg

    def call(self, call_id: str) -> CallRecord | None:
        """Return a call that is alive."""
        return self.state.calls.get(call_id)

    def leg(self, leg_id: str) -> LegRecord | None:
        """Return a leg that is alive."""
        return self.state.legs.get(leg_id)

    def caller_leg(self, call: CallRecord) -> LegRecord | None:
        """Return the leg of the caller while it is alive."""
        return self.state.legs.get(call.caller_leg)

    def tell(self, event: CallEvent) -> None:
        """Tell the flow of a call what happened."""
        self.events.append(event)
