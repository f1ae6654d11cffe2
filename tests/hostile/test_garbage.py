"""Garbage on the SIP ports: answered or counted, never believed, and nobody else suffers."""

from __future__ import annotations

import contextlib
import random
import socket
import time

import pytest

from ccengine.testing.hostile import TriedEngine
from ccengine.testing.raw_sip import RawSip
from ccengine.testing.waiting import wait_until

pytestmark = pytest.mark.e2e


def is_alive(engine: TriedEngine) -> None:
    """An OPTIONS is answered, so everything before it on the socket has been dealt with."""
    with engine.raw() as peer:
        assert peer.exchange(peer.request()).status == 200


def mutated(data: bytes, random_: random.Random) -> bytes:
    """The message with some octets flipped, cut out or doubled."""
    body = bytearray(data)
    for _ in range(random_.randint(1, 8)):
        at = random_.randrange(len(body))
        match random_.randrange(4):
            case 0:
                body[at] = random_.randrange(256)
            case 1:
                del body[at : at + random_.randint(1, 40)]
            case 2:
                body[at:at] = body[at : at + random_.randint(1, 40)]
            case _:
                body[at:at] = random_.choice((b"\r\n", b"\0", b'"', b"<", b";", b"\xff\xfe", b","))
        if not body:
            body += b"x"
    return bytes(body)


# --- UDP -----------------------------------------------------------------------------------


def test_random_bytes_are_counted(engine: TriedEngine) -> None:
    random_ = random.Random(1)
    before, lines = engine.count("sip", "malformed"), len(engine.log)
    with engine.raw() as peer:
        for size in [1, 2, 3, 5, *(random_.randrange(6, 1500) for _ in range(200))]:
            peer.send(b"\x01" + random_.randbytes(size))
        assert peer.receive(0.3) is None  # nobody can be told anything
    is_alive(engine)
    assert engine.count("sip", "malformed") == before + 204
    assert len(engine.log) - lines < 5  # a flood must not fill the log


def test_empty_datagrams_and_line_ends_are_keepalives(engine: TriedEngine) -> None:
    """RFC 5626 3.5.1: what consists of line ends is a keep-alive; nothing comes back on UDP."""
    before = engine.counts("net")
    with engine.raw() as peer:
        for data in (b"", b"\r\n\r\n", b"\0\0\0\0", b"\r\n"):
            peer.socket.send(data)
        assert peer.receive(0.2) is None
    is_alive(engine)
    after = engine.counts("net")
    assert after["keepalives"] == before["keepalives"] + 4
    assert engine.count("sip", "malformed") == engine.counts("sip")["malformed"]


def test_the_largest_datagrams_are_survived(engine: TriedEngine) -> None:
    before = engine.counts("sip")
    with engine.raw() as peer:
        peer.send(b"\xff" * 65_000)
        peer.send(b"OPTIONS sip:a@b SIP/2.0\r\n" + b"A" * 64_000)
        peer.send(peer.request(headers=f"X-Large: {'a' * 60_000}\r\n"))
        response = peer.receive()
        # A request of 60 kB is a request.
        assert response is not None
        assert response.status == 200
        assert peer.exchange(peer.request(headers="X-Many: a\r\n" * 5000)).status == 400
    is_alive(engine)
    assert engine.count("sip", "malformed") == before["malformed"] + 2
    assert engine.count("sip", "refused") == before["refused"] + 1


def test_mutated_messages_of_real_calls(engine: TriedEngine) -> None:
    """Requests, responses and bodies with octets changed: each answered or counted."""
    random_ = random.Random(7)
    before = engine.counts("sip")
    with engine.raw() as peer:
        seeds = [
            peer.invite("4001"),
            peer.register("1001"),
            peer.request("OPTIONS"),
            peer.request("BYE", to="<sip:4001@ccengine>;tag=1"),
            peer.request("ACK", to="<sip:4001@ccengine>;tag=1"),
            peer.request("CANCEL"),
            b"SIP/2.0 200 OK" + peer.request("INVITE").partition(b"SIP/2.0")[2],
            b"SIP/2.0 180 Ringing" + peer.request("INVITE").partition(b"SIP/2.0")[2],
        ]
        for number in range(1500):
            peer.send(mutated(random_.choice(seeds), random_))
            if number % 50 == 49:
                while peer.receive(0.02) is not None:
                    pass
    is_alive(engine)
    after = engine.counts("sip")
    grown = {name: after[name] - before[name] for name in after}
    told = grown["requests_in"] + grown["responses_in"] + grown["malformed"]
    assert told >= 1400, grown  # the kernel may have dropped a few, we nothing
    assert grown["malformed"] + grown["refused"] > 100, grown
    assert not engine.ask("registrations")


