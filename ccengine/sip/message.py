"""SIP messages: lenient to read, lazy to interpret, strict to write (:rfc:`3261` section 7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ccengine.errors import SipParseError
from ccengine.sip.address import Address
from ccengine.sip.uri import SipUri
from ccengine.sip.via import Via


class BadRequestError(SipParseError):
    """A request that must be refused with ``status``; ``request`` is what could be read."""

    def __init__(self, message: str, request: SipRequest, *, status: int = 400) -> None:
        super().__init__(message, status=status)
        self.request = request


@dataclass(frozen=True, slots=True)
class CSeq:
    """A CSeq value (:rfc:`3261` section 20.16)."""

    number: int
    method: str


class SipMessage:
    """What requests and responses share; immutable."""

    __slots__ = ("body",)
    body: bytes
    STAR: ClassVar[str] = "*"

    def header(self, name: str) -> str | None:
        """Return the first raw value of a header field, any spelling of its name."""
        raise NotImplementedError

    def header_values(self, name: str) -> tuple[str, ...]:
        """Return all values; those of list headers (Via, Route, Allow…) split at commas."""
        raise NotImplementedError

    def has(self, name: str) -> bool:
        """Whether the header field is there."""
        raise NotImplementedError

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """All header fields but Content-Length, in order, with canonical names."""
        raise NotImplementedError

    @property
    def via(self) -> Via:
        """The topmost Via."""
        raise NotImplementedError

    @property
    def vias(self) -> tuple[Via, ...]:
        """All Vias, topmost first."""
        raise NotImplementedError

    @property
    def from_(self) -> Address:
        """The From header field."""
        raise NotImplementedError

    @property
    def to(self) -> Address:
        """The To header field."""
        raise NotImplementedError

    @property
    def call_id(self) -> str:
        """The Call-ID."""
        raise NotImplementedError

    @property
    def cseq(self) -> CSeq:
        """The CSeq."""
        raise NotImplementedError

    @property
    def contacts(self) -> tuple[Address, ...]:
        """All contacts; empty when there is none or :attr:`is_contact_star`."""
        raise NotImplementedError

    @property
    def is_contact_star(self) -> bool:
        """Whether Contact is ``*`` (remove all bindings)."""
        raise NotImplementedError

    @property
    def routes(self) -> tuple[Address, ...]:
        """All Route values, topmost first."""
        raise NotImplementedError

    @property
    def record_routes(self) -> tuple[Address, ...]:
        """All Record-Route values, topmost first."""
        raise NotImplementedError

    @property
    def max_forwards(self) -> int | None:
        """Max-Forwards, None when absent."""
        raise NotImplementedError

    @property
    def expires(self) -> int | None:
        """Expires in seconds, clamped to 2**32-1; None when absent."""
        raise NotImplementedError

    @property
    def content_type(self) -> str:
        """The media type in lower case without parameters, empty when absent."""
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        """Return the message as it goes to the wire, with Content-Length."""
        raise NotImplementedError


class SipRequest(SipMessage):
    """A request; ``uri`` is the request-URI as spelled."""

    __slots__ = ("method", "uri")
    method: str
    uri: str

    @classmethod
    def build(
        cls, method: str, uri: str, headers: Sequence[tuple[str, str]], body: bytes = b""
    ) -> SipRequest:
        """Return a request of ours."""
        raise NotImplementedError

    @property
    def request_uri(self) -> SipUri:
        """The request-URI."""
        raise NotImplementedError

    def with_header(self, name: str, *values: str) -> SipRequest:
        """Return a copy in which ``values`` replace all of that header field."""
        raise NotImplementedError

    def with_first(self, name: str, value: str) -> SipRequest:
        """Return a copy with ``value`` before all other values (Via, Route)."""
        raise NotImplementedError

    def without(self, *names: str) -> SipRequest:
        """Return a copy without these header fields."""
        raise NotImplementedError


class SipResponse(SipMessage):
    """A response."""

    __slots__ = ("reason", "status")
    status: int
    reason: str

    @classmethod
    def build(
        cls, status: int, reason: str, headers: Sequence[tuple[str, str]], body: bytes = b""
    ) -> SipResponse:
        """Return a response of ours; an empty reason gets the usual phrase."""
        raise NotImplementedError


def parse_message(data: bytes) -> SipRequest | SipResponse:
    """Read one datagram or framed message.

    Raises BadRequestError for a request that deserves an error response (its ``request`` can
    be given to :func:`response_to` if :func:`is_answerable`), SipParseError for all else.
    """
    raise NotImplementedError


def validate_request(request: SipRequest) -> None:
    """Raise SipError for a request that a UAS must refuse (section 8.2)."""
    raise NotImplementedError


def is_answerable(request: SipRequest) -> bool:
    """Whether Via, From, To, Call-ID and CSeq can be read, so that a response finds its way."""
    raise NotImplementedError


def response_to(
    request: SipRequest,
    status: int,
    reason: str = "",
    to_tag: str = "",
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    content_type: str = "",
    source: tuple[str, int] | None = None,
) -> SipResponse:
    """Return a response (8.2.6): Vias, From, To, Call-ID, CSeq and Record-Route are copied.

    ``source`` is where the request came from: it is written into the top Via as ``received``
    and, when asked for, ``rport``.
    """
    raise NotImplementedError


def reason_phrase(status: int) -> str:
    """Return the usual phrase of a status code."""
    raise NotImplementedError
