"""Building a response from its request (:rfc:`3261` section 8.2.6)."""

from __future__ import annotations

from collections.abc import Iterable

from ccengine.errors import SipParseError
from ccengine.sip.grammar import split_list
from ccengine.sip.model import SipRequest, SipResponse
from ccengine.sip.status import reason_phrase


def response_to(
    request: SipRequest,
    status: int,
    reason: str = "",
    to_tag: str = "",
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    content_type: str = "",
    source: tuple[str, int] | None = None,
) -> SipResponse:
    """Return a response: Vias, From, To, Call-ID, CSeq and Record-Route are copied.

    ``to_tag`` is added to a To that has none.  ``source`` is where the request came from; it
    is written into the top Via as ``received`` and, when asked for, ``rport``.  Raises
    SipParseError when the top Via cannot be read (see ``is_answerable``).
    """
    response = SipResponse.build(status, reason or reason_phrase(status), headers, body)
    fields: list[tuple[str, str]] = []
    once = {"from", "to", "call-id", "cseq"}
    is_top = True
    # Record-Route goes into what makes a dialog (12.1.1), Timestamp into 100 (8.2.6.1).
    with_routes = 100 < status < 300
    for key, value in request.fields:
        if key == "via":
            if is_top and source is not None:
                value = _stamped(request, value, source)
            is_top = False
            fields.append((key, value))
        elif key in once:
            once.remove(key)
            if key == "to" and to_tag and not _has_tag(request):
                value = f"{value};tag={to_tag}"
            fields.append((key, value))
        elif (key == "record-route" and with_routes) or (key == "timestamp" and status == 100):
            fields.append((key, value))
    fields.extend(response.fields)
    if content_type:
        fields.append(("content-type", content_type))
    return SipResponse(status, response.reason, fields, body)


def _has_tag(request: SipRequest) -> bool:
    try:
        return bool(request.to.tag)
    except SipParseError:  # what cannot be read is answered 400 with the text as it came
        return ";tag=" in (request.header("to") or "").lower()


def _stamped(request: SipRequest, value: str, source: tuple[str, int]) -> str:
    address, port = source
    stamped = str(request.via.with_received(address, port))
    rest = split_list(value)[1:]
    return ", ".join([stamped, *rest]) if rest else stamped
