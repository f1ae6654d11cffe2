"""Cutting a stream into messages (:rfc:`3261` sections 7.5 and 18.3, :rfc:`5626` 3.5.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from ccengine.errors import SipParseError
from ccengine.sip.grammar import parse_scalar
from ccengine.sip.model import BadRequestError, SipRequest
from ccengine.sip.parser import parse_message

MAX_HEAD = 64 * 1024
"""Octets of start line and header fields together."""

MAX_BODY = 1024 * 1024
"""Octets of a body."""

_LENGTH = re.compile(
    rb"^(?:content-length|l)[ \t]*:((?:[ \t]|\r?\n[ \t])*[^\r\n]*)", re.IGNORECASE | re.MULTILINE
)
_LINE_ENDS = b"\r\n"
_TOKEN_START = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.!%*_+`'~"
)
_LONGEST_START = 8 * 1024


@dataclass(frozen=True, slots=True)
class Ping:
    """The peer sent a double CRLF; answer with :data:`PONG` (:rfc:`5626` section 3.5.1)."""


PONG = b"\r\n"
"""The answer to a :class:`Ping`."""

FramedItem: TypeAlias = bytes | Ping | SipParseError
"""One message, a keep-alive, or the error after which the connection must be closed."""


class StreamFramer:
    """Cuts what arrives on one connection into messages; the bytes are yet to be parsed.

    An error comes as the last item, after the messages before it.  It is a BadRequestError
    when the request can still be told what was wrong.
    """

    __slots__ = ("_buffer", "_line_ends", "_scanned", "is_broken")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self._line_ends = 0
        self.is_broken = False

    @property
    def pending_bytes(self) -> int:
        """Octets of a message that is not complete."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[FramedItem]:
        """Take what arrived and return what is complete; nothing after an error."""
        items: list[FramedItem] = []
        if self.is_broken:
            return items
        self._buffer += data
        try:
            while self._buffer:
                self._skip_line_ends(items)
                message = self._cut()
                if message is None:
                    break
                items.append(message)
        except SipParseError as error:
            self.is_broken = True
            self._buffer.clear()
            items.append(error)
        return items

    def _skip_line_ends(self, items: list[FramedItem]) -> None:
        """Drop empty lines before a message; two of them together are a ping."""
        buffer = self._buffer
        end = 0
        while end < len(buffer) and buffer[end] in _LINE_ENDS:
            # A lone LF counts as a line end too; CR only announces one.
            if buffer[end] == 0x0A:
                self._line_ends += 1
                if self._line_ends == 2:
                    items.append(Ping())
                    self._line_ends = 0
            end += 1
        if end:
            del buffer[:end]
        if buffer:
            self._line_ends = 0

    def _cut(self) -> bytes | None:
        """Return the first message of the buffer when all of it is there."""
        buffer = self._buffer
        if not buffer:
            return None
        end = _end_of_head(buffer, self._scanned)
        if end < 0:
            self._check_start()
            if len(buffer) > MAX_HEAD:
                raise SipParseError(f"more than {MAX_HEAD} octets of header fields", status=513)
            self._scanned = max(0, len(buffer) - 3)
            return None
        # Come back to the same end of head when the body is not complete yet.
        self._scanned = end - 3
        self._check_start()
        if end > MAX_HEAD:
            raise SipParseError(f"more than {MAX_HEAD} octets of header fields", status=513)
        size = end + _body_size(bytes(buffer[:end]))
        if len(buffer) < size:
            return None
        message = bytes(buffer[:size])
        del buffer[:size]
        self._scanned = 0
        return message

    def _check_start(self) -> None:
        """Raise SipParseError as soon as the stream cannot be SIP."""
        buffer = self._buffer
        end = buffer.find(b"\n")
        if buffer[0] not in _TOKEN_START or (end < 0 and len(buffer) > _LONGEST_START):
            raise SipParseError(f"not SIP: {bytes(buffer[:20])!r}")
        if end >= 0 and b"SIP/" not in buffer[:end].upper():
            raise SipParseError(f"not a SIP start line: {bytes(buffer[: min(end, 60)])!r}")


def _end_of_head(buffer: bytearray, start: int) -> int:
    """Return where the body begins, -1 when the empty line is yet to come."""
    usual = buffer.find(b"\n\r\n", start)
    bare = buffer.find(b"\n\n", start, usual + 1 if usual >= 0 else len(buffer))
    if bare >= 0:
        return bare + 2
    return usual + 3 if usual >= 0 else -1


def _body_size(head: bytes) -> int:
    values = {match.strip() for match in _LENGTH.findall(head)}
    if len(values) != 1:
        # Over streams Content-Length is mandatory (18.3).
        what = "comes with different values" if values else "is missing on a stream"
        raise _answerable(f"Content-Length {what}", head)
    try:
        size = parse_scalar(values.pop().decode("latin-1"), "Content-Length", 2**31)
    except SipParseError as error:
        raise _answerable(error.message, head) from error
    if size > MAX_BODY:
        raise _answerable(f"a body of {size} octets is too large", head, status=413)
    return size


def _answerable(message: str, head: bytes, status: int = 400) -> SipParseError:
    """Return the error with the request in it if the head is one of a request."""
    try:
        parsed = parse_message(head)
    except BadRequestError as error:
        return BadRequestError(message, error.request, status=status)
    except SipParseError:
        return SipParseError(message, status=status)
    if isinstance(parsed, SipRequest):
        return BadRequestError(message, parsed, status=status)
    return SipParseError(message, status=status)
