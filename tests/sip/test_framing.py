"""Cutting streams."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccengine.errors import SipParseError
from ccengine.sip.framing import MAX_BODY, MAX_HEAD, FramedItem, Ping, StreamFramer
from ccengine.sip.message import BadRequestError

ONE = b"OPTIONS sip:a@b SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 0\r\n\r\n"
TWO = b"SIP/2.0 200 OK\r\nl: 4\r\nCall-ID: 2\r\n\r\nbody"
THREE = b"MESSAGE sip:a@b SIP/2.0\nCONTENT-LENGTH :\n 12\n\nOPTIONS a\r\n\r"


def _all(*chunks: bytes) -> list[FramedItem]:
    framer = StreamFramer()
    return [item for chunk in chunks for item in framer.feed(chunk)]


def _error(data: bytes) -> SipParseError:
    framer = StreamFramer()
    items = framer.feed(data)
    assert isinstance(items[-1], SipParseError)
    assert framer.is_broken
    assert framer.feed(ONE) == []
    return items[-1]


def test_several_in_one_read() -> None:
    assert _all(ONE + TWO + THREE + ONE) == [ONE, TWO, THREE, ONE]


def test_halves() -> None:
    framer = StreamFramer()
    assert framer.feed(TWO[:-1]) == []
    assert framer.pending_bytes == len(TWO) - 1
    assert framer.feed(TWO[-1:] + ONE[:5]) == [TWO]
    assert framer.feed(ONE[5:]) == [ONE]
    assert framer.pending_bytes == 0


@given(st.lists(st.sampled_from([ONE, TWO, THREE, b"\r\n\r\n" + ONE]), max_size=5), st.data())
def test_any_division_gives_the_same(messages: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(messages)
    whole = _all(stream)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    edges = [0, *cuts, len(stream)]
    assert _all(*(stream[a:b] for a, b in pairwise(edges))) == whole
    assert [item for item in whole if not isinstance(item, Ping)] == [
        message.removeprefix(b"\r\n\r\n") for message in messages
    ]


def test_octet_by_octet() -> None:
    stream = b"\r\n" + ONE + b"\r\n\r\n" + TWO
    assert _all(*(stream[at : at + 1] for at in range(len(stream)))) == [ONE, Ping(), TWO]


def test_keep_alive() -> None:
    """RFC 5626 3.5.1: a double CRLF is a ping; a single one, the pong, is dropped."""
    assert _all(b"\r\n\r\n") == [Ping()]
    assert _all(b"\r\n", b"\r", b"\n") == [Ping()]
    assert _all(b"\r\n" + ONE + b"\r\n") == [ONE]
    assert _all(ONE, b"\r\n\r\n\r\n\r\n", TWO) == [ONE, Ping(), Ping(), TWO]


def test_content_length_is_mandatory_on_streams() -> None:
    """18.3: without it nobody knows where the next message begins."""
    error = _error(b"INVITE sip:a@b SIP/2.0\r\nCall-ID: 7\r\n\r\nv=0")
    assert isinstance(error, BadRequestError)
    assert (error.status, error.request.call_id) == (400, "7")


@pytest.mark.parametrize(
    "lines", [b"Content-Length: x", b"l: -1", b"l:", b"l: 1\r\nContent-Length: 2"]
)
def test_content_length_that_is_none(lines: bytes) -> None:
    error = _error(b"INVITE sip:a@b SIP/2.0\r\n" + lines + b"\r\n\r\nv=0")
    assert isinstance(error, BadRequestError)
    response = _error(b"SIP/2.0 200 OK\r\n" + lines + b"\r\n\r\nv=0")
    assert not isinstance(response, BadRequestError)


def test_the_same_length_twice_is_no_fault() -> None:
    data = b"OPTIONS sip:a@b SIP/2.0\r\nl: 0\r\nContent-Length: 0\r\n\r\n"
    assert _all(data) == [data]


def test_a_length_inside_another_value_is_none() -> None:
    error = _error(b"INVITE sip:a@b SIP/2.0\r\nSubject: content-length: 0\r\n\r\n")
    assert "missing" in error.message


def test_good_messages_before_the_error_are_kept() -> None:
    items = _all(ONE + b"\x16\x03\x01")
    assert items[0] == ONE
    assert isinstance(items[1], SipParseError)


@pytest.mark.parametrize(
    "data",
    [b"\x16\x03\x01\x02\x00", b"GET / HTTP/1.1\r\n", b"<xml/>", b"a" * 9000, b"hello\n", b"\0"],
)
def test_what_is_not_sip_is_known_at_once(data: bytes) -> None:
    assert not isinstance(_error(data), BadRequestError)


def test_limits() -> None:
    head = b"OPTIONS sip:a@b SIP/2.0\r\n" + b"X: " + b"y" * MAX_HEAD
    assert _error(head).status == 513
    assert _error(head + b"\r\nl: 0\r\n\r\n").status == 513
    large = b"OPTIONS sip:a@b SIP/2.0\r\nCall-ID: 1\r\nl: %d\r\n\r\n"
    assert _error(large % (MAX_BODY + 1)).status == 413
    assert _all(large % MAX_BODY, b"x" * MAX_BODY)[0][-3:] == b"xxx"  # type: ignore[index]


def test_a_slow_peer_costs_linear_time() -> None:
    framer = StreamFramer()
    framer.feed(b"OPTIONS sip:a@b SIP/2.0\r\n")
    start = time.process_time()
    for _ in range(3000):
        framer.feed(b"X: 0123456789\r\n")
    assert time.process_time() - start < 0.5
