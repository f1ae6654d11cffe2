"""The queue engine: callers, agents and the offers between them, sans-IO."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from ccengine.acd.ledger import Ledger
from ccengine.acd.offering import Offering, relax_moment
from ccengine.acd.output import AcdOutput
from ccengine.acd.query import AcdQueries
from ccengine.acd.record import (
    AcdFact,
    AgentRecord,
    EntryRecord,
    EntryRequest,
    PendingState,
)
from ccengine.acd.recovery import recover
from ccengine.acd.settings import AcdSettings
from ccengine.acd.transition import PHONE_IN_USE, PHONE_UNREGISTERED, target_of
from ccengine.clock import Moment
from ccengine.errors import AcdError
from ccengine.ids import IdMaker
from ccengine.revision import replace

_MAX_REQUIREMENTS = 32


class AcdEngine(AcdQueries):
    """Queues callers, keeps agents' states and brings the two together.

    Every command takes ``now`` (monotonic seconds) and ``at`` (aware UTC).  Commands that make
    no sense raise :class:`ccengine.errors.AcdError` and change nothing; late answers are
    dropped and counted.  What is to be done comes from :meth:`poll`, in order.
    """

    def __init__(
        self, settings: AcdSettings, ids: IdMaker, facts: list[Any], *, boot_id: str = ""
    ) -> None:
        super().__init__(Ledger(settings, facts, boot_id))
        self._offering = Offering(self._ledger, ids)

    # --- callers -------------------------------------------------------------------------

    def enqueue(self, request: EntryRequest, now: float, at: datetime) -> None:
        """Put a call into a queue; a refusal is an ``EntryLeft`` with result ``refused``.

        Raises :class:`AcdError` for a queue that does not exist or a call that waits already.
        """
        moment = self._ledger.begin(now, at)
        self._check(request)
        entry = self._new_entry(request, moment)
        refusal = self._refusal(request.queue)
        if refusal:
            self._ledger.counters.refusals += 1
            self._ledger.drop_entry(entry, "refused", refusal)
            return
        index = self._ledger.board.index
        if not any(index.servable(request.queue, item) for item in request.requirements):
            self._ledger.counters.unservable += 1
        self._ledger.put_entry(entry)
        self._offering.match()

    def _check(self, request: EntryRequest) -> None:
        board = self._ledger.board
        if request.queue not in board.queues:
            raise AcdError(f"there is no queue {request.queue!r}", cure="see `ccengine queues`")
        if request.entry_id in board.entries:
            raise AcdError(f"call {request.entry_id!r} is in a queue already")
        times = [item.after_s for item in request.requirements]
        if not times or times[0] != 0 or times != sorted(times):
            raise AcdError("requirements must begin with after_s 0 and go on in order of time")
        if len(times) > _MAX_REQUIREMENTS:
            raise AcdError(f"more than {_MAX_REQUIREMENTS} requirements for one caller")

    def _new_entry(self, request: EntryRequest, moment: Moment) -> EntryRecord:
        ledger = self._ledger
        limits = (request.timeout_s, ledger.board.queue(request.queue).settings.max_wait_s)
        limit = min((item for item in limits if item is not None), default=None)
        return EntryRecord(
            entry_id=request.entry_id,
            queue=request.queue,
            priority=request.priority,
            sequence=ledger.board.sequence + 1,
            enqueued=moment,
            boot_id=ledger.boot_id,
            state="waiting",
            requirements=request.requirements,
            relax=relax_moment(request.requirements, 1, moment),
            expires=None if limit is None else moment.after(limit),
        )

    def _refusal(self, name: str) -> str:
        queue = self._ledger.board.queue(name)
        settings = queue.settings
        if queue.closing:
            return "closed"
        if settings.max_length is not None and len(queue.line) >= settings.max_length:
            return "full"
        away = queue.states.get("NotReady", 0) if settings.join_empty == "available" else 0
        if settings.join_empty != "always" and sum(queue.states.values()) - away <= 0:
            return "empty"
        return ""

    def leave(
        self,
        entry_id: str,
        reason: Literal["left", "hangup"],
        now: float,
        at: datetime,
        *,
        detail: str = "",
    ) -> None:
        """Take a caller out who hung up or left by a key; one who talks has been answered."""
        self._ledger.begin(now, at)
        entry = self._ledger.board.entries.get(entry_id)
        if entry is None:
            self._ledger.counters.stale_calls += 1
            return
        if entry.state == "connected":
            self._end_conversation(entry)
        else:
            self._offering.release(entry, reason)
            self._ledger.drop_entry(replace(entry, state="waiting", offer=None), reason, detail)
        self._offering.match()

    # --- agents --------------------------------------------------------------------------

    def sign_in(
        self,
        agent_id: str,
        phone: str,
        now: float,
        at: datetime,
        *,
        ready: bool = True,
        registered: bool = True,
        busy: bool = False,
    ) -> None:
        """Sign an agent in at a phone, or move one who has no call to another phone.

        ``registered`` says whether the phone is, ``busy`` whether it is in a call of its own.
        Raises :class:`AcdError` for an unknown
        agent, a phone that another agent uses, and a move during a call.
        """
        self._ledger.begin(now, at)
        agent = self._ledger.agent(agent_id)
        if agent_id not in self._ledger.board.people:
            raise AcdError(f"agent {agent_id!r} is no longer configured")
        owner = self._ledger.board.phones.get(phone)
        if not phone or owner not in {None, agent_id}:
            raise AcdError(f"phone {phone!r} is used by agent {owner!r}", cure="sign that one out")
        if agent.state in {"Reserved", "Talking"}:
            if phone != agent.phone:
                raise AcdError(f"agent {agent_id!r} is {agent.state}", cure="end the call first")
            return
        seated = replace(agent, phone=phone, registered=registered, busy=busy)
        if agent.state == "LoggedOut":
            self._ledger.move(
                seated,
                "sign_in" if ready else "sign_in_away",
                reason="" if ready else "signed_in",
            )
        else:
            self._seat(seated)
            if ready:
                self._be_ready(agent_id)
        self._offering.match()

    def sign_out(self, agent_id: str, now: float, at: datetime) -> None:
        """Sign out: at once, withdrawing an offer, or after the conversation in hand."""
        self._ledger.begin(now, at)
        agent = self._ledger.agent(agent_id)
        if agent.state == "LoggedOut":
            return
        if agent.state == "Talking":
            self._want(agent, "sign_out", PendingState("LoggedOut"))
        else:
            self._withdraw_from(agent, "agent_signed_out")
            self._ledger.move(agent, "sign_out")
        self._offering.match()

    def ready(self, agent_id: str, now: float, at: datetime) -> None:
        """Be ready for calls; ends away, wrap-up, and what was wanted after the call."""
        self._ledger.begin(now, at)
        self._be_ready(agent_id)
        self._offering.match()

    def _be_ready(self, agent_id: str) -> None:
        agent = self._ledger.agent(agent_id)
        if target_of(agent_id, agent.state, "ready") == "Talking":
            self._want(agent, "ready", None)
            return
        if agent.state == "Reserved":
            return
        self._forgive(agent_id)
        self._ledger.move(agent, "ready")

    def _forgive(self, agent_id: str) -> None:
        # Whoever says that he is there is not passed over for the call that he missed.
        board = self._ledger.board
        for entry_id in sorted(board.tried_by.get(agent_id, ())):
            entry = board.entries[entry_id]
            tried = tuple(item for item in entry.tried if item.agent_id != agent_id)
            self._ledger.put_entry(replace(entry, tried=tried))

    def away(self, agent_id: str, reason: str, now: float, at: datetime) -> None:
        """Be away: at once, withdrawing an offer, or after the conversation in hand."""
        self._ledger.begin(now, at)
        agent = self._ledger.agent(agent_id)
        target_of(agent_id, agent.state, "away")
        reason = reason or "away"
        if agent.state == "Talking":
            self._want(agent, "away", PendingState("NotReady", reason))
        else:
            self._withdraw_from(agent, "agent_away")
            self._ledger.move(agent, "away", reason=reason)
        self._offering.match()

    def _want(
        self,
        agent: AgentRecord,
        trigger: Literal["ready", "away", "sign_out"],
        pending: PendingState | None,
    ) -> None:
        self._ledger.move(agent, trigger, pending=pending, entry_id=agent.entry_id)

    def _withdraw_from(self, agent: AgentRecord, reason: str) -> None:
        if agent.state == "Reserved":
            self._offering.withdraw(self._ledger.board.entries[agent.entry_id], reason)

    def phone_registered(self, phone: str, registered: bool, now: float, at: datetime) -> None:
        """Note that a phone registered or is gone; its agent is not offered calls meanwhile."""
        self._ledger.begin(now, at)
        agent_id = self._ledger.board.phones.get(phone)
        agent = self._ledger.board.agents[agent_id] if agent_id is not None else None
        if agent is None or agent.registered == registered:
            return
        self._seat(replace(agent, registered=registered))
        self._offering.match()

    def phone_busy(self, phone: str, busy: bool, now: float, at: datetime) -> None:
        """Note that a phone is in a call that we did not give it, or free of it again."""
        self._ledger.begin(now, at)
        agent_id = self._ledger.board.phones.get(phone)
        agent = self._ledger.board.agents[agent_id] if agent_id is not None else None
        if agent is None or agent.busy == busy:
            return
        self._seat(replace(agent, busy=busy))
        self._offering.match()

    def _seat(self, agent: AgentRecord) -> None:
        """Let an agent have the phone that the record names, in the state that it says."""
        if self._ledger.board.agents.get(agent.agent_id) != agent:
            self._ledger.put_agent(agent)
        usable = agent.registered and not agent.busy
        if usable and agent.reason in {PHONE_UNREGISTERED, PHONE_IN_USE}:
            self._ledger.move(agent, "phone_back")
        elif not usable and agent.state == "Ready":
            reason = PHONE_IN_USE if agent.registered else PHONE_UNREGISTERED
            self._ledger.move(agent, "phone_lost", reason=reason)

    # --- offers --------------------------------------------------------------------------

    def offer_ringing(self, offer_id: str, now: float, at: datetime) -> None:
        """Note that the agent's phone rings: its ring timeout begins."""
        self._ledger.begin(now, at)
        self._offering.ringing(offer_id)

    def offer_accepted(self, offer_id: str, now: float, at: datetime) -> None:
        """Note that the agent answered; ``Connect`` follows, or ``WithdrawOffer`` if too late."""
        self._ledger.begin(now, at)
        self._offering.accepted(offer_id)

    def offer_failed(self, offer_id: str, reason: str, now: float, at: datetime) -> None:
        """Note that the dial failed; ``reason`` is a :data:`ccengine.ports.HangupCause`.

        The entry keeps its place and goes to another agent in the same drain.
        """
        self._ledger.begin(now, at)
        self._offering.failed(offer_id, reason)
        self._offering.match()

    # --- conversations and wrap-up ---------------------------------------------------------

    def conversation_ended(self, entry_id: str, now: float, at: datetime) -> None:
        """Note that caller and agent no longer talk, whoever ended it."""
        self._ledger.begin(now, at)
        entry = self._ledger.board.entries.get(entry_id)
        if entry is None or entry.state != "connected":
            self._ledger.counters.stale_calls += 1
            return
        self._end_conversation(entry)
        self._offering.match()

    def _end_conversation(self, entry: EntryRecord) -> None:
        ledger = self._ledger
        ledger.drop_entry(entry, "answered")
        agent = ledger.board.agents[entry.agent_id]
        wrapup_s = ledger.board.queue(entry.queue).settings.wrapup_s
        if agent.pending is not None and agent.pending.state == "LoggedOut":
            ledger.move(agent, "finish_out")
        elif agent.pending is not None:
            ledger.move(agent, "finish_away", reason=agent.pending.reason)
        elif wrapup_s > 0:
            ledger.move(agent, "wrap_up", deadline=ledger.moment.after(wrapup_s))
        else:
            ledger.move(agent, "finish")

    def end_wrapup(self, agent_id: str, now: float, at: datetime) -> None:
        """End the wrap-up before its limit."""
        self._ledger.begin(now, at)
        self._ledger.move(self._in_wrapup(agent_id), "ready")
        self._offering.match()

    def extend_wrapup(self, agent_id: str, seconds: float, now: float, at: datetime) -> None:
        """Move the limit of the wrap-up by ``seconds``."""
        self._ledger.begin(now, at)
        agent = self._in_wrapup(agent_id)
        if agent.deadline is not None:
            self._ledger.change_agent(agent, deadline=agent.deadline.after(seconds))

    def _in_wrapup(self, agent_id: str) -> AgentRecord:
        agent = self._ledger.agent(agent_id)
        if agent.state != "WrapUp":
            raise AcdError(f"agent {agent_id!r} is {agent.state}, not in wrap-up")
        return agent

    # --- settings, replay and time -----------------------------------------------------------

    def reconfigure(self, settings: AcdSettings, now: float, at: datetime) -> None:
        """Take new settings, all or nothing; nobody is signed out, no running call changes.

        Raises :class:`AcdError` and keeps the old settings when the new ones are wrong.
        """
        settings.check()
        ledger = self._ledger
        ledger.begin(now, at)
        ledger.settings = settings
        ledger.board.configure(settings)
        ledger.free.extend(ledger.board.agents)
        ledger.seeking.extend(entry.entry_id for entry in ledger.board.waiting())
        self._offering.match()

    def apply(self, fact: AcdFact) -> None:
        """Change the state by one fact: the only mutator."""
        self._ledger.board.apply(fact)

    def resume(
        self, now: float, at: datetime, boot_id: str, alive: Collection[str] = frozenset()
    ) -> None:
        """After a replay: re-arm deadlines, withdraw offers that were in flight, offer again.

        Offers named in ``alive`` go on: their phones still ring for us.
        """
        self._ledger.begin(now, at)
        self._ledger.boot_id = boot_id
        recover(self._ledger, self._offering, alive)
        self._offering.match()

    def next_timeout(self) -> float | None:
        """Return the ``now`` at which :meth:`handle_timeout` wants to be called."""
        return self._ledger.board.deadlines.next()

    def handle_timeout(self, now: float, at: datetime | None = None) -> None:
        """Do what is due; without ``at`` UTC is reckoned from the last command."""
        last = self._ledger.moment
        self._ledger.begin(now, at or last.at + timedelta(seconds=now - last.now))
        board = self._ledger.board
        while (key := board.deadlines.pop_due(now)) is not None:
            kind, name = key
            if kind == "agent":
                self._ledger.move(board.agents[name], "deadline")
            else:
                self._entry_due(board.entries[name])
        self._offering.match()

    def _entry_due(self, entry: EntryRecord) -> None:
        if entry.offer is not None:  # one who talks has no deadline
            self._offering.timed_out(entry, entry.offer)
        else:
            self._offering.requeue(entry)

    def poll(self) -> Sequence[AcdOutput]:
        """Return and forget the outputs since the last poll."""
        outputs, self._ledger.outputs = self._ledger.outputs, []
        return outputs
