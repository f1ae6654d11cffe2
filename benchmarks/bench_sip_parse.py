"""What reading and writing SIP costs, in microseconds of one core; no network.

Prints one JSON object a line: ``{"bench", "metric", "value", "unit", "params"}``.
"""

from __future__ import annotations

import argparse
import json
import sys
import timeit
from collections.abc import Callable, Iterator

from ccengine.sip.address import Address
from ccengine.sip.digest import DigestAuthenticator, authorization, make_ha1
from ccengine.sip.framing import StreamFramer
from ccengine.sip.message import SipRequest, parse_message, response_to, validate_request
from ccengine.sip.uri import SipUri
from ccengine.sip.via import Via

SDP = (
    b"v=0\r\no=- 3908 3908 IN IP4 192.168.1.20\r\ns=call\r\nc=IN IP4 192.168.1.20\r\nt=0 0\r\n"
    b"m=audio 40012 RTP/AVP 8 0 9 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
    b"a=rtpmap:9 G722/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n"
    b"a=ptime:20\r\na=sendrecv\r\n"
)
VIA = "SIP/2.0/UDP 192.168.1.20:5060;branch=z9hG4bK-d8754z-8a1b2c3d4e5f;rport"
FROM = '"Alice Zhang" <sip:alice@pbx.example.com>;tag=6f2a91cc'
INVITE = (
    "INVITE sip:1000@pbx.example.com;user=phone SIP/2.0\r\n"
    f"Via: {VIA}\r\n"
    "Max-Forwards: 70\r\n"
    "Contact: <sip:alice@192.168.1.20:5060>\r\n"
    "To: <sip:1000@pbx.example.com>\r\n"
    f"From: {FROM}\r\n"
    "Call-ID: NzQ5ZjE2Y2JlMWQ4Y2U4MGI4ZTU2YmQ0\r\n"
    "CSeq: 1 INVITE\r\n"
    "Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, MESSAGE, SUBSCRIBE, INFO\r\n"
    "Content-Type: application/sdp\r\n"
    "Supported: replaces, timer\r\n"
    "User-Agent: ExamplePhone 4.2\r\n"
    "Allow-Events: hold, talk, conference\r\n"
    f"Content-Length: {len(SDP)}\r\n\r\n"
).encode() + SDP


class _Alice:
    def __init__(self) -> None:
        self._known = {
            ("alice", "pbx.example.com", "MD5"): make_ha1("alice", "pbx.example.com", "x")
        }

    def ha1(self, username: str, realm: str, algorithm: str) -> str | None:
        return self._known.get((username, realm, algorithm))


def _microseconds(work: Callable[[], object], rounds: int = 5000) -> float:
    """Return the time of the quietest of seven rounds."""
    return min(timeit.repeat(work, number=rounds, repeat=7)) / rounds * 1e6


def parse_invite_us() -> float:
    """Return the cost of parsing an INVITE with SDP, header fields yet unread."""
    return _microseconds(lambda: parse_message(INVITE))


def validate_invite_us() -> float:
    """Return the cost of parsing it and reading all mandatory header fields."""

    def work() -> None:
        request = parse_message(INVITE)
        assert isinstance(request, SipRequest)
        validate_request(request)

    return _microseconds(work)


def answer_invite_us() -> float:
    """Return the cost of building and writing a 200 with SDP."""
    request = parse_message(INVITE)
    assert isinstance(request, SipRequest)
    source = ("192.168.1.20", 5060)
    contact = (("Contact", "<sip:192.168.1.1>"),)

    def work() -> bytes:
        response = response_to(
            request, 200, "OK", "t1", contact, SDP, "application/sdp", source=source
        )
        return response.to_bytes()

    return _microseconds(work)


def digest_verify_us() -> float:
    """Return the cost of checking MD5 credentials in a parsed request."""
    server = DigestAuthenticator("pbx.example.com", secret=b"0" * 16)
    bare = parse_message(INVITE)
    assert isinstance(bare, SipRequest)
    ((_, challenge),) = server.challenge(bare, 1.0)
    text = authorization(challenge, "INVITE", bare.uri, "alice", "x", 1, "0a4f113b")
    request = bare.with_header("Authorization", text or "")
    store = _Alice()
    assert server.verify(request, store, 1.0).is_ok  # from then on it is a replay
    return _microseconds(lambda: server.verify(request, store, 1.0))


def frame_invite_us() -> float:
    """Return the cost of cutting an INVITE out of a stream, in two reads."""
    framer = StreamFramer()
    half = len(INVITE) // 2

    def work() -> None:
        framer.feed(INVITE[:half])
        framer.feed(INVITE[half:])

    return _microseconds(work)


def value_types() -> Iterator[tuple[str, float]]:
    """Yield the cost of each value type, of a URI that was not seen before as well."""
    yield "parse_address_us", _microseconds(lambda: Address.parse(FROM))
    yield "parse_via_us", _microseconds(lambda: Via.parse(VIA))
    yield "parse_uri_us", _microseconds(lambda: SipUri.parse("sip:alice@pbx.example.com:5060"))
    fresh = iter([f"sip:user{number}@pbx.example.com:5060" for number in range(40_000)])
    yield "parse_new_uri_us", _microseconds(lambda: SipUri.parse(next(fresh)))


def main() -> None:
    """Print all metrics."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", action="store_true", help="changes nothing: this is short")
    parser.parse_args()
    metrics = [
        ("parse_invite_us", parse_invite_us()),
        ("validate_invite_us", validate_invite_us()),
        ("answer_invite_us", answer_invite_us()),
        ("digest_verify_us", digest_verify_us()),
        ("frame_invite_us", frame_invite_us()),
        *value_types(),
    ]
    for metric, value in metrics:
        line = {"bench": "sip", "metric": metric, "value": round(value, 2), "unit": "us"}
        sys.stdout.write(json.dumps({**line, "params": {}}) + "\n")


if __name__ == "__main__":
    main()
