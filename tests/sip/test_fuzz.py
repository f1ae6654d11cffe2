"""Whatever arrives: a message, or a SipError; never another exception, never a loss."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccengine.errors import SipError
from ccengine.sip.digest import DigestAuthenticator
from ccengine.sip.framing import StreamFramer
from ccengine.sip.message import (
    BadRequestError,
    SipRequest,
    SipResponse,
    is_answerable,
    parse_message,
    response_to,
    validate_request,
    validate_response,
)

FOLDER = Path(__file__).parents[3] / "shared" / "torture"

SEEDS = [
    b"INVITE sip:1000@pbx.example;user=phone SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1;rport, SIP/2.0/TCP [::1]\r\n"
    b'From: "\xe5\xbc\xa0 \\"x" <sip:alice:pw@pbx.example>;tag=f1\r\n'
    b"t: <sip:1000@pbx.example?a=b>\r\nCall-ID: c1@192.0.2.7\r\nCSeq: 1 INVITE\r\n"
    b"Contact: <sip:alice@192.0.2.7;transport=tcp>;q=0.5;expires=60, *\r\nMax-Forwards: 70\r\n"
    b'Authorization: Digest username="a", realm="pbx", nonce="n", uri="sip:x", response="r",'
    b' qop=auth, nc=00000001, cnonce="c"\r\n'
    b"Route: <sip:p;lr>,\r\n <sip:q;lr>\r\nContent-Type: application/sdp\r\nContent-Length: 5\r\n"
    b"\r\nv=0\r\n",
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9;received=::1\r\nFrom: <sip:a@b>;tag=1\r\n"
    b"To: sip:c@d;tag=2\r\nCall-ID: x\r\nCSeq: 2 REGISTER\r\nContact: *\r\nl: 0\r\n\r\n",
    *(path.read_bytes() for path in sorted(FOLDER.glob("*/*.dat"))),
]
SPICE = [
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b"\0",
    b"\xff",
    b'"',
    b"<",
    b">",
    b";",
    b",",
    b"=",
    b":",
]
SPICE += [
    b"%",
    b"%00",
    b"@",
    b"[",
    b"]",
    b"\\",
    b"*",
    b"9" * 40,
    b"\xc3\xa9",
    b"\xef\x9e\x80",
    b"?",
]


class _Nobody:
    def ha1(self, username: str, realm: str, algorithm: str) -> str | None:
        return None


AUTHENTICATOR = DigestAuthenticator("pbx", secret=b"0" * 16)


def _digest_everything(data: bytes) -> None:
    """Do all that an endpoint may do with a message."""
    try:
        message = parse_message(data)
    except BadRequestError as error:
        message = error.request
    except SipError:
        return
    for check in (validate_request, _read_all):
        try:
            if isinstance(message, SipRequest):
                check(message)
            else:
                validate_response(message)
        except SipError:
            pass
    message.to_bytes()
    if isinstance(message, SipRequest):
        AUTHENTICATOR.verify(message, _Nobody(), 1.0)
        if is_answerable(message):
            response = response_to(message, 400, to_tag="t", source=("192.0.2.1", 1))
            again = parse_message(response.to_bytes())
            assert isinstance(again, SipResponse)
            assert again.header("call-id") == message.header("call-id")


def _read_all(message: SipRequest) -> None:
    for name in (
        "contacts",
        "routes",
        "record_routes",
        "expires",
        "max_forwards",
        "content_type",
        "headers",
        "is_contact_star",
        "vias",
        "request_uri",
    ):
        getattr(message, name)
    str(message.request_uri)
    str(message.from_)


def _mutate(seed: bytes, chance: random.Random) -> bytes:
    data = bytearray(seed)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(5):
            case 0:
                del data[at : at + chance.randint(1, 30)]
            case 1:
                data[at:at] = chance.choice(SPICE)
            case 2:
                data[at : at + 1] = bytes((chance.randrange(256),))
            case 3:
                other = chance.choice(SEEDS)
                start = chance.randrange(len(other))
                data[at:at] = other[start : start + chance.randint(1, 60)]
            case _:
                data[at : at + 4] = data[at : at + 4] * 3
    return bytes(data)


@pytest.mark.parametrize("number", range(len(SEEDS)))
def test_mutated_messages(number: int) -> None:
    chance = random.Random(number)
    for _ in range(60):
        _digest_everything(_mutate(SEEDS[number], chance))


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_any_octets(data: bytes) -> None:
    _digest_everything(data)
    _digest_everything(b"INVITE sip:a@b SIP/2.0\r\n" + data)


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=60), max_size=6))
def test_any_stream(chunks: list[bytes]) -> None:
    framer = StreamFramer()
    for chunk in chunks:
        framer.feed(chunk)


@pytest.mark.parametrize("seed", range(20))
def test_mutated_streams(seed: int) -> None:
    chance = random.Random(seed)
    framer = StreamFramer()
    stream = b"".join(_mutate(chance.choice(SEEDS[:2]), chance) for _ in range(5))
    while stream:
        size = chance.randint(1, 200)
        for item in framer.feed(stream[:size]):
            if isinstance(item, bytes):
                _digest_everything(item)
        stream = stream[size:]
