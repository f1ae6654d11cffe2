"""What the center needs to know of people and numbers."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """A person who takes calls: ``phone`` is the extension used when nothing else is said."""

    agent_id: str
    name: str
    pin: str = field(default="", repr=False)
    phone: str = ""

    def accepts_pin(self, pin: str) -> bool:
        """Return whether ``pin`` is right; an agent without a PIN cannot be claimed by one."""
        return bool(self.pin) and hmac.compare_digest(self.pin.encode(), pin.encode())


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """What callers of a queue hear, and which skills every call of it asks for."""

    name: str
    music: str = "music_on_hold"
    wait_flow: str = ""
    skills: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a called number leads: a flow, or straight into a queue."""

    kind: Literal["flow", "queue"]
    name: str


@dataclass(frozen=True, slots=True)
class CenterSettings:
    """Agents, queues and the language of flows that set none."""

    agents: Mapping[str, AgentSettings]
    queues: Mapping[str, QueueSettings]
    language: str = "zh"

    def owner_of(self, phone: str) -> AgentSettings | None:
        """Return the agent whose default phone this is; the first by id when several share it."""
        owners = [agent for agent in self.agents.values() if agent.phone == phone]
        return min(owners, key=lambda agent: agent.agent_id) if owners and phone else None
