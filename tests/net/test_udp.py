"""SIP over UDP sockets."""

from __future__ import annotations

import socket

import pytest

from ccengine.net import ListenError, ListenerSettings, NetLayer, NetSettings
from ccengine.sip.flow import Flow
from ccengine.testing.waiting import wait_until_async


async def test_datagrams_go_up_as_they_are_with_their_flow(ear) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.sendto(b"anything \x00 at all", ear.address("udp"))
        ((data, flow),) = await ear.heard()
        assert data == b"anything \x00 at all"
        assert flow == Flow("UDP", "udp", peer.getsockname())
        ear.layer.send(b"answer", flow)
        peer.settimeout(5)
        assert peer.recvfrom(100) == (b"answer", ear.address("udp"))
    counters = ear.layer.counters
    assert (counters.messages_in, counters.messages_out) == (1, 1)
    assert (counters.bytes_in, counters.bytes_out) == (17, 6)


@pytest.mark.parametrize("data", [b"\r\n\r\n", b"\r\n", b"\0\0\0\0", b"\0", b""])
async def test_keep_alives_are_counted_and_go_no_further(ear, data: bytes) -> None:
    """RFC 5626 section 3.5.1; many phones send zero octets instead."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.sendto(data, ear.address("udp"))
        peer.sendto(b"x", ear.address("udp"))
        assert [message for message, _ in await ear.heard()] == [b"x"]
    assert ear.layer.counters.keepalives == 1


@pytest.mark.parametrize(
    ("remote", "data", "word"),
    [
        (("phone.example.com", 5060), b"x", "no address"),
        (("::1", 5060), b"x", "ddress"),
        (("127.0.0.1", 70000), b"x", ""),
        (("127.0.0.1", 5060), b"x" * 65_508, "datagram"),
        (("255.255.255.255", 5060), b"x", "ermission"),
    ],
)
async def test_what_cannot_be_sent_fails_its_flow_later(ear, remote, data, word) -> None:
    flow = ear.flow("UDP", remote)
    ear.layer.send(data, flow)
    assert not ear.failures  # never from inside send
    ((failed, reason),) = await ear.failed()
    assert failed == flow
    assert word in reason
    assert ear.layer.counters.send_failures == 1


async def test_a_peer_that_is_gone_does_no_harm(ear) -> None:
    """An ICMP port unreachable says nothing about other peers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        remote = gone.getsockname()
    for _ in range(3):
        ear.layer.send(b"x", ear.flow("UDP", remote))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.sendto(b"still there", ear.address("udp"))
        await ear.heard()


async def test_unknown_listeners_fail(ear) -> None:
    for transport in ("UDP", "TCP"):
        ear.layer.send(b"x", Flow(transport, "nobody", ("127.0.0.1", 5060)))
    failures = await ear.failed(2)
    assert all("nobody" in reason for _, reason in failures)
    with pytest.raises(ListenError, match="nobody"):
        ear.layer.local_address(Flow("UDP", "nobody", ("127.0.0.1", 5060)))


async def test_sending_after_close_fails(ear) -> None:
    await ear.layer.close()
    ear.layer.send(b"x", ear.flow("UDP", ("127.0.0.1", 5060)))
    ear.layer.send(b"x", ear.flow("TCP", ("127.0.0.1", 5060)))
    await ear.failed(2)


async def test_a_burst_is_not_lost(ear) -> None:
    """The receive buffer holds what comes while the loop is busy."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        for number in range(2000):
            peer.sendto(b"%d" % number, ear.address("udp"))
    messages = await ear.heard(2000)
    assert [data for data, _ in messages] == [b"%d" % number for number in range(2000)]


async def test_an_adopted_socket_keeps_its_port_and_what_queued_in_it(make_ear) -> None:
    """A restarted process takes its sockets from the keeper's deposit."""
    first = await make_ear()
    deposit = {name: sock.dup() for name, sock in first.layer.sockets().items()}
    before = first.address("udp"), first.address("tcp")
    await first.layer.close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.sendto(b"meanwhile", before[0])
        second = type(first)(first.settings)
        make_ear.ears.append(second)
        await second.start(deposit)
        assert (second.address("udp"), second.address("tcp")) == before
        assert (await second.heard())[0][0] == b"meanwhile"
    with socket.create_connection(before[1]) as peer:
        await wait_until_async(lambda: second.layer.counters.accepted == 1, "a connection")


