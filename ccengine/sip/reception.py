"""Where an arriving request goes: the checks of a UAS in their order (:rfc:`3261` 8.2, 12.2.2)."""

from __future__ import annotations

from ccengine.errors import SipError, SipParseError
from ccengine.revision import replace
from ccengine.sip import transaction_table as names
from ccengine.sip.callee import Callee
from ccengine.sip.composer import NO_BODY, response_flow, response_head, response_text
from ccengine.sip.dialog import request_key
from ccengine.sip.exchange import Exchanger
from ccengine.sip.flow import Flow
from ccengine.sip.hangup import Hangup
from ccengine.sip.matching import ack_fits, merge_key, server_key
from ccengine.sip.message import SipRequest, is_answerable, validate_request
from ccengine.sip.session import EndpointParts, Session
from ccengine.sip.text import encode_text

KNOWN_METHODS = frozenset(
    {
        "INVITE",
        "ACK",
        "CANCEL",
        "BYE",
        "OPTIONS",
        "REGISTER",
        "INFO",
        "MESSAGE",
        "PRACK",
        "UPDATE",
        "REFER",
        "SUBSCRIBE",
        "NOTIFY",
        "PUBLISH",
    }
)
"""Methods that are refused with 405 rather than 501 when nobody handles them."""


class Reception:
    """Sorts requests into transactions, dialogs and new work."""

    __slots__ = ("_callee", "_exchanger", "_hangup", "_methods", "_parts", "_supported")

    def __init__(
        self, parts: EndpointParts, callee: Callee, hangup: Hangup, exchanger: Exchanger
    ) -> None:
        self._parts = parts
        self._callee = callee
        self._hangup = hangup
        self._exchanger = exchanger
        self._methods = frozenset(parts.settings.methods) | {"INVITE"}
        self._supported = frozenset(parts.settings.supported)

    def receive(self, request: SipRequest, flow: Flow, now: float) -> None:
        """Take one request; raises SipParseError for one that cannot even be answered."""
        method = request.method
        if method == "ACK":
            self._ack(request, now)
            return
        key = server_key(request, method)
        transactions = self._parts.transactions
        tx = transactions.servers.get(key)
        if tx is not None:
            transactions.fire(tx, names.REQUEST, now)
            return
        try:
            validate_request(request)
        except SipError as error:
            self.refuse_malformed(request, flow, error)
            return
        if method == "CANCEL":
            self._cancel(key, request, flow, now)
        elif request.to.tag:
            self._inside(key, request, flow, now)
        else:
            self._outside(key, request, flow, now)

    def refuse_malformed(self, request: SipRequest, flow: Flow, error: SipError) -> None:
        """Answer a request that breaks the rules, without a transaction, if that can be done."""
        counters = self._parts.counters
        if not is_answerable(request):
            counters.malformed += 1
            return
        counters.refused += 1
        try:
            head = response_head(request, flow.remote)
        except SipParseError:
            # The CSeq can be echoed although it cannot be understood.
            head = "".join(
                f"{name}: {value}\r\n"
                for name, value in request.headers
                if name in {"Via", "From", "Call-ID", "CSeq"}
            )
        to = request.header("To") or ""
        if not request.to.tag:
            to = f"{to};tag={self._parts.ids.make()}"
        phrase = " ".join(error.message.split())[:80] if error.status == 400 else ""
        text = response_text(error.status, phrase, head, to, NO_BODY)
        self._parts.send(encode_text(text), response_flow(request, flow))

    # --- what belongs to a transaction ------------------------------------------------------------

    def _ack(self, request: SipRequest, now: float) -> None:
        transactions = self._parts.transactions
        tx = transactions.servers.get(server_key(request, "INVITE"))
        if (
            tx is not None
            and tx.state in {names.COMPLETED, names.CONFIRMED}
            and ack_fits(request, tx.local_tag)
        ):
            transactions.fire(tx, names.ACK, now)
        elif not self._callee.receive_ack(request, now):
            self._parts.counters.stray_acks += 1

    def _cancel(self, key: str, request: SipRequest, flow: Flow, now: float) -> None:
        parts = self._parts
        found = parts.transactions.servers.get(server_key(request, "INVITE"))
        if found is None:
            parts.refuse(key, request, flow, 481, now)
            return
        tx = parts.open_server(key, request, flow, now)
        if not request.to.tag:
            # "the To tag of the response to the CANCEL and ... to the original request SHOULD
            # be the same" (9.2)
            tx.local_tag = found.local_tag
            tx.to_tagged = f"{tx.to};tag={found.local_tag}"
        parts.reply(tx, 200, now)
        self._callee.receive_cancel(found, now)

    # --- inside a dialog ----------------------------------------------------------------------

    def _inside(self, key: str, request: SipRequest, flow: Flow, now: float) -> None:
        parts = self._parts
        identity = request_key(request)
        name = parts.dialogs.session_of(identity)
        if name is None:
            self._inside_early(key, request, flow, now, parts.early.get(identity))
            return
        session, record = parts.session(name), parts.dialogs.get(name)
        assert session is not None
        assert record is not None
        cseq = request.cseq.number
        if cseq < record.remote_seq:
            parts.refuse(key, request, flow, 500, now)
            return
        if request.method == "BYE":
            parts.reply(parts.open_server(key, request, flow, now), 200, now)
            self._hangup.receive_bye(session, request, now)
            return
        if record.state == "ending":
            # Our BYE is on its way: for all but BYE this dialog is over (15.1.1).
            parts.refuse(key, request, flow, 481, now)
            return
        if record.unacknowledged and record.unacknowledged_seq == cseq:
            # A re-INVITE that was answered before a restart.
            self._callee.resend_now(record)
            return
        if self._lacks_extension(key, request, flow, now):
            return
        # A peer that comes by another path (a new connection, a new NAT binding) is answered
        # by that path from now on.
        parts.set_dialog(replace(record, remote_seq=cseq, flow=response_flow(request, flow)))
        if request.method == "INVITE":
            self._callee.receive_reinvite(session, key, request, flow, now)
        else:
            self._exchanger.receive(key, "", request, flow, name, now)

    def _inside_early(
        self, key: str, request: SipRequest, flow: Flow, now: float, name: str | None
    ) -> None:
        parts = self._parts
        session = parts.sessions.get(name) if name is not None else None
        if session is None:
            parts.refuse(key, request, flow, 481, now)
        elif request.method == "INVITE":
            self._callee.receive_reinvite(session, key, request, flow, now)
        elif request.method == "BYE":
            self._early_bye(session, key, request, flow, now)
        elif not self._lacks_extension(key, request, flow, now):
            self._exchanger.receive(key, "", request, flow, session.name, now)

    def _early_bye(
        self, session: Session, key: str, request: SipRequest, flow: Flow, now: float
    ) -> None:
        parts = self._parts
        if session.early is None:
            # Only the caller may end an early dialog by BYE (15); our callee must not.
            parts.refuse(key, request, flow, 481, now)
            return
        parts.reply(parts.open_server(key, request, flow, now), 200, now)
        self._callee.cancel_early(session, now)

    # --- outside a dialog ---------------------------------------------------------------------

    def _outside(self, key: str, request: SipRequest, flow: Flow, now: float) -> None:
        parts = self._parts
        method = request.method
        merge = merge_key(request)
        if merge in parts.transactions.merged:
            parts.refuse(key, request, flow, 482, now)
            return
        if method == "INVITE":
            answered = parts.dialogs.unacknowledged(
                request.call_id, request.from_.tag, request.cseq.number
            )
            if answered is not None:
                # The INVITE was answered before a restart, its transaction is forgotten.
                self._callee.resend_now(answered)
                return
        if method == "BYE":
            parts.refuse(key, request, flow, 481, now)
            return
        if method not in self._methods:
            status = 405 if method in KNOWN_METHODS else 501
            parts.refuse(key, request, flow, status, now, rest=f"{parts.allow}{NO_BODY}")
            return
        if self._lacks_extension(key, request, flow, now):
            return
        if method != "INVITE":
            self._exchanger.receive(key, merge, request, flow, "", now)
        elif not request.contacts:
            error = SipParseError("an INVITE needs a Contact")
            self.refuse_malformed(request, flow, error)
        else:
            self._callee.receive_invite(key, merge, request, flow, now)

    def _lacks_extension(self, key: str, request: SipRequest, flow: Flow, now: float) -> bool:
        """Refuse a request that requires what we do not have (8.2.2.3)."""
        if not request.has("Require"):
            return False
        required = [tag.lower() for tag in request.header_values("Require")]
        missing = [tag for tag in required if tag not in self._supported]
        if not missing:
            return False
        rest = f"Unsupported: {', '.join(missing)}\r\n{NO_BODY}"
        self._parts.refuse(key, request, flow, 420, now, rest=rest)
        return True
