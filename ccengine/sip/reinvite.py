"""Changing a session from our side: re-INVITE and its glare (:rfc:`3261` section 14.1)."""

from __future__ import annotations

from typing import Literal

from ccengine.errors import LocalSipError
from ccengine.revision import replace
from ccengine.sip import transaction_table as names
from ccengine.sip.caller import CHALLENGES
from ccengine.sip.challenge import answer_challenge
from ccengine.sip.composer import NO_BODY, RequestLines, body_lines
from ccengine.sip.dialog import DialogRecord, remote_target
from ccengine.sip.flow import Flow
from ccengine.sip.hangup import Hangup
from ccengine.sip.message import SipResponse
from ccengine.sip.output import Accepted, Rejected
from ccengine.sip.session import EndpointParts, Session
from ccengine.sip.text import encode_text
from ccengine.sip.transaction import TIMED_OUT, ClientTransaction, ClientUser

REQUEST_PENDING = 491
DIALOG_UNKNOWN = 481
RETRY = "retry re-INVITE"
SDP = "application/sdp"
_TICK_S = 0.01


class Reinvite(ClientUser):
    """One re-INVITE of ours, until its transaction is over."""

    __slots__ = ("_ack_sent", "_body", "_lines", "_owner", "_retried", "_session", "_state", "_tx")

    def __init__(self, owner: Reinviter, session: Session, body: bytes) -> None:
        self._owner = owner
        self._session = session
        self._body = body
        self._retried = False
        self._tx: ClientTransaction | None = None
        self._lines: RequestLines | None = None
        self._state: Literal["pending", "answered", "done"] = "pending"
        self._ack_sent: tuple[bytes, Flow] | None = None

    def start(self, record: DialogRecord, now: float, authorization: str = "") -> None:
        """Send the re-INVITE with the next CSeq of the dialog."""
        parts = self._owner.parts
        record = replace(record, local_seq=record.local_seq + 1)
        parts.set_dialog(record)
        lines = self._lines = parts.dialog_lines(record, record.local_seq)
        branch = parts.address_lines(lines, record.flow)
        rest = (
            f"Contact: {record.contact}\r\n{parts.abilities}{parts.user_agent}"
            f"{authorization}{body_lines(self._body, SDP)}"
        )
        wire = encode_text(lines.text("INVITE", rest=rest)) + self._body
        self._tx = parts.transactions.start_client(branch, "INVITE", wire, record.flow, self, now)

    @property
    def needs_ack(self) -> bool:
        """Whether the 2xx to an offerless re-INVITE waits for our owner's answer."""
        return self._state == "answered"

    def cancel(self, now: float, _reason: str) -> None:
        """Wait for the final response no longer than 64*T1: BYE ends the session."""
        if self._tx is not None and self._tx.expiry is None:
            self._owner.parts.transactions.fire(self._tx, names.CANCELLED, now)

    def acknowledge(self, body: bytes) -> None:
        """Send the ACK with our owner's answer."""
        record = self._owner.parts.dialogs.get(self._session.name)
        if self._state != "answered" or record is None:
            raise LocalSipError(f"session {self._session.name!r} has no 2xx to acknowledge")
        self._release()
        self._ack(record, body)

    def failure_ack(self, response: SipResponse) -> bytes:
        """Return the ACK to a 300-699 response (17.1.1.3)."""
        assert self._lines is not None
        return encode_text(self._lines.text("ACK", to=response.header("To") or ""))

    def on_response(self, _tx: ClientTransaction, response: SipResponse, now: float) -> None:
        """Take a response to the re-INVITE."""
        if response.status < 200:
            if self._session.client is not self:
                self.cancel(now, "")
        elif response.status < 300:
            self._on_success(response)
        elif not self._answer_challenge(response, now):
            self._on_rejection(response, now)

    def on_failure(self, _tx: ClientTransaction, status: int, now: float) -> None:
        """Take the end without a final response: a timeout ends the dialog (14.1)."""
        if self._release():
            self._owner.parts.outputs.append(Rejected(self._session.name, status, is_reinvite=True))
            if status == TIMED_OUT:
                self._owner.hangup.abandon(self._session, now)

    def _on_success(self, response: SipResponse) -> None:
        parts = self._owner.parts
        if self._ack_sent is not None:
            parts.counters.retransmissions_in += 1
            parts.counters.retransmissions_out += 1
            parts.send(*self._ack_sent)
            return
        record = parts.dialogs.get(self._session.name)
        if self._state != "pending" or record is None:
            return
        target = remote_target(response)
        if target and target != record.remote_target:
            record = replace(record, remote_target=target)
            parts.set_dialog(record)
        if self._body or record.state == "ending":
            self._release()
            self._ack(record, b"")
        else:
            self._state = "answered"
        if record.state != "ending":
            needs_ack = self._state == "answered"
            parts.outputs.append(
                Accepted(self._session.name, response, is_reinvite=True, needs_ack=needs_ack)
            )

    def _on_rejection(self, response: SipResponse, now: float) -> None:
        if not self._release():
            return
        status = response.status
        if status == REQUEST_PENDING:
            self._owner.hold_after_glare(self._session, self._body, now)
            return
        self._owner.parts.outputs.append(
            Rejected(self._session.name, status, response, is_reinvite=True)
        )
        if status in {TIMED_OUT, DIALOG_UNKNOWN}:
            self._owner.hangup.abandon(self._session, now)

    def _answer_challenge(self, response: SipResponse, now: float) -> bool:
        credentials = self._session.credentials
        record = self._owner.parts.dialogs.get(self._session.name)
        if (
            response.status not in CHALLENGES
            or credentials is None
            or self._retried
            or self._lines is None
            or record is None
            or record.state == "ending"
        ):
            return False
        line = answer_challenge(
            response, credentials, "INVITE", self._lines.uri, self._body, self._owner.parts.ids
        )
        if not line:
            return False
        self._retried = True
        self.start(record, now, line)
        return True

    def _ack(self, record: DialogRecord, body: bytes) -> None:
        assert self._lines is not None
        rest = body_lines(body, SDP) if body else NO_BODY
        wire = self._owner.parts.ack_wire(record, self._lines.cseq, rest, body)
        self._ack_sent = (wire, record.flow)
        self._body = b""
        self._owner.parts.send(wire, record.flow)

    def _release(self) -> bool:
        """Stop being the session's re-INVITE; False when the session is over already."""
        self._state = "done"
        if self._session.client is not self:
            return False
        self._session.client = None
        return True


