"""Responses made from requests."""

from __future__ import annotations

import pytest

from ccengine.sip.message import SipRequest, parse_message, reason_phrase, response_to

FIELDS = (
    ("Via", "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1;rport, SIP/2.0/TCP second;branch=2"),
    ("Via", "SIP/2.0/UDP third"),
    ("From", "Ann <sip:a@b>;tag=1"),
    ("To", "Bob <sip:c@d>"),
    ("Call-ID", "id"),
    ("CSeq", "0009  INVITE"),
    ("Record-Route", "<sip:p;lr>"),
    ("Timestamp", "54"),
    ("Contact", "<sip:a@10.0.0.1>"),
    ("Content-Type", "application/sdp"),
    ("Subject", "not copied"),
)


@pytest.fixture
def invite() -> SipRequest:
    return SipRequest.build("INVITE", "sip:c@d", FIELDS, b"v=0")


def test_what_is_copied(invite: SipRequest) -> None:
    """8.2.6.2: From, Call-ID, CSeq and the Vias in order equal those of the request."""
    response = response_to(invite, 180, to_tag="t", headers=(("Contact", "<sip:me@here>"),))
    assert response.headers == (
        ("Via", "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1;rport, SIP/2.0/TCP second;branch=2"),
        ("Via", "SIP/2.0/UDP third"),
        ("From", "Ann <sip:a@b>;tag=1"),
        ("To", "Bob <sip:c@d>;tag=t"),
        ("Call-ID", "id"),
        ("CSeq", "0009  INVITE"),
        ("Record-Route", "<sip:p;lr>"),
        ("Contact", "<sip:me@here>"),
    )
    assert response.start_line == "SIP/2.0 180 Ringing"


def test_record_route_only_where_a_dialog_may_begin(invite: SipRequest) -> None:
    """12.1.1: a response that establishes a dialog copies all Record-Route values."""
    assert response_to(invite, 200).has("Record-Route")
    assert not response_to(invite, 486).has("Record-Route")
    assert not response_to(invite, 100).has("Record-Route")


def test_timestamp_goes_into_100(invite: SipRequest) -> None:
    """8.2.6.1: a Timestamp in the request MUST be copied into the 100."""
    assert response_to(invite, 100).header("Timestamp") == "54"
    assert not response_to(invite, 180).has("Timestamp")


def test_a_tag_that_is_there_stays(invite: SipRequest) -> None:
    """8.2.6.2: with a To tag in the request, To MUST equal that of the request."""
    request = invite.with_header("To", "<sip:c@d>;tag=old")
    assert response_to(request, 200, to_tag="new").header("To") == "<sip:c@d>;tag=old"


def test_source_is_written_into_the_top_via(invite: SipRequest) -> None:
    response = response_to(invite, 200, source=("203.0.113.5", 4321))
    assert response.via.received == "203.0.113.5"
    assert response.via.rport == 4321
    assert [via.host for via in response.vias] == ["10.0.0.1", "second", "third"]
    assert response.vias[1].received == ""


def test_body(invite: SipRequest) -> None:
    response = response_to(invite, 200, body=b"v=0\r\n", content_type="application/sdp")
    again = parse_message(response.to_bytes())
    assert (again.content_type, again.body) == ("application/sdp", b"v=0\r\n")


def test_a_request_that_is_wrong_can_be_answered(invite: SipRequest) -> None:
    """A To that cannot be read is echoed as it came, and of fields in surplus the first."""
    request = SipRequest.build(
        "INVITE", "sip:c@d", (*FIELDS, ("To", "<sip:other@x>"), ("CSeq", "5 X"))
    )
    request = request.with_header("To", '"open <sip:a@b>', "<sip:second@x>")
    response = response_to(request, 400, "Unbalanced quotes", to_tag="t")
    assert response.header_values("To") == ('"open <sip:a@b>;tag=t',)
    assert response.header_values("CSeq") == ("0009  INVITE",)


@pytest.mark.parametrize(
    ("status", "phrase"),
    [(100, "Trying"), (486, "Busy Here"), (699, "Busy Everywhere"), (299, "OK"), (999, "Unknown")],
)
def test_reason_phrases(status: int, phrase: str) -> None:
    """8.1.3.2: an unknown status means the x00 of its class."""
    assert reason_phrase(status) == phrase
