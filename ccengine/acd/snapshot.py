"""What people ask about queues, answered without a walk over those who wait."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

from ccengine.acd.board import Board
from ccengine.acd.record import AgentState, EntryRecord


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """One queue now: ``waiting`` excludes ``offered``; ``longest_wait_s`` covers both.

    ``agents`` counts its agents by state; ``closing`` queues take no new callers.
    """

    name: str
    waiting: int
    offered: int
    connected: int
    longest_wait_s: float
    agents: Mapping[AgentState, int]
    closing: bool = False


def snapshot_queue(board: Board, name: str, now: float) -> QueueSnapshot:
    """Return the figures of one queue."""
    queue = board.queues[name]
    oldest = queue.oldest()
    states = {state: count for state, count in queue.states.items() if count}
    states["LoggedOut"] = board.index.members(name) - sum(states.values())
    return QueueSnapshot(
        name=name,
        waiting=len(queue.line) - queue.offered,
        offered=queue.offered,
        connected=queue.connected,
        longest_wait_s=0.0 if oldest is None else max(0.0, now - oldest),
        agents=states,
        closing=queue.closing,
    )


def position_of(board: Board, entry: EntryRecord) -> int | None:
    """Return the place of an entry in its queue, from 1; None when it does not wait."""
    if entry.state == "connected":
        return None
    return bisect_left(board.queues[entry.queue].line, (entry.key, entry.entry_id)) + 1


def page_of_line(board: Board, queue: str, start: int, limit: int) -> tuple[EntryRecord, ...]:
    """Return at most ``limit`` entries from place ``start`` (0 is the first) of a queue."""
    line = board.queues[queue].line[start : start + limit]
    return tuple(board.entries[entry_id] for _, entry_id in line)
