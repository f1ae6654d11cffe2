from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from ccengine.acd.record import AgentState
from ccengine.acd.transition import TRANSITIONS, Trigger, render_reference, target_of
from ccengine.errors import AcdError

REFERENCE = Path(__file__).parents[2] / "docs/reference/agent-states.md"


def test_the_reference_is_drawn_from_the_table() -> None:
    assert REFERENCE.read_text(encoding="utf-8") == render_reference(), (
        "write ccengine.acd.transition.render_reference() to docs/reference/agent-states.md"
    )


def test_each_state_and_trigger_has_one_target_and_every_word_is_used() -> None:
    pairs = [(row.source, row.trigger) for row in TRANSITIONS]
    assert len(pairs) == len(set(pairs))
    assert {row.trigger for row in TRANSITIONS} == set(get_args(Trigger))
    assert {row.source for row in TRANSITIONS} == set(get_args(AgentState))
    assert {row.target for row in TRANSITIONS} == set(get_args(AgentState))


@pytest.mark.parametrize("state", get_args(AgentState))
def test_what_is_not_in_the_table_is_refused_with_name_and_state(state: AgentState) -> None:
    allowed = {row.trigger for row in TRANSITIONS if row.source == state}
    for trigger in set(get_args(Trigger)) - allowed:
        with pytest.raises(AcdError, match=f"agent 'ann' is {state}: {trigger}"):
            target_of("ann", state, trigger)


def test_every_state_but_logged_out_leads_back_to_it() -> None:
    reached = {"LoggedOut"}
    for _ in TRANSITIONS:
        reached |= {row.source for row in TRANSITIONS if row.target in reached}
    assert reached == set(get_args(AgentState))
