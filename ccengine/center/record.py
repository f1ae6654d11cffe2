"""What the center keeps of each call, its fact, and the one place that changes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from ccengine.acd.output import OfferCall
from ccengine.dialplan.place import FlowPlace
from ccengine.ports import CallArrived


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """One call as the center sees it.

    ``place`` is where its flow stands (None for a call that went straight into a queue),
    ``wait_place`` the same for the flow that it hears while waiting.  ``queue`` is set from
    entering a queue until the result of the stay is known, ``queue_next`` while a call that
    goes straight into a queue waits for its answer; ``offer_id`` while an agent's
    phone rings or talks for it.  ``music_play`` names the queue's music.
    Until ``customer_by`` (``now``) a plugin may still tell who calls; an offer that comes before
    that is ``held``, so that the agent's phone shows the name.  ``ready_after`` is the agent who
    is ready for calls once this one (a feature code) is over.
    """

    call_id: str
    arrived: CallArrived
    place: FlowPlace | None = None
    wait_place: FlowPlace | None = None
    queue: str = ""
    queue_next: str = ""
    offer_id: str = ""
    connected: bool = False
    music_play: str = ""
    ready_after: str = ""
    customer_by: float = 0.0
    held: OfferCall | None = None
    customer_id: str = ""
    customer_name: str = ""


@dataclass(frozen=True, slots=True)
class SessionSet:
    """A call's session is like this now."""

    FACT: ClassVar[tuple[str, int]] = ("center.session", 1)
    COALESCE: ClassVar[bool] = True

    record: SessionRecord

    @property
    def stream(self) -> str:
        """Return ``session/`` and the call's id."""
        return f"session/{self.record.call_id}"


@dataclass(frozen=True, slots=True)
class SessionDropped:
    """The center has nothing more to do for a call."""

    FACT: ClassVar[tuple[str, int]] = ("center.session_dropped", 1)

    call_id: str

    @property
    def stream(self) -> str:
        """Return ``session/`` and the call's id."""
        return f"session/{self.call_id}"


CenterFact: TypeAlias = SessionSet | SessionDropped
FACTS: tuple[type[Any], ...] = (SessionSet, SessionDropped)


class CenterState:
    """The sessions that are alive, changed by :meth:`apply` alone."""

    __slots__ = ("sessions",)

    def __init__(self) -> None:
        self.sessions: dict[str, SessionRecord] = {}

    def apply(self, fact: CenterFact) -> None:
        """Change the state by one fact: the only mutator, live and in replay."""
        match fact:
            case SessionSet(record=record):
                self.sessions[record.call_id] = record
            case SessionDropped(call_id=call_id):
                self.sessions.pop(call_id, None)
