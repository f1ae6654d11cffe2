"""Transition tables: state machines as data that runs and that can be drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

INITIAL = "initial"
TERMINATED = "terminated"


@dataclass(frozen=True, slots=True)
class Transition:
    """In ``state``, ``event`` leads to ``target`` and runs ``actions`` in order."""

    state: str
    event: str
    target: str
    actions: tuple[str, ...] = ()
    source: str = ""
    """Where the standard says so."""


@dataclass(frozen=True, slots=True)
class TransitionTable:
    """One state machine: a name, where it is specified, and all its transitions.

    An event without a transition in some state changes nothing there.
    """

    name: str
    source: str
    transitions: tuple[Transition, ...]

    @property
    def states(self) -> tuple[str, ...]:
        """All states but the first and the last, in order of appearance."""
        seen = dict.fromkeys(row.state for row in self.transitions)
        seen.update(dict.fromkeys(row.target for row in self.transitions))
        return tuple(state for state in seen if state not in {INITIAL, TERMINATED})


Action = TypeVar("Action")
CompiledTable: TypeAlias = dict[str, dict[str, tuple[str, tuple[Action, ...]]]]


def rows(
    state: str, *entries: tuple[str, str, str] | tuple[str, str, str, str]
) -> tuple[Transition, ...]:
    """Return the transitions of one state.

    An entry is (event, target, actions) and optionally a source; actions are separated by
    commas in one string.
    """
    return tuple(
        Transition(
            state,
            entry[0],
            entry[1],
            tuple(action.strip() for action in entry[2].split(",") if action.strip()),
            entry[3] if len(entry) == 4 else "",
        )
        for entry in entries
    )


def compile_table(table: TransitionTable, actions: Mapping[str, Action]) -> CompiledTable[Action]:
    """Return ``table`` as state → event → (target, callables).

    Raises ValueError for an unknown action and for two transitions of one state and event.
    """
    compiled: CompiledTable[Action] = {TERMINATED: {}}
    for row in table.transitions:
        unknown = [name for name in row.actions if name not in actions]
        if unknown:
            raise ValueError(f"{table.name}: no such action: {', '.join(unknown)}")
        events = compiled.setdefault(row.state, {})
        if row.event in events:
            raise ValueError(f"{table.name}: two transitions for {row.event} in {row.state}")
        events[row.event] = (row.target, tuple(actions[name] for name in row.actions))
    return compiled


def _node(state: str) -> str:
    return "[*]" if state in {INITIAL, TERMINATED} else state


def mermaid(table: TransitionTable) -> str:
    """Return the table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2"]
    for row in table.transitions:
        actions = f" / {', '.join(row.actions)}" if row.actions else ""
        lines.append(f"    {_node(row.state)} --> {_node(row.target)}: {row.event}{actions}")
    return "\n".join(lines)


def markdown_rows(table: TransitionTable) -> Iterable[str]:
    """Yield the lines of a Markdown table of all transitions."""
    yield "| state | event | next state | actions | source |"
    yield "|---|---|---|---|---|"
    for row in table.transitions:
        actions = ", ".join(row.actions) or "–"
        source = row.source or table.source
        yield f"| {row.state} | {row.event} | {row.target} | {actions} | {source} |"
