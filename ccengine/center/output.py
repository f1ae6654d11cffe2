"""What the center wants done by others, and what it tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from ccengine.ports import CallCommand


class CallPort(Protocol):
    """The room below that carries out the commands of flows."""

    def command(self, command: CallCommand, now: float, at: datetime) -> None:
        """Carry out one command; unknown or stale ids are ignored."""

    def isolated(
        self, call_id: str, now: float, at: datetime, deed: Callable[..., object], *arguments: Any
    ) -> None:
        """Do something for one call; an exception is logged and ends that call alone."""


@dataclass(frozen=True, slots=True)
class ResolveCustomer:
    """Who is this caller?  Answer with :meth:`Center.customer_resolved`, or never."""

    call_id: str
    number: str


@dataclass(frozen=True, slots=True)
class AgentStateTold:
    """An agent is in a state since ``at``."""

    agent_id: str
    state: str
    reason: str
    at: datetime


CenterOutput: TypeAlias = ResolveCustomer | AgentStateTold
