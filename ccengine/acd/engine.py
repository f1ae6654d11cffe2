"""The queue engine: callers, agents and the offers between them, sans-IO."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ccengine.acd.output import AcdOutput
from ccengine.acd.record import AcdFact, AgentRecord, EntryRecord, EntryRequest
from ccengine.acd.settings import AcdSettings
from ccengine.ids import IdMaker


class AcdEngine:
    """Queues callers, keeps agents' states and brings the two together.

    Every command takes ``now`` (monotonic seconds) and ``at`` (aware UTC).  Commands that make
    no sense raise :class:`ccengine.errors.AcdError`; late answers are dropped and counted.
    """

    def __init__(
        self, settings: AcdSettings, ids: IdMaker, facts: list[Any], *, boot_id: str = ""
    ) -> None:
        raise NotImplementedError

    def enqueue(self, request: EntryRequest, now: float, at: datetime) -> None:
        """Put a call into a queue; a refusal is an ``EntryLeft`` with result ``refused``."""
        raise NotImplementedError

    def leave(
        self, entry_id: str, reason: str, now: float, at: datetime, *, detail: str = ""
    ) -> None:
        """The caller goes: ``hangup``, or ``left`` by a key.  While talking: conversation over."""
        raise NotImplementedError

    def sign_in(
        self,
        agent_id: str,
        phone: str,
        now: float,
        at: datetime,
        *,
        ready: bool = True,
        registered: bool = True,
    ) -> None:
        """Sign an agent in at a phone; ``registered`` says whether the phone is."""
        raise NotImplementedError

    def sign_out(self, agent_id: str, now: float, at: datetime) -> None:
        """Sign out, after the call when one is in hand."""
        raise NotImplementedError

    def ready(self, agent_id: str, now: float, at: datetime) -> None:
        """Be ready for calls; ends away and wrap-up."""
        raise NotImplementedError

    def away(self, agent_id: str, reason: str, now: float, at: datetime) -> None:
        """Be away, after the call when one is in hand."""
        raise NotImplementedError

    def phone_registered(self, phone: str, registered: bool, now: float, at: datetime) -> None:
        """A phone registered or is gone."""
        raise NotImplementedError

    def offer_ringing(self, offer_id: str, now: float, at: datetime) -> None:
        """The agent's phone rings."""
        raise NotImplementedError

    def offer_accepted(self, offer_id: str, now: float, at: datetime) -> None:
        """The agent answered; ``Connect`` follows, or ``WithdrawOffer`` when too late."""
        raise NotImplementedError

    def offer_failed(self, offer_id: str, reason: str, now: float, at: datetime) -> None:
        """The dial failed; ``reason`` is a :data:`ccengine.ports.HangupCause`."""
        raise NotImplementedError

    def conversation_ended(self, entry_id: str, now: float, at: datetime) -> None:
        """Caller and agent no longer talk, whoever ended it."""
        raise NotImplementedError

    def end_wrapup(self, agent_id: str, now: float, at: datetime) -> None:
        """End the wrap-up before its limit."""
        raise NotImplementedError

    def extend_wrapup(self, agent_id: str, seconds: float, now: float, at: datetime) -> None:
        """Move the limit of the wrap-up by ``seconds``."""
        raise NotImplementedError

    def reconfigure(self, settings: AcdSettings, now: float, at: datetime) -> None:
        """Take new settings; nobody is signed out and no running call changes."""
        raise NotImplementedError

    def apply(self, fact: AcdFact) -> None:
        """Change the state by one fact: the only mutator."""
        raise NotImplementedError

    def resume(self, now: float, at: datetime, boot_id: str) -> None:
        """After a replay: re-arm deadlines, withdraw offers that were in flight, offer again."""
        raise NotImplementedError

    def next_timeout(self) -> float | None:
        """Return the ``now`` at which :meth:`handle_timeout` wants to be called."""
        raise NotImplementedError

    def handle_timeout(self, now: float, at: datetime | None = None) -> None:
        """Do what is due; without ``at`` UTC is reckoned from the last command."""
        raise NotImplementedError

    def poll(self) -> Sequence[AcdOutput]:
        """Return and forget the outputs since the last poll."""
        raise NotImplementedError

    def agent(self, agent_id: str) -> AgentRecord:
        """Return an agent; one who never signed in is ``LoggedOut``."""
        raise NotImplementedError

    def entry(self, entry_id: str) -> EntryRecord | None:
        """Return an entry that waits, is offered or is connected."""
        raise NotImplementedError

    def agent_at(self, phone: str) -> str | None:
        """Return the agent who is signed in at a phone."""
        raise NotImplementedError

    def position(self, entry_id: str) -> int | None:
        """Return the place in the queue, from 1; None once connected or gone."""
        raise NotImplementedError
