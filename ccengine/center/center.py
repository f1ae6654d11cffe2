"""The center: flows, queues and agents on top of calls, as one sans-IO machine.

Call events come in, commands go out to the call port below.  Each call has an interpreter for
its flow; while it waits in a queue a second one runs what the caller hears, until the queue
engine connects an agent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from ccengine.acd.engine import AcdEngine
from ccengine.acd.output import AgentStateChanged, Connect, EntryLeft, OfferCall, WithdrawOffer
from ccengine.center.agent_desk import AgentDesk
from ccengine.center.flow_desk import FlowDesk, Prompts
from ccengine.center.output import AgentStateTold, CallPort, CenterOutput, ResolveCustomer
from ccengine.center.queue_desk import QueueDesk
from ccengine.center.record import CenterFact, CenterState, SessionRecord
from ccengine.center.session import Running, Sessions
from ccengine.center.settings import CenterSettings, Destination
from ccengine.center.waiting_room import WaitingRoom
from ccengine.dialplan.plan import DialplanStore
from ccengine.errors import AcdError
from ccengine.ids import IdMaker
from ccengine.ports import (
    AgentStateSet,
    AnswerCall,
    CallAnswered,
    CallArrived,
    CallEnded,
    CallEvent,
    DialEnded,
    DialFailed,
    DigitReceived,
    EnterQueue,
    FlowCommand,
    FlowEnded,
    FlowEvent,
    HangUp,
    HangupCause,
    LabelCall,
    LeaveQueue,
    PlayFinished,
    PlayPrompts,
    QueueLeft,
    SetAgentState,
)
from ccengine.revision import replace

_logger = logging.getLogger(__name__)

CUSTOMER_WAIT_S = 0.6
"""How long an agent's phone waits for the customer's name: a little over the hook's deadline."""

MAX_ROUNDS = 1000
"""More exchanges than this within one input mean that flows talk in a circle."""


