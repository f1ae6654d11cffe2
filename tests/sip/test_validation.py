"""What a user agent server refuses."""

from __future__ import annotations

import pytest

from ccengine.errors import SipError, SipParseError
from ccengine.sip.message import (
    SipRequest,
    SipResponse,
    is_answerable,
    parse_message,
    validate_request,
    validate_response,
)
from ccengine.sip.validation import MAX_VIAS

GOOD = (
    ("Via", "SIP/2.0/UDP h;branch=z9hG4bK1"),
    ("From", "<sip:a@b>;tag=1"),
    ("To", "<sip:c@d>"),
    ("Call-ID", "id"),
    ("CSeq", "1 OPTIONS"),
)


def _request(*changes: tuple[str, str | None], uri: str = "sip:c@d") -> SipRequest:
    request = SipRequest.build("OPTIONS", uri, GOOD)
    for name, value in changes:
        request = request.without(name) if value is None else request.with_header(name, value)
    return request


def _status(request: SipRequest) -> int:
    with pytest.raises(SipError) as caught:
        validate_request(request)
    return caught.value.status


def test_a_good_request_passes() -> None:
    validate_request(_request())
    assert is_answerable(_request())


@pytest.mark.parametrize("name", ["Via", "From", "To", "Call-ID", "CSeq"])
def test_mandatory_fields(name: str) -> None:
    """8.1.1: a valid request MUST contain To, From, CSeq, Call-ID and Via."""
    request = _request((name, None))
    assert _status(request) == 400
    assert not is_answerable(request)


def test_max_forwards_is_not_demanded() -> None:
    """RFC 4475 3.3.16: an RFC 2543 request comes without Max-Forwards, branch and tag."""
    validate_request(_request(("From", "<sip:a@b>"), ("Via", "SIP/2.0/UDP h")))


def test_max_forwards_zero_is_left_to_the_caller() -> None:
    request = _request(("Max-Forwards", "0"))
    validate_request(request)
    assert request.max_forwards == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CSeq", "1 INVITE"),
        ("CSeq", "2147483648 OPTIONS"),
        ("CSeq", "one OPTIONS"),
        ("Max-Forwards", "256"),
        ("To", '"open <sip:a@b>'),
        ("From", "<sip:a@b"),
        ("Contact", "sip:a@b?x=y"),
        ("Via", "SIP/2.0/UDP h;;,;,,"),
        ("Via", ", ".join(["SIP/2.0/UDP h"] * (MAX_VIAS + 1))),
    ],
)
def test_wrong_fields_are_answered_400(name: str, value: str) -> None:
    request = _request((name, value))
    assert _status(request) == 400
    assert is_answerable(request)


def test_an_expires_too_large_is_no_fault() -> None:
    """RFC 4475 3.1.2.4: Expires may be taken as the largest value."""
    request = _request(("Expires", "1" + "0" * 100))
    validate_request(request)
    assert request.expires == 2**32 - 1


@pytest.mark.parametrize(
    "uri", ["nobodyKnowsThisScheme:totallyopaque", "soap.beep://192.0.2.103:3002"]
)
def test_unknown_scheme(uri: str) -> None:
    """8.2.2.1: a scheme that is not supported is answered with 416."""
    assert _status(_request(uri=uri)) == 416


def test_bad_request_uri() -> None:
    assert _status(_request(uri="<sip:user@example.com>")) == 400


def test_unique_fields_with_several_values() -> None:
    """RFC 4475 3.3.8: multiple values in single-value fields are answered with 400."""
    data = _request().to_bytes()
    twice = parse_message(data.replace(b"CSeq:", b"From: <sip:a@b>;tag=1\r\nCSeq:"))
    assert isinstance(twice, SipRequest)
    validate_request(twice)  # the same value twice says nothing new
    other = parse_message(data.replace(b"CSeq:", b"From: <sip:a@b>;tag=2\r\nCSeq:"))
    assert isinstance(other, SipRequest)
    assert _status(other) == 400


def test_ack_is_never_answered() -> None:
    """17: an ACK has no response."""
    assert not is_answerable(SipRequest.build("ACK", "sip:a@b", GOOD))


def test_unreadable_via_cannot_be_answered() -> None:
    assert not is_answerable(_request(("Via", "SIP/2.0/UDP")))
    assert not is_answerable(_request(("Via", "SIP/2.0/UDP h;rport=x")))


@pytest.mark.parametrize(
    ("name", "value"), [("CSeq", "9292394834772304023312 OPTIONS"), ("To", "<"), ("Contact", "x")]
)
def test_unusable_responses(name: str, value: str) -> None:
    """18.1.2 and RFC 4475 3.1.2.5: a response that cannot be read is dropped."""
    response = SipResponse.build(200, "", GOOD)
    validate_response(response)
    with pytest.raises(SipParseError):
        validate_response(response.with_header(name, value))
