"""The SIP endpoint: one face over transactions, dialogs and sessions, without any I/O."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ccengine.errors import LocalSipError, SipParseError
from ccengine.ids import IdMaker
from ccengine.sip.callee import DEADLINE, RESEND, Callee
from ccengine.sip.caller import CallInvite
from ccengine.sip.composer import NO_BODY, contact_user
from ccengine.sip.counter import SipCounters
from ccengine.sip.dialog import DialogFact, DialogRecord, response_dialog_key
from ccengine.sip.exchange import Exchanger
from ccengine.sip.flow import Flow
from ccengine.sip.hangup import Hangup
from ccengine.sip.matching import response_key
from ccengine.sip.message import BadRequestError, SipRequest, SipResponse, parse_message
from ccengine.sip.output import Headers, OutgoingInvite, OutgoingRequest, SipOutput
from ccengine.sip.reception import Reception
from ccengine.sip.reinvite import RETRY, Reinviter
from ccengine.sip.session import EndpointParts
from ccengine.sip.settings import EndpointSettings
from ccengine.sip.transaction import Transaction

TEMPORARILY_UNAVAILABLE = 480


class SipEndpoint:
    """A SIP user agent for any number of sessions.

    ``facts`` is the list to which facts are appended.  ``local_address`` tells which host and
    port of ours a peer sees on a flow: they stand in Via and Contact.  ``now`` is monotonic
    seconds everywhere.

    A command for a session that is over is counted and does nothing, since the news of its
    end may still be on its way up; one that the state of a living session does not allow
    raises LocalSipError.
    """

    def __init__(
        self,
        *,
        settings: EndpointSettings,
        ids: IdMaker,
        facts: list[Any],
        local_address: Callable[[Flow], tuple[str, int]],
    ) -> None:
        self._parts = parts = EndpointParts(settings, ids, facts, local_address)
        self._hangup = Hangup(parts)
        self._callee = Callee(parts, self._hangup)
        self._reinviter = Reinviter(parts, self._hangup)
        self._exchanger = Exchanger(parts)
        self._reception = Reception(parts, self._callee, self._hangup, self._exchanger)
        self._on_timer = {
            RESEND: self._callee.resend,
            DEADLINE: self._callee.give_up,
            RETRY: self._reinviter.retry,
        }

    # --- looking in -------------------------------------------------------------------------

    @property
    def counters(self) -> SipCounters:
        """What was counted since the start."""
        return self._parts.counters

    @property
    def transaction_count(self) -> int:
        """Transactions that are not forgotten yet."""
        return len(self._parts.transactions)

    @property
    def timer_count(self) -> int:
        """Timers that wait to expire."""
        return len(self._parts.timers)

    @property
    def session_count(self) -> int:
        """Sessions that are not over."""
        names = self._parts.sessions.keys() | {record.session for record in self.dialogs}
        return len(names)

    @property
    def early_dialog_count(self) -> int:
        """Early dialogs of pending INVITEs."""
        return len(self._parts.early)

    @property
    def dialogs(self) -> tuple[DialogRecord, ...]:
        """All confirmed dialogs."""
        return tuple(self._parts.dialogs)

    def dialog(self, session: str) -> DialogRecord | None:
        """Return the confirmed dialog of a session."""
        return self._parts.dialogs.get(session)

    # --- the machine ------------------------------------------------------------------------

    def apply(self, fact: DialogFact) -> None:
        """Change the confirmed dialogs by one fact, live and in replay."""
        self._parts.dialogs.apply(fact)

    def resume(self, now: float) -> None:
        """Take up what replayed dialogs had not finished: 2xx without ACK, unanswered BYE."""
        for record in self._parts.dialogs:
            session = self._parts.session(record.session)
            if session is None:
                continue
            if record.state == "ending":
                self._hangup.resume(session, record, now)
            elif record.unacknowledged:
                self._callee.resume(session, now)

    def poll(self) -> Sequence[SipOutput]:
        """Return and forget the outputs since the last poll."""
        outputs = self._parts.outputs[:]
        self._parts.outputs.clear()
        return outputs

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` wants to be called."""
        return self._parts.timers.next_due()

    def handle_timeout(self, now: float) -> None:
        """Run all timers that are due."""
        timers = self._parts.timers
        while (due := timers.pop_due(now)) is not None:
            owner, name = due
            if isinstance(owner, Transaction):
                self._parts.transactions.fire(owner, name, now)
            else:
                self._on_timer[name](owner, now)

    def receive(self, data: bytes, flow: Flow, now: float) -> None:
        """Take one datagram, or one message of a stream; nothing in it raises."""
        try:
            self._receive(data, flow, now)
        except SipParseError:
            if data.strip(b"\r\n"):  # line ends alone keep a flow alive (RFC 5626 3.5.1)
                self._parts.counters.malformed += 1

    def _receive(self, data: bytes, flow: Flow, now: float) -> None:
        counters = self._parts.counters
        try:
            message = parse_message(data)
        except BadRequestError as error:
            counters.requests_in += 1
            self._reception.refuse_malformed(error.request, flow, error)
            return
        if isinstance(message, SipRequest):
            counters.requests_in += 1
            self._reception.receive(message, flow, now)
        else:
            counters.responses_in += 1
            self._receive_response(message, flow, now)

    def _receive_response(self, response: SipResponse, flow: Flow, now: float) -> None:
        transactions = self._parts.transactions
        tx = transactions.clients.get(response_key(response))
        if tx is None:
            self._stray(response)
            return
        _ = response.from_, response.to  # read here, lest a bad one stops half-way
        if flow.is_reliable and tx.flow != flow:
            transactions.rebind(tx, flow)  # the request opened this connection
        transactions.receive_response(tx, response, now)

    def _stray(self, response: SipResponse) -> None:
        """Acknowledge a repeated 2xx of a dialog that came through a restart."""
        parts = self._parts
        parts.counters.stray_responses += 1
        if response.cseq.method != "INVITE" or not 200 <= response.status < 300:
            return
        name = parts.dialogs.session_of(response_dialog_key(response))
        record = parts.dialogs.get(name) if name is not None else None
        if record is not None:
            wire = parts.ack_wire(record, response.cseq.number, NO_BODY, b"")
            parts.send(wire, record.flow)

    def flow_failed(self, flow: Flow, now: float) -> None:
        """End what can only go by a flow that is broken; dialogs wait for another flow."""
        self._parts.transactions.flow_failed(flow, now)

    def move_session(self, session: str, flow: Flow) -> None:
        """Let a session go on by another flow, such as the new connection of its phone."""
        record = self._parts.dialogs.get(session)
        if record is None:
            self._parts.counters.late_commands += 1
            return
        contact = self._parts.contact(flow, contact_user(record.contact))
        self._parts.set_dialog(replace(record, flow=flow, contact=contact))

    # --- calls that we make -----------------------------------------------------------------

    def invite(self, session: str, command: OutgoingInvite, now: float) -> bytes:
        """Call; Provisional, Accepted or Rejected follow.  ``session`` is the owner's name.

        Returns the request as sent, which is what :meth:`revive` wants after a restart.
        """
        state = self._parts.new_session(session)
        state.credentials = command.credentials
        try:
            call = CallInvite(self._parts, state, command)
            state.client = call
            call.start(now)
        except LocalSipError:
            self._parts.forget_session(state)
            raise
        return call.wire

    def revive(self, session: str, wire: bytes, flow: Flow, now: float) -> None:
        """Go on with a call that a predecessor made and that was not answered yet.

        The INVITE is sent again as it was, so the peer repeats what it said last.
        """
        request = parse_message(wire)
        if not isinstance(request, SipRequest):
            raise LocalSipError(f"session {session!r} cannot be revived: that is no request")
        state = self._parts.new_session(session)
        call = CallInvite.revive(self._parts, state, request, wire, flow)
        state.client = call
        call.repeat(now)

    def cancel(self, session: str, now: float, reason: str = "") -> None:
        """Give up a call that is not answered; Rejected follows.

        ``reason`` is the value of a Reason header field (:rfc:`3326`).
        """
        state = self._parts.commanded(session)
        if state is None:
            return
        if state.client is None or self._parts.dialogs.get(session) is not None:
            raise LocalSipError(f"session {session!r} has no unanswered INVITE of ours")
        state.client.cancel(now, reason)

    def ack(self, session: str, body: bytes, now: float) -> None:
        """Acknowledge the 2xx to an offerless INVITE or re-INVITE, with our answer."""
        del now  # an ACK to a 2xx starts no timer
        state = self._parts.commanded(session)
        if state is None:
            return
        if state.client is None:
            raise LocalSipError(f"session {session!r} has no 2xx to acknowledge")
        state.client.acknowledge(body)

    # --- calls that come in -----------------------------------------------------------------

    def provisional(
        self,
        session: str,
        status: int,
        now: float,
        *,
        reason: str = "",
        body: bytes = b"",
        headers: Headers = (),
    ) -> None:
        """Send a 101-199 response to the pending INVITE or re-INVITE."""
        state = self._parts.commanded(session)
        if state is not None:
            self._callee.provisional(state, status, now, reason, body, headers)

    def accept(self, session: str, now: float, *, body: bytes = b"", headers: Headers = ()) -> None:
        """Answer the pending INVITE or re-INVITE with 200; AckReceived or AckMissing follows."""
        state = self._parts.commanded(session)
        if state is not None:
            self._callee.accept(state, now, body, headers)

    def reject(
        self, session: str, status: int, now: float, *, reason: str = "", headers: Headers = ()
    ) -> None:
        """Answer the pending INVITE or re-INVITE with 300-699; no event follows."""
        state = self._parts.commanded(session)
        if state is not None:
            self._callee.reject(state, status, now, reason, headers)

    # --- established sessions -----------------------------------------------------------------

    def bye(self, session: str, now: float, headers: Headers = ()) -> None:
        """End a session in whatever state it is.

        Established: SessionEnded follows.  A call of ours that is not answered is cancelled
        (Rejected follows); one that came in and is not answered is rejected with 480.
        """
        state = self._parts.commanded(session)
        if state is None:
            return
        record = self._parts.dialogs.get(session)
        if record is not None:
            self._hangup.hang_up(state, record, now, headers)
        elif state.server is not None:
            self._callee.reject(state, TEMPORARILY_UNAVAILABLE, now, "", headers)
        elif state.client is not None:
            state.client.cancel(now, "")

    def reinvite(self, session: str, body: bytes, now: float) -> None:
        """Change an established session; Accepted or Rejected with ``is_reinvite`` follows.

        An empty ``body`` asks the peer for an offer.  Glare (491) is sorted out here.
        """
        state = self._parts.commanded(session)
        if state is not None:
            self._reinviter.reinvite(state, body, now)

    # --- requests without session ---------------------------------------------------------------

    def request(self, tx: str, command: OutgoingRequest, now: float) -> None:
        """Send a request outside a dialog; ResponseReceived with ``tx`` follows."""
        self._exchanger.request(tx, command, now)

    def respond(
        self,
        tx: str,
        status: int,
        now: float,
        *,
        reason: str = "",
        headers: Headers = (),
        body: bytes = b"",
        content_type: str = "",
    ) -> None:
        """Answer a RequestReceived."""
        self._exchanger.respond(tx, status, now, reason, headers, body, content_type)

    def respond_with(self, tx: str, response: SipResponse, now: float) -> None:
        """Answer a RequestReceived with a response that was made elsewhere."""
        self._exchanger.respond_with(tx, response, now)
