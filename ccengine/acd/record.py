"""Records of agents and queue entries, and the facts that carry them.

A record is a whole: a fact replaces what was known before.  Every instant is a
:class:`Moment`, both monotonic and UTC; ``boot_id`` of the record says which boot of the
machine the monotonic half belongs to.  Within a boot it holds, across boots UTC does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from ccengine.clock import Moment

AgentState: TypeAlias = Literal["LoggedOut", "NotReady", "Ready", "Reserved", "Talking", "WrapUp"]
"""States of an agent; ``NotReady`` has a reason."""

EntryState: TypeAlias = Literal["waiting", "offered", "connected"]
"""States of a queue entry while it is in the engine."""

OfferState: TypeAlias = Literal["reserved", "alerting", "accepted"]
"""An offer is reserved until the agent's phone rings, accepted while the two talk."""

EntryResult: TypeAlias = Literal["answered", "timeout", "overflow", "left", "hangup", "refused"]
"""How a stay in a queue ended: the words of :data:`ccengine.ports.QueueResult`."""

EntryKey: TypeAlias = tuple[int, float, int]
"""Order of entries: (-priority, monotonic seconds of enqueueing, sequence); least first."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What an agent must know, in force from a wait of ``after_s`` seconds on.

    ``skills`` are pairs of a skill and the lowest level accepted, sorted by skill.
    """

    skills: tuple[tuple[str, int], ...] = ()
    after_s: float = 0.0

    @classmethod
    def of(cls, *names: str, after_s: float = 0.0) -> Requirement:
        """Return the requirement of the named skills at any level."""
        return cls(tuple((name, 1) for name in sorted(set(names))), after_s)


ANYBODY: tuple[Requirement, ...] = (Requirement(),)
"""The requirements of a caller whom every agent of the queue may serve."""


@dataclass(frozen=True, slots=True)
class EntryRequest:
    """A call wants into a queue; ``entry_id`` is its call_id.

    ``requirements`` are the skills required, later ones replacing earlier ones as the caller
    waits.  ``timeout_s`` shortens the queue's own limit of waiting.
    """

    entry_id: str
    queue: str
    priority: int = 0
    requirements: tuple[Requirement, ...] = ANYBODY
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """A call is offered to one agent, until ``deadline`` unless accepted."""

    offer_id: str
    agent_id: str
    phone: str
    state: OfferState
    deadline: Moment


@dataclass(frozen=True, slots=True)
class Tried:
    """An agent was offered this entry in vain and is passed over until ``until``."""

    agent_id: str
    reason: str
    until: Moment


@dataclass(frozen=True, slots=True)
class EntryRecord:
    """A call in a queue.

    ``stage`` is the index of the requirement in force, ``relax`` when the next one comes.
    ``expires`` is the end of the caller's patience as configured.  ``offer`` is there while
    ``offered`` and ``connected``, ``agent_id`` and ``connected`` once an agent talks.
    """

    entry_id: str
    queue: str
    priority: int
    sequence: int
    enqueued: Moment
    boot_id: str
    state: EntryState
    requirements: tuple[Requirement, ...] = ANYBODY
    stage: int = 0
    relax: Moment | None = None
    expires: Moment | None = None
    offer: Offer | None = None
    offers: int = 0
    tried: tuple[Tried, ...] = ()
    agent_id: str = ""
    connected: Moment | None = None

    @property
    def key(self) -> EntryKey:
        """The place in the queue, kept for the whole stay."""
        return (-self.priority, self.enqueued.now, self.sequence)

    @property
    def requirement(self) -> Requirement:
        """The requirement in force."""
        return self.requirements[self.stage]


@dataclass(frozen=True, slots=True)
class PendingState:
    """What an agent wants to be once the call in hand is over."""

    state: Literal["NotReady", "LoggedOut"]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """An agent who is or was signed in.

    ``since`` is when ``state`` (with its reason) began, ``idle_since`` when the agent was last
    free of calls.  ``busy`` says that the phone is in a call that no queue gave it.
    ``deadline`` ends a wrap-up, or a rest after a failure.  ``entry_id`` and
    ``offer_id`` name the call in hand.
    """

    agent_id: str
    boot_id: str
    state: AgentState
    since: Moment
    reason: str = ""
    phone: str = ""
    registered: bool = False
    idle_since: Moment | None = None
    deadline: Moment | None = None
    entry_id: str = ""
    offer_id: str = ""
    pending: PendingState | None = None
    busy: bool = False


@dataclass(frozen=True, slots=True)
class EntrySet:
    """An entry is now as ``entry`` says."""

    FACT: ClassVar[tuple[str, int]] = ("acd.entry_set", 1)
    entry: EntryRecord

    @property
    def stream(self) -> str:
        """The entry."""
        return f"entry/{self.entry.entry_id}"


@dataclass(frozen=True, slots=True)
class EntryLeftFact:
    """A stay in a queue is over; ``entry`` is its last record, whole for the statistics.

    A refused caller has this fact alone.
    """

    FACT: ClassVar[tuple[str, int]] = ("acd.entry_left", 1)
    entry: EntryRecord
    result: EntryResult
    left: Moment
    detail: str = ""

    @property
    def stream(self) -> str:
        """The entry."""
        return f"entry/{self.entry.entry_id}"


@dataclass(frozen=True, slots=True)
class AgentSet:
    """An agent is now as ``agent`` says."""

    FACT: ClassVar[tuple[str, int]] = ("acd.agent_set", 1)
    agent: AgentRecord

    @property
    def stream(self) -> str:
        """The agent."""
        return f"agent/{self.agent.agent_id}"


AcdFact: TypeAlias = EntrySet | EntryLeftFact | AgentSet

FACTS: tuple[type, ...] = (EntrySet, EntryLeftFact, AgentSet)
"""Every kind of fact of this room."""
