"""Writing the endpoint's own messages: text is joined once, straight into bytes.

The values come from messages that were parsed or from our owner; the owner's are checked, so
that a line break in a display name cannot become a header field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ccengine.errors import LocalSipError
from ccengine.sip.flow import Flow
from ccengine.sip.message import SipRequest, reason_phrase
from ccengine.sip.output import Headers
from ccengine.sip.uri import SipUri

DEFAULT_PORT = 5060


def clean(value: str) -> str:
    """Return ``value``; raises LocalSipError when it holds a line break."""
    if "\n" in value or "\r" in value:
        raise LocalSipError(f"a header value holds a line break: {value!r}")
    return value


def header_lines(headers: Headers) -> str:
    """Return header fields of our owner as lines."""
    if not headers:
        return ""
    return "".join(f"{clean(name)}: {clean(value)}\r\n" for name, value in headers)


def body_lines(body: bytes, content_type: str) -> str:
    """Return the last header lines of a message with this body, and the empty line."""
    if not body:
        return "Content-Length: 0\r\n\r\n"
    return f"Content-Type: {clean(content_type)}\r\nContent-Length: {len(body)}\r\n\r\n"


def host_port(address: tuple[str, int]) -> str:
    """Return ``host:port`` as it stands in Via and Contact."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def contact_value(flow: Flow, address: tuple[str, int], user: str) -> str:
    """Return our Contact on a flow."""
    at = f"{user}@" if user else ""
    transport = "" if flow.transport == "UDP" else f";transport={flow.transport.lower()}"
    return f"<sip:{at}{host_port(address)}{transport}>"


def contact_user(contact: str) -> str:
    """Return the user part of a Contact made by :func:`contact_value`."""
    user, found, _ = contact[len("<sip:") :].rpartition("@")
    return user if found else ""


def via_value(flow: Flow, address: tuple[str, int], branch: str) -> str:
    """Return the Via of a request of ours."""
    return f"SIP/2.0/{flow.transport} {host_port(address)};branch={branch};rport"


# --- requests ---------------------------------------------------------------------------------


def _is_loose(route: str) -> bool:
    start, end = route.find("<"), route.rfind(">")
    text = route[start + 1 : end] if 0 <= start < end else route
    return SipUri.parse(text).param("lr") is not None


def _bare_uri(route: str) -> str:
    start, end = route.find("<"), route.rfind(">")
    text = route[start + 1 : end] if 0 <= start < end else route
    return text.partition("?")[0]


def routing(target: str, route_set: Sequence[str]) -> tuple[str, str]:
    """Return request-URI and Route lines for a target behind a route set (12.2.1.1)."""
    if not route_set:
        return target, ""
    if _is_loose(route_set[0]):
        return target, "".join(f"Route: {route}\r\n" for route in route_set)
    rest = (*route_set[1:], f"<{target}>")
    return _bare_uri(route_set[0]), "".join(f"Route: {route}\r\n" for route in rest)


@dataclass(slots=True)
class RequestLines:
    """The parts of a request that its CANCEL, its ACK and its repetition share.

    ``from_`` and ``to`` are whole header values with their tags; ``routes`` are lines.
    """

    uri: str
    routes: str
    from_: str
    to: str
    call_id: str
    cseq: int
    via: str = ""
    max_forwards: int = 70

    def text(self, method: str, *, to: str = "", rest: str = "") -> str:
        """Return the head of a request with ``rest`` (lines up to the empty one) at its end."""
        return (
            f"{method} {self.uri} SIP/2.0\r\n"
            f"Via: {self.via}\r\n"
            f"Max-Forwards: {self.max_forwards}\r\n"
            f"{self.routes}"
            f"From: {self.from_}\r\n"
            f"To: {to or self.to}\r\n"
            f"Call-ID: {self.call_id}\r\n"
            f"CSeq: {self.cseq} {method}\r\n"
            f"{rest or NO_BODY}"
        )


NO_BODY = "Content-Length: 0\r\n\r\n"


# --- responses --------------------------------------------------------------------------------


def response_head(request: SipRequest, source: tuple[str, int]) -> str:
    """Return the lines that all responses to a request share: all of 8.2.6.2 but To.

    ``source`` is where the request came from (18.2.1, :rfc:`3581` section 4).
    """
    vias = request.header_values("Via")
    top = request.via
    if top.rport is None and top.host == source[0]:
        first = vias[0]
    else:
        first = str(top.with_received(source[0], source[1]))
    more = "".join(f"Via: {via}\r\n" for via in vias[1:]) if len(vias) > 1 else ""
    cseq = request.cseq
    return (
        f"Via: {first}\r\n{more}"
        f"From: {request.header('From')}\r\n"
        f"Call-ID: {request.call_id}\r\n"
        f"CSeq: {cseq.number} {cseq.method}\r\n"
    )


def record_route_lines(request: SipRequest) -> str:
    """Return the Record-Route lines that a dialog-forming response copies (12.1.1)."""
    values = request.header_values("Record-Route")
    return "".join(f"Record-Route: {value}\r\n" for value in values) if values else ""


def response_text(status: int, reason: str, head: str, to: str, rest: str = NO_BODY) -> str:
    """Return a response up to its body; ``to`` is the whole To value."""
    phrase = clean(reason) if reason else reason_phrase(status)
    return f"SIP/2.0 {status} {phrase}\r\n{head}To: {to}\r\n{rest}"


def response_flow(request: SipRequest, flow: Flow) -> Flow:
    """Return the flow on which responses go (18.2.2, :rfc:`3581`).

    That is the flow of the request, except that a UDP peer that does not ask for symmetric
    responses gets them at the port of its Via.  ``maddr`` is not obeyed: it would let
    anybody aim our responses at others.
    """
    if flow.transport != "UDP":
        return flow
    via = request.via
    if via.rport is not None:
        return flow
    port = via.port or DEFAULT_PORT
    if port == flow.remote[1]:
        return flow
    return Flow(flow.transport, flow.listener, (flow.remote[0], port), flow.connection)
