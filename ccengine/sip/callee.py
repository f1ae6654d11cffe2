"""Calls that come in: INVITE and re-INVITE as server, the 2xx and its ACK."""

from __future__ import annotations

from ccengine.errors import LocalSipError
from ccengine.revision import replace
from ccengine.sip.composer import body_lines, header_lines, record_route_lines
from ccengine.sip.dialog import DialogRecord, remote_target, request_key, uas_dialog
from ccengine.sip.flow import Flow
from ccengine.sip.hangup import Hangup
from ccengine.sip.message import SipRequest
from ccengine.sip.output import (
    AckMissing,
    AckReceived,
    Headers,
    InviteCancelled,
    InviteReceived,
    ReinviteReceived,
)
from ccengine.sip.session import EndpointParts, Session
from ccengine.sip.transaction import ServerTransaction

RESEND = "resend 2xx"
DEADLINE = "end of wait for ACK"
SDP = "application/sdp"
REQUEST_TERMINATED = 487
REQUEST_PENDING = 491
SERVER_ERROR = 500


class Callee:
    """The server side of INVITE for all sessions of an endpoint."""

    __slots__ = ("_hangup", "_parts")

    def __init__(self, parts: EndpointParts, hangup: Hangup) -> None:
        self._parts = parts
        self._hangup = hangup

    # --- requests ---------------------------------------------------------------------------

    def receive_invite(
        self, key: str, merge: str, request: SipRequest, flow: Flow, now: float
    ) -> None:
        """Begin a call: 100 goes out at once, the rest is for our owner to say."""
        parts = self._parts
        tx = parts.open_server(key, request, flow, now)
        tx.merge_key = merge
        parts.transactions.merged[merge] = tx
        session = parts.new_session(parts.ids.make("s"))
        tx.session = session.name
        tx.user = self
        session.server = tx
        session.early = uas_dialog(
            session.name,
            request,
            tx.to_tagged,
            tx.local_tag,
            tx.flow,
            parts.contact(tx.flow, _user_of(request)),
        )
        parts.early[session.early.key] = session.name
        self._trying(tx, request, now)
        parts.outputs.append(InviteReceived(session.name, request, flow))

    def receive_reinvite(
        self, session: Session, key: str, request: SipRequest, flow: Flow, now: float
    ) -> None:
        """Take a change of a session, unless one is under way already (14.2)."""
        parts = self._parts
        if session.server is not None:
            after = parts.ids.number(16) % 11
            rest = f"Retry-After: {after}\r\nContent-Length: 0\r\n\r\n"
            parts.refuse(key, request, flow, SERVER_ERROR, now, rest=rest)
            return
        if session.client is not None:
            parts.refuse(key, request, flow, REQUEST_PENDING, now)
            return
        tx = parts.open_server(key, request, flow, now)
        tx.session = session.name
        tx.user = self
        session.server = tx
        self._trying(tx, request, now)
        parts.outputs.append(ReinviteReceived(session.name, request))

    def _trying(self, tx: ServerTransaction, request: SipRequest, now: float) -> None:
        stamp = request.header("Timestamp")
        if stamp is None:
            self._parts.reply(tx, 100, now)
        else:
            rest = f"Timestamp: {stamp}\r\nContent-Length: 0\r\n\r\n"
            self._parts.reply(tx, 100, now, rest=rest)

    def receive_cancel(self, tx: ServerTransaction, now: float) -> None:
        """End an INVITE that is not answered yet (9.2); its CANCEL has got its 200."""
        request = tx.request
        session = self._parts.sessions.get(tx.session)
        if request is None or session is None or session.server is not tx:
            return
        self._cancelled(session, tx, request, now)

    def cancel_early(self, session: Session, now: float) -> None:
        """End an INVITE because its caller sent BYE on the early dialog (15)."""
        tx = session.server
        if tx is not None and tx.request is not None:
            self._cancelled(session, tx, tx.request, now)

    def _cancelled(
        self, session: Session, tx: ServerTransaction, request: SipRequest, now: float
    ) -> None:
        session.server = None
        self._parts.reply(tx, REQUEST_TERMINATED, now)
        reinvite = self._parts.dialogs.get(session.name) is not None
        if not reinvite:
            self._parts.forget_session(session)
        self._parts.outputs.append(InviteCancelled(session.name, request, is_reinvite=reinvite))

    def receive_ack(self, request: SipRequest, now: float) -> bool:
        """Take the ACK to a 2xx of ours; False when it belongs to no dialog."""
        parts = self._parts
        name = parts.dialogs.session_of(request_key(request))
        record = parts.dialogs.get(name) if name is not None else None
        session = parts.session(name) if name is not None else None
        if record is None or session is None:
            return False
        if not record.unacknowledged or record.unacknowledged_seq != request.cseq.number:
            parts.counters.retransmissions_in += 1
            return True
        self._stop_resending(session)
        record = replace(record, unacknowledged=b"")
        parts.set_dialog(record)
        parts.outputs.append(AckReceived(session.name, request))
        if session.bye_wanted:
            self._hangup.send_bye(session, record, now, session.bye_headers)
        return True

    def on_lost(self, tx: ServerTransaction) -> None:
        """Give up a call whose caller cannot be reached any more."""
        session = self._parts.sessions.get(tx.session)
        if session is None or session.server is not tx:
            return
        session.server = None
        if self._parts.dialogs.get(session.name) is None:
            self._parts.end_session(session, "gone")
        elif tx.request is not None:
            self._parts.outputs.append(InviteCancelled(session.name, tx.request, is_reinvite=True))

    # --- commands ---------------------------------------------------------------------------

    def provisional(
        self,
        session: Session,
        status: int,
        now: float,
        reason: str = "",
        body: bytes = b"",
        headers: Headers = (),
    ) -> None:
        """Send 101-199 (13.3.1.1)."""
        tx, request = self._pending(session)
        if not 100 < status < 200:
            raise LocalSipError(f"{status} is no provisional response of a callee")
        rest = (
            f"{record_route_lines(request)}Contact: {self._contact(session)}\r\n"
            f"{self._parts.allow}{self._parts.server}{header_lines(headers)}"
            f"{body_lines(body, SDP)}"
        )
        self._parts.reply(tx, status, now, reason=reason, rest=rest, body=body)

    def accept(
        self, session: Session, now: float, body: bytes = b"", headers: Headers = ()
    ) -> None:
        """Send 200 and repeat it until its ACK comes (13.3.1.4)."""
        parts = self._parts
        tx, request = self._pending(session)
        rest = (
            f"{record_route_lines(request)}Contact: {self._contact(session)}\r\n"
            f"{parts.abilities}{parts.server}{header_lines(headers)}{body_lines(body, SDP)}"
        )
        record = parts.dialogs.get(session.name) or session.early
        assert record is not None
        t1 = parts.settings.t1_s
        wire = parts.reply(tx, 200, now, rest=rest, body=body)
        # The target of a re-INVITE counts once the re-INVITE is accepted (RFC 6141 section 4).
        record = replace(
            record,
            state="confirmed",
            remote_target=remote_target(request) or record.remote_target,
            unacknowledged=wire,
            unacknowledged_seq=request.cseq.number,
            acknowledge_by=now + 64 * t1,
        )
        session.server = None
        parts.drop_early(session)
        parts.set_dialog(record)
        self._start_resending(session, record.acknowledge_by, now)

    def reject(
        self, session: Session, status: int, now: float, reason: str = "", headers: Headers = ()
    ) -> None:
        """Send 300-699; a re-INVITE leaves the session as it was."""
        tx, _ = self._pending(session)
        if not 300 <= status < 700:
            raise LocalSipError(f"{status} does not reject")
        rest = f"{self._parts.server}{header_lines(headers)}Content-Length: 0\r\n\r\n"
        if status in {401, 407} and tx.merge_key:
            # Careless clients answer a challenge without a new CSeq; that is no merged request.
            self._parts.transactions.merged.pop(tx.merge_key, None)
            tx.merge_key = ""
        session.server = None
        self._parts.reply(tx, status, now, reason=reason, rest=rest)
        if self._parts.dialogs.get(session.name) is None:
            self._parts.forget_session(session)

    def _pending(self, session: Session) -> tuple[ServerTransaction, SipRequest]:
        tx = session.server
        if tx is None or tx.request is None:
            raise LocalSipError(f"session {session.name!r} has no INVITE that waits for an answer")
        return tx, tx.request

    def _contact(self, session: Session) -> str:
        record = session.early or self._parts.dialogs.get(session.name)
        assert record is not None
        return record.contact

    # --- the 2xx until its ACK ------------------------------------------------------------------

    def _start_resending(self, session: Session, until: float, now: float) -> None:
        timers = self._parts.timers
        self._stop_resending(session)
        session.interval = self._parts.settings.t1_s
        session.resend = timers.arm(now + session.interval, session, RESEND)
        session.deadline = timers.arm(until, session, DEADLINE)

    def _stop_resending(self, session: Session) -> None:
        self._parts.timers.cancel(session.resend)
        self._parts.timers.cancel(session.deadline)
        session.resend = session.deadline = None

    def resend_now(self, record: DialogRecord) -> None:
        """Send a 2xx again because its INVITE came again."""
        self._parts.counters.retransmissions_in += 1
        self._parts.counters.retransmissions_out += 1
        self._parts.send(record.unacknowledged, record.flow)

    def resend(self, session: Session, now: float) -> None:
        """Send the 2xx again and wait twice as long, at most T2, for the next time."""
        record = self._parts.dialogs.get(session.name)
        if record is None or not record.unacknowledged:
            return
        self._parts.counters.retransmissions_out += 1
        self._parts.send(record.unacknowledged, record.flow)
        session.interval = min(2 * session.interval, self._parts.settings.t2_s)
        session.resend = self._parts.timers.arm(now + session.interval, session, RESEND)

    def give_up(self, session: Session, now: float) -> None:
        """Stop waiting for an ACK."""
        record = self._parts.dialogs.get(session.name)
        if record is None or not record.unacknowledged:
            return
        self._stop_resending(session)
        self._parts.counters.acks_missing += 1
        record = replace(record, unacknowledged=b"")
        self._parts.set_dialog(record)
        if session.bye_wanted:
            self._hangup.send_bye(session, record, now, session.bye_headers)
        else:
            self._parts.outputs.append(AckMissing(session.name))

    def resume(self, session: Session, now: float) -> None:
        """Go on sending a 2xx that was not acknowledged before a restart."""
        record = self._parts.dialogs.get(session.name)
        if record is None or not record.unacknowledged:
            return
        until = min(record.acknowledge_by, now + 64 * self._parts.settings.t1_s)
        self._start_resending(session, max(until, now), now)
        self._parts.timers.cancel(session.resend)
        self.resend(session, now)


def _user_of(request: SipRequest) -> str:
    """Return the user part of the request-URI as spelled: where the peer called us."""
    text = request.uri.partition(":")[2]
    user, found, _ = text.partition("@")
    return user.partition(":")[0] if found else ""
