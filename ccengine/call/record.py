"""The records of calls and legs, their facts, and the one place that changes them.

Every fact carries the whole record as it is afterwards, so replay is assignment and the order
of facts about different records does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal, TypeAlias

from ccengine.journal.cdr import CdrCall, CdrLeg, RecordingDone
from ccengine.ports import HangupCause, Party
from ccengine.sdp.media import MediaPlan
from ccengine.sdp.negotiation import Negotiation
from ccengine.sip.flow import Flow

LegState: TypeAlias = Literal["trying", "ringing", "early", "answered"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LegRecord:
    """One dialog and one media port of ours.

    ``leg_id`` is the name of the SIP session.  ``party`` is the person at that end as the
    records show it.  ``started``, ``answered`` are monotonic seconds, the ``…_at`` beside
    them UTC.  ``port`` is 0 while no RTP port is leased; ``has_media`` says that the media
    plane was told of the leg.
    """

    leg_id: str
    call_id: str
    role: Literal["caller", "callee"]
    party: Party
    flow: Flow
    state: LegState
    started: float
    started_at: datetime
    extension: str = ""
    agent_id: str = ""
    dial_id: str = ""
    ringing_at: datetime | None = None
    answered: float | None = None
    answered_at: datetime | None = None
    port: int = 0
    sdp: Negotiation | None = None
    has_media: bool = False

    @property
    def plan(self) -> MediaPlan | None:
        """Return what offer and answer agreed on, or nothing yet."""
        return self.sdp.plan if self.sdp is not None else None

    @property
    def is_answered(self) -> bool:
        """Whether the session of this leg is established."""
        return self.state == "answered"


@dataclass(frozen=True, slots=True, kw_only=True)
class DialRecord:
    """One attempt to reach another party: the legs that ring, at most one that answered."""

    dial_id: str
    legs: tuple[str, ...]
    answered_leg: str = ""
    deadline: float = 0.0
    agent_id: str = ""
    cause: HangupCause = "no_answer"
    status: int = 0
    rang: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRecord:
    """The legs of one CDR family and what is known of them together.

    ``direct`` calls dial an extension by themselves; the others belong to a flow.
    ``connected`` names the dial that the caller talks to.  Talk time is counted over all
    connections of the call.  ``callee_left`` is true after the connected party hung up and
    until something else happens, so that the record says who ended the call.
    """

    call_id: str
    number: str
    caller: Party
    caller_leg: str
    started: float
    started_at: datetime
    extension: str = ""
    direct: bool = False
    answered_at: datetime | None = None
    dials: tuple[DialRecord, ...] = ()
    connected: str = ""
    connected_since: float | None = None
    first_connected: float | None = None
    talk_s: float = 0.0
    callee_left: bool = False
    play_id: str = ""
    recording: str = ""
    queue: str = ""
    agent_id: str = ""
    customer_id: str = ""
    customer_name: str = ""

    def dial(self, dial_id: str) -> DialRecord | None:
        """Return a dial of this call, or nothing when it is over or never was."""
        for dial in self.dials:
            if dial.dial_id == dial_id:
                return dial
        return None

    def dial_of_leg(self, leg_id: str) -> DialRecord | None:
        """Return the dial that a leg belongs to."""
        for dial in self.dials:
            if leg_id in dial.legs:
                return dial
        return None


@dataclass(frozen=True, slots=True)
class ClosingLeg:
    """A leg that is over and waits for its books from the media worker."""

    cdr: CdrLeg
    deadline: float


# --- facts ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CallSet:
    """A call is like this now."""

    FACT: ClassVar[tuple[str, int]] = ("call.set", 1)
    COALESCE: ClassVar[bool] = True

    record: CallRecord

    @property
    def stream(self) -> str:
        """Return ``call/`` and the call's id."""
        return f"call/{self.record.call_id}"


@dataclass(frozen=True, slots=True)
class LegSet:
    """A leg is like this now."""

    FACT: ClassVar[tuple[str, int]] = ("leg.set", 1)
    COALESCE: ClassVar[bool] = True

    record: LegRecord

    @property
    def stream(self) -> str:
        """Return ``leg/`` and the leg's id."""
        return f"leg/{self.record.leg_id}"


@dataclass(frozen=True, slots=True)
class LegClosed:
    """A leg is over; its record waits for the media worker's counts."""

    FACT: ClassVar[tuple[str, int]] = ("leg.closed", 1)

    leg_id: str
    closing: ClosingLeg

    @property
    def stream(self) -> str:
        """Return ``leg/`` and the leg's id."""
        return f"leg/{self.leg_id}"


@dataclass(frozen=True, slots=True)
class InviteSent:
    """A leg's phone was called by this request; kept until the leg is answered or over."""

    FACT: ClassVar[tuple[str, int]] = ("leg.invite", 1)

    leg_id: str
    wire: bytes

    @property
    def stream(self) -> str:
        """Return ``leg/`` and the leg's id."""
        return f"leg/{self.leg_id}"


CallFact: TypeAlias = CallSet | LegSet | InviteSent | LegClosed | CdrCall | CdrLeg | RecordingDone
FACTS: tuple[type[Any], ...] = (
    CallSet,
    LegSet,
    InviteSent,
    LegClosed,
    CdrCall,
    CdrLeg,
    RecordingDone,
)


class CallState:
    """Every call and leg that is alive, changed by :meth:`apply` alone.

    ``in_use`` counts, for each extension, the legs of calls that its phone made or got by
    itself; the legs on which a queue rings or talks to an agent are not among them.
    ``invites`` are the requests by which phones were called that have not answered yet.
    ``touched`` are the extensions that came into use or out of it since somebody looked.
    """

    __slots__ = ("calls", "closing", "in_use", "invites", "legs", "touched")

    def __init__(self) -> None:
        self.calls: dict[str, CallRecord] = {}
        self.legs: dict[str, LegRecord] = {}
        self.closing: dict[str, ClosingLeg] = {}
        self.invites: dict[str, bytes] = {}
        self.in_use: dict[str, int] = {}
        self.touched: dict[str, None] = {}

    def apply(self, fact: CallFact) -> None:
        """Change the state by one fact: the only mutator, live and in replay."""
        match fact:
            case CallSet(record=call):
                self.calls[call.call_id] = call
            case LegSet(record=leg):
                if leg.leg_id not in self.legs:
                    self._use(leg, 1)
                self.legs[leg.leg_id] = leg
                if leg.is_answered:
                    self.invites.pop(leg.leg_id, None)
            case InviteSent(leg_id=leg_id, wire=wire):
                self.invites[leg_id] = wire
            case LegClosed(leg_id=leg_id, closing=closing):
                gone = self.legs.pop(leg_id, None)
                self.invites.pop(leg_id, None)
                if gone is not None:
                    self._use(gone, -1)
                self.closing[leg_id] = closing
            case CdrCall():
                self.calls.pop(fact.call_id, None)
            case CdrLeg():
                self.closing.pop(fact.leg_id, None)
            case RecordingDone():
                pass  # a statement for the books: nothing alive depends on it

    def _use(self, leg: LegRecord, by: int) -> None:
        if not leg.extension or leg.agent_id:
            return
        before = self.in_use.get(leg.extension, 0)
        if before + by:
            self.in_use[leg.extension] = before + by
        else:
            del self.in_use[leg.extension]
        if not before or not before + by:
            self.touched[leg.extension] = None
