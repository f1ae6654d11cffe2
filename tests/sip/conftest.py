"""Messages that several tests of this room use."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ccengine.sip.message import SipRequest, parse_message

RequestMaker = Callable[..., SipRequest]


def crlf(text: str, body: bytes = b"") -> bytes:
    """Return a message whose head is written with plain line ends."""
    return text.strip("\n").replace("\n", "\r\n").encode() + b"\r\n\r\n" + body


@pytest.fixture
def make_request() -> RequestMaker:
    """Return a maker of well-formed requests: ``make_request(method, *extra header lines)``."""

    def make(
        method: str = "OPTIONS", *lines: str, cseq: int = 1, call_id: str = "c1"
    ) -> SipRequest:
        head = [
            f"{method} sip:1000@pbx.example SIP/2.0",
            "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1;rport",
            "Max-Forwards: 70",
            "From: <sip:alice@pbx.example>;tag=f1",
            "To: <sip:alice@pbx.example>",
            f"Call-ID: {call_id}",
            f"CSeq: {cseq} {method}",
            *lines,
            "Content-Length: 0",
        ]
        request = parse_message(("\r\n".join(head) + "\r\n\r\n").encode())
        assert isinstance(request, SipRequest)
        return request

    return make
