"""All that the engine knows: records, and the indices that follow from them.

:meth:`Board.apply` is the only mutator of the records, live and in replay.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

from ccengine.acd.deadline import Deadlines
from ccengine.acd.matching import MatchIndex
from ccengine.acd.record import (
    AcdFact,
    AgentRecord,
    AgentSet,
    AgentState,
    EntryKey,
    EntryLeftFact,
    EntryRecord,
    EntrySet,
)
from ccengine.acd.settings import AcdSettings, AgentSettings, QueueSettings


class QueueBoard:
    """Counts of one queue: ``line`` is who waits or is being offered, in order."""

    __slots__ = ("closing", "connected", "line", "offered", "settings", "states")

    def __init__(self, settings: QueueSettings, *, closing: bool = False) -> None:
        self.settings = settings
        self.closing = closing
        self.line: list[tuple[EntryKey, str]] = []
        self.offered = 0
        self.connected = 0
        self.states: dict[AgentState, int] = {}

    def oldest(self) -> float | None:
        """Return when the longest waiting entry was enqueued (monotonic seconds)."""
        # Within a priority the line is in order of time: one look for each priority.
        best, place = None, 0
        while place < len(self.line):
            first = self.line[place][0]
            best = first[1] if best is None else min(best, first[1])
            place = bisect_left(self.line, ((first[0] + 1, float("-inf"), 0), ""))
        return best


class Board:
    """Agents, entries and offers, and who is next."""

    __slots__ = (
        "agents",
        "deadlines",
        "entries",
        "index",
        "offers",
        "people",
        "phones",
        "queues",
        "sequence",
        "tried_by",
    )

    def __init__(self, settings: AcdSettings) -> None:
        self.agents: dict[str, AgentRecord] = {}
        self.entries: dict[str, EntryRecord] = {}
        self.sequence = 0
        self.people: dict[str, AgentSettings] = {}
        self.queues: dict[str, QueueBoard] = {}
        self.configure(settings)

    def configure(self, settings: AcdSettings) -> None:
        """Take settings and build every index anew from the records.

        A queue that is gone but has callers stays, closed to new ones, with the agents that
        served it, until the next settings.
        """
        before = self.queues
        self.queues = {queue.name: QueueBoard(queue) for queue in settings.queues}
        people = {agent.id: agent for agent in settings.agents}
        for name in {entry.queue for entry in self.entries.values()} - self.queues.keys():
            if name in before:
                self.queues[name] = QueueBoard(before[name].settings, closing=True)
                people = _keep_serving(name, self.people, people)
        self.people = people
        self.index = MatchIndex(people.values())
        self.offers: dict[str, str] = {}
        self.phones: dict[str, str] = {}
        self.tried_by: dict[str, set[str]] = {}
        self.deadlines = Deadlines()
        for agent in self.agents.values():
            self._add_agent(agent)
        for entry in self.entries.values():
            self._add_entry(entry)

    def queue(self, name: str) -> QueueBoard:
        """Return the counts of a queue; one that is not configured is closed."""
        board = self.queues.get(name)
        if board is None:
            board = self.queues[name] = QueueBoard(QueueSettings(name), closing=True)
        return board

    def waiting(self) -> Iterator[EntryRecord]:
        """Yield the entries that nobody is offered."""
        return (entry for entry in self.entries.values() if entry.state == "waiting")

    # --- facts ---------------------------------------------------------------------------

    def apply(self, fact: AcdFact) -> None:
        """Change the records and all that follows from them."""
        if isinstance(fact, AgentSet):
            self._replace_agent(fact.agent)
        elif isinstance(fact, EntrySet):
            self._replace_entry(fact.entry)
        elif isinstance(fact, EntryLeftFact):
            # Numbers are given to refused callers as well, so that replay counts alike.
            self.sequence = max(self.sequence, fact.entry.sequence)
            gone = self.entries.pop(fact.entry.entry_id, None)
            if gone is not None:
                self._remove_entry(gone)

    def _replace_agent(self, agent: AgentRecord) -> None:
        before = self.agents.get(agent.agent_id)
        if before is not None:
            self._remove_agent(before)
        self.agents[agent.agent_id] = agent
        self._add_agent(agent)

    def _remove_agent(self, agent: AgentRecord) -> None:
        if agent.state == "LoggedOut":
            return
        if self.phones.get(agent.phone) == agent.agent_id:
            del self.phones[agent.phone]
        if agent.state == "Ready":
            self.index.remove_agent(agent.agent_id)
        for name in self.index.queues_of(agent.agent_id):
            self.queue(name).states[agent.state] -= 1

    def _add_agent(self, agent: AgentRecord) -> None:
        due = agent.deadline.now if agent.deadline else None
        self.deadlines.set(("agent", agent.agent_id), due)
        if agent.state == "LoggedOut":
            return
        self.phones[agent.phone] = agent.agent_id
        if agent.state == "Ready" and agent.idle_since is not None:
            self.index.add_agent(agent.agent_id, agent.idle_since.now)
        for name in self.index.queues_of(agent.agent_id):
            states = self.queue(name).states
            states[agent.state] = states.get(agent.state, 0) + 1

    def _replace_entry(self, entry: EntryRecord) -> None:
        before = self.entries.get(entry.entry_id)
        if before is not None:
            self._remove_entry(before)
        self.sequence = max(self.sequence, entry.sequence)
        self.entries[entry.entry_id] = entry
        self._add_entry(entry)

    def _remove_entry(self, entry: EntryRecord) -> None:
        entry_id, board = entry.entry_id, self.queue(entry.queue)
        self.deadlines.set(("entry", entry_id), None)
        for tried in entry.tried:
            entries = self.tried_by.get(tried.agent_id, set())
            entries.discard(entry_id)
            if not entries:
                self.tried_by.pop(tried.agent_id, None)
        if entry.offer is not None:
            self.offers.pop(entry.offer.offer_id, None)
        if entry.state == "connected":
            board.connected -= 1
            return
        place = bisect_left(board.line, (entry.key, entry_id))
        del board.line[place]
        self.index.remove_entry(entry_id)
        if entry.state == "offered":
            board.offered -= 1

    def _add_entry(self, entry: EntryRecord) -> None:
        entry_id, board = entry.entry_id, self.queue(entry.queue)
        self.deadlines.set(("entry", entry_id), due_of(entry))
        for tried in entry.tried:
            self.tried_by.setdefault(tried.agent_id, set()).add(entry_id)
        if entry.offer is not None:
            self.offers[entry.offer.offer_id] = entry_id
        if entry.state == "connected":
            board.connected += 1
            return
        insort(board.line, (entry.key, entry_id))
        if entry.state == "offered":
            board.offered += 1
        else:
            self.index.add_entry(entry_id, entry.queue, entry.requirement.skills, entry.key)


def due_of(entry: EntryRecord) -> float | None:
    """Return when something must happen to an entry, in monotonic seconds.

    While it is offered the offer's own deadline counts alone: a caller's patience that ends
    during the ringing does not take him from an agent who is about to answer.
    """
    if entry.state == "connected":
        return None
    if entry.offer is not None:
        return entry.offer.deadline.now
    moments = [entry.expires, entry.relax, *(tried.until for tried in entry.tried)]
    return min((moment.now for moment in moments if moment is not None), default=None)


def _keep_serving(
    queue: str, before: dict[str, AgentSettings], after: dict[str, AgentSettings]
) -> dict[str, AgentSettings]:
    """Return ``after`` with the memberships that ``queue`` had ``before``."""
    people = dict(after)
    for agent in before.values():
        kept = tuple(item for item in agent.queues if item.queue == queue)
        if kept:
            now = people.get(agent.id) or AgentSettings(agent.id, agent.name, (), agent.skills)
            people[agent.id] = AgentSettings(now.id, now.name, now.queues + kept, now.skills)
    return people
