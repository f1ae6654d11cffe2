"""The protocols between rooms, as dataclasses.

Rooms of the same floor never import each other; what they say to each other stands here:

* :class:`FactData` and :class:`Machine`: the one shape of every stateful core machine;
* the *call port*: commands that a flow gives to a call and events that it gets back, so that
  ``dialplan``, ``call`` and ``center`` never import each other's types.

A *call* is named by ``call_id``.  Its first leg is the caller.  A *dial* is one attempt to
reach another party for that call, named by a ``dial_id`` that the commander makes; stale ids
are ignored, so a late answer can never reach the wrong person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

# --- facts and machines -----------------------------------------------------------------


class FactData(Protocol):
    """The body of a fact: a frozen dataclass that holds one whole record.

    ``FACT`` is the pair (type, version) that the journal stores, ``stream`` the object it
    belongs to, such as ``call/…``; a fact that cannot be applied quarantines its stream.
    """

    FACT: ClassVar[tuple[str, int]]

    @property
    def stream(self) -> str:
        """Return the name of the object that this fact is about."""


class Machine(Protocol):
    """A sans-IO core machine: inputs in, facts and outputs out, time is an argument.

    The constructor takes the list to which facts are appended.  A machine changes its state
    by :meth:`apply` alone, live and in replay: ``decide`` code builds a fact, applies it and
    appends it.  The engine writes the facts of one drain as one journal frame before the
    outputs of that drain leave the process.
    """

    def apply(self, fact: Any) -> None:
        """Change the state by one fact: the only mutator."""

    def next_timeout(self) -> float | None:
        """Return the ``now`` at which :meth:`handle_timeout` wants to be called."""

    def handle_timeout(self, now: float) -> None:
        """Do what is due at ``now``."""

    def poll(self) -> Sequence[Any]:
        """Return and forget the outputs since the last poll."""


# --- the call port: what a flow knows of people ------------------------------------------


@dataclass(frozen=True, slots=True)
class Party:
    """A person at one end of a call: number as dialled or shown, name for displays."""

    number: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class DialTarget:
    """Whom to dial.

    ``kind`` is ``extension`` (a registered address-of-record's user part) or ``uri`` (a SIP
    URI to be dialled as it stands).
    """

    kind: Literal["extension", "uri"]
    value: str


HangupCause: TypeAlias = Literal[
    "normal",
    "busy",
    "no_answer",
    "rejected",
    "unreachable",
    "not_found",
    "congestion",
    "cancelled",
    "media_lost",
    "shutdown",
    "failure",
]
"""Why a call, leg or dial ended; the CDR uses the same words."""


# --- commands: a flow to its call -----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RingCall:
    """Tell the caller that the other side is alerted (180)."""

    call_id: str


@dataclass(frozen=True, slots=True)
class AnswerCall:
    """Answer the caller; :class:`CallAnswered` follows, at once if already answered."""

    call_id: str


@dataclass(frozen=True, slots=True)
class StartPlay:
    """Play sound files to the caller one after the other, for ever when ``loop``.

    A play that starts replaces the one before, which ends with reason ``stopped``.
    ``prompts`` are paths of WAV files; ``gain_db`` applies to all of them.
    """

    call_id: str
    play_id: str
    prompts: tuple[str, ...]
    loop: bool = False
    gain_db: float = 0.0


@dataclass(frozen=True, slots=True)
class StopPlay:
    """Stop a play; no event follows."""

    call_id: str
    play_id: str


@dataclass(frozen=True, slots=True)
class StartDial:
    """Ring another party for this call.

    ``display`` is what that party's phone shows; without it the caller's own number and
    name are shown.  ``agent_id`` marks an agent's leg in the records.
    """

    call_id: str
    dial_id: str
    target: DialTarget
    timeout_s: float
    display: Party | None = None
    agent_id: str = ""


@dataclass(frozen=True, slots=True)
class CancelDial:
    """Give up a dial that has not been connected; no event follows.

    ``cause`` is what the records of its legs say.
    """

    call_id: str
    dial_id: str
    cause: HangupCause = "cancelled"


@dataclass(frozen=True, slots=True)
class ConnectDial:
    """Let the caller and an answered dial talk; stops plays, answers the caller if need be."""

    call_id: str
    dial_id: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call with all its legs; :class:`CallEnded` follows."""

    call_id: str
    cause: HangupCause = "normal"


@dataclass(frozen=True, slots=True)
class LabelCall:
    """Write into the call's record what its flow found out; empty texts change nothing."""

    call_id: str
    queue: str = ""
    customer_id: str = ""
    customer_name: str = ""


