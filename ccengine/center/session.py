"""The calls in hand: their records, and the interpreters that run their flows."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

from ccengine.center.record import (
    CenterFact,
    CenterState,
    SessionDropped,
    SessionRecord,
    SessionSet,
)
from ccengine.dialplan.interpreter import Interpreter
from ccengine.revision import replace


@dataclass(slots=True)
class Running:
    """The interpreters of one call; rebuilt from its record after a takeover."""

    flow: Interpreter | None = None
    wait: Interpreter | None = None


class Sessions:
    """Every call that the center handles.

    Records change by facts alone; :meth:`keep` states a new record when it differs.
    """

    __slots__ = ("_armed", "_facts", "_limits", "running", "state")

    def __init__(self, facts: list[Any]) -> None:
        self._facts = facts
        self.state = CenterState()
        self.running: dict[str, Running] = {}
        self._armed: dict[str, float] = {}
        self._limits: list[tuple[float, str]] = []

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
        self._arm(record.call_id)
        return record

    def drop(self, call_id: str) -> None:
        """Forget a call."""
        self.running.pop(call_id, None)
        self._armed.pop(call_id, None)
        if call_id in self.state.sessions:
            self._state(SessionDropped(call_id))

    def _state(self, fact: CenterFact) -> None:
        self.state.apply(fact)
        self._facts.append(fact)

    # --- time ----------------------------------------------------------------------------------

    def _due(self, call_id: str) -> float | None:
        running = self.running.get(call_id)
        if running is None:
            return None
        due = (
            running.flow.next_timeout() if running.flow is not None else None,
            running.wait.next_timeout() if running.wait is not None else None,
        )
        return min((one for one in due if one is not None), default=None)

    def _arm(self, call_id: str) -> None:
        due = self._due(call_id)
        if due is not None and self._armed.get(call_id) != due:
            self._armed[call_id] = due
            heappush(self._limits, (due, call_id))

    def next_timeout(self) -> float | None:
        """Return when the first interpreter wants to be woken."""
        limits = self._limits
        while limits and self._armed.get(limits[0][1]) != limits[0][0]:
            heappop(limits)
        return limits[0][0] if limits else None

    def due(self, now: float) -> list[str]:
        """Return the calls with an interpreter that wants to be woken by ``now``."""
        calls = []
        while (first := self.next_timeout()) is not None and first <= now:
            _, call_id = heappop(self._limits)
            del self._armed[call_id]
            calls.append(call_id)
        return calls
