"""From octets to messages: one pass over the head, lenient wherever the meaning is clear."""

from __future__ import annotations

import re
from itertools import islice

from ccengine.errors import SipParseError
from ccengine.sip.field_names import field_key, known_key
from ccengine.sip.grammar import is_token, parse_scalar
from ccengine.sip.model import BadRequestError, SipRequest, SipResponse
from ccengine.sip.text import decode_text

MAX_FIELDS = 512
"""Header lines that a message may have; no honest one has a hundred."""

_METHODS = frozenset({"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "INFO"})
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_LINE_END = re.compile(r"\r?\n")
_FOLD = re.compile(r"\r?\n[ \t]+")


def parse_message(data: bytes) -> SipRequest | SipResponse:
    """Read one datagram or framed message.

    Read as well: folded lines, line ends without CR, blanks around names, compact forms,
    foreign octets, a status line without reason, octets after Content-Length.

    Raises :class:`BadRequestError` for a request that deserves an error response, and
    SipParseError for all else, which nobody waits to be told of (:rfc:`3261` section 18.3).
    """
    if data[:1] in b"\r\n":
        data = data.lstrip(b"\r\n")
    lines, body = _split(data)
    fields = _fields(lines)
    if fields is None:
        lines = _unfold("\r\n".join(lines))
        fields = _fields(lines) or []
    start = lines[0]
    if start[:4].upper() == "SIP/":
        return _response(start, fields, body)
    return _request(start, fields, body)


def _split(data: bytes) -> tuple[list[str], bytes]:
    """Return the lines of the head, at least one, and what follows it."""
    end = data.find(b"\r\n\r\n")
    if end >= 0:
        head = data[:end]
        lines = decode_text(head).split("\r\n")
        ends = len(lines) - 1
        if head.count(b"\n") == ends and head.count(b"\r") == ends:
            return lines, data[end + 4 :]
    match = _END_OF_HEAD.search(data)
    head, body = (data, b"") if match is None else (data[: match.start()], data[match.end() :])
    # A CR that ends no line is white space to us, lest another reader take it for a line end.
    return [line.replace("\r", " ") for line in _unfold(decode_text(head))], body


def _unfold(text: str) -> list[str]:
    return _LINE_END.split(_FOLD.sub(" ", text))


def _fields(lines: list[str]) -> list[tuple[str, str]] | None:
    """Return the header fields as (key, value); None when lines are folded."""
    fields: list[tuple[str, str]] = []
    add = fields.append
    for line in islice(lines, 1, None):
        name, colon, value = line.partition(":")
        key = known_key(name)
        if key is None:
            if line[:1] in {" ", "\t"}:
                return None
            key = field_key(name)
        # "a UAS MUST ignore any malformed header fields that are not necessary" (8.2.2);
        # when a necessary one was malformed it will be found missing.
        if key and colon:
            add((key, value.strip()))
    return fields


def _request(start: str, fields: list[tuple[str, str]], body: bytes) -> SipRequest:
    method, _, rest = start.partition(" ")
    if method not in _METHODS and not is_token(method):
        raise SipParseError(f"not a SIP message: {start[:60]!r}")
    uri, _, version = rest.strip(" \t").rpartition(" ")
    uri = uri.strip(" \t")
    request = SipRequest(method, uri, fields, body)
    if version[:4].upper() != "SIP/" or not uri:
        raise BadRequestError(f"not a Request-Line: {start[:60]!r}", request)
    if version.upper() != "SIP/2.0":
        raise BadRequestError(f"version {version[:20]!r} is not spoken", request, status=505)
    if " " in uri or "\t" in uri:
        raise BadRequestError(f"white space in the request-URI: {uri[:60]!r}", request)
    if len(fields) > MAX_FIELDS:
        raise BadRequestError(f"{len(fields)} header fields are too many", request)
    fault = _cut_body(request)
    if fault:
        raise BadRequestError(fault, request)
    return request


def _response(start: str, fields: list[tuple[str, str]], body: bytes) -> SipResponse:
    version, _, rest = start.partition(" ")
    code, _, reason = rest.lstrip(" \t").partition(" ")
    if version.upper() != "SIP/2.0":
        raise SipParseError(f"version {version[:20]!r} is not spoken", status=505)
    if not (len(code) == 3 and code.isascii() and code.isdigit() and "1" <= code[0] <= "6"):
        raise SipParseError(f"not a Status-Line: {start[:60]!r}")
    if len(fields) > MAX_FIELDS:
        raise SipParseError(f"{len(fields)} header fields are too many")
    response = SipResponse(int(code), reason.strip(" \t"), fields, body)
    fault = _cut_body(response)
    if fault:
        raise SipParseError(fault)
    return response


def _cut_body(message: SipRequest | SipResponse) -> str:
    """Trim the body to Content-Length; return what is wrong with that header field, if so."""
    value = message.header("content-length")
    if value is None:
        return ""
    body = message.body
    if value != str(len(body)) or message.has_repeats:
        if len(set(message.header_values("content-length"))) > 1:
            return "Content-Length comes with different values"
        try:
            length = parse_scalar(value, "Content-Length", 2**31)
        except SipParseError as error:
            return error.message
        if length > len(body):
            return f"Content-Length {length} is more than the {len(body)} octets that came"
        message.body = body[:length]
    return ""