CallCommand: TypeAlias = (
    RingCall
    | AnswerCall
    | StartPlay
    | StopPlay
    | StartDial
    | CancelDial
    | ConnectDial
    | HangUp
    | LabelCall
)


# --- events: a call to its flow ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CallArrived:
    """A call wants to be handled: the first event of every call.

    ``number`` is what was dialled (DNIS).  ``extension`` is the user part of the
    address-of-record when the caller is one of our registered phones, else empty.
    """

    call_id: str
    number: str
    caller: Party
    extension: str = ""


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """The caller's leg is answered and its media flows."""

    call_id: str


@dataclass(frozen=True, slots=True)
class PlayFinished:
    """A play came to its end, was replaced, or could not be played."""

    call_id: str
    play_id: str
    reason: Literal["done", "stopped", "failed"] = "done"


@dataclass(frozen=True, slots=True)
class DigitReceived:
    """The caller pressed one key: ``0``-``9``, ``*``, ``#``, ``A``-``D``."""

    call_id: str
    digit: str


@dataclass(frozen=True, slots=True)
class DialRinging:
    """The dialled phone rings."""

    call_id: str
    dial_id: str


@dataclass(frozen=True, slots=True)
class DialAnswered:
    """The dialled party answered and waits to be connected."""

    call_id: str
    dial_id: str


@dataclass(frozen=True, slots=True)
class DialFailed:
    """The dial came to nothing; ``status`` is the SIP status, 0 when there was none."""

    call_id: str
    dial_id: str
    cause: HangupCause
    status: int = 0


@dataclass(frozen=True, slots=True)
class DialEnded:
    """A dialled party that had answered is gone; the caller is still there."""

    call_id: str
    dial_id: str
    cause: HangupCause


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The caller is gone or the call was hung up: the last event of every call."""

    call_id: str
    cause: HangupCause
    by: Literal["caller", "callee", "system"] = "caller"


CallEvent: TypeAlias = (
    CallArrived
    | CallAnswered
    | PlayFinished
    | DigitReceived
    | DialRinging
    | DialAnswered
    | DialFailed
    | DialEnded
    | CallEnded
)


# --- between a flow and what runs it ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlayPrompts:
    """A flow wants prompts played: keys of the prompt catalogue in one language.

    Whoever runs the flow turns keys into files and answers with :class:`PlayFinished`.
    """

    call_id: str
    play_id: str
    keys: tuple[str, ...]
    language: str
    loop: bool = False


@dataclass(frozen=True, slots=True)
class EnterQueue:
    """A flow puts its call into a queue; :class:`QueueLeft` follows in the end.

    ``wait_flow`` names the flow that the caller hears while waiting, empty for the queue's
    own music.  ``attributes`` are the flow's variables that routing may look at.
    """

    call_id: str
    queue: str
    wait_flow: str = ""
    priority: int = 0
    skills: tuple[str, ...] = ()
    timeout_s: float | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


QueueResult: TypeAlias = Literal["answered", "timeout", "overflow", "left", "hangup", "refused"]
"""How a stay in a queue ended; ``refused`` means that the queue took no caller."""


@dataclass(frozen=True, slots=True)
class LeaveQueue:
    """A wait flow takes its caller out of the queue by the caller's key (result ``left``)."""

    call_id: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class QueueLeft:
    """A stay in a queue is over; after ``answered`` the conversation is over as well."""

    call_id: str
    result: QueueResult
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SetAgentState:
    """A flow changes the state of the agent whose phone calls (feature codes).

    ``agent_id`` and ``pin`` are empty when the phone's default owner is meant.
    """

    call_id: str
    request_id: str
    action: Literal["sign_in", "sign_out", "ready", "away"]
    agent_id: str = ""
    pin: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AgentStateSet:
    """Answer to :class:`SetAgentState`; ``error`` is empty when it was done."""

    call_id: str
    request_id: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class FlowEnded:
    """A flow ran off its end or failed; ``error`` is empty when all went well."""

    call_id: str
    error: str = ""


FlowCommand: TypeAlias = (
    RingCall
    | AnswerCall
    | PlayPrompts
    | StopPlay
    | StartDial
    | CancelDial
    | ConnectDial
    | HangUp
    | EnterQueue
    | LeaveQueue
    | SetAgentState
    | FlowEnded
)
"""What a flow may say."""

FlowEvent: TypeAlias = CallEvent | QueueLeft | AgentStateSet
"""What a flow may hear."""
