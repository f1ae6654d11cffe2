"""A phone on paper: a SIP user agent in virtual time, without sockets and without sound."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ccengine.ids import SeededIds
from ccengine.sdp.codec import PCMA, PCMU, CodecOffer
from ccengine.sdp.media import LocalMedia
from ccengine.sdp.negotiation import Negotiation
from ccengine.sip.endpoint import SipEndpoint
from ccengine.sip.flow import Flow
from ccengine.sip.output import (
    Accepted,
    AckReceived,
    Credentials,
    InviteCancelled,
    InviteReceived,
    OutgoingInvite,
    OutgoingRequest,
    Provisional,
    ReinviteReceived,
    Rejected,
    RequestReceived,
    ResponseReceived,
    SessionEnded,
    SipOutput,
    Transmit,
)
from ccengine.sip.settings import EndpointSettings


@dataclass
class PaperCall:
    """One session of a paper phone and everything that happened in it, in order."""

    session: str
    state: str = "new"
    status: int = 0
    history: list[str] = field(default_factory=list)
    sdp: Negotiation | None = None
    display: str = ""
    number: str = ""


class PaperPhone:
    """A phone that the test drives: ``dial``, ``answer``, ``hang_up``, ``register``.

    ``policy`` decides what happens with an incoming call: ``ring`` (wait for the test),
    ``answer``, ``busy``, or ``dead`` (nothing at all is sent).
    """

    def __init__(
        self,
        user: str,
        host: str,
        server: Flow,
        *,
        password: str = "",
        domain: str = "ccengine",
        policy: str = "ring",
        codecs: tuple[CodecOffer, ...] = (PCMA, PCMU),
        seed: int = 1,
    ) -> None:
        self.user, self.host, self.server, self.domain = user, host, server, domain
        self.policy = policy
        self.codecs = codecs
        self.credentials = Credentials(user, password) if password else None
        self._ids = SeededIds(seed)
        self.sip = SipEndpoint(
            settings=EndpointSettings(user_agent="paper"),
            ids=self._ids,
            facts=[],
            local_address=lambda _flow: (host, 5060),
        )
        self.calls: dict[str, PaperCall] = {}
        self.last = PaperCall("")
        self.registered = 0
        self.outbox: list[Transmit] = []
        self.sound_port = 40000
        self.connection = 0  # the number of its stream, 0 for UDP

    # --- deeds ---------------------------------------------------------------------------------

    def register(self, now: float, expires: int = 3600) -> None:
        """Register at the server; ``registered`` holds the final status."""
        aor = f"<sip:{self.user}@{self.domain}>"
        self.sip.request(
            "register",
            OutgoingRequest(
                method="REGISTER",
                uri=f"sip:{self.domain}",
                flow=self.server,
                from_=aor,
                to=aor,
                headers=(
                    ("Contact", f"<sip:{self.user}@{self.host}:5060>;expires={expires}"),
                    ("Expires", str(expires)),
                ),
                credentials=self.credentials,
            ),
            now,
        )
        self._listen(now)

    def dial(self, number: str, now: float, *, offer: bool = True) -> PaperCall:
        """Call a number."""
        call = self._begin(self._ids.make("s"), Negotiation(self._ids.number(31)))
        body = b""
        if offer:
            assert call.sdp is not None, "a dialled call negotiates"
            call.sdp, body = call.sdp.create_offer(self._media())
        self.sip.invite(
            call.session,
            OutgoingInvite(
                uri=f"sip:{number}@{self.domain}",
                flow=self.server,
                from_=f'"{self.user}" <sip:{self.user}@{self.domain}>',
                to=f"<sip:{number}@{self.domain}>",
                body=body,
                contact_user=self.user,
                credentials=self.credentials,
            ),
            now,
        )
        self._listen(now)
        return call

    def answer(self, now: float, call: PaperCall | None = None) -> None:
        """Answer the last call, or the given one."""
        call = call or self.last
        assert call.sdp is not None, "an incoming call was offered something"
        if call.sdp.state == "remote_offer":
            call.sdp, body, _ = call.sdp.create_answer(self._media())
        else:
            call.sdp, body = call.sdp.create_offer(self._media())
        self.sip.accept(call.session, now, body=body)
        call.state = "talking"
        self._listen(now)

    def reject(self, status: int, now: float) -> None:
        """Refuse the last call."""
        self.sip.reject(self.last.session, status, now)
        self.last.state = "ended"
        self._listen(now)

    def hang_up(self, now: float, call: PaperCall | None = None) -> None:
        """End the last call, or the given one, in whatever state it is."""
        self.sip.bye((call or self.last).session, now)
        self._listen(now)

    def hold(self, now: float, *, resume: bool = False) -> None:
        """Put the other side on hold by a re-INVITE, or take it back."""
        call = self.last
        assert call.sdp is not None, "a call that talks has a negotiation"
        direction = "sendrecv" if resume else "sendonly"
        call.sdp, body = call.sdp.create_offer(self._media(direction))
        self.sip.reinvite(call.session, body, now)
        self._listen(now)

    # --- inputs --------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> None:
        """Take a message of the server."""
        if self.policy == "dead":
            return
        self.sip.receive(data, self.server, now)
        self._listen(now)

    def handle_timeout(self, now: float) -> None:
        """Let time pass."""
        self.sip.handle_timeout(now)
        self._listen(now)

    # --- inside --------------------------------------------------------------------------------

    def _media(self, direction: Any = "sendrecv") -> LocalMedia:
        return LocalMedia(self.host, self.sound_port, self.codecs, direction=direction)

    def _begin(self, session: str, sdp: Negotiation) -> PaperCall:
        self.last = self.calls[session] = PaperCall(session, sdp=sdp)
        return self.last

    def _listen(self, now: float) -> None:
        while outputs := self.sip.poll():
            for output in outputs:
                if isinstance(output, Transmit):
                    if self.policy != "dead":
                        self.outbox.append(output)
                else:
                    self._heard(output, now)

    def _heard(self, output: SipOutput, now: float) -> None:
        if isinstance(output, InviteReceived):
            self._invited(output, now)
        elif isinstance(output, ResponseReceived):
            self.registered = output.status
        elif isinstance(output, RequestReceived):
            self.sip.respond(output.tx, 200, now)
        elif not isinstance(output, Transmit):
            call = self.calls.get(output.session)
            if call is not None:
                self._in_call(call, output, now)

    def _invited(self, output: InviteReceived, now: float) -> None:
        sdp = Negotiation(self._ids.number(31))
        if output.request.body:
            sdp = sdp.receive_offer(output.request.body)
        call = self._begin(output.session, sdp)
        call.state = "ringing"
        call.display = output.request.from_.display_name
        call.number = output.request.from_.uri.user
        if self.policy == "busy":
            self.reject(486, now)
            return
        self.sip.provisional(output.session, 180, now)
        if self.policy == "answer":
            self.answer(now, call)

    def _in_call(self, call: PaperCall, output: Any, now: float) -> None:
        call.history.append(type(output).__name__)
        match output:
            case Provisional(response=response):
                call.status = response.status
            case Accepted(response=response):
                call.status, call.state = response.status, "talking"
                self._accepted(call, output, now)
            case Rejected(status=status, is_reinvite=False):
                call.status, call.state = status, "ended"
            case AckReceived(request=request):
                # Without a body it acknowledges an answer of ours; a newer offer may be out.
                if request.body and call.sdp is not None and call.sdp.state == "local_offer":
                    call.sdp, _ = call.sdp.receive_answer(request.body)
            case ReinviteReceived(request=request):
                assert call.sdp is not None, "a running session has a negotiation"
                call.sdp = call.sdp.receive_offer(request.body)
                call.sdp, body, _ = call.sdp.create_answer(self._media())
                self.sip.accept(call.session, now, body=body)
            case SessionEnded() | InviteCancelled():
                call.state = "ended"

    def _accepted(self, call: PaperCall, output: Accepted, now: float) -> None:
        assert call.sdp is not None, "an outgoing call negotiates"
        if output.needs_ack:
            call.sdp = call.sdp.receive_offer(output.response.body)
            call.sdp, body, _ = call.sdp.create_answer(self._media())
            self.sip.ack(call.session, body, now)
        else:
            call.sdp, _ = call.sdp.receive_answer(output.response.body)
