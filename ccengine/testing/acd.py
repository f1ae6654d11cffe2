"""A small call centre in virtual time: an ACD engine, its clock and what came out of it."""

from __future__ import annotations

from typing import Any

from ccengine.acd.engine import AcdEngine
from ccengine.acd.output import AgentStateChanged, EntryLeft, OfferCall
from ccengine.acd.record import ANYBODY, EntryRequest, Requirement
from ccengine.acd.settings import AcdSettings, AgentSettings, Membership, QueueSettings
from ccengine.clock import VirtualClock
from ccengine.ids import SeededIds


def agent(name: str, *queues: str, **skills: int) -> AgentSettings:
    """Return an agent of the named queues (``sales`` when none), all of the same order."""
    members = tuple(Membership(queue) for queue in queues or ("sales",))
    return AgentSettings(name, name.title(), members, skills)


class Desk:
    """An engine with its clock: every command happens at the clock's instant."""

    def __init__(self, settings: AcdSettings, *, boot_id: str = "boot-1") -> None:
        self.settings = settings
        self.clock = VirtualClock()
        self.facts: list[Any] = []
        self.engine = AcdEngine(settings, SeededIds(), self.facts, boot_id=boot_id)

    def do(self, command: str, *args: Any, **kwargs: Any) -> list[Any]:
        """Give a command by name and return the outputs of its drain."""
        getattr(self.engine, command)(*args, self.clock.now(), self.clock.at(), **kwargs)
        return list(self.engine.poll())

    def call(self, entry_id: str, queue: str = "sales", *skills: str, **fields: Any) -> list[Any]:
        """Let a call come in that requires ``skills``."""
        requirements = (Requirement.of(*skills),) if skills else ANYBODY
        fields = {"requirements": requirements, **fields}
        return self.do("enqueue", EntryRequest(entry_id, queue, **fields))

    def sign_in(self, *agents: str, **options: Any) -> list[Any]:
        """Sign agents in at phones of their own, a millisecond apart."""
        found = []
        for name in agents:
            found += self.do("sign_in", name, f"phone-{name}", **options)
            self.clock.advance(0.001)
        return found

    def wait(self, seconds: float) -> list[Any]:
        """Let time pass, serving every deadline when it is due."""
        end = self.clock.now() + seconds
        found: list[Any] = []
        while (due := self.engine.next_timeout()) is not None and due <= end:
            self.clock.advance_to(due)
            self.engine.handle_timeout(self.clock.now())
            found += self.engine.poll()
        self.clock.advance_to(end)
        return found

    def answer(self, offered: OfferCall) -> list[Any]:
        """Let the agent's phone ring and be answered."""
        self.do("offer_ringing", offered.offer_id)
        return self.do("offer_accepted", offered.offer_id)

    def state(self, agent_id: str) -> str:
        """Return an agent's state as people write it."""
        record = self.engine.agent(agent_id)
        return f"{record.state}({record.reason})" if record.reason else record.state

    def replayed(self) -> AcdEngine:
        """Return an engine that was told the facts alone."""
        engine = AcdEngine(self.settings, SeededIds(2), [], boot_id="boot-1")
        for fact in self.facts:
            engine.apply(fact)
        return engine


def make_desk(
    *agents: AgentSettings, queues: tuple[QueueSettings, ...] = (), **fields: Any
) -> Desk:
    """Return a desk; without ``queues`` it has the queue ``sales`` with these ``fields``."""
    settings = queues or (QueueSettings("sales", **fields),)
    return Desk(AcdSettings(settings, agents or (agent("ann"), agent("bob"))))


def offers(outputs: list[Any]) -> list[OfferCall]:
    """Return the offers among outputs."""
    return [item for item in outputs if isinstance(item, OfferCall)]


def offer(outputs: list[Any]) -> OfferCall:
    """Return the only offer among outputs."""
    (found,) = offers(outputs)
    return found


def left(outputs: list[Any]) -> list[EntryLeft]:
    """Return who left, among outputs."""
    return [item for item in outputs if isinstance(item, EntryLeft)]


def without_states(outputs: list[Any]) -> list[Any]:
    """Return outputs other than changes of agents' states."""
    return [item for item in outputs if not isinstance(item, AgentStateChanged)]
