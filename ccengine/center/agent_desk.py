"""Agents sign in and out, go ready and away: by feature code, command line or API."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ccengine.acd.engine import AcdEngine
from ccengine.center.settings import AgentSettings, CenterSettings
from ccengine.errors import AcdError, CommandError

AgentAction = Literal["sign_in", "sign_out", "ready", "away"]


@dataclass(frozen=True, slots=True)
class PhoneResult:
    """What came of an agent's wish: an error, or who is to be ready after the call."""

    error: str = ""
    ready_after: str = ""


class AgentDesk:
    """Checks who asks, then tells the queue engine.

    ``is_registered`` says whether an extension has a phone, ``is_in_use`` whether that phone
    is in a call of its own: an agent without a free phone is not offered calls.
    """

    def __init__(
        self,
        *,
        settings: CenterSettings,
        acd: AcdEngine,
        is_registered: Callable[[str], bool],
        is_in_use: Callable[[str], bool],
    ) -> None:
        self.settings = settings
        self._acd = acd
        self._is_registered = is_registered
        self._is_in_use = is_in_use

    def by_phone(
        self,
        action: AgentAction,
        phone: str,
        agent_id: str,
        pin: str,
        reason: str,
        now: float,
        at: datetime,
    ) -> PhoneResult:
        """Do what an agent asks for on a phone.

        Without ``agent_id`` the agent who is signed in there is meant, else the phone's
        default owner.  Another id needs the PIN.  Who asks is on the phone just now, so
        being ready waits for the end of that call.
        """
        if not phone:
            return PhoneResult(error="not_a_phone")
        agent = self._claimed(agent_id, pin) if agent_id else self._at_phone(phone)
        if agent is None:
            return PhoneResult(error="wrong_pin" if agent_id else "no_owner")
        later = action in {"sign_in", "ready"}
        try:
            if action == "ready":
                self._refuse_stranger(agent.agent_id)
            else:
                self.act(action, agent.agent_id, phone, reason, now, at, ready=not later)
        except AcdError:
            return PhoneResult(error="refused")
        return PhoneResult(ready_after=agent.agent_id if later else "")

    def _refuse_stranger(self, agent_id: str) -> None:
        if self._acd.agent(agent_id).state == "LoggedOut":
            raise AcdError(f"agent {agent_id} is not signed in", cure="sign in first")

    def ready_now(self, agent_id: str, now: float, at: datetime) -> None:
        """Make an agent ready whose call with us has ended, unless that changed meanwhile."""
        with suppress(AcdError):  # the configuration may have lost the agent in between
            if self._acd.agent(agent_id).state in {"NotReady", "WrapUp"}:
                self._acd.ready(agent_id, now, at)

    def _claimed(self, agent_id: str, pin: str) -> AgentSettings | None:
        agent = self.settings.agents.get(agent_id)
        return agent if agent is not None and agent.accepts_pin(pin) else None

    def _at_phone(self, phone: str) -> AgentSettings | None:
        signed_in = self._acd.agent_at(phone)
        if signed_in is not None and signed_in in self.settings.agents:
            return self.settings.agents[signed_in]
        return self.settings.owner_of(phone)

    def act(
        self,
        action: AgentAction,
        agent_id: str,
        phone: str,
        reason: str,
        now: float,
        at: datetime,
        *,
        ready: bool = True,
    ) -> None:
        """Change an agent's state; ``ready`` says whether signing in makes ready as well.

        Raises :class:`CommandError` for an agent or phone that does not exist and
        :class:`AcdError` for what the agent's state does not allow.
        """
        agent = self.settings.agents.get(agent_id)
        if agent is None:
            raise CommandError(
                f"there is no agent {agent_id!r}", cure="`ccengine agents` lists them"
            )
        match action:
            case "sign_in":
                phone = phone or agent.phone
                if not phone:
                    raise CommandError(
                        f"agent {agent_id} has no default phone", cure="name one with --phone"
                    )
                self._acd.sign_in(
                    agent_id,
                    phone,
                    now,
                    at,
                    ready=ready,
                    registered=self._is_registered(phone),
                    busy=self._is_in_use(phone),
                )
            case "sign_out":
                self._acd.sign_out(agent_id, now, at)
            case "ready":
                self._acd.ready(agent_id, now, at)
            case "away":
                self._acd.away(agent_id, reason or "break", now, at)
