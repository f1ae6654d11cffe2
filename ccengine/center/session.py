"""The calls in hand: their records, and the interpreters that run their flows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ccengine.center.record import (
    CenterFact,
    CenterState,
    SessionDropped,
    SessionRecord,
    SessionSet,
)
from ccengine.dialplan.interpreter import Interpreter


@dataclass(slots=True)
class Running:
    """The interpreters of one call; rebuilt from its record after a takeover."""

    flow: Interpreter | None = None
    wait: Interpreter | None = None


class Sessions:
    """Every call that the center handles.

    Records change by facts alone; :meth:`keep` states a new record when it differs.
    """

    __slots__ = ("_facts", "running", "state")

    def __init__(self, facts: list[Any]) -> None:
        self._facts = facts
        self.state = CenterState()
        self.running: dict[str, Running] = {}

    def get(self, call_id: str) -> SessionRecord | None:
        """Return the record of a call, or nothing when it is over."""
        return self.state.sessions.get(call_id)

    def keep(self, record: SessionRecord) -> SessionRecord:
        """State the record of a call, with the places where its interpreters stand now."""
        running = self.running.get(record.call_id)
        if running is not None:
            record = replace(
                record,
                place=running.flow.place() if running.flow else None,
                wait_place=running.wait.place() if running.wait else None,
            )
        if self.state.sessions.get(record.call_id) != record:
            self._state(SessionSet(record))
        return record

    def drop(self, call_id: str) -> None:
        """Forget a call."""
        self.running.pop(call_id, None)
        if call_id in self.state.sessions:
            self._state(SessionDropped(call_id))

    def _state(self, fact: CenterFact) -> None:
        self.state.apply(fact)
        self._facts.append(fact)

    def next_timeout(self) -> float | None:
        """Return when the first interpreter wants to be woken."""
        due = [
            timeout
            for running in self.running.values()
            for flow in (running.flow, running.wait)
            if flow is not None and (timeout := flow.next_timeout()) is not None
        ]
        return min(due, default=None)
