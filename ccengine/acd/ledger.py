"""Where decisions become facts: the one way in which the engine changes what it knows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ccengine.acd.board import Board
from ccengine.acd.output import AcdOutput, AgentStateChanged, EntryLeft
from ccengine.acd.record import (
    AcdFact,
    AgentRecord,
    AgentSet,
    EntryLeftFact,
    EntryRecord,
    EntryResult,
    EntrySet,
    PendingState,
)
from ccengine.acd.settings import AcdSettings
from ccengine.acd.transition import PHONE_IN_USE, PHONE_UNREGISTERED, Trigger, target_of
from ccengine.clock import Moment
from ccengine.errors import AcdError
from ccengine.revision import replace

_EPOCH = Moment(0.0, datetime.fromisoformat("1970-01-01T00:00:00+00:00"))


@dataclass(slots=True)
class AcdCounters:
    """What happened since the start of this process, beside what the facts say.

    ``stale_answers`` are words about offers that were over, ``stale_calls`` words about
    entries that were gone, ``unservable`` callers whom no configured agent may serve.
    """

    offers: int = 0
    connects: int = 0
    withdrawals: int = 0
    failures: int = 0
    refusals: int = 0
    stale_answers: int = 0
    stale_calls: int = 0
    unservable: int = 0


class Ledger:
    """The board, the facts of this drain and its outputs.

    ``free`` and ``seeking`` are the agents and entries that became available since the last
    matching.
    """

    __slots__ = (
        "board",
        "boot_id",
        "counters",
        "facts",
        "free",
        "moment",
        "outputs",
        "seeking",
        "settings",
    )

    def __init__(self, settings: AcdSettings, facts: list[Any], boot_id: str) -> None:
        settings.check()
        self.settings = settings
        self.board = Board(settings)
        self.facts = facts
        self.boot_id = boot_id
        self.moment = _EPOCH
        self.outputs: list[AcdOutput] = []
        self.free: list[str] = []
        self.seeking: list[str] = []
        self.counters = AcdCounters()

    def begin(self, now: float, at: datetime) -> Moment:
        """Set the instant of the decisions that follow."""
        self.moment = Moment(now, at)
        return self.moment

    def _record(self, fact: AcdFact) -> None:
        self.board.apply(fact)
        self.facts.append(fact)

    # --- entries -------------------------------------------------------------------------

    def put_entry(self, entry: EntryRecord) -> None:
        """Let an entry be as it says."""
        self._record(EntrySet(entry))
        if entry.state == "waiting":
            self.seeking.append(entry.entry_id)

    def drop_entry(self, entry: EntryRecord, result: EntryResult, detail: str = "") -> None:
        """End a stay in a queue."""
        self._record(EntryLeftFact(entry, result, self.moment, detail))
        self.outputs.append(
            EntryLeft(entry.entry_id, entry.queue, result, detail, agent_id=entry.agent_id)
        )

    # --- agents --------------------------------------------------------------------------

    def agent(self, agent_id: str) -> AgentRecord:
        """Return an agent, ``LoggedOut`` when never seen; unknown names are an error."""
        record = self.board.agents.get(agent_id)
        if record is not None:
            return record
        if agent_id not in self.board.people:
            raise AcdError(f"there is no agent {agent_id!r}", cure="see `ccengine agents`")
        return AgentRecord(agent_id, self.boot_id, "LoggedOut", self.moment)

    def put_agent(self, agent: AgentRecord) -> None:
        """Let an agent be as the record says; tells nobody."""
        self._record(AgentSet(agent))
        if agent.state == "Ready":
            self.free.append(agent.agent_id)

    def move(
        self,
        agent: AgentRecord,
        trigger: Trigger,
        *,
        reason: str = "",
        deadline: Moment | None = None,
        pending: PendingState | None = None,
        entry_id: str = "",
        offer_id: str = "",
    ) -> AgentRecord:
        """Move an agent by the table of transitions and tell it when it shows.

        The agent has only what is named here of deadline, pending state and call in hand.
        """
        target = target_of(agent.agent_id, agent.state, trigger)
        if target == "Ready":
            reason = ""
            if not agent.registered:
                target, reason = "NotReady", PHONE_UNREGISTERED
            elif agent.busy:
                target, reason = "NotReady", PHONE_IN_USE
        changed = (target, reason) != (agent.state, agent.reason)
        record = AgentRecord(
            agent_id=agent.agent_id,
            boot_id=self.boot_id,
            state=target,
            since=self.moment if changed else agent.since,
            reason=reason,
            phone="" if target == "LoggedOut" else agent.phone,
            registered=agent.registered and target != "LoggedOut",
            idle_since=self._idle_since(agent, trigger, target),
            deadline=deadline,
            entry_id=entry_id,
            offer_id=offer_id,
            pending=pending,
            busy=agent.busy and target != "LoggedOut",
        )
        if record == agent:
            return agent
        self.put_agent(record)
        if changed:
            self.tell(record)
        return record

    def _idle_since(self, agent: AgentRecord, trigger: Trigger, target: str) -> Moment | None:
        if target == "Reserved" or trigger == "release":
            return agent.idle_since
        if target != "Ready":
            return None
        return agent.idle_since if agent.state == "Ready" else self.moment

    def tell(self, agent: AgentRecord) -> None:
        """Publish the state of an agent."""
        since = agent.since
        self.outputs.append(
            AgentStateChanged(agent.agent_id, agent.state, agent.reason, since.now, since.at)
        )

    def change_agent(self, agent: AgentRecord, **changes: Any) -> AgentRecord:
        """Change fields other than the state."""
        record = replace(agent, **changes)
        if record != agent:
            self.put_agent(record)
        return record
