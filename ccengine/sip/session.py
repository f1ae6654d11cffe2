"""What sessions share inside one endpoint: its parts, and the passing state of each session.

Confirmed dialogs live in the :class:`DialogTable` and change by facts; what stands here
(pending INVITEs, timers) is not journalled and is made anew after a restart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ccengine.errors import LocalSipError
from ccengine.ids import IdMaker
from ccengine.sip.composer import (
    NO_BODY,
    RequestLines,
    contact_value,
    response_flow,
    response_head,
    response_text,
    routing,
    via_value,
)
from ccengine.sip.counter import SipCounters
from ccengine.sip.dialog import DialogDropped, DialogKey, DialogRecord, DialogSet, DialogTable
from ccengine.sip.flow import Flow
from ccengine.sip.message import SipRequest
from ccengine.sip.output import Credentials, EndReason, Headers, SessionEnded, SipOutput, Transmit
from ccengine.sip.settings import EndpointSettings
from ccengine.sip.text import encode_text
from ccengine.sip.timer import Timer, TimerQueue
from ccengine.sip.transaction import ServerTransaction, Transactions


class PendingInvite(Protocol):
    """An INVITE of ours that has no final response, or a 2xx that our owner must answer."""

    def cancel(self, now: float, reason: str, /) -> None:
        """Give up (:rfc:`3261` section 9.1)."""

    def acknowledge(self, body: bytes) -> None:
        """Send the ACK that our owner held back to put an answer into it."""

    @property
    def needs_ack(self) -> bool:
        """Whether a 2xx waits for :meth:`acknowledge`."""


class Session:
    """The passing state of one INVITE usage."""

    __slots__ = (
        "bye_headers",
        "bye_wanted",
        "client",
        "credentials",
        "deadline",
        "early",
        "held_offer",
        "interval",
        "name",
        "resend",
        "retry",
        "server",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.client: PendingInvite | None = None
        self.server: ServerTransaction | None = None
        self.early: DialogRecord | None = None
        self.credentials: Credentials | None = None
        self.bye_wanted = False
        self.bye_headers: Headers = ()
        self.held_offer: bytes | None = None
        self.interval = 0.0
        self.resend: Timer[Any] | None = None
        self.deadline: Timer[Any] | None = None
        self.retry: Timer[Any] | None = None


class EndpointParts:
    """The parts of one endpoint, and the few deeds that all of them need."""

    def __init__(
        self,
        settings: EndpointSettings,
        ids: IdMaker,
        facts: list[Any],
        local_address: Callable[[Flow], tuple[str, int]],
    ) -> None:
        self.settings = settings
        self.ids = ids
        self.facts = facts
        self.local_address = local_address
        self.outputs: list[SipOutput] = []
        self.counters = SipCounters()
        self.timers: TimerQueue[Any] = TimerQueue()
        self.transactions = Transactions(settings, self.timers, self.counters, self.outputs)
        self.dialogs = DialogTable()
        self.sessions: dict[str, Session] = {}
        self.early: dict[DialogKey, str] = {}
        self.allow = f"Allow: {', '.join(settings.allow)}\r\n"
        self.abilities = self.allow + (
            f"Supported: {', '.join(settings.supported)}\r\n" if settings.supported else ""
        )
        self.user_agent = f"User-Agent: {settings.user_agent}\r\n"
        self.server = f"Server: {settings.user_agent}\r\n"

    # --- dialogs ----------------------------------------------------------------------------

    def set_dialog(self, record: DialogRecord) -> None:
        """Make a dialog be as ``record`` says, here and in the journal."""
        fact = DialogSet(record)
        self.dialogs.apply(fact)
        self.facts.append(fact)

    def drop_dialog(self, session: str) -> None:
        """Forget the dialog of a session, here and in the journal."""
        if self.dialogs.get(session) is not None:
            fact = DialogDropped(session)
            self.dialogs.apply(fact)
            self.facts.append(fact)

    # --- sessions ---------------------------------------------------------------------------

    def new_session(self, name: str) -> Session:
        """Return the state of a session that begins; raises LocalSipError for a name in use."""
        if name in self.sessions or self.dialogs.get(name) is not None:
            raise LocalSipError(f"there is a session {name!r} already")
        session = self.sessions[name] = Session(name)
        return session

    def session(self, name: str) -> Session | None:
        """Return a session; after a restart its state is made from the dialog."""
        session = self.sessions.get(name)
        if session is None and self.dialogs.get(name) is not None:
            session = self.sessions[name] = Session(name)
        return session

    def commanded(self, name: str) -> Session | None:
        """Return the session that our owner means; one that is over is counted."""
        session = self.session(name)
        if session is None:
            self.counters.late_commands += 1
        return session

    def forget_session(self, session: Session) -> None:
        """Let go of a session and its dialogs; its transactions run to their own end."""
        for timer in (session.resend, session.deadline, session.retry):
            self.timers.cancel(timer)
        session.resend = session.deadline = session.retry = None
        session.client = session.server = None
        self.drop_early(session)
        self.sessions.pop(session.name, None)
        self.drop_dialog(session.name)

    def end_session(
        self, session: Session, reason: EndReason, request: SipRequest | None = None
    ) -> None:
        """Forget a session and say so."""
        self.forget_session(session)
        self.outputs.append(SessionEnded(session.name, reason, request))

    def drop_early(self, session: Session) -> None:
        """Forget the early dialog of an incoming call."""
        if session.early is not None:
            self.early.pop(session.early.key, None)
            session.early = None

    # --- sending ----------------------------------------------------------------------------

    def branch(self) -> str:
        """Return a new branch."""
        return self.ids.make("z9hG4bK")

    def send(self, wire: bytes, flow: Flow) -> None:
        """Send bytes that no transaction looks after."""
        self.counters.messages_out += 1
        self.outputs.append(Transmit(wire, flow))

    def address_lines(self, lines: RequestLines, flow: Flow) -> str:
        """Write a new Via into ``lines`` and return its branch."""
        branch = self.branch()
        lines.via = via_value(flow, self.local_address(flow), branch)
        return branch

    def contact(self, flow: Flow, user: str) -> str:
        """Return our Contact on a flow."""
        return contact_value(flow, self.local_address(flow), user)

    def dialog_lines(self, record: DialogRecord, cseq: int) -> RequestLines:
        """Return the lines of a request inside a dialog (12.2.1.1), without Via."""
        uri, routes = routing(record.remote_target, record.route_set)
        return RequestLines(
            uri,
            routes,
            record.local_uri,
            record.remote_uri,
            record.call_id,
            cseq,
            max_forwards=self.settings.max_forwards,
        )

    def ack_wire(self, record: DialogRecord, cseq: int, rest: str, body: bytes) -> bytes:
        """Return the ACK to a 2xx (13.2.2.4): its own transaction, with a new branch."""
        lines = self.dialog_lines(record, cseq)
        self.address_lines(lines, record.flow)
        return encode_text(lines.text("ACK", rest=rest)) + body

    # --- answering --------------------------------------------------------------------------

    def open_server(
        self, key: str, request: SipRequest, flow: Flow, now: float
    ) -> ServerTransaction:
        """Begin a server transaction with all that its responses need.

        Raises SipParseError, and begins nothing, when they could not find their way.
        """
        head = response_head(request, flow.remote)
        tx = self.transactions.start_server(key, request, response_flow(request, flow), now)
        tx.head = head
        tx.to = tx.to_tagged = request.header("To") or ""
        tx.local_tag = request.to.tag
        if not tx.local_tag:
            tx.local_tag = self.ids.make()
            tx.to_tagged = f"{tx.to};tag={tx.local_tag}"
        return tx

    def reply(
        self,
        tx: ServerTransaction,
        status: int,
        now: float,
        *,
        reason: str = "",
        rest: str = NO_BODY,
        body: bytes = b"",
    ) -> bytes:
        """Send a response and return its bytes; ``rest`` are its lines after To."""
        to = tx.to if status == 100 else tx.to_tagged
        wire = encode_text(response_text(status, reason, tx.head, to, rest)) + body
        self.transactions.respond(tx, status, wire, now)
        return wire

    def refuse(
        self,
        key: str,
        request: SipRequest,
        flow: Flow,
        status: int,
        now: float,
        *,
        rest: str = NO_BODY,
    ) -> None:
        """Answer a request with an error that our owner need not know of."""
        self.counters.refused += 1
        self.reply(self.open_server(key, request, flow, now), status, now, rest=rest)