class Reinviter:
    """Sends re-INVITEs, one at a time for each dialog."""

    __slots__ = ("hangup", "parts")

    def __init__(self, parts: EndpointParts, hangup: Hangup) -> None:
        self.parts = parts
        self.hangup = hangup

    def reinvite(self, session: Session, body: bytes, now: float) -> None:
        """Offer a new session description; an empty ``body`` asks the peer for an offer.

        While the peer's INVITE is in progress ours waits (14.1).
        """
        record = self.parts.dialogs.get(session.name)
        if record is None:
            raise LocalSipError(f"session {session.name!r} is not established")
        if record.state == "ending" or session.bye_wanted:
            self.parts.counters.late_commands += 1
            return
        if session.client is not None or session.held_offer is not None:
            raise LocalSipError(f"session {session.name!r} has a re-INVITE in progress")
        if session.server is not None or record.unacknowledged:
            self._hold(session, body, now + self.parts.settings.t1_s)
            return
        self._send(session, record, body, now)

    def hold_after_glare(self, session: Session, body: bytes, now: float) -> None:
        """Try again after 491: 2.1-4 s for the owner of the Call-ID, else 0-2 s (14.1)."""
        record = self.parts.dialogs.get(session.name)
        if record is None or record.state == "ending" or session.bye_wanted:
            return
        number = self.parts.ids.number(16)
        delay = 2.1 + number % 191 * _TICK_S if record.role == "uac" else number % 201 * _TICK_S
        self._hold(session, body, now + delay)

    def retry(self, session: Session, now: float) -> None:
        """Send what was held, or hold it on while the peer's INVITE is in progress."""
        body, session.held_offer = session.held_offer, None
        session.retry = None
        record = self.parts.dialogs.get(session.name)
        if body is not None and record is not None:
            self.reinvite(session, body, now)

    def _hold(self, session: Session, body: bytes, due: float) -> None:
        session.held_offer = body
        session.retry = self.parts.timers.arm(due, session, RETRY)

    def _send(self, session: Session, record: DialogRecord, body: bytes, now: float) -> None:
        request = Reinvite(self, session, body)
        session.client = request
        request.start(record, now)