def test_a_foreign_via_gets_no_second_victim(engine: TriedEngine) -> None:
    """RFC 3261 18.2.1: answers go where the packet came from, not where Via points."""
    with engine.raw() as victim, engine.raw() as peer:
        data = peer.request().replace(
            f"{peer.host}:{peer.port};branch".encode(),
            f"{victim.host}:{victim.port};branch".encode(),
        )
        peer.send(data)
        response = peer.receive()
        assert response is not None
        assert response.status == 200
        assert victim.receive(0.2) is None


# --- TCP -----------------------------------------------------------------------------------


def test_half_a_message_then_silence(engine: TriedEngine) -> None:
    """The connection is closed after the limit; others on the same listener do not notice."""
    before = engine.count("net", "closed_half_message")
    with engine.raw("TCP") as stuck, engine.raw("TCP") as other:
        assert other.exchange(other.request()).status == 200
        whole = stuck.request(headers="X: y\r\n", body="some words")
        stuck.send(whole[:-5])
        begun = time.monotonic()
        assert other.exchange(other.request()).status == 200
        assert stuck.is_closed(6)
        assert 1.5 < time.monotonic() - begun < 5
        assert other.exchange(other.request()).status == 200
    assert engine.count("net", "closed_half_message") == before + 1


def test_a_connection_that_never_says_a_word(engine: TriedEngine) -> None:
    before = engine.count("net", "closed_half_message")
    with engine.raw("TCP") as peer:
        assert peer.is_closed(6)
    assert engine.count("net", "closed_half_message") == before + 1


def test_garbage_on_a_stream_ends_it(engine: TriedEngine) -> None:
    before = engine.count("net", "closed_bad_framing")
    for data in (b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x01" * 9000):
        with engine.raw("TCP") as peer:
            peer.send(data)
            assert peer.is_closed(3)
    assert engine.count("net", "closed_bad_framing") == before + 3


def test_no_content_length_on_a_stream(engine: TriedEngine) -> None:
    """RFC 3261 18.3: it is mandatory there; the sender is told before the end."""
    with engine.raw("TCP") as peer:
        response = peer.exchange(peer.request().replace(b"Content-Length: 0\r\n", b""))
        assert response.status == 400
        assert peer.is_closed(3)


def test_two_messages_in_one_segment(engine: TriedEngine) -> None:
    with engine.raw("TCP") as peer:
        first, second = peer.request(call_id="one"), peer.request(call_id="two")
        peer.send(first + b"\r\n\r\n" + second)
        answers = [peer.receive() for _ in range(2)]
        assert {one.call_id for one in answers if one is not None} == {"one", "two"}


def test_byte_by_byte(engine: TriedEngine) -> None:
    with engine.raw("TCP") as peer:
        peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in peer.request():
            peer.send(bytes((octet,)))
        response = peer.receive()
        assert response is not None
        assert response.status == 200


def test_a_flood_of_connections(engine: TriedEngine) -> None:
    """Above the limit a connection is closed at once; those below it go on."""
    before = engine.counts("net")
    first = engine.raw("TCP")
    peers: list[RawSip] = []
    try:
        for _ in range(200):
            peers.append(engine.raw("TCP"))
        assert first.exchange(first.request()).status == 200
        wait_until(
            lambda: engine.count("net", "refused_full") >= before["refused_full"] + 141, "refusals"
        )
        assert engine.count("net", "connections") <= 60
        assert peers[-1].is_closed(2)
        # Signalling over UDP does not care.
        is_alive(engine)
    finally:
        for peer in (first, *peers):
            peer.socket.close()
    wait_until(lambda: engine.count("net", "connections") == 0, "end of the connections")


def test_a_peer_that_never_reads(engine: TriedEngine) -> None:
    """Answers that nobody takes pile up to a limit, then the connection goes."""
    before = engine.count("net", "closed_not_reading")
    with engine.raw("TCP") as peer:
        # Each answer repeats the long Call-ID: the buffers of the kernel fill soon.
        peer.socket.settimeout(20)
        with contextlib.suppress(ConnectionError):
            for number in range(3000):
                peer.socket.sendall(peer.request(call_id=f"{number}-{'a' * 16_000}"))
        wait_until(lambda: engine.count("net", "closed_not_reading") > before, "a full buffer", 10)
    is_alive(engine)
    wait_until(lambda: engine.count("net", "connections") == 0, "end of the connection")
