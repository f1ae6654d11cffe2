"""The facts that records of calls are made of: one for each call, leg and recording.

They are stated once, when the thing they describe is over, and carry the whole record, so a
projection is a plain copy of them and can be made again from the journal at any time.  All
instants are aware UTC, durations are seconds, causes are those of
:data:`ccengine.ports.HangupCause`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal

from ccengine.ports import HangupCause


@dataclass(frozen=True, slots=True, kw_only=True)
class CdrCall:
    """The record of a call, stated when its last leg has ended.

    ``talk_s`` is the time in which two people were connected, ``wait_s`` the time from the
    start to the first such moment (or to the end).  ``extension`` is the caller's own
    address-of-record, ``recording`` the key of the recording; texts are empty when unknown.
    """

    FACT: ClassVar[tuple[str, int]] = ("call.ended", 1)

    call_id: str
    number: str
    started_at: datetime
    ended_at: datetime
    cause: HangupCause
    caller_number: str = ""
    caller_name: str = ""
    extension: str = ""
    answered_at: datetime | None = None
    duration_s: float = 0.0
    talk_s: float = 0.0
    wait_s: float = 0.0
    ended_by: Literal["caller", "callee", "system"] = "caller"
    queue: str = ""
    agent_id: str = ""
    customer_id: str = ""
    customer_name: str = ""
    recording: str = ""

    @property
    def stream(self) -> str:
        """Return ``call/`` and the call's id."""
        return f"call/{self.call_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CdrLeg:
    """The record of a leg, stated when the leg has ended.

    ``status`` is the final SIP status of its INVITE, 0 when there was none.  Packets are RTP
    packets counted at our side; ``loss_remote`` is the fraction (0 to 1) that the peer
    reports as lost and ``round_trip_ms`` comes from RTCP (:rfc:`3550` section 6.4); both are
    None when the peer sent no report.  ``jitter_ms`` is the interarrival jitter (section
    6.4.1).
    """

    FACT: ClassVar[tuple[str, int]] = ("leg.ended", 1)

    leg_id: str
    call_id: str
    role: Literal["caller", "callee"]
    started_at: datetime
    ended_at: datetime
    cause: HangupCause
    number: str = ""
    name: str = ""
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    status: int = 0
    agent_id: str = ""
    dial_id: str = ""
    codec: str = ""
    packets_sent: int = 0
    packets_received: int = 0
    packets_lost: int = 0
    jitter_ms: float = 0.0
    loss_remote: float | None = None
    round_trip_ms: float | None = None

    @property
    def stream(self) -> str:
        """Return ``call/`` and the call's id: a leg's record belongs to its call."""
        return f"call/{self.call_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingDone:
    """A recording is complete: its files in order, or the error that ended it."""

    FACT: ClassVar[tuple[str, int]] = ("recording.done", 1)

    recording_id: str
    call_id: str
    files: tuple[str, ...] = ()
    duration_s: float = 0.0
    error: str = ""

    @property
    def stream(self) -> str:
        """Return ``call/`` and the call's id."""
        return f"call/{self.call_id}"


FACTS: tuple[type[CdrCall] | type[CdrLeg] | type[RecordingDone], ...] = (
    CdrCall,
    CdrLeg,
    RecordingDone,
)
