"""Requests and responses: immutable, their header fields interpreted when asked for.

A message is a list of (key, value) pairs; a key is the full name of the header field in lower
case.  Typed values are parsed at the first access and kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

from ccengine.errors import LocalSipError, SipParseError
from ccengine.sip.address import Address
from ccengine.sip.field_names import LIST_FIELDS, field_key, field_name, known_key
from ccengine.sip.grammar import is_token, parse_scalar, split_list
from ccengine.sip.status import reason_phrase
from ccengine.sip.text import encode_text
from ccengine.sip.uri import SipUri
from ccengine.sip.via import Via

CSEQ_LIMIT = 2**31
MAX_EXPIRES = 2**32 - 1

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CSeq:
    """A CSeq value (:rfc:`3261` section 20.16)."""

    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> CSeq:
        """Return the CSeq that ``text`` spells; raises SipParseError (400)."""
        parts = text.split(None, 1)
        if len(parts) != 2:
            raise SipParseError(f"not a CSeq: {text[:60]!r}")
        method = parts[1].rstrip(" \t")
        if not is_token(method):
            raise SipParseError(f"not a CSeq method: {text[:60]!r}")
        return cls(parse_scalar(parts[0], "CSeq", CSEQ_LIMIT), method)

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


class SipMessage:
    """What requests and responses share.

    Accessors of mandatory header fields raise SipParseError (400) when the field is missing
    or wrong; those of optional ones give None or empty when it is missing.
    """

    __slots__ = ("_contacts", "_cseq", "_fields", "_first", "_from", "_to", "_via", "body")

    def __init__(self, fields: list[tuple[str, str]], body: bytes = b"") -> None:
        self._fields = fields
        self._first = dict(reversed(fields))
        self.body = body
        self._via: Via | None = None
        self._from: Address | None = None
        self._to: Address | None = None
        self._cseq: CSeq | None = None
        self._contacts: tuple[Address, ...] | None = None

    # --- raw access ---------------------------------------------------------------------------

    def header(self, name: str) -> str | None:
        """Return the first raw value of a header field, any spelling of its name."""
        return self._first.get(known_key(name) or field_key(name))

    def header_values(self, name: str) -> tuple[str, ...]:
        """Return all values; those of list headers (Via, Route, Allow…) split at commas."""
        key = known_key(name) or field_key(name)
        if key not in self._first:
            return ()
        values = [value for other, value in self._fields if other == key]
        if key in LIST_FIELDS:
            return tuple(part for value in values for part in split_list(value))
        return tuple(values)

    def has(self, name: str) -> bool:
        """Whether the header field is there."""
        return (known_key(name) or field_key(name)) in self._first

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """All header fields but Content-Length, in order, with canonical names."""
        return tuple(
            (field_name(key), value) for key, value in self._fields if key != "content-length"
        )

    @property
    def fields(self) -> Sequence[tuple[str, str]]:
        """All header fields as (key, raw value), in order; not to be changed."""
        return self._fields

    @property
    def has_repeats(self) -> bool:
        """Whether any header field stands on more than one line."""
        return len(self._first) != len(self._fields)

    def _required(self, key: str) -> str:
        value = self._first.get(key)
        if not value:
            raise SipParseError(f"{field_name(key)} is missing")
        return value

    # --- typed access -------------------------------------------------------------------------

    @property
    def via(self) -> Via:
        """The topmost Via."""
        if self._via is None:
            values = split_list(self._required("via"))
            if not values:
                raise SipParseError("Via is empty")
            self._via = Via.parse(values[0])
        return self._via

    @property
    def vias(self) -> tuple[Via, ...]:
        """All Vias, topmost first."""
        return tuple(Via.parse(value) for value in self.header_values("via"))

    @property
    def from_(self) -> Address:
        """The From header field."""
        if self._from is None:
            self._from = Address.parse(self._required("from"))
        return self._from

    @property
    def to(self) -> Address:
        """The To header field."""
        if self._to is None:
            self._to = Address.parse(self._required("to"))
        return self._to

    @property
    def call_id(self) -> str:
        """The Call-ID."""
        return self._required("call-id")

    @property
    def cseq(self) -> CSeq:
        """The CSeq."""
        if self._cseq is None:
            self._cseq = CSeq.parse(self._required("cseq"))
        return self._cseq

    @property
    def contacts(self) -> tuple[Address, ...]:
        """All contacts; empty when there is none or :attr:`is_contact_star`."""
        if self._contacts is None:
            values = self.header_values("contact")
            addresses = () if "*" in values else tuple(Address.parse(value) for value in values)
            self._contacts = addresses
        return self._contacts

    @property
    def is_contact_star(self) -> bool:
        """Whether a Contact is ``*``, which means all bindings (10.2.2)."""
        return "*" in self.header_values("contact")

    @property
    def routes(self) -> tuple[Address, ...]:
        """All Route values, topmost first."""
        return self._addresses("route")

    @property
    def record_routes(self) -> tuple[Address, ...]:
        """All Record-Route values, topmost first."""
        return self._addresses("record-route")

    def _addresses(self, key: str) -> tuple[Address, ...]:
        if key not in self._first:
            return ()
        return tuple(Address.parse(value) for value in self.header_values(key))

    @property
    def max_forwards(self) -> int | None:
        """Max-Forwards (0-255), None when absent."""
        value = self._first.get("max-forwards")
        return None if value is None else parse_scalar(value, "Max-Forwards", 256)

    @property
    def expires(self) -> int | None:
        """Expires in seconds, at most 2**32-1 (20.19); None when absent."""
        value = self._first.get("expires")
        return None if value is None else parse_delta_seconds(value)

    @property
    def content_type(self) -> str:
        """The media type in lower case without parameters, empty when absent."""
        value = self._first.get("content-type", "")
        return value.partition(";")[0].strip(" \t").lower()

    # --- writing ------------------------------------------------------------------------------

    @property
    def start_line(self) -> str:
        """The first line of the message."""
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        """Return the message as it goes to the wire, with Content-Length.

        Line ends inside of values become spaces, so no value can smuggle in a header field.
        """
        lines = [self.start_line]
        lines += [
            f"{field_name(key)}: {value}" for key, value in self._fields if key != "content-length"
        ]
        lines.append(f"Content-Length: {len(self.body)}\r\n\r\n")
        text = "\r\n".join(lines)
        ends = len(lines) + 1
        if text.count("\n") != ends or text.count("\r") != ends:
            text = "\r\n".join([*(_flat(line) for line in lines[:-1]), lines[-1]])
        return encode_text(text) + self.body

    def _copy(self, fields: list[tuple[str, str]]) -> Self:
        raise NotImplementedError

    def with_header(self, name: str, *values: str) -> Self:
        """Return a copy in which ``values`` replace that header field, or stand at the end."""
        key = _own_key(name)
        fields = [field for field in self._fields if field[0] != key]
        at = next((at for at, field in enumerate(self._fields) if field[0] == key), len(fields))
        fields[at:at] = [(key, value) for value in values]
        return self._copy(fields)

    def with_first(self, name: str, value: str) -> Self:
        """Return a copy with ``value`` before all header fields (Via, Route)."""
        return self._copy([(_own_key(name), value), *self._fields])

    def without(self, *names: str) -> Self:
        """Return a copy without these header fields."""
        keys = {_own_key(name) for name in names}
        return self._copy([field for field in self._fields if field[0] not in keys])

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, SipMessage)
            and self.start_line == other.start_line
            and self.headers == other.headers
            and self.body == other.body
        )

    def __hash__(self) -> int:
        return hash((self.start_line, self._first.get("call-id"), self._first.get("cseq")))

    def __repr__(self) -> str:
        call_id = self._first.get("call-id", "")
        return f"<{type(self).__name__} {self.start_line!r} {call_id}>"


class SipRequest(SipMessage):
    """A request; ``uri`` is the request-URI as spelled."""

    __slots__ = ("_request_uri", "method", "uri")

    def __init__(
        self, method: str, uri: str, fields: list[tuple[str, str]], body: bytes = b""
    ) -> None:
        super().__init__(fields, body)
        self.method = method
        self.uri = uri
        self._request_uri: SipUri | None = None

    @classmethod
    def build(
        cls, method: str, uri: str, headers: Iterable[tuple[str, str]], body: bytes = b""
    ) -> SipRequest:
        """Return a request of ours; raises LocalSipError for what is no name."""
        if not is_token(method) or not uri or " " in uri:
            raise LocalSipError(f"no request can begin with {method!r} {uri!r}")
        return cls(method, uri, [(_own_key(name), value) for name, value in headers], body)

    @property
    def request_uri(self) -> SipUri:
        """The request-URI; raises SipParseError (400)."""
        if self._request_uri is None:
            self._request_uri = SipUri.parse(self.uri)
        return self._request_uri

    @property
    def start_line(self) -> str:
        """The Request-Line."""
        return f"{self.method} {self.uri} SIP/2.0"

    def _copy(self, fields: list[tuple[str, str]]) -> Self:
        return type(self)(self.method, self.uri, fields, self.body)


class SipResponse(SipMessage):
    """A response."""

    __slots__ = ("reason", "status")

    def __init__(
        self, status: int, reason: str, fields: list[tuple[str, str]], body: bytes = b""
    ) -> None:
        super().__init__(fields, body)
        self.status = status
        self.reason = reason

    @classmethod
    def build(
        cls,
        status: int,
        reason: str = "",
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> SipResponse:
        """Return a response of ours; an empty reason gets the usual phrase."""
        if not 100 <= status <= 699:
            raise LocalSipError(f"no response has the status {status}")
        fields = [(_own_key(name), value) for name, value in headers]
        return cls(status, reason or reason_phrase(status), fields, body)

    @property
    def start_line(self) -> str:
        """The Status-Line."""
        return f"SIP/2.0 {self.status} {self.reason}"

    def _copy(self, fields: list[tuple[str, str]]) -> Self:
        return type(self)(self.status, self.reason, fields, self.body)


class BadRequestError(SipParseError):
    """A request that must be refused with ``status``; ``request`` is what could be read."""

    def __init__(self, message: str, request: SipRequest, *, status: int = 400) -> None:
        super().__init__(message, status=status)
        self.request = request


def parse_delta_seconds(text: str) -> int:
    """Return seconds, at most 2**32-1; raises SipParseError (400) for what is no number."""
    digits = text.partition(";")[0].strip(" \t")
    if digits.isascii() and digits.isdigit() and len(digits.lstrip("0")) > 10:
        return MAX_EXPIRES
    return min(parse_scalar(digits, "seconds", 10**10), MAX_EXPIRES)


def _own_key(name: str) -> str:
    key = known_key(name) or field_key(name)
    if not key:
        raise LocalSipError(f"no header field can have the name {name!r}")
    return key


def _flat(line: str) -> str:
    return line.replace("\r\n", " ").replace("\r", " ").replace("\n", " ")
