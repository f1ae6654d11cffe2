"""Frozen settings of the queue engine, checked as a whole before they are used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal, TypeAlias

from ccengine.errors import AcdError

Strategy: TypeAlias = Literal["longest_idle"]
"""Which of several ready agents gets a call."""

JoinRule: TypeAlias = Literal["always", "signed_in", "available"]
"""Who must be there for a caller to join: nobody, a member who is signed in, or a member who
takes calls (in any state but ``LoggedOut`` and ``NotReady``)."""


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """One queue; times in seconds.

    ``alert_timeout_s`` is how long a phone may take to start ringing, ``ring_timeout_s`` how
    long it rings.  A caller leaves with result ``timeout`` after ``max_wait_s`` (None: never)
    and is refused when ``max_length`` callers wait already (None: no limit).  ``join_empty``
    says who must be there for a caller to join.  An agent who did not answer goes
    ``NotReady(rona_reason)`` and is not offered the same call again within ``retry_s``.
    """

    name: str
    strategy: Strategy = "longest_idle"
    alert_timeout_s: float = 8.0
    ring_timeout_s: float = 20.0
    wrapup_s: float = 0.0
    max_wait_s: float | None = None
    max_length: int | None = None
    join_empty: JoinRule = "always"
    rona_reason: str = "rona"
    retry_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Membership:
    """An agent serves a queue; lower ``order`` first, equal orders share by entry key."""

    queue: str
    order: int = 1


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """One agent: memberships and skills with their levels (1 and up)."""

    id: str
    name: str = ""
    queues: tuple[Membership, ...] = ()
    skills: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AcdSettings:
    """All queues and agents.

    ``cooldown_s`` is how long an agent rests after a failure that was not his (no free
    port, congestion), so that a broken system does not ring in a tight loop.
    """

    queues: tuple[QueueSettings, ...] = ()
    agents: tuple[AgentSettings, ...] = ()
    cooldown_s: float = 5.0

    def check(self) -> None:
        """Raise :class:`AcdError` that names every contradiction, or return."""
        problems = [*_repeated("queue", (queue.name for queue in self.queues))]
        problems += _repeated("agent", (agent.id for agent in self.agents))
        for queue in self.queues:
            problems += _queue_problems(queue)
        known = {queue.name for queue in self.queues}
        for agent in self.agents:
            problems += _agent_problems(agent, known)
        if self.cooldown_s <= 0:
            problems.append("cooldown_s must be above 0")
        if problems:
            raise AcdError("\n".join(problems), cure="correct the queue settings")


def _repeated(kind: str, names: Iterable[str]) -> list[str]:
    return [f"{kind} {name!r} is defined twice" for name, n in Counter(names).items() if n > 1]


def _queue_problems(queue: QueueSettings) -> list[str]:
    where = f"queue {queue.name!r}"
    found = []
    for name in ("alert_timeout_s", "ring_timeout_s"):
        if getattr(queue, name) <= 0:
            found.append(f"{where}: {name} must be above 0")
    for name in ("wrapup_s", "max_wait_s", "max_length", "retry_s"):
        value = getattr(queue, name)
        if value is not None and value < 0:
            found.append(f"{where}: {name} must not be negative")
    if not queue.rona_reason:
        found.append(f"{where}: rona_reason must not be empty")
    return found


def _agent_problems(agent: AgentSettings, known: set[str]) -> list[str]:
    where = f"agent {agent.id!r}"
    found = [
        f"{where}: {text}" for text in _repeated("queue", (item.queue for item in agent.queues))
    ]
    for membership in agent.queues:
        if membership.queue not in known:
            near = get_close_matches(membership.queue, sorted(known), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            found.append(f"{where}: there is no queue {membership.queue!r}{hint}")
    for skill, level in agent.skills.items():
        if level < 1:
            found.append(f"{where}: level of skill {skill!r} must be 1 or more")
    return found
