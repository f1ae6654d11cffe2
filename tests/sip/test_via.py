"""Via."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccengine.errors import SipParseError
from ccengine.sip.via import Via


@pytest.mark.parametrize(
    ("text", "via"),
    [
        ("SIP/2.0/UDP 192.0.2.1", Via("UDP", "192.0.2.1")),
        ("sip/2.0/tcp h:5070 ;branch=x", Via("TCP", "h", 5070, (("branch", "x"),))),
        (
            "SIP  / 2.0  / TCP     spindle.example.com   ;  branch  =   z9hG4bK9ikj8",
            Via("TCP", "spindle.example.com", 0, (("branch", "z9hG4bK9ikj8"),)),
        ),
        ("SIP/2.0/UNKNOWN [::1]:5060;rport", Via("UNKNOWN", "[::1]", 5060, (("rport", ""),))),
        ("SIP/2.0/UDP h : 5060", Via("UDP", "h", 5060)),
    ],
)
def test_read(text: str, via: Via) -> None:
    assert Via.parse(text) == via


@pytest.mark.parametrize(
    "text",
    [
        "",
        ";",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP h:x",
        "SIP/2.0/UDP h:99999",
        "HTTP/1.1 h",
        "SIP/2.0/UDP h k",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(SipParseError):
        Via.parse(text)


@pytest.mark.parametrize("value", ["2001:db8::9:255", "[2001:db8::9:255]"])
def test_received_with_and_without_brackets(value: str) -> None:
    """RFC 5118 4.5: both forms are understood."""
    via = Via.parse(f"SIP/2.0/UDP [2001:db8::9:1];received={value};branch=z9hG4bKas3")
    assert via.received == "2001:db8::9:255"
    assert via.branch == "z9hG4bKas3"


def test_received_is_added_when_sent_by_differs() -> None:
    """18.2.1: if the host of sent-by differs from the source address, received is added."""
    via = Via.parse("SIP/2.0/UDP bobspc.biloxi.com:5060;branch=x")
    assert str(via.with_received("192.0.2.4", 4000)) == (
        "SIP/2.0/UDP bobspc.biloxi.com:5060;branch=x;received=192.0.2.4"
    )
    same = Via.parse("SIP/2.0/UDP 192.0.2.4;branch=x")
    assert same.with_received("192.0.2.4", 4000) == same


def test_rport_is_filled_and_then_received_goes_along() -> None:
    """RFC 3581 4: rport gets the source port, and received even if it equals sent-by."""
    via = Via.parse("SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bKkjshdyff")
    assert via.rport == 0
    stamped = via.with_received("10.1.1.1", 9988)
    assert (stamped.rport, stamped.received) == (9988, "10.1.1.1")
    assert Via.parse("SIP/2.0/UDP h").rport is None


def test_forged_received_is_overwritten() -> None:
    via = Via.parse("SIP/2.0/UDP 192.0.2.4;received=9.9.9.9;rport=1")
    stamped = via.with_received("192.0.2.4", 5060)
    assert (stamped.received, stamped.rport) == ("192.0.2.4", 5060)


def test_bad_rport() -> None:
    with pytest.raises(SipParseError):
        _ = Via.parse("SIP/2.0/UDP h;rport=x").rport


_token = st.text("abcXYZ019-.!%*_+`'~", min_size=1, max_size=12)


@given(
    _token, st.integers(0, 65535), st.lists(st.tuples(_token.map(str.lower), _token), max_size=4)
)
def test_round_trip(transport: str, port: int, params: list[tuple[str, str]]) -> None:
    via = Via(transport.upper(), "host.example", port, tuple(params))
    assert Via.parse(str(via)) == via
