"""The states of an agent as one table: the engine obeys it, the reference is drawn from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ccengine.acd.record import AgentState
from ccengine.errors import AcdError

Trigger: TypeAlias = Literal[
    "sign_in",
    "sign_in_away",
    "sign_out",
    "ready",
    "away",
    "phone_lost",
    "phone_back",
    "reserve",
    "release",
    "fail",
    "connect",
    "wrap_up",
    "finish",
    "finish_away",
    "finish_out",
    "deadline",
]
"""What moves an agent from state to state."""

PHONE_UNREGISTERED = "phone_unregistered"
"""Reason of ``NotReady`` while the phone of an agent who wants to be ready is away."""

PHONE_IN_USE = "on_phone"
"""Reason of ``NotReady`` while that phone is in a call that no queue gave it."""


@dataclass(frozen=True, slots=True)
class Transition:
    """From ``source`` by ``trigger`` to ``target``; ``meaning`` says when, for people."""

    source: AgentState
    trigger: Trigger
    target: AgentState
    meaning: str


TRANSITIONS: tuple[Transition, ...] = (
    Transition("LoggedOut", "sign_in", "Ready", "signs in"),
    Transition("LoggedOut", "sign_in_away", "NotReady", "signs in, not yet ready"),
    Transition("NotReady", "ready", "Ready", "asks for calls"),
    Transition("NotReady", "away", "NotReady", "gives another reason"),
    Transition("NotReady", "sign_out", "LoggedOut", "signs out"),
    Transition(
        "NotReady", "phone_back", "Ready", "the phone registers again, or its own call is over"
    ),
    Transition("NotReady", "deadline", "Ready", "the rest after a failed offer is over"),
    Transition("Ready", "ready", "Ready", "asks again: nothing changes"),
    Transition("Ready", "away", "NotReady", "goes away with a reason"),
    Transition("Ready", "sign_out", "LoggedOut", "signs out"),
    Transition(
        "Ready",
        "phone_lost",
        "NotReady",
        "the phone is no longer registered, or in a call of its own",
    ),
    Transition("Ready", "reserve", "Reserved", "a call is offered"),
    Transition("Reserved", "ready", "Reserved", "asks again: nothing changes"),
    Transition("Reserved", "connect", "Talking", "answers"),
    Transition("Reserved", "release", "Ready", "the caller is gone; idle time is kept"),
    Transition("Reserved", "fail", "NotReady", "does not answer, or the phone cannot be rung"),
    Transition("Reserved", "away", "NotReady", "goes away: the offer is withdrawn"),
    Transition("Reserved", "sign_out", "LoggedOut", "signs out: the offer is withdrawn"),
    Transition("Talking", "ready", "Talking", "forgets what was wanted after the call"),
    Transition("Talking", "away", "Talking", "wants to be away after the call"),
    Transition("Talking", "sign_out", "Talking", "wants to sign out after the call"),
    Transition("Talking", "wrap_up", "WrapUp", "the call ends and the queue has a wrap-up"),
    Transition("Talking", "finish", "Ready", "the call ends, no wrap-up"),
    Transition("Talking", "finish_away", "NotReady", "the call ends and away was wanted"),
    Transition("Talking", "finish_out", "LoggedOut", "the call ends and signing out was wanted"),
    Transition("WrapUp", "ready", "Ready", "is done"),
    Transition("WrapUp", "deadline", "Ready", "the limit of the wrap-up is reached"),
    Transition("WrapUp", "away", "NotReady", "goes away with a reason"),
    Transition("WrapUp", "sign_out", "LoggedOut", "signs out"),
)

_TARGETS = {(row.source, row.trigger): row.target for row in TRANSITIONS}

_CURES: dict[AgentState, str] = {
    "LoggedOut": "sign in first",
    "NotReady": "",
    "Ready": "",
    "Reserved": "wait for the offer to end",
    "Talking": "wait for the call to end",
    "WrapUp": "",
}


def target_of(agent_id: str, state: AgentState, trigger: Trigger) -> AgentState:
    """Return the state that ``trigger`` leads to, or raise :class:`AcdError`."""
    target = _TARGETS.get((state, trigger))
    if target is None:
        raise AcdError(
            f"agent {agent_id!r} is {state}: {trigger} is not possible", cure=_CURES[state]
        )
    return target


_PREFACE = """# States of an agent

An agent is in one of six states. `NotReady` always has a reason: one that the agent gave,
the queue's `rona_reason` when a call was not answered, `busy`, `rejected` or `unreachable`
when the phone could not be rung, `offer_failed` for a rest of `cooldown_s` after a failure of
the system, `phone_unregistered` or `on_phone`.

A transition to `Ready` needs a registered phone that is in no call of its own: without one the
agent is `NotReady(phone_unregistered)` or `NotReady(on_phone)`, and becomes `Ready` when the
phone registers or is free again.

| state | takes calls | meaning |
|---|---|---|
| LoggedOut | no | at no phone |
| NotReady | no | signed in, away with a reason |
| Ready | yes | waits for a call; the longest idle agent is first |
| Reserved | no | one call is offered, the phone is alerted |
| Talking | no | in conversation |
| WrapUp | no | work after the call, up to the queue's `wrapup_s` |

"""


def render_reference() -> str:
    """Return ``docs/reference/agent-states.md``: a diagram and a table of every transition."""
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> LoggedOut"]
    lines += [f"    {row.source} --> {row.target}: {row.trigger}" for row in TRANSITIONS]
    lines += ["```", "", "| from | trigger | to | when |", "|---|---|---|---|"]
    lines += [
        f"| {row.source} | `{row.trigger}` | {row.target} | {row.meaning} |" for row in TRANSITIONS
    ]
    return _PREFACE + "\n".join(lines) + "\n"
