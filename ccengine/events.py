"""Events that the engine publishes on its bus: past tense, for listeners that only look.

They carry no right to change anything.  Whatever must not be lost is a fact in the journal;
an event may be dropped for a slow listener.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A call arrived."""

    call_id: str
    at: datetime
    number: str
    caller_number: str
    caller_name: str = ""


@dataclass(frozen=True, slots=True)
class CallConnected:
    """Two people can talk."""

    call_id: str
    at: datetime
    agent_id: str = ""


@dataclass(frozen=True, slots=True)
class CallFinished:
    """A call is over and its CDR is in the journal."""

    call_id: str
    at: datetime
    number: str
    caller_number: str
    cause: str
    duration_s: float
    talk_s: float
    agent_id: str = ""
    queue: str = ""
    recording: str = ""


@dataclass(frozen=True, slots=True)
class AgentChanged:
    """An agent's state changed."""

    agent_id: str
    at: datetime
    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RegistrationChanged:
    """A phone registered, refreshed or left; ``contacts`` is how many remain."""

    aor: str
    at: datetime
    contacts: int


@dataclass(frozen=True, slots=True)
class AlarmRaised:
    """Something needs a person: ``cure`` says what to do."""

    name: str
    at: datetime
    message: str
    cure: str


@dataclass(frozen=True, slots=True)
class AlarmCleared:
    """What an alarm told of is over."""

    name: str
    at: datetime


Event: TypeAlias = (
    CallStarted
    | CallConnected
    | CallFinished
    | AgentChanged
    | RegistrationChanged
    | AlarmRaised
    | AlarmCleared
)
