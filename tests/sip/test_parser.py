"""From octets to messages."""

from __future__ import annotations

import pytest

from ccengine.errors import SipParseError
from ccengine.sip.message import (
    BadRequestError,
    SipRequest,
    SipResponse,
    parse_message,
)
from ccengine.sip.parser import MAX_FIELDS
from ccengine.sip.text import readable


def _crlf(text: str) -> bytes:
    return text.strip("\n").replace("\n", "\r\n").encode() + b"\r\n\r\n"


INVITE = _crlf("""
INVITE sip:1000@pbx.example SIP/2.0
Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1;rport
Max-Forwards: 70
From: "Alice" <sip:alice@pbx.example>;tag=f1
To: <sip:1000@pbx.example>
Call-ID: c1@192.0.2.7
CSeq: 1 INVITE
Contact: <sip:alice@192.0.2.7>
Content-Type: application/sdp
Content-Length: 5
""")


def _request(data: bytes) -> SipRequest:
    message = parse_message(data)
    assert isinstance(message, SipRequest)
    return message


def _refused(data: bytes) -> BadRequestError:
    with pytest.raises(BadRequestError) as caught:
        parse_message(data)
    return caught.value


def test_request() -> None:
    request = _request(INVITE + b"v=0\r\n")
    assert (request.method, request.uri) == ("INVITE", "sip:1000@pbx.example")
    assert request.request_uri.user == "1000"
    assert request.via.branch == "z9hG4bK1"
    assert (request.from_.display_name, request.from_.tag) == ("Alice", "f1")
    assert request.to.tag == ""
    assert request.call_id == "c1@192.0.2.7"
    assert (request.cseq.number, request.cseq.method) == (1, "INVITE")
    assert [str(contact) for contact in request.contacts] == ["<sip:alice@192.0.2.7>"]
    assert (request.max_forwards, request.expires) == (70, None)
    assert request.content_type == "application/sdp"
    assert request.body == b"v=0\r\n"


def test_response() -> None:
    response = parse_message(_crlf("SIP/2.0 180 Ring ring\nCSeq: 1 INVITE\nExpires: 7"))
    assert isinstance(response, SipResponse)
    assert (response.status, response.reason, response.expires) == (180, "Ring ring", 7)


@pytest.mark.parametrize("line", ["SIP/2.0 200", "SIP/2.0 200 ", "sip/2.0  200"])
def test_status_line_without_reason(line: str) -> None:
    response = parse_message(_crlf(f"{line}\nCSeq: 1 INVITE"))
    assert isinstance(response, SipResponse)
    assert (response.status, response.reason) == (200, "")


@pytest.mark.parametrize(
    "line",
    [
        "SIP/2.0 4294967301 no",
        "SIP/2.0 99 x",
        "SIP/2.0 700 x",
        "SIP/2.0 ٢٠٠ x",
        "SIP/3.0 200 OK",
        "SIP/2.0",
    ],
)
def test_responses_that_are_dropped(line: str) -> None:
    with pytest.raises(SipParseError) as caught:
        parse_message(_crlf(f"{line}\nCSeq: 1 INVITE"))
    assert not isinstance(caught.value, BadRequestError)


@pytest.mark.parametrize(
    "data", [b"", b"\r\n\r\n", b"\0\0\0\0", b"\xff" * 30, b" \r\n\r\n", b"{}\r\n\r\n"]
)
def test_garbage_is_nobodys_request(data: bytes) -> None:
    with pytest.raises(SipParseError) as caught:
        parse_message(data)
    assert not isinstance(caught.value, BadRequestError)


def test_compact_forms() -> None:
    """Section 7.3.3: an implementation MUST accept both forms of each header name."""
    request = _request(
        _crlf(
            "OPTIONS sip:a@b SIP/2.0\nv: SIP/2.0/UDP h\nf: <sip:x@y>;tag=1\nT: sip:a@b\ni: id\n"
            "CSEQ: 1 OPTIONS\nm: <sip:x@z>\nc: text/plain;charset=utf-8\ns: Hi\nk: timer, 100rel\n"
            "e: gzip\no: presence\nr: <sip:t@u>\nb: <sip:v@w>\nu: dialog\nx: 90\nl: 0"
        )
    )
    assert request.via.host == "h"
    assert request.from_.tag == "1"
    assert request.to.uri.user == "a"
    assert request.call_id == "id"
    assert request.contacts[0].uri.host == "z"
    assert request.content_type == "text/plain"
    assert request.header_values("Supported") == ("timer", "100rel")
    names = ["Subject", "Content-Encoding", "Event", "Refer-To", "Referred-By", "Allow-Events"]
    assert all(request.has(name) for name in (*names, "Session-Expires", "content-length"))


