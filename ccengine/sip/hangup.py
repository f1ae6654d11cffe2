"""The end of sessions: BYE from either side (:rfc:`3261` section 15)."""

from __future__ import annotations

from ccengine.revision import replace
from ccengine.sip.caller import CHALLENGES
from ccengine.sip.challenge import answer_challenge
from ccengine.sip.composer import NO_BODY, header_lines
from ccengine.sip.dialog import DialogRecord
from ccengine.sip.message import SipRequest, SipResponse
from ccengine.sip.output import EndReason, Headers
from ccengine.sip.session import EndpointParts, Session
from ccengine.sip.text import encode_text
from ccengine.sip.transaction import ClientTransaction, ClientUser


class Bye(ClientUser):
    """One BYE of ours; whatever the answer, the session is over."""

    __slots__ = ("_headers", "_parts", "_reason", "_retried", "_session")

    def __init__(
        self, parts: EndpointParts, session: Session, headers: Headers, reason: EndReason
    ) -> None:
        self._parts = parts
        self._session = session
        self._headers = headers
        self._reason = reason
        self._retried = False

    def start(self, record: DialogRecord, now: float, authorization: str = "") -> None:
        """Send BYE with the present CSeq of the dialog."""
        parts = self._parts
        lines = parts.dialog_lines(record, record.local_seq)
        branch = parts.address_lines(lines, record.flow)
        rest = f"{parts.user_agent}{authorization}{header_lines(self._headers)}{NO_BODY}"
        wire = encode_text(lines.text("BYE", rest=rest))
        parts.transactions.start_client(branch, "BYE", wire, record.flow, self, now)

    def on_response(self, _tx: ClientTransaction, response: SipResponse, now: float) -> None:
        """End the session at the final response, after one answer to a challenge."""
        if response.status < 200:
            return
        record = self._parts.dialogs.get(self._session.name)
        credentials = self._session.credentials
        if record is None or self._parts.sessions.get(self._session.name) is not self._session:
            return
        if response.status in CHALLENGES and credentials is not None and not self._retried:
            uri = self._parts.dialog_lines(record, record.local_seq).uri
            line = answer_challenge(response, credentials, "BYE", uri, b"", self._parts.ids)
            if line:
                self._retried = True
                record = replace(record, local_seq=record.local_seq + 1)
                self._parts.set_dialog(record)
                self.start(record, now, line)
                return
        self._finish()

    def on_failure(self, _tx: ClientTransaction, _status: int, _now: float) -> None:
        """End the session although nobody answered (15.1.1)."""
        if self._parts.sessions.get(self._session.name) is self._session:
            self._finish()

    def _finish(self) -> None:
        self._parts.end_session(self._session, self._reason)


class Hangup:
    """Ends sessions and lets peers end them."""

    __slots__ = ("_parts",)

    def __init__(self, parts: EndpointParts) -> None:
        self._parts = parts

    def hang_up(
        self, session: Session, record: DialogRecord, now: float, headers: Headers = ()
    ) -> None:
        """End a confirmed dialog from our side.

        The callee waits for the ACK to its 2xx, or for the end of that wait (15.1.1).
        """
        if record.state == "ending" or session.bye_wanted:
            self._parts.counters.late_commands += 1
            return
        if session.client is not None and session.client.needs_ack:
            session.client.acknowledge(b"")
        if record.unacknowledged:
            session.bye_wanted = True
            session.bye_headers = headers
            return
        self.send_bye(session, record, now, headers)

    def send_bye(
        self,
        session: Session,
        record: DialogRecord,
        now: float,
        headers: Headers = (),
        reason: EndReason = "done",
    ) -> None:
        """Send BYE; :class:`SessionEnded` with ``reason`` follows at the end of it."""
        parts = self._parts
        for timer in (session.resend, session.deadline, session.retry):
            parts.timers.cancel(timer)
        session.resend = session.deadline = session.retry = None
        record = replace(
            record,
            state="ending",
            local_seq=record.local_seq + 1,
            unacknowledged=b"",
        )
        parts.set_dialog(record)
        self._drop_invites(session, now)
        Bye(parts, session, headers, reason).start(record, now)

    def resume(self, session: Session, record: DialogRecord, now: float) -> None:
        """Send the BYE of a dialog that was ending, with the same CSeq."""
        Bye(self._parts, session, (), "done").start(record, now)

    def abandon(self, session: Session, now: float) -> None:
        """Leave a dialog that the peer does not know any more or does not serve (12.2.1.2)."""
        record = self._parts.dialogs.get(session.name)
        if record is None or record.state == "ending":
            return
        self.send_bye(session, record, now, reason="gone")

    def receive_bye(self, session: Session, request: SipRequest, now: float) -> None:
        """End a session because the peer says so (15.1.2)."""
        self._drop_invites(session, now)
        self._parts.end_session(session, "bye", request)

    def _drop_invites(self, session: Session, now: float) -> None:
        """Answer a pending re-INVITE of a dialog that ends (15.1.2), and let go of ours."""
        client, session.client = session.client, None
        if client is not None:
            client.cancel(now, "")
        tx, session.server = session.server, None
        if tx is not None:
            self._parts.reply(tx, 487, now)
