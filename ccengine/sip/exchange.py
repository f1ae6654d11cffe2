"""Requests without a session of their own: sent by us, or answered by our owner."""

from __future__ import annotations

from ccengine.errors import LocalSipError
from ccengine.sip.caller import CHALLENGES
from ccengine.sip.challenge import answer_challenge
from ccengine.sip.composer import RequestLines, body_lines, clean, header_lines
from ccengine.sip.flow import Flow
from ccengine.sip.message import SipRequest, SipResponse
from ccengine.sip.output import Headers, OutgoingRequest, RequestReceived, ResponseReceived
from ccengine.sip.session import EndpointParts
from ccengine.sip.text import encode_text
from ccengine.sip.transaction import ClientTransaction, ClientUser, ServerTransaction

_NOT_REPEATED = frozenset({"via", "from", "to", "call-id", "cseq", "content-length"})
_SESSION_METHODS = frozenset({"INVITE", "ACK", "CANCEL", "BYE"})


class OutgoingExchange(ClientUser):
    """One request of ours outside a dialog, with one answer to a challenge."""

    __slots__ = ("_command", "_lines", "_parts", "_retried", "_tx")

    def __init__(self, parts: EndpointParts, tx: str, command: OutgoingRequest) -> None:
        self._parts = parts
        self._tx = tx
        self._command = command
        self._retried = False
        self._lines = RequestLines(
            clean(command.uri),
            "",
            f"{clean(command.from_)};tag={parts.ids.make()}",
            clean(command.to),
            clean(command.call_id) or parts.ids.make(),
            command.cseq or 1,
            max_forwards=parts.settings.max_forwards,
        )

    def start(self, now: float, authorization: str = "") -> None:
        """Send the request."""
        command, parts = self._command, self._parts
        contact = ""
        if command.contact_user:
            value = parts.contact(command.flow, clean(command.contact_user))
            contact = f"Contact: {value}\r\n"
        rest = (
            f"{contact}{parts.abilities}{parts.user_agent}{authorization}"
            f"{header_lines(command.headers)}{body_lines(command.body, command.content_type)}"
        )
        branch = parts.address_lines(self._lines, command.flow)
        wire = encode_text(self._lines.text(command.method, rest=rest)) + command.body
        parts.transactions.start_client(branch, command.method, wire, command.flow, self, now)

    def on_response(self, _tx: ClientTransaction, response: SipResponse, now: float) -> None:
        """Hand up the final response, after one answer to a challenge."""
        if response.status < 200:
            return
        command = self._command
        if response.status in CHALLENGES and command.credentials and not self._retried:
            line = answer_challenge(
                response,
                command.credentials,
                command.method,
                self._lines.uri,
                command.body,
                self._parts.ids,
            )
            if line:
                self._retried = True
                self._lines.cseq += 1
                self.start(now, line)
                return
        self._parts.outputs.append(ResponseReceived(self._tx, response.status, response))

    def on_failure(self, _tx: ClientTransaction, status: int, _now: float) -> None:
        """Hand up that no answer came."""
        self._parts.outputs.append(ResponseReceived(self._tx, status))


class Exchanger:
    """Requests other than INVITE, ACK, CANCEL and BYE."""

    __slots__ = ("_parts",)

    def __init__(self, parts: EndpointParts) -> None:
        self._parts = parts

    def request(self, tx: str, command: OutgoingRequest, now: float) -> None:
        """Send a request outside a dialog; :class:`ResponseReceived` with ``tx`` follows."""
        if command.method in _SESSION_METHODS:
            raise LocalSipError(f"{command.method} is not sent by request()")
        OutgoingExchange(self._parts, tx, command).start(now)

    def receive(
        self, key: str, merge: str, request: SipRequest, flow: Flow, session: str, now: float
    ) -> None:
        """Hand a request up; the key of its transaction is its name there."""
        tx = self._parts.open_server(key, request, flow, now)
        if merge:
            tx.merge_key = merge
            self._parts.transactions.merged[merge] = tx
        self._parts.outputs.append(RequestReceived(key, request, flow, session))

    def respond(
        self,
        tx: str,
        status: int,
        now: float,
        reason: str = "",
        headers: Headers = (),
        body: bytes = b"",
        content_type: str = "",
    ) -> None:
        """Answer a request that was handed up."""
        found = self._pending(tx)
        if found is None:
            return
        if status < 200 and status != 100:
            raise LocalSipError("a non-INVITE request has no provisional response but 100")
        rest = (
            f"{self._parts.server}{header_lines(headers)}"
            f"{body_lines(body, content_type or 'application/octet-stream')}"
        )
        self._unmerge(found, status)
        self._parts.reply(found, status, now, reason=reason, rest=rest, body=body)

    def respond_with(self, tx: str, response: SipResponse, now: float) -> None:
        """Answer with a response made elsewhere: what it copied from the request is not used."""
        found = self._pending(tx)
        if found is None:
            return
        fields = "".join(
            f"{clean(name)}: {clean(value)}\r\n"
            for name, value in response.headers
            if name.lower() not in _NOT_REPEATED
        )
        server = "" if response.has("Server") else self._parts.server
        rest = f"{server}{fields}Content-Length: {len(response.body)}\r\n\r\n"
        self._unmerge(found, response.status)
        self._parts.reply(
            found, response.status, now, reason=response.reason, rest=rest, body=response.body
        )

    def _pending(self, tx: str) -> ServerTransaction | None:
        found = self._parts.transactions.servers.get(tx)
        if found is None or found.request is None:
            self._parts.counters.late_commands += 1
            return None
        return found

    def _unmerge(self, tx: ServerTransaction, status: int) -> None:
        # Careless clients answer a challenge without a new CSeq; that is no merged request.
        if status in CHALLENGES and tx.merge_key:
            self._parts.transactions.merged.pop(tx.merge_key, None)
            tx.merge_key = ""