def test_folding_and_blanks() -> None:
    """7.3.1: folded lines are one line; blanks before the colon and around values vanish."""
    request = _request(
        _crlf("OPTIONS sip:a@b SIP/2.0\nSubject :  one\n  two\n\tthree  \nX-Own:\n v\nEmpty:")
    )
    assert request.header("subject") == "one two three"
    assert request.header("x-own") == "v"
    assert request.header("Empty") == ""


def test_bare_line_feeds() -> None:
    request = _request((INVITE + b"v=0\r\n").replace(b"\r\n", b"\n").replace(b"h: 5", b"h: 4"))
    assert request.body == b"v=0\n"
    assert request.cseq.method == "INVITE"
    mixed = _request(b"OPTIONS sip:a@b SIP/2.0\nCall-ID: x\r\nSubject: y\n\nbody\r\n\r\nmore")
    assert (mixed.header("subject"), mixed.body) == ("y", b"body\r\n\r\nmore")


def test_bare_carriage_return_ends_no_line() -> None:
    request = _request(b"OPTIONS sip:a@b SIP/2.0\r\nSubject: x\rVia: forged\r\n\r\n")
    assert request.header("subject") == "x Via: forged"
    assert not request.has("via")


def test_foreign_octets_survive() -> None:
    name = "张伟".encode("gbk")
    data = b'OPTIONS sip:a@b SIP/2.0\r\nFrom: "' + name + b'" <sip:x@y>;tag=1\r\n\r\n'
    request = _request(data)
    assert readable(request.from_.display_name) == "张伟"
    assert name in request.to_bytes()


def test_body_is_cut_to_content_length() -> None:
    """18.3: if there are additional bytes beyond the end of the body, they are discarded."""
    assert _request(INVITE + b"v=0\r\nGARBAGE").body == b"v=0\r\n"


def test_without_content_length_the_datagram_is_the_body() -> None:
    assert _request(b"MESSAGE sip:a@b SIP/2.0\r\n\r\nhello").body == b"hello"


def test_datagram_shorter_than_content_length() -> None:
    """18.3: a request gets 400, a response is discarded."""
    error = _refused(INVITE + b"v=")
    assert (error.status, error.request.call_id) == (400, "c1@192.0.2.7")
    with pytest.raises(SipParseError):
        parse_message(b"SIP/2.0 200 OK\r\nContent-Length: 5\r\n\r\n")


@pytest.mark.parametrize("value", ["-999", "x", "", "5, 5", "99999999999999999999", "5\r\nl: 6"])
def test_content_length_that_is_no_length(value: str) -> None:
    data = f"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: {value}\r\n\r\n12345".encode()
    assert _refused(data).status == 400


def test_unknown_version() -> None:
    """21.5.6: 505."""
    assert _refused(_crlf("OPTIONS sip:a@b SIP/7.0\nCall-ID: x")).status == 505


@pytest.mark.parametrize(
    "line",
    [
        "INVITE sip:a@b",
        "INVITE  SIP/2.0",
        "INVITE sip:a@b; lr SIP/2.0",
        "INVITE",
        "INVITE sip:a@b HTTP/1.1",
    ],
)
def test_request_lines_that_are_wrong(line: str) -> None:
    assert _refused(_crlf(f"{line}\nCall-ID: x")).status == 400


@pytest.mark.parametrize("line", ["OPTIONS sip:a@b SIP/2.0  ", "OPTIONS  sip:a@b   sip/2.0"])
def test_request_lines_with_blanks(line: str) -> None:
    request = _request(_crlf(f"{line}\nCall-ID: x"))
    assert (request.method, request.uri) == ("OPTIONS", "sip:a@b")


def test_malformed_header_lines_are_ignored() -> None:
    """8.2.2: a UAS MUST ignore malformed header fields that are not necessary."""
    request = _request(_crlf("OPTIONS sip:a@b SIP/2.0\nno colon\nb@d: 1\n: x\nCall-ID: i"))
    assert request.headers == (("Call-ID", "i"),)


def test_too_many_header_lines() -> None:
    head = "OPTIONS sip:a@b SIP/2.0\r\n" + "a:\r\n" * (MAX_FIELDS + 1)
    assert _refused(head.encode() + b"\r\n").status == 400


def test_leading_line_ends_are_ignored() -> None:
    """7.5: implementations SHOULD ignore any CRLF before the start-line."""
    assert _request(b"\r\n\r\n" + INVITE + b"v=0\r\n").method == "INVITE"
