"""Dialogs as whole records, and the facts by which they change (:rfc:`3261` section 12)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from ccengine.sip.composer import RequestLines
from ccengine.sip.flow import Flow
from ccengine.sip.message import SipMessage, SipRequest, SipResponse

DialogKey: TypeAlias = tuple[str, str, str]
"""Call-ID, local tag, remote tag."""


@dataclass(frozen=True, slots=True)
class DialogRecord:
    """All that has to be known to go on with a dialog, also after a restart.

    ``local_uri`` and ``remote_uri`` are the From and To values of our requests with their
    tags, as they were spelled; ``contact`` is our Contact value.  ``role`` is that of the
    first INVITE.  ``local_seq`` and ``remote_seq`` are the last CSeq of either side (0 while
    there was none).  ``unacknowledged`` is the 2xx of CSeq ``unacknowledged_seq`` that is
    sent again until its ACK comes or ``acknowledge_by`` (monotonic seconds) has passed.
    """

    session: str
    role: Literal["uac", "uas"]
    state: Literal["early", "confirmed", "ending"]
    call_id: str
    local_tag: str
    remote_tag: str
    local_uri: str
    remote_uri: str
    remote_target: str
    route_set: tuple[str, ...]
    local_seq: int
    remote_seq: int
    flow: Flow
    contact: str
    unacknowledged: bytes = b""
    unacknowledged_seq: int = 0
    acknowledge_by: float = 0.0

    @property
    def key(self) -> DialogKey:
        """Call-ID, local tag and remote tag: the dialog's identity."""
        return (self.call_id, self.local_tag, self.remote_tag)


@dataclass(frozen=True, slots=True)
class DialogSet:
    """A dialog is as ``record`` says."""

    FACT: ClassVar[tuple[str, int]] = ("sip.dialog_set", 1)
    COALESCE: ClassVar[bool] = True

    record: DialogRecord

    @property
    def stream(self) -> str:
        """The session that the dialog belongs to."""
        return f"session/{self.record.session}"


@dataclass(frozen=True, slots=True)
class DialogDropped:
    """The dialog of a session is over."""

    FACT: ClassVar[tuple[str, int]] = ("sip.dialog_dropped", 1)

    session: str

    @property
    def stream(self) -> str:
        """The session that the dialog belonged to."""
        return f"session/{self.session}"


DialogFact: TypeAlias = DialogSet | DialogDropped

FACTS: tuple[type, ...] = (DialogSet, DialogDropped)


class DialogTable:
    """Confirmed dialogs, by session and by identity; changed by :meth:`apply` alone."""

    __slots__ = ("_by_key", "_by_session", "_unacknowledged")

    def __init__(self) -> None:
        self._by_session: dict[str, DialogRecord] = {}
        self._by_key: dict[DialogKey, str] = {}
        self._unacknowledged: dict[tuple[str, str], str] = {}

    def __len__(self) -> int:
        return len(self._by_session)

    def __iter__(self) -> Iterator[DialogRecord]:
        return iter(tuple(self._by_session.values()))

    def get(self, session: str) -> DialogRecord | None:
        """Return the dialog of a session."""
        return self._by_session.get(session)

    def session_of(self, key: DialogKey) -> str | None:
        """Return the session whose dialog has this identity."""
        return self._by_key.get(key)

    def unacknowledged(self, call_id: str, remote_tag: str, cseq: int) -> DialogRecord | None:
        """Return the dialog that still sends the 2xx to this INVITE of a peer."""
        session = self._unacknowledged.get((call_id, remote_tag))
        record = self._by_session.get(session) if session is not None else None
        return record if record is not None and record.unacknowledged_seq == cseq else None

    def apply(self, fact: DialogFact) -> None:
        """Change the table by one fact."""
        if isinstance(fact, DialogSet):
            self._set(fact.record)
        else:
            record = self._by_session.pop(fact.session, None)
            if record is not None:
                self._unlink(record)

    def _set(self, record: DialogRecord) -> None:
        old = self._by_session.get(record.session)
        if old is not None and old.key != record.key:
            self._unlink(old)
        self._by_session[record.session] = record
        self._by_key[record.call_id, record.local_tag, record.remote_tag] = record.session
        if record.unacknowledged:
            self._unacknowledged[record.call_id, record.remote_tag] = record.session
        else:
            self._unacknowledged.pop((record.call_id, record.remote_tag), None)

    def _unlink(self, record: DialogRecord) -> None:
        self._by_key.pop(record.key, None)
        self._unacknowledged.pop((record.call_id, record.remote_tag), None)


# --- reading dialogs out of messages -----------------------------------------------------------


def request_key(request: SipRequest) -> DialogKey:
    """Return the identity of the dialog that a peer's request belongs to."""
    return (request.call_id, request.to.tag, request.from_.tag)


def response_dialog_key(response: SipResponse) -> DialogKey:
    """Return the identity of the dialog that the answer to our request belongs to."""
    return (response.call_id, response.from_.tag, response.to.tag)


def remote_target(message: SipMessage) -> str:
    """Return the URI of the peer's Contact as spelled, empty when there is none to be used."""
    values = message.header_values("Contact")
    if not values or values[0] == "*":
        return ""
    start = values[0].rfind("<")
    if start >= 0:
        return values[0][start + 1 :].partition(">")[0].strip()
    return values[0].partition(";")[0].strip()


def uas_dialog(
    session: str, request: SipRequest, local_uri: str, local_tag: str, flow: Flow, contact: str
) -> DialogRecord:
    """Return the early dialog that an INVITE makes with us (12.1.1)."""
    return DialogRecord(
        session=session,
        role="uas",
        state="early",
        call_id=request.call_id,
        local_tag=local_tag,
        remote_tag=request.from_.tag,
        local_uri=local_uri,
        remote_uri=request.header("From") or "",
        remote_target=remote_target(request),
        route_set=request.header_values("Record-Route"),
        local_seq=0,
        remote_seq=request.cseq.number,
        flow=flow,
        contact=contact,
    )


def uac_dialog(
    session: str,
    response: SipResponse,
    lines: RequestLines,
    flow: Flow,
    contact: str,
) -> DialogRecord:
    """Return the dialog that a response to our INVITE makes (12.1.2).

    A response without Contact leaves the request-URI as target: wrong of the peer, yet the
    call can go on.
    """
    return DialogRecord(
        session=session,
        role="uac",
        state="early" if response.status < 200 else "confirmed",
        call_id=lines.call_id,
        local_tag=response.from_.tag,
        remote_tag=response.to.tag,
        local_uri=lines.from_,
        remote_uri=response.header("To") or lines.to,
        remote_target=remote_target(response) or lines.uri,
        route_set=response.header_values("Record-Route")[::-1],
        local_seq=lines.cseq,
        remote_seq=0,
        flow=flow,
        contact=contact,
    )
