"""The tables themselves: values of the timers, completeness, and the page made from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccengine.sip.diagram import reference_page
from ccengine.sip.settings import EndpointSettings
from ccengine.sip.transaction_table import TABLES, TIMER_RULES
from ccengine.sip.transition import (
    INITIAL,
    TERMINATED,
    Transition,
    TransitionTable,
    compile_table,
    mermaid,
    rows,
)

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "sip-transactions.md"

# RFC 3261 table 4 and RFC 6026 section 8: seconds over UDP, and over TCP (None: not armed).
SECONDS = {
    "A": (0.5, None),
    "B": (32, 32),
    "D": (32, 0),
    "E": (0.5, None),
    "F": (32, 32),
    "G": (0.5, None),
    "H": (32, 32),
    "I": (5, 0),
    "J": (32, 0),
    "K": (5, 0),
    "L": (32, 32),
    "M": (32, 32),
    "N": (32, 32),
    "P": (3.5, 3.5),
    "X": (28.5, 28.5),
}


def test_timer_values() -> None:
    settings = EndpointSettings()
    assert {
        rule.name: (
            rule.seconds(settings, reliable=False),
            rule.seconds(settings, reliable=True),
        )
        for rule in TIMER_RULES
    } == SECONDS


def test_reference_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference_page(), (
        "run: python -m ccengine.sip.diagram > docs/reference/sip-transactions.md"
    )


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_state_can_be_reached_and_left(table: TransitionTable) -> None:
    reached = {INITIAL}
    while True:
        more = {row.target for row in table.transitions if row.state in reached} - reached
        if not more:
            break
        reached |= more
    assert reached == {INITIAL, TERMINATED, *table.states}
    for state in table.states:
        ends = [row for row in table.transitions if row.state == state and row.target != state]
        assert ends, f"{state} is a trap"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_timer_that_is_started_has_its_event(table: TransitionTable) -> None:
    events = {row.event for row in table.transitions}
    started = {
        action.removeprefix("start ")
        for row in table.transitions
        for action in row.actions
        if action.startswith("start ")
    }
    assert {f"timer {name}" for name in started} == {e for e in events if e.startswith("timer")}


def test_mistakes_in_a_table_are_found() -> None:
    twice = TransitionTable("t", "s", rows("a", ("x", "b", ""), ("x", "c", "")))
    with pytest.raises(ValueError, match="two transitions for x in a"):
        compile_table(twice, {})
    unknown = TransitionTable("t", "s", rows("a", ("x", "b", "leap")))
    with pytest.raises(ValueError, match="no such action: leap"):
        compile_table(unknown, {"walk": None})


def test_mermaid_of_a_small_table() -> None:
    table = TransitionTable(
        "t", "s", (Transition(INITIAL, "go", "on", ("a", "b")), Transition("on", "end", TERMINATED))
    )
    assert mermaid(table).splitlines() == [
        "stateDiagram-v2",
        "    [*] --> on: go / a, b",
        "    on --> [*]: end",
    ]
