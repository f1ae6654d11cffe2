"""Questions to the queue engine; none changes anything."""

from __future__ import annotations

from ccengine.acd.ledger import AcdCounters, Ledger
from ccengine.acd.record import AgentRecord, EntryRecord
from ccengine.acd.snapshot import QueueSnapshot, page_of_line, position_of, snapshot_queue
from ccengine.errors import AcdError


class AcdQueries:
    """The reading half of the engine."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @property
    def counters(self) -> AcdCounters:
        """What happened since the start of this process."""
        return self._ledger.counters

    def agent(self, agent_id: str) -> AgentRecord:
        """Return an agent; one who never signed in is ``LoggedOut``."""
        return self._ledger.agent(agent_id)

    def agents(self) -> tuple[AgentRecord, ...]:
        """Return every configured agent and whoever else is still signed in, by id."""
        board = self._ledger.board
        present = {
            name
            for name, agent in board.agents.items()
            if name in board.people or agent.state != "LoggedOut"
        }
        return tuple(self._ledger.agent(name) for name in sorted(present | board.people.keys()))

    def agent_at(self, phone: str) -> str | None:
        """Return the agent who is signed in at a phone."""
        return self._ledger.board.phones.get(phone)

    def entry(self, entry_id: str) -> EntryRecord | None:
        """Return an entry that waits, is offered or is connected."""
        return self._ledger.board.entries.get(entry_id)

    def entries(self, queue: str, *, start: int = 0, limit: int = 100) -> tuple[EntryRecord, ...]:
        """Return those who wait or are being offered, in order, a page at a time."""
        self._queue(queue)
        return page_of_line(self._ledger.board, queue, start, limit)

    def position(self, entry_id: str) -> int | None:
        """Return the place in the queue, from 1; None once connected or gone."""
        entry = self.entry(entry_id)
        return None if entry is None else position_of(self._ledger.board, entry)

    def queue(self, name: str, now: float) -> QueueSnapshot:
        """Return the figures of one queue."""
        self._queue(name)
        return snapshot_queue(self._ledger.board, name, now)

    def queues(self, now: float) -> tuple[QueueSnapshot, ...]:
        """Return the figures of every queue that is configured or still has callers."""
        board = self._ledger.board
        shots = (snapshot_queue(board, name, now) for name in board.queues)
        return tuple(
            shot
            for shot in shots
            if not shot.closing or shot.waiting + shot.offered + shot.connected
        )

    def _queue(self, name: str) -> None:
        if name not in self._ledger.board.queues:
            raise AcdError(f"there is no queue {name!r}", cure="see `ccengine queues`")
