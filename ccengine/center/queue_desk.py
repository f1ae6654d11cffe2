"""Between the queue engine and the calls: music, offers, connections, results."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from ccengine.acd.engine import AcdEngine
from ccengine.acd.output import Connect, EntryLeft, OfferCall, WithdrawOffer
from ccengine.acd.record import EntryRequest, Requirement
from ccengine.center.output import CallPort
from ccengine.center.record import SessionRecord
from ccengine.center.session import Sessions
from ccengine.center.settings import CenterSettings
from ccengine.ports import (
    CallEvent,
    CancelDial,
    ConnectDial,
    DialAnswered,
    DialEnded,
    DialFailed,
    DialRinging,
    DialTarget,
    EnterQueue,
    HangupCause,
    LabelCall,
    LeaveQueue,
    Party,
    QueueLeft,
    StartDial,
)
from ccengine.revision import replace

# The queue engine ends an offer by itself; the dial's own limit only guards against its loss.
DIAL_MARGIN_S = 30.0


class QueueDesk:
    """Puts calls into queues and carries out what the queue engine decides."""

    def __init__(
        self, *, settings: CenterSettings, acd: AcdEngine, port: CallPort, sessions: Sessions
    ) -> None:
        self.settings = settings
        self._acd = acd
        self._port = port
        self._sessions = sessions
        self._held: dict[str, float] = {}

    # --- from flows ---------------------------------------------------------------------

    def enter(
        self, session: SessionRecord, request: EnterQueue, now: float, at: datetime
    ) -> SessionRecord:
        """Put a call into a queue; the engine refuses by an ``EntryLeft``."""
        queue = self.settings.queues.get(request.queue)
        wanted = dict(queue.skills) if queue else {}
        wanted |= {skill: max(1, wanted.get(skill, 1)) for skill in request.skills}
        session = self._sessions.keep(replace(session, queue=request.queue))
        self._port.command(LabelCall(session.call_id, queue=request.queue), now, at)
        self._acd.enqueue(
            EntryRequest(
                entry_id=session.call_id,
                queue=request.queue,
                priority=request.priority,
                requirements=(Requirement(tuple(sorted(wanted.items()))),),
                timeout_s=request.timeout_s,
            ),
            now,
            at,
        )
        return session

    def leave(self, request: LeaveQueue, now: float, at: datetime) -> None:
        """Take a caller out of the queue by the caller's own key."""
        self._acd.leave(request.call_id, "left", now, at, detail=request.key)

    def hang_up(self, session: SessionRecord, now: float, at: datetime) -> None:
        """The caller is gone while waiting, while a phone rang, or while talking."""
        self._held.pop(session.call_id, None)
        if session.queue:
            self._acd.leave(session.call_id, "hangup", now, at)

    # --- from the queue engine -----------------------------------------------------------

    def offer(self, offer: OfferCall, now: float, at: datetime) -> None:
        """Ring an agent's phone; it shows the customer's name where we know it."""
        session = self._sessions.get(offer.entry_id)
        if session is None:
            # The caller is gone: trying agent after agent would help nobody.
            self._acd.leave(offer.entry_id, "hangup", now, at)
            return
        if session.customer_by > now:
            self._sessions.keep(replace(session, offer_id=offer.offer_id, held=offer))
            self._held[session.call_id] = session.customer_by
            return
        self._ring(self._sessions.keep(replace(session, offer_id=offer.offer_id)), offer, now, at)

    def customer_told(self, session: SessionRecord, now: float, at: datetime) -> None:
        """Nothing more is to be heard of who calls: ring the agent who waits for it."""
        self._held.pop(session.call_id, None)
        held = session.held
        session = self._sessions.keep(replace(session, customer_by=0.0, held=None))
        entry = self._acd.entry(session.call_id)
        offer = entry.offer if entry is not None else None
        if held is not None and offer is not None and offer.offer_id == held.offer_id:
            self._ring(session, held, now, at)

    def next_timeout(self) -> float | None:
        """Return when the first agent has waited long enough for a customer's name."""
        return min(self._held.values(), default=None)

    def due(self, now: float) -> list[str]:
        """Return the calls whose agents have waited long enough for a name."""
        return [call_id for call_id, by in self._held.items() if by <= now]

    def _ring(self, session: SessionRecord, offer: OfferCall, now: float, at: datetime) -> None:
        caller = session.arrived.caller
        shown = Party(caller.number, session.customer_name or caller.name)
        self._port.command(
            StartDial(
                call_id=session.call_id,
                dial_id=offer.offer_id,
                target=DialTarget("extension", offer.phone),
                timeout_s=offer.ring_timeout_s + DIAL_MARGIN_S,
                display=shown,
                agent_id=offer.agent_id,
            ),
            now,
            at,
        )

    def withdraw(self, offer: WithdrawOffer, now: float, at: datetime) -> None:
        """Stop ringing a phone, or hang it up when it answered too late."""
        session = self._sessions.get(offer.entry_id)
        if session is not None and session.offer_id == offer.offer_id:
            self._sessions.keep(replace(session, offer_id=""))
        cause: HangupCause = "no_answer" if offer.reason == "timeout" else "cancelled"
        self._port.command(CancelDial(offer.entry_id, offer.offer_id, cause), now, at)

    def connect(
        self,
        connect: Connect,
        stop_waiting: Callable[[SessionRecord, float, datetime], SessionRecord],
        now: float,
        at: datetime,
    ) -> None:
        """Let the caller and the agent talk; what the caller heard while waiting ends."""
        session = self._sessions.get(connect.entry_id)
        if session is None:
            return
        session = stop_waiting(session, now, at)
        self._sessions.keep(replace(session, connected=True))
        self._port.command(ConnectDial(connect.entry_id, connect.offer_id), now, at)

    def result(self, left: EntryLeft) -> QueueLeft:
        """Return what the flow hears of a stay that is over."""
        return QueueLeft(left.entry_id, left.result, left.detail)

    # --- from the call -------------------------------------------------------------------

    def dial_event(
        self, session: SessionRecord, event: CallEvent, now: float, at: datetime
    ) -> bool:
        """Tell the queue engine how an offer goes; return whether the event was about one."""
        match event:
            case DialRinging(dial_id=offer_id):
                if offer_id == session.offer_id:
                    self._acd.offer_ringing(offer_id, now, at)
            case DialAnswered(dial_id=offer_id):
                if offer_id == session.offer_id:
                    self._acd.offer_accepted(offer_id, now, at)
            case DialFailed(dial_id=offer_id, cause=cause):
                if offer_id == session.offer_id:
                    self._acd.offer_failed(offer_id, cause, now, at)
            case DialEnded(dial_id=offer_id, cause=cause):
                if offer_id == session.offer_id:
                    if session.connected:
                        self._acd.conversation_ended(session.call_id, now, at)
                    else:
                        self._acd.offer_failed(offer_id, cause, now, at)
            case _:
                return False
        return offer_id == session.offer_id