async def test_an_occupied_port_names_listener_and_cure(ear) -> None:
    host, port = ear.address("udp")
    listeners = (
        ListenerSettings("good", "TCP", host, 0),
        ListenerSettings("bad", "UDP", host, port),
    )
    other = NetLayer(NetSettings(listeners), lambda data, flow: None, lambda flow, reason: None)
    with pytest.raises(ListenError, match=rf"UDP 127.0.0.1:{port} \(listener bad\).*free the port"):
        await other.start()
    assert not other.sockets()


@pytest.mark.parametrize(
    ("listeners", "word"),
    [
        ((ListenerSettings("a", "UDP", "localhost", 0),), "number"),
        ((ListenerSettings("a", "UDP", "192.0.2.77", 0),), "assign"),
        (
            (ListenerSettings("a", "UDP", "::1", 0), ListenerSettings("a", "TCP", "::1", 0)),
            "same name",
        ),
    ],
)
async def test_wrong_listeners_are_told(listeners, word: str) -> None:
    layer = NetLayer(NetSettings(listeners), lambda data, flow: None, lambda flow, reason: None)
    with pytest.raises(ListenError, match=word):
        await layer.start()


@pytest.mark.parametrize(
    ("listener", "remote", "host"),
    [
        (ListenerSettings("a", "UDP", "127.0.0.1", 0), "127.0.0.1", "127.0.0.1"),
        (ListenerSettings("a", "UDP", "0.0.0.0", 0), "127.0.0.9", "127.0.0.1"),
        (ListenerSettings("a", "UDP", "0.0.0.0", 0, "203.0.113.1"), "127.0.0.9", "203.0.113.1"),
        (ListenerSettings("a", "TCP", "0.0.0.0", 0), "127.0.0.9", "127.0.0.1"),
        (ListenerSettings("a", "UDP", "0.0.0.0", 0), "not an address", "127.0.0.1"),
    ],
)
async def test_the_address_that_a_peer_sees(listener, remote: str, host: str) -> None:
    layer = NetLayer(NetSettings((listener,)), lambda data, flow: None, lambda flow, reason: None)
    await layer.start()
    flow = Flow(listener.transport, "a", (remote, 5060))
    port = layer.sockets()["a"].getsockname()[1]
    assert layer.local_address(flow) == layer.local_address(flow) == (host, port)
    await layer.close()


async def test_the_advertised_port_wins() -> None:
    listener = ListenerSettings("a", "UDP", "127.0.0.1", 0, "203.0.113.1", 5070)
    layer = NetLayer(NetSettings((listener,)), lambda data, flow: None, lambda flow, reason: None)
    assert layer.local_address(Flow("UDP", "a", ("127.0.0.1", 1))) == ("203.0.113.1", 5070)


async def test_ipv6() -> None:
    heard = []
    layer = NetLayer(
        NetSettings((ListenerSettings("six", "UDP", "::1", 0),)),
        lambda data, flow: heard.append(flow),
        lambda flow, reason: None,
    )
    await layer.start()
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as peer:
        peer.bind(("::1", 0))
        peer.sendto(b"x", layer.sockets()["six"].getsockname())
        await wait_until_async(lambda: heard, "a datagram")
        assert heard[0].remote == peer.getsockname()[:2]
        assert layer.local_address(heard[0])[0] == "::1"
        layer.send(b"y", heard[0])
        peer.settimeout(5)
        assert peer.recv(10) == b"y"
    await layer.close()
