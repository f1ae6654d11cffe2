"""Calls that we make: one INVITE with its early dialogs, forks, CANCEL and challenge."""

from __future__ import annotations

from ccengine.errors import LocalSipError
from ccengine.sip import transaction_table as names
from ccengine.sip.challenge import answer_challenge
from ccengine.sip.composer import NO_BODY, RequestLines, body_lines, clean, header_lines, routing
from ccengine.sip.dialog import DialogRecord, uac_dialog
from ccengine.sip.flow import Flow
from ccengine.sip.message import SipRequest, SipResponse
from ccengine.sip.output import Accepted, OutgoingInvite, Provisional, Rejected
from ccengine.sip.session import EndpointParts, Session
from ccengine.sip.text import encode_text
from ccengine.sip.transaction import ClientTransaction, ClientUser

REQUEST_TERMINATED = 487
CHALLENGES = frozenset({401, 407})


class CallInvite(ClientUser):
    """The INVITE of a call that we make, until its transaction is over.

    The first 2xx makes the session's dialog; every other 2xx, and any that crosses our
    CANCEL, is acknowledged and ended here.
    """

    __slots__ = (
        "_acks",
        "_branch",
        "_cancel_sent",
        "_cancelled",
        "_chosen",
        "_command",
        "_contact",
        "_early",
        "_ended",
        "_lines",
        "_name",
        "_parts",
        "_reason",
        "_retried",
        "_session",
        "_tx",
        "wire",
    )

    def __init__(self, parts: EndpointParts, session: Session, command: OutgoingInvite) -> None:
        self._parts = parts
        self._session: Session | None = session
        self._name = session.name
        self._command: OutgoingInvite | None = command
        self._contact = parts.contact(command.flow, clean(command.contact_user))
        uri, routes = routing(clean(command.uri), tuple(map(clean, command.route)))
        self._lines = RequestLines(
            uri,
            routes,
            f"{clean(command.from_)};tag={parts.ids.make()}",
            clean(command.to),
            parts.ids.make(),
            1,
            max_forwards=parts.settings.max_forwards,
        )
        self._branch = ""
        self._tx: ClientTransaction | None = None
        self._early: dict[str, DialogRecord] = {}
        self._acks: dict[str, tuple[bytes, Flow]] = {}
        self._chosen = ""  # remote tag of the session's dialog
        self._cancelled = self._cancel_sent = self._retried = self._ended = False
        self._reason = ""
        self.wire = b""

    @classmethod
    def revive(
        cls, parts: EndpointParts, session: Session, request: SipRequest, wire: bytes, flow: Flow
    ) -> CallInvite:
        """Return the INVITE that a predecessor sent as ``wire``; :meth:`repeat` goes on with it."""
        command = OutgoingInvite(
            uri=request.uri,
            flow=flow,
            from_=request.header("From") or "",
            to=request.header("To") or "",
            body=request.body,
        )
        self = cls(parts, session, command)
        self._contact = request.header("Contact") or self._contact
        self._branch = request.via.branch
        routes = "".join(f"Route: {route}\r\n" for route in request.header_values("Route"))
        self._lines = RequestLines(
            request.uri,
            routes,
            command.from_,
            command.to,
            request.call_id,
            request.cseq.number,
            via=request.header("Via") or "",
            max_forwards=parts.settings.max_forwards,
        )
        self.wire = wire
        return self

    # --- commands ---------------------------------------------------------------------------

    def repeat(self, now: float) -> None:
        """Send the same INVITE once more: same branch, same CSeq, so the peer answers again."""
        command = self._command
        assert command is not None
        self._tx = self._parts.transactions.start_client(
            self._branch, "INVITE", self.wire, command.flow, self, now
        )

    def start(self, now: float, authorization: str = "") -> None:
        """Send the INVITE; ``authorization`` is the line that answers a challenge."""
        command = self._command
        assert command is not None
        rest = (
            f"Contact: {self._contact}\r\n"
            f"{self._parts.abilities}{self._parts.user_agent}{authorization}"
            f"{header_lines(command.headers)}"
            f"{body_lines(command.body, command.content_type)}"
        )
        self._branch = self._parts.address_lines(self._lines, command.flow)
        self.wire = encode_text(self._lines.text("INVITE", rest=rest)) + command.body
        self.repeat(now)

    def cancel(self, now: float, reason: str) -> None:
        """Give up; without a provisional response the CANCEL waits for one (9.1)."""
        if self._cancelled or self._chosen:
            return
        self._cancelled = True
        self._reason = f"Reason: {clean(reason)}\r\n" if reason else ""
        if self._tx is not None and self._tx.state == names.PROCEEDING:
            self._send_cancel(now)

    @property
    def needs_ack(self) -> bool:
        """Whether the 2xx to an offerless INVITE waits for our owner's answer."""
        return bool(self._chosen) and self._chosen not in self._acks

    def acknowledge(self, body: bytes) -> None:
        """Send the ACK with our owner's answer."""
        record = self._parts.dialogs.get(self._name)
        if record is None or not self.needs_ack:
            raise LocalSipError(f"session {self._name!r} has no 2xx to acknowledge")
        self._release()
        self._ack(record, body_lines(body, "application/sdp"), body)

    # --- responses --------------------------------------------------------------------------

    def on_response(self, tx: ClientTransaction, response: SipResponse, now: float) -> None:
        """Take a response to the INVITE."""
        if response.status < 200:
            self._on_provisional(response, now)
        elif response.status < 300:
            self._on_success(tx, response, now)
        elif not self._answer_challenge(response, now):
            self._end(response.status, response)

    def on_failure(self, _tx: ClientTransaction, status: int, _now: float) -> None:
        """Take the end without a final response."""
        self._end(status, None)

    def failure_ack(self, response: SipResponse) -> bytes:
        """Return the ACK to a 300-699 response: same branch, To of the response (17.1.1.3)."""
        return encode_text(self._lines.text("ACK", to=response.header("To") or ""))

    def _on_provisional(self, response: SipResponse, now: float) -> None:
        if self._cancelled:
            self._send_cancel(now)
            return
        if response.status == 100:
            return
        tag = response.to.tag
        if tag and tag not in self._early and self._tx is not None:
            record = uac_dialog(self._name, response, self._lines, self._tx.flow, self._contact)
            self._early[tag] = record
            self._parts.early[record.key] = self._name
        self._parts.outputs.append(Provisional(self._name, response, tag))

    def _on_success(self, tx: ClientTransaction, response: SipResponse, now: float) -> None:
        tag = response.to.tag
        sent = self._acks.get(tag)
        if sent is not None:
            self._parts.counters.retransmissions_in += 1
            self._parts.counters.retransmissions_out += 1
            self._parts.send(*sent)
        elif self._chosen and self._chosen == tag:
            self._parts.counters.retransmissions_in += 1
        elif not self._chosen and not self._cancelled and not self._ended:
            self._accept(tx, response)
        else:
            self._end_fork(tx, response, now)
            if not self._ended:
                self._end(REQUEST_TERMINATED, None)

    def _accept(self, tx: ClientTransaction, response: SipResponse) -> None:
        record = uac_dialog(self._name, response, self._lines, tx.flow, self._contact)
        # The route set is computed anew from the 2xx (13.2.2.4), not taken from an early dialog.
        self._chosen = record.remote_tag
        self._drop_early()
        self._parts.set_dialog(record)
        command, self._command = self._command, None
        offerless = command is not None and not command.body
        if not offerless:
            self._release()
            self._ack(record, NO_BODY, b"")
        self._ended = True
        self._parts.outputs.append(Accepted(self._name, response, needs_ack=offerless))

    def _ack(self, record: DialogRecord, rest: str, body: bytes) -> None:
        wire = self._parts.ack_wire(record, self._lines.cseq, rest, body)
        self._acks[record.remote_tag] = (wire, record.flow)
        self._parts.send(wire, record.flow)

    def _end_fork(self, tx: ClientTransaction, response: SipResponse, now: float) -> None:
        """Acknowledge and end a dialog that nobody wants (13.2.2.4)."""
        record = uac_dialog(self._name, response, self._lines, tx.flow, self._contact)
        self._ack(record, NO_BODY, b"")
        lines = self._parts.dialog_lines(record, self._lines.cseq + 1)
        branch = self._parts.address_lines(lines, tx.flow)
        wire = encode_text(lines.text("BYE"))
        self._parts.transactions.start_client(branch, "BYE", wire, tx.flow, None, now)

    def _answer_challenge(self, response: SipResponse, now: float) -> bool:
        command = self._command
        if (
            response.status not in CHALLENGES
            or command is None
            or command.credentials is None
            or self._retried
            or self._cancelled
        ):
            return False
        line = answer_challenge(
            response, command.credentials, "INVITE", self._lines.uri, command.body, self._parts.ids
        )
        if not line:
            return False
        self._retried = True
        self._drop_early()
        self._lines.cseq += 1
        self.start(now, line)
        return True

    # --- ending -----------------------------------------------------------------------------

    def _send_cancel(self, now: float) -> None:
        if self._cancel_sent or self._tx is None:
            return
        self._cancel_sent = True
        text = self._lines.text("CANCEL", rest=f"{self._reason}{NO_BODY}")
        transactions = self._parts.transactions
        transactions.start_client(
            self._branch, "CANCEL", encode_text(text), self._tx.flow, None, now
        )
        transactions.fire(self._tx, names.CANCELLED, now)

    def _end(self, status: int, response: SipResponse | None) -> None:
        if self._ended:
            return
        self._ended = True
        self._command = None
        self._drop_early()
        if self._session is not None:
            self._parts.forget_session(self._session)
            self._session = None
        self._parts.outputs.append(Rejected(self._name, status, response))

    def _release(self) -> None:
        """Stop being the session's pending INVITE; only forks and repeated 2xx still come."""
        if self._session is not None:
            self._session.client = None
            self._session = None

    def _drop_early(self) -> None:
        for record in self._early.values():
            self._parts.early.pop(record.key, None)
        self._early = {}
