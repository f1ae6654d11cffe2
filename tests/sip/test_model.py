"""Requests and responses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccengine.errors import LocalSipError, SipParseError
from ccengine.sip.message import CSeq, SipRequest, SipResponse, parse_message

HEADERS = (
    ("Via", "SIP/2.0/UDP a;branch=1, SIP/2.0/TCP b"),
    ("via", "SIP/2.0/UDP c"),
    ("From", "<sip:x@y>;tag=1"),
    ("To", "<sip:z@y>;tag=2"),
    ("Call-ID", "id"),
    ("CSeq", "7 INVITE"),
    ("Route", '<sip:p1;lr>, "P, two" <sip:p2;lr>'),
    ("Record-Route", "<sip:r;lr>"),
    ("Allow", "INVITE, ACK"),
    ("allow", "BYE"),
    ("Subject", "one, two"),
    ("Authorization", 'Digest username="a", realm="b"'),
    ("X-own-HEADER", "v"),
)


@pytest.fixture
def request_() -> SipRequest:
    return SipRequest.build("INVITE", "sip:z@y", HEADERS, b"body")


def test_values_of_lists_are_split(request_: SipRequest) -> None:
    assert request_.header_values("Allow") == ("INVITE", "ACK", "BYE")
    assert len(request_.header_values("VIA")) == 3
    assert [via.host for via in request_.vias] == ["a", "b", "c"]
    assert [route.uri.host for route in request_.routes] == ["p1", "p2"]
    assert request_.record_routes[0].uri.param("lr") == ""
    assert request_.header_values("nothing") == ()


def test_values_of_others_are_not_split(request_: SipRequest) -> None:
    assert request_.header_values("Subject") == ("one, two",)
    assert request_.header_values("Authorization") == ('Digest username="a", realm="b"',)


def test_first_value_any_spelling(request_: SipRequest) -> None:
    assert request_.header("allow") == "INVITE, ACK"
    assert request_.header("x-OWN-header") == "v"
    assert request_.header("k") is None
    assert request_.header("not a name") is None


def test_written(request_: SipRequest) -> None:
    lines = request_.to_bytes().split(b"\r\n")
    assert lines[0] == b"INVITE sip:z@y SIP/2.0"
    assert b"Call-ID: id" in lines
    assert b"CSeq: 7 INVITE" in lines
    assert b"X-Own-Header: v" in lines
    assert lines[-3:] == [b"Content-Length: 4", b"", b"body"]
    assert parse_message(request_.to_bytes()) == request_


def test_content_length_is_ours() -> None:
    request = SipRequest.build("X", "sip:a@b", (("Content-Length", "99"),), b"12")
    assert request.to_bytes().count(b"Content-Length") == 1
    assert b"Content-Length: 2\r\n" in request.to_bytes()


@pytest.mark.parametrize("value", ["a\r\nVia: forged", "a\nVia: forged", "a\r\n\r\nINVITE", "a\rb"])
def test_values_cannot_smuggle_header_fields(value: str) -> None:
    """A customer's name from a database must never become a header field."""
    request = SipRequest.build("OPTIONS", "sip:a@b", (("Subject", value), ("To", "sip:a@b")))
    again = parse_message(request.to_bytes())
    assert [name for name, _ in again.headers] == ["Subject", "To"]
    assert again.body == b""


@pytest.mark.parametrize(
    ("method", "uri", "name"),
    [
        ("IN VITE", "sip:a@b", "A"),
        ("INVITE", "", "A"),
        ("INVITE", "sip:a b", "A"),
        ("X", "sip:a", "A B"),
    ],
)
def test_what_cannot_be_built(method: str, uri: str, name: str) -> None:
    with pytest.raises(LocalSipError):
        SipRequest.build(method, uri, ((name, "v"),))


def test_response_build() -> None:
    assert SipResponse.build(486).start_line == "SIP/2.0 486 Busy Here"
    assert SipResponse.build(499).start_line == "SIP/2.0 499 Bad Request"
    assert SipResponse.build(200, "Yes").start_line == "SIP/2.0 200 Yes"
    with pytest.raises(LocalSipError):
        SipResponse.build(99)


def test_copies(request_: SipRequest) -> None:
    changed = request_.with_header("Allow", "OPTIONS").with_header("Max-Forwards", "69")
    assert changed.header_values("Allow") == ("OPTIONS",)
    assert changed.max_forwards == 69
    assert [name for name, _ in changed.headers].index("Allow") == 8
    assert request_.header_values("Allow") == ("INVITE", "ACK", "BYE")
    routed = request_.with_first("Via", "SIP/2.0/UDP new")
    assert routed.via.host == "new"
    assert not request_.without("v", "allow").has("Via")
    assert request_.without("subject").body == b"body"


@pytest.mark.parametrize("name", ["via", "from_", "to", "call_id", "cseq"])
def test_missing_mandatory_fields(name: str) -> None:
    with pytest.raises(SipParseError, match="missing"):
        getattr(SipRequest.build("OPTIONS", "sip:a@b", ()), name)


@pytest.mark.parametrize(
    "value", ["", "1", "INVITE 1", "x INVITE", "2147483648 INVITE", "1 IN VITE", "-1 A"]
)
def test_bad_cseq(value: str) -> None:
    """8.1.1.5: the sequence number MUST be expressible as 32 bits and less than 2**31."""
    with pytest.raises(SipParseError):
        _ = SipRequest.build("X", "sip:a@b", (("CSeq", value),)).cseq


def test_cseq_limits() -> None:
    assert CSeq.parse("2147483647 \t INVITE") == CSeq(2147483647, "INVITE")
    assert str(CSeq.parse("0009 INVITE")) == "9 INVITE"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0), ("60;x=y", 60), ("4294967295", 2**32 - 1), ("1" + "0" * 100, 2**32 - 1)],
)
def test_expires(value: str, seconds: int) -> None:
    assert SipRequest.build("X", "sip:a@b", (("Expires", value),)).expires == seconds


def test_bad_scalars() -> None:
    request = SipRequest.build("X", "sip:a@b", (("Expires", "soon"), ("Max-Forwards", "256")))
    with pytest.raises(SipParseError):
        _ = request.expires
    with pytest.raises(SipParseError):
        _ = request.max_forwards


def test_contact_star() -> None:
    """10.2.2: Contact: * is no address."""
    request = SipRequest.build("REGISTER", "sip:a", (("Contact", "*"),))
    assert request.is_contact_star
    assert request.contacts == ()


def test_equality_and_repr(request_: SipRequest) -> None:
    same = SipRequest.build("INVITE", "sip:z@y", HEADERS, b"body")
    assert same == request_
    assert hash(same) == hash(request_)
    assert same != same.without("To")
    assert same != "x"
    assert "id" in repr(same)


_value = st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), min_size=1).map(
    str.strip
)
_name = st.from_regex(r"X-[A-Za-z0-9-]{1,10}", fullmatch=True)


@given(st.lists(st.tuples(_name, _value.filter(bool)), max_size=8), st.binary(max_size=50))
def test_round_trip(headers: list[tuple[str, str]], body: bytes) -> None:
    request = SipRequest.build("MESSAGE", "sip:a@b", headers, body)
    data = request.to_bytes()
    assert parse_message(data) == request
    assert parse_message(data).to_bytes() == data
