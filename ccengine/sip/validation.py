"""What a user agent server refuses before it looks at the meaning (:rfc:`3261` section 8.2)."""

from __future__ import annotations

from ccengine.errors import SipError, SipParseError
from ccengine.sip.field_names import UNIQUE_FIELDS, field_name
from ccengine.sip.model import SipRequest, SipResponse

SCHEMES = frozenset({"sip", "sips", "tel"})
"""Schemes of a request-URI that we understand; any other is answered with 416."""

_ECHOED = ("From", "To", "Call-ID", "CSeq")

MAX_VIAS = 70
"""Via values that a request may have: as many hops as Max-Forwards usually grants."""


def validate_request(request: SipRequest) -> None:
    """Raise SipError, its ``status`` set, for a request that no UAS may accept.

    400 for mandatory header fields that are missing or wrong, for a CSeq of another method,
    for a scalar out of range and for a single-valued header field with several values; 416
    for a request-URI of unknown scheme.  Max-Forwards 0 is legal: who forwards must look.
    """
    _check_unique(request)
    if request.cseq.method != request.method:
        raise SipParseError(f"CSeq is of {request.cseq.method[:20]!r}, not {request.method[:20]!r}")
    _ = request.call_id, request.from_, request.to, request.max_forwards
    _check_vias(request)
    if request.request_uri.scheme not in SCHEMES:
        raise SipError(f"URI scheme {request.request_uri.scheme[:20]!r} is unknown", status=416)
    _ = request.contacts


def is_answerable(request: SipRequest) -> bool:
    """Whether a response can be built and would find its way.

    The top Via must be readable; From, To, Call-ID and CSeq are echoed as they are, so they
    only must be there.  ACK is never answered.
    """
    if request.method == "ACK" or not all(request.header(name) for name in _ECHOED):
        return False
    try:
        _ = request.via, request.via.rport
    except SipParseError:
        return False
    return True


def validate_response(response: SipResponse) -> None:
    """Raise SipParseError for a response that nobody can use; it is dropped (18.1.2)."""
    _check_unique(response)
    _ = response.via, response.cseq, response.call_id, response.from_, response.to
    _ = response.contacts, response.record_routes


def _check_unique(message: SipRequest | SipResponse) -> None:
    if not message.has_repeats:
        return
    seen: dict[str, str] = {}
    for key, value in message.fields:
        if key in UNIQUE_FIELDS and seen.setdefault(key, value) != value:
            raise SipParseError(f"{field_name(key)} comes with different values")


def _check_vias(request: SipRequest) -> None:
    values = request.header_values("via")
    if len(values) > MAX_VIAS:
        raise SipParseError(f"{len(values)} Via values are too many")
    _ = request.via
    if len(values) > 1:
        _ = request.vias
