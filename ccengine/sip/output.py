"""What the SIP endpoint tells the room above it, and what it is asked to send.

A *session* is one INVITE usage: the name that its owner gave it (:class:`OutgoingInvite`) or
that the endpoint made (:class:`InviteReceived`).  While an INVITE is pending a session may
hold several early dialogs; the first 2xx makes one of them the session's dialog, and 2xx of
other branches are acknowledged and ended by the endpoint itself.

``tx`` names a server transaction that waits for :meth:`SipEndpoint.respond`, or an outgoing
request that waits for its answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ccengine.sip.flow import Flow
from ccengine.sip.message import SipRequest, SipResponse

Headers: TypeAlias = tuple[tuple[str, str], ...]
"""Header fields to add to a message, in order."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """How we answer a digest challenge (:rfc:`8760`)."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OutgoingInvite:
    """An INVITE to be sent.

    ``uri`` is the request-URI, ``from_`` and ``to`` are name-addr values without tag.  An
    empty ``body`` makes an offerless INVITE.  With ``credentials`` the endpoint answers one
    challenge by itself.
    """

    uri: str
    flow: Flow
    from_: str
    to: str
    body: bytes = b""
    content_type: str = "application/sdp"
    headers: Headers = ()
    contact_user: str = ""
    credentials: Credentials | None = None
    route: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OutgoingRequest:
    """A request outside a dialog (REGISTER, OPTIONS, MESSAGE) to be sent.

    ``call_id`` and ``cseq`` are given to refresh a registration; empty and 0 make new ones.
    """

    method: str
    uri: str
    flow: Flow
    from_: str
    to: str
    body: bytes = b""
    content_type: str = ""
    headers: Headers = ()
    contact_user: str = ""
    credentials: Credentials | None = None
    call_id: str = ""
    cseq: int = 0


# --- outputs -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Transmit:
    """Bytes for the network: one datagram, or one message of a stream."""

    data: bytes
    flow: Flow


@dataclass(frozen=True, slots=True)
class InviteReceived:
    """A new call: answer with provisional, accept or reject."""

    session: str
    request: SipRequest
    flow: Flow


@dataclass(frozen=True, slots=True)
class InviteCancelled:
    """The caller gave up before the answer; 487 is already sent.

    With ``is_reinvite`` only the change was taken back: the session goes on as it was.
    """

    session: str
    request: SipRequest
    is_reinvite: bool = False


@dataclass(frozen=True, slots=True)
class Provisional:
    """A 101-199 response to our INVITE; ``early_dialog`` is its To tag (may be empty)."""

    session: str
    response: SipResponse
    early_dialog: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """The first 2xx to our INVITE or re-INVITE.

    It is acknowledged already unless ``needs_ack``: then it answers an offerless INVITE and
    the owner gives the answer to :meth:`SipEndpoint.ack`.
    """

    session: str
    response: SipResponse
    is_reinvite: bool = False
    needs_ack: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """Our INVITE or re-INVITE failed for good.

    ``status`` is the final status; 408 when nothing came in time and 503 when the transport
    failed, both without ``response``.  A re-INVITE that is rejected leaves the session as it
    was, unless :class:`SessionEnded` follows.
    """

    session: str
    status: int
    response: SipResponse | None = None
    is_reinvite: bool = False


@dataclass(frozen=True, slots=True)
class AckReceived:
    """Our 2xx to an INVITE or re-INVITE is acknowledged; the body may hold an answer."""

    session: str
    request: SipRequest


@dataclass(frozen=True, slots=True)
class AckMissing:
    """Our 2xx was never acknowledged (:rfc:`3261` section 13.3.1.4); its owner sends BYE."""

    session: str


@dataclass(frozen=True, slots=True)
class ReinviteReceived:
    """The peer wants to change the session: accept or reject (same methods as for INVITE)."""

    session: str
    request: SipRequest


EndReason: TypeAlias = Literal["bye", "done", "gone"]
"""See :class:`SessionEnded`."""


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The session is over and the endpoint has forgotten it.

    ``bye``: the peer hung up (200 is sent) · ``done``: our BYE was answered or timed out ·
    ``gone``: the peer answered 481/408 inside the dialog, or the dialog died with its flow.
    """

    session: str
    reason: EndReason
    request: SipRequest | None = None


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """A request other than INVITE, ACK, CANCEL and BYE; it waits for ``respond``.

    ``session`` is set when it came inside a dialog (INFO, MESSAGE, REFER…).
    """

    tx: str
    request: SipRequest
    flow: Flow
    session: str = ""


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """The final answer to our request outside a dialog; status 408 or 503 without response."""

    tx: str
    status: int
    response: SipResponse | None = None


SipOutput: TypeAlias = (
    Transmit
    | InviteReceived
    | InviteCancelled
    | Provisional
    | Accepted
    | Rejected
    | AckReceived
    | AckMissing
    | ReinviteReceived
    | SessionEnded
    | RequestReceived
    | ResponseReceived
)