class Center:
    """Runs the flows of calls and brings callers and agents together."""

    def __init__(
        self,
        *,
        settings: CenterSettings,
        destination: Callable[[str], Destination | None],
        port: CallPort,
        acd: AcdEngine,
        dialplans: DialplanStore,
        prompts: Prompts,
        is_registered: Callable[[str], bool],
        is_in_use: Callable[[str], bool],
        ids: IdMaker,
        facts: list[Any],
        resolves_customers: bool = False,
    ) -> None:
        self.settings = settings
        self._destination = destination
        self._port = port
        self._acd = acd
        # What the center tells flows itself, dealt with after the input in hand.
        self._pending: list[FlowEvent] = []
        self._sessions = Sessions(facts)
        self._flows = FlowDesk(
            settings=settings,
            dialplans=dialplans,
            prompts=prompts,
            port=port,
            ids=ids,
            pending=self._pending,
        )
        self._waiting = WaitingRoom(
            settings=settings, flows=self._flows, port=port, sessions=self._sessions
        )
        self._queues = QueueDesk(settings=settings, acd=acd, port=port, sessions=self._sessions)
        self.agents = AgentDesk(
            settings=settings, acd=acd, is_registered=is_registered, is_in_use=is_in_use
        )
        self._resolves_customers = resolves_customers
        self._outputs: list[CenterOutput] = []

    # --- state ---------------------------------------------------------------------------------

    @property
    def state(self) -> CenterState:
        """The sessions that are alive; to be looked at only."""
        return self._sessions.state

    def apply(self, fact: CenterFact) -> None:
        """Change the state by one fact: the only mutator, live and in replay."""
        self._sessions.state.apply(fact)

    def resume(self, now: float, at: datetime) -> None:
        """After a replay: take every flow up where it stands.

        A call whose version of the dialplan is gone cannot go on and is hung up.
        """
        for session in tuple(self.state.sessions.values()):
            self._port.isolated(session.call_id, now, at, self._resume_session, session, now, at)
        self._settle(now, at)

    def _resume_session(self, session: SessionRecord, now: float, at: datetime) -> None:
        running = self._sessions.running[session.call_id] = Running()
        running.flow = self._flows.restore(session.place, now)
        running.wait = self._flows.restore(session.wait_place, now)
        if session.place is not None and running.flow is None:
            self._port.command(HangUp(session.call_id, "failure"), now, at)
        elif session.queue_next:
            self._port.command(AnswerCall(session.call_id), now, at)
        else:
            self._run(session.call_id, now, at)
        # The question who calls died with our predecessor.
        self._wait_no_longer(session.call_id, now, at)

    # --- inputs --------------------------------------------------------------------------------

    def receive(self, event: CallEvent, now: float, at: datetime) -> None:
        """Deal with an event of a call."""
        session = self._sessions.get(event.call_id)
        if isinstance(event, CallArrived):
            if session is None:
                self._arrived(event, now, at)
        elif session is None:
            pass  # a call that never was a flow's, or is over
        elif isinstance(event, CallEnded):
            self._ended(session, now, at)
        elif isinstance(event, CallAnswered) and session.queue_next:
            self._answered(session, now, at)
        elif not self._queues.dial_event(session, event, now, at):
            self._tell(session, event, now, at)
        elif isinstance(event, DialEnded | DialFailed):
            self._forget_offer(event)
        self._settle(now, at)

    def phone_registered(self, phone: str, registered: bool, now: float, at: datetime) -> None:
        """A phone registered, or its last registration is gone."""
        self._acd.phone_registered(phone, registered, now, at)
        self._settle(now, at)

    def phone_in_use(self, phone: str, in_use: bool, now: float, at: datetime) -> None:
        """A phone is in a call of its own, or free of it again."""
        self._acd.phone_busy(phone, in_use, now, at)
        self._settle(now, at)

    def customer_resolved(
        self, call_id: str, customer_id: str, name: str, now: float, at: datetime
    ) -> None:
        """A plugin knows who calls; empty texts say that nobody does."""
        session = self._sessions.get(call_id)
        if session is None:
            return
        session = self._sessions.keep(replace(session, customer_id=customer_id, customer_name=name))
        self._port.command(LabelCall(call_id, customer_id=customer_id, customer_name=name), now, at)
        self._queues.customer_told(session, now, at)
        self._settle(now, at)

    def act_on_agent(
        self, request: SetAgentState, now: float, at: datetime, *, phone: str = ""
    ) -> None:
        """Change an agent's state from outside a call (command line, API).

        Raises :class:`ccengine.errors.CommandError` or :class:`ccengine.errors.AcdError`.
        """
        self.agents.act(request.action, request.agent_id, phone, request.reason, now, at)
        self._settle(now, at)

    def reconfigure(
        self,
        settings: CenterSettings,
        destination: Callable[[str], Destination | None],
        prompts: Prompts,
    ) -> None:
        """Take new settings for what begins from now on; nobody is signed out."""
        for desk in (self, self._queues, self.agents, self._flows, self._waiting):
            desk.settings = settings
        self._flows.prompts = prompts
        self._destination = destination

    # --- calls ---------------------------------------------------------------------------------

    def _arrived(self, event: CallArrived, now: float, at: datetime) -> None:
        target = self._destination(event.number)
        if target is None:
            self._port.command(HangUp(event.call_id, "not_found"), now, at)
            return
        session = SessionRecord(call_id=event.call_id, arrived=event)
        running = Running()
        self._sessions.running[event.call_id] = running
        if self._resolves_customers:
            session = replace(session, customer_by=now + CUSTOMER_WAIT_S)
            self._outputs.append(ResolveCustomer(event.call_id, event.caller.number))
        if target.kind == "flow":
            running.flow = self._flows.begin(target.name, event, now)
            if running.flow is None:
                self._sessions.drop(event.call_id)
                self._port.command(HangUp(event.call_id, "failure"), now, at)
                return
            self._sessions.keep(session)
            self._run(event.call_id, now, at)
            return
        # The queue's music wants a caller who can hear it.
        self._sessions.keep(replace(session, queue_next=target.name))
        self._port.command(AnswerCall(event.call_id), now, at)

    def _answered(self, session: SessionRecord, now: float, at: datetime) -> None:
        """A call that goes straight into a queue is answered."""
        queue = session.queue_next
        session = self._sessions.keep(replace(session, queue_next=""))
        self._enter_queue(session, EnterQueue(session.call_id, queue), now, at)

    def _ended(self, session: SessionRecord, now: float, at: datetime) -> None:
        running = self._sessions.running.get(session.call_id)
        self._sessions.drop(session.call_id)
        self._queues.hang_up(session, now, at)
        if running is not None:
            self._flows.release(running.wait)
            self._flows.release(running.flow)
        if session.ready_after:
            self.agents.ready_now(session.ready_after, now, at)

    def _forget_offer(self, event: DialEnded | DialFailed) -> None:
        session = self._sessions.get(event.call_id)
        if session is not None and session.offer_id == event.dial_id:
            self._sessions.keep(replace(session, offer_id=""))

    def _tell(self, session: SessionRecord, event: FlowEvent, now: float, at: datetime) -> None:
        """Let the interpreters of a call hear an event.

        While the caller waits, keys and sounds belong to the wait flow.
        """
        running = self._sessions.running.get(session.call_id)
        if running is None:
            return
        if running.flow is None and isinstance(event, QueueLeft):
            cause: HangupCause = "normal" if event.result == "answered" else "no_answer"
            self._port.command(HangUp(session.call_id, cause), now, at)
            return
        for_wait = isinstance(event, DigitReceived | PlayFinished)
        listener = running.wait if session.queue and for_wait else running.flow
        if listener is not None:
            listener.receive(event, now)
        self._run(session.call_id, now, at)

    # --- flows ---------------------------------------------------------------------------------

    def _settle(self, now: float, at: datetime) -> None:
        """Carry out what queue engine and flows want, until all are quiet."""
        for _ in range(MAX_ROUNDS):
            outputs = self._acd.poll()
            pending = self._pending[:]
            self._pending.clear()
            if not outputs and not pending:
                return
            for output in outputs:
                call_id = getattr(output, "entry_id", "")
                self._port.isolated(call_id, now, at, self._acd_output, output, now, at)
            for event in pending:
                session = self._sessions.get(event.call_id)
                if session is not None:
                    self._port.isolated(event.call_id, now, at, self._tell, session, event, now, at)
        self._break_circle(now, at)

    def _break_circle(self, now: float, at: datetime) -> None:
        """Hang up the calls whose flows and queues never come to rest."""
        outputs = [*self._acd.poll(), *self._pending]
        self._pending.clear()
        found = {getattr(one, "entry_id", "") or getattr(one, "call_id", "") for one in outputs}
        _logger.error("flows and queues of calls %s talk in a circle", sorted(found - {""}))
        for call_id in found - {""}:
            self._port.command(HangUp(call_id, "failure"), now, at)

    def _run(self, call_id: str, now: float, at: datetime) -> None:
        """Carry out the commands of a call's flows."""
        running = self._sessions.running.get(call_id)
        if running is None:
            return
        for flow, is_wait in ((running.wait, True), (running.flow, False)):
            if flow is None:
                continue
            for command in flow.poll():
                session = self._sessions.get(call_id)
                if session is None:
                    return
                self._carry_out(session, command, is_wait, now, at)
        session = self._sessions.get(call_id)
        if session is not None:
            self._sessions.keep(session)

    def _carry_out(
        self, session: SessionRecord, command: FlowCommand, is_wait: bool, now: float, at: datetime
    ) -> None:
        match command:
            case PlayPrompts():
                self._flows.play(command, now, at)
            case EnterQueue():
                self._enter_queue(session, command, now, at)
            case LeaveQueue():
                self._queues.leave(command, now, at)
            case SetAgentState():
                self._set_agent_state(session, command, now, at)
            case FlowEnded(error=error):
                self._flow_ended(session, error, is_wait, now, at)
            case _:
                self._port.command(command, now, at)

    def _flow_ended(
        self, session: SessionRecord, error: str, is_wait: bool, now: float, at: datetime
    ) -> None:
        if is_wait:
            self._waiting.flow_ended(session, now, at)
            return
        self._port.command(HangUp(session.call_id, "failure" if error else "normal"), now, at)

    def _set_agent_state(
        self, session: SessionRecord, command: SetAgentState, now: float, at: datetime
    ) -> None:
        result = self.agents.by_phone(
            command.action,
            session.arrived.extension,
            command.agent_id,
            command.pin,
            command.reason,
            now,
            at,
        )
        if result.ready_after or command.action in {"sign_out", "away"}:
            self._sessions.keep(replace(session, ready_after=result.ready_after))
        self._pending.append(AgentStateSet(command.call_id, command.request_id, result.error))

    # --- queues --------------------------------------------------------------------------------

    def _enter_queue(
        self, session: SessionRecord, command: EnterQueue, now: float, at: datetime
    ) -> None:
        if self._acd.entry(session.call_id) is not None:
            return  # said once more after a takeover: the stay in the queue goes on
        try:
            session = self._queues.enter(session, command, now, at)
        except AcdError as error:
            self._sessions.keep(replace(session, queue=""))
            self._pending.append(QueueLeft(session.call_id, "refused", error.message))
            return
        entry = self._acd.entry(session.call_id)
        if entry is not None:
            self._waiting.enter(session, command.wait_flow, now, at)
            self._run(session.call_id, now, at)

    def _acd_output(
        self,
        output: OfferCall | WithdrawOffer | Connect | EntryLeft | AgentStateChanged,
        now: float,
        at: datetime,
    ) -> None:
        match output:
            case OfferCall():
                self._queues.offer(output, now, at)
            case WithdrawOffer():
                self._queues.withdraw(output, now, at)
            case Connect():
                self._queues.connect(output, self._waiting.leave, now, at)
            case EntryLeft():
                self._left(output, now, at)
            case AgentStateChanged():
                self._outputs.append(
                    AgentStateTold(output.agent_id, output.state, output.reason, output.at)
                )

    def _left(self, output: EntryLeft, now: float, at: datetime) -> None:
        """A stay in a queue is over: the flow goes on, or the call ends without one."""
        session = self._sessions.get(output.entry_id)
        if session is None:
            return
        session = self._waiting.leave(session, now, at)
        session = self._sessions.keep(replace(session, queue="", offer_id="", connected=False))
        self._tell(session, self._queues.result(output), now, at)

    # --- time and outputs ------------------------------------------------------------------------

    def next_timeout(self) -> float | None:
        """Return when a flow or the queue engine wants to be woken."""
        due = (
            self._sessions.next_timeout(),
            self._queues.next_timeout(),
            self._acd.next_timeout(),
        )
        return min((one for one in due if one is not None), default=None)

    def handle_timeout(self, now: float, at: datetime) -> None:
        """Wake the flows and the queue engine that are due."""
        for call_id in self._sessions.due(now):
            self._port.isolated(call_id, now, at, self._wake, call_id, now, at)
        for call_id in self._queues.due(now):
            self._port.isolated(call_id, now, at, self._wait_no_longer, call_id, now, at)
        self._acd.handle_timeout(now, at)
        self._settle(now, at)

    def _wait_no_longer(self, call_id: str, now: float, at: datetime) -> None:
        session = self._sessions.get(call_id)
        if session is not None:
            self._queues.customer_told(session, now, at)

    def _wake(self, call_id: str, now: float, at: datetime) -> None:
        running = self._sessions.running.get(call_id)
        for flow in (running.wait, running.flow) if running is not None else ():
            if flow is not None:
                flow.handle_timeout(now)
        self._run(call_id, now, at)

    def poll(self) -> Sequence[CenterOutput]:
        """Return and forget the outputs."""
        outputs, self._outputs = self._outputs, []
        return outputs
