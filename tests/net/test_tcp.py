"""SIP over TCP connections."""

from __future__ import annotations

import asyncio
import socket

import pytest

from ccengine.sip.flow import Flow
from ccengine.testing.waiting import wait_until_async


def message(text: str = "", method: str = "OPTIONS") -> bytes:
    body = text.encode()
    return (
        f"{method} sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1\r\n"
        f"From: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:x@127.0.0.1>\r\nCall-ID: c\r\n"
        f"CSeq: 1 {method}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


class Peer:
    """The other end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def dial(cls, address: tuple[str, int]) -> Peer:
        return cls(*await asyncio.open_connection(*address))

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def read(self) -> bytes:
        async with asyncio.timeout(5):
            return await self.reader.read(65536)

    async def closed(self) -> bytes:
        """Read until the connection ends, however it ends."""
        rest = b""
        try:
            while data := await self.read():
                rest += data
        except ConnectionError:
            pass
        self.writer.close()
        return rest

    def close(self) -> None:
        self.writer.close()


class Server:
    """A peer that listens."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []

    async def __aenter__(self) -> Server:
        self.server = await asyncio.start_server(
            lambda reader, writer: self.peers.append(Peer(reader, writer)), "127.0.0.1", 0
        )
        self.address = self.server.sockets[0].getsockname()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.server.close()
        for peer in self.peers:
            peer.close()

    async def peer(self, number: int = 0) -> Peer:
        await wait_until_async(lambda: len(self.peers) > number, "a connection")
        return self.peers[number]


async def test_messages_are_cut_out_of_the_stream(ear) -> None:
    peer = await Peer.dial(ear.address("tcp"))
    first, second = message("one"), message("two")
    stream = first + second
    for start in range(0, len(stream), 7):
        peer.send(stream[start : start + 7])
        await peer.writer.drain()
    messages = await ear.heard(2)
    assert [data for data, _ in messages] == [first, second]
    flow = messages[0][1]
    assert (flow.transport, flow.listener, flow.connection > 0) == ("TCP", "tcp", True)
    assert flow.remote == peer.writer.get_extra_info("sockname")
    ear.layer.send(message("answer"), flow)
    assert await peer.read() == message("answer")
    assert ear.layer.local_address(flow) == ear.address("tcp")
    peer.close()
    assert await ear.failed() == [(flow, "closed by the peer")]
    assert ear.layer.counters.connections == 0


async def test_connection_numbers_never_repeat(ear) -> None:
    numbers = set()
    for count in range(1, 6):
        peer = await Peer.dial(ear.address("tcp"))
        peer.send(message())
        numbers.add((await ear.heard(count))[-1][1].connection)
        peer.close()
        await ear.failed(count)
    assert len(numbers) == 5


async def test_a_ping_is_answered(ear) -> None:
    """RFC 5626 section 3.5.1: CRLF CRLF is answered by CRLF."""
    peer = await Peer.dial(ear.address("tcp"))
    peer.send(b"\r\n\r\n")
    assert await peer.read() == b"\r\n"
    assert ear.layer.counters.keepalives == 1
    peer.close()


async def test_garbage_ends_the_connection(ear) -> None:
    peer = await Peer.dial(ear.address("tcp"))
    peer.send(b"\x16\x03\x01 this is no SIP\r\n\r\n")
    assert await peer.closed() == b""
    await ear.failed()
    assert ear.layer.counters.closed_bad_framing == 1
    assert not ear.messages


async def test_a_request_without_length_is_refused_and_the_connection_closed(ear) -> None:
    """RFC 3261 section 18.3: without Content-Length a stream cannot be read."""
    peer = await Peer.dial(ear.address("tcp"))
    peer.send(message().replace(b"Content-Length: 0\r\n", b""))
    answer = await peer.closed()
    assert answer.startswith(b"SIP/2.0 400 ")
    assert b"\r\nCSeq: 1 OPTIONS\r\n" in answer
    assert b"To: <sip:x@127.0.0.1>;tag=" in answer


async def test_an_ack_without_length_is_not_answered(ear) -> None:
    peer = await Peer.dial(ear.address("tcp"))
    peer.send(message(method="ACK").replace(b"Content-Length: 0\r\n", b""))
    assert await peer.closed() == b""


async def test_half_a_message_is_not_waited_for_for_ever(make_ear) -> None:
    ear = await make_ear(message_timeout_s=0.1)
    peer = await Peer.dial(ear.address("tcp"))
    peer.send(message())
    await ear.heard()
    peer.send(message()[:50])
    await peer.closed()
    assert (await ear.failed())[0][1] == "no whole message came in time"
    assert ear.layer.counters.closed_half_message == 1


async def test_who_connects_and_says_nothing_is_sent_away(make_ear) -> None:
    ear = await make_ear(message_timeout_s=0.1)
    peer = await Peer.dial(ear.address("tcp"))
    await peer.closed()
    assert ear.layer.counters.closed_half_message == 1


async def test_idle_connections_are_closed_but_pings_keep_them(make_ear) -> None:
    ear = await make_ear(idle_timeout_s=0.3)
    quiet = await Peer.dial(ear.address("tcp"))
    alive = await Peer.dial(ear.address("tcp"))
    quiet.send(message())
    alive.send(message())
    ended = asyncio.ensure_future(quiet.closed())
    while not ended.done():
        alive.send(b"\r\n\r\n")
        assert await alive.read()
        await asyncio.sleep(0.02)
    assert ear.layer.counters.closed_idle == 1
    assert ear.layer.counters.connections == 1
    alive.close()


async def test_a_peer_that_does_not_read_is_closed(make_ear) -> None:
    ear = await make_ear(write_buffer_bytes=20_000)
    with socket.create_connection(ear.address("tcp")) as peer:
        peer.sendall(message())
        flow = (await ear.heard())[0][1]
        big = message("x" * 15_000)
        for _ in range(2000):
            ear.layer.send(big, flow)
            await asyncio.sleep(0)
            if ear.failures:
                break
        await ear.failed()
    assert ear.layer.counters.closed_not_reading == 1
    assert any(reason == "the peer does not read" for _, reason in ear.failures)
    assert ear.layer.counters.connections == 0


async def test_too_many_connections_are_refused(make_ear) -> None:
    ear = await make_ear(max_connections=2)
    peers = [await Peer.dial(ear.address("tcp")) for _ in range(3)]
    await wait_until_async(lambda: ear.layer.counters.refused_full == 1, "a refusal")
    assert await peers[2].closed() == b""
    assert ear.layer.counters.connections == 2
    for peer in peers:
        peer.close()


async def test_a_connection_is_opened_when_there_is_none_and_used_again(ear) -> None:
    async with Server() as server:
        flow = ear.flow("TCP", server.address)
        ear.layer.send(message("one"), flow)
        ear.layer.send(message("two"), flow)  # while it is still being opened
        peer = await server.peer()
        data = await peer.read()
        while data != message("one") + message("two"):
            data += await peer.read()
        ear.layer.send(message("three"), flow)
        assert await peer.read() == message("three")
        assert len(server.peers) == 1
        peer.send(message("answer"))
        found = (await ear.heard())[0][1]
        assert found == Flow("TCP", "tcp", server.address, found.connection)
        peer.close()
        failures = await ear.failed(2)
    # Who sent with connection 0 and who answers on the connection both have to know.
    assert {failed for failed, _ in failures} == {flow, found}


async def test_an_accepted_connection_is_used_for_its_remote(ear) -> None:
    """RFC 3261 section 18: a connection is reused for the address at its other end."""
    peer = await Peer.dial(ear.address("tcp"))
    await wait_until_async(lambda: ear.layer.counters.accepted == 1, "a connection")
    ear.layer.send(message(), ear.flow("TCP", peer.writer.get_extra_info("sockname")))
    assert await peer.read() == message()
    peer.close()


@pytest.mark.parametrize("remote", [("127.0.0.1", 1), ("phone.example.com", 5060), ("::1", 9)])
async def test_a_connection_that_cannot_be_opened_fails(ear, remote) -> None:
    flow = ear.flow("TCP", remote)
    ear.layer.send(message(), flow)
    assert (await ear.failed())[0][0] == flow


async def test_a_connection_that_opens_never_fails_in_time(make_ear) -> None:
    ear = await make_ear(connect_timeout_s=0.1)
    with socket.socket() as full:  # nobody accepts: the second one waits for ever
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = []
        for _ in range(4):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(address)
            waiting.append(sock)
        ear.layer.send(message(), ear.flow("TCP", address))
        failures = await ear.failed()
        for sock in waiting:
            sock.close()
    assert "cannot connect" in failures[0][1]
    assert ear.layer.counters.connect_failures == 1


async def test_a_dead_connection_is_told_at_once(ear) -> None:
    flow = ear.flow("TCP", ("127.0.0.1", 5060), connection=999)
    ear.layer.send(message(), flow)
    assert await ear.failed() == [(flow, "the connection is gone")]


async def test_close_sends_what_is_queued_and_reports_no_failure(ear) -> None:
    peer = await Peer.dial(ear.address("tcp"))
    peer.send(message())
    flow = (await ear.heard())[0][1]
    ear.layer.send(message("bye"), flow)
    await ear.layer.close()
    assert await peer.closed() == message("bye")
    assert not ear.failures
    assert ear.layer.counters.connections == 0


async def test_close_while_opening(ear) -> None:
    async with Server() as server:
        ear.layer.send(message(), ear.flow("TCP", server.address))
        await ear.layer.close()
    assert not ear.failures
