"""The network emulator: repeatable, and as bad as asked for."""

from __future__ import annotations

import pytest

from ccengine.clock import VirtualClock
from ccengine.sip.flow import Flow
from ccengine.sip.output import Transmit
from ccengine.testing.netem import LinkSettings, NetworkEmulator

ONE, OTHER = ("10.0.0.1", 1), ("10.0.0.2", 2)


class Recorder:
    """A machine that notes what arrives and sends what it is given."""

    def __init__(self) -> None:
        self.arrived: list[tuple[float, bytes, Flow]] = []
        self.waiting: list[Transmit] = []

    def receive(self, data: bytes, flow: Flow, now: float) -> None:
        self.arrived.append((now, data, flow))

    def handle_timeout(self, now: float) -> None:
        raise AssertionError("no timer was set")

    def next_timeout(self) -> float | None:
        return None

    def poll(self) -> list[Transmit]:
        waiting, self.waiting = self.waiting, []
        return waiting


def run(seed: int, link: LinkSettings, transport: str = "UDP", count: int = 500) -> Recorder:
    network = NetworkEmulator(VirtualClock(), seed=seed, link=link)
    sender, receiver = Recorder(), Recorder()
    network.attach(ONE, sender, lambda output, now: None)
    network.attach(OTHER, receiver, lambda output, now: None)
    flow = network.flow(ONE, OTHER, transport)
    for number in range(count):
        sender.waiting.append(Transmit(b"%d" % number, flow))
        network.run_for(0.001)
    network.run_until_idle()
    return receiver


BAD = LinkSettings(delay_s=0.01, jitter_s=0.02, loss=0.2, duplicate=0.1, reorder=0.1)


def test_same_seed_same_fate() -> None:
    assert run(3, BAD).arrived == run(3, BAD).arrived
    assert run(3, BAD).arrived != run(4, BAD).arrived


def test_shares_are_what_was_asked_for() -> None:
    lost = 500 - len(run(1, LinkSettings(loss=0.2)).arrived)
    assert 70 <= lost <= 130
    doubled = len(run(1, LinkSettings(duplicate=0.1)).arrived) - 500
    assert 30 <= doubled <= 70


def test_datagrams_overtake_and_streams_do_not() -> None:
    jittery = LinkSettings(jitter_s=0.05, loss=0.5)
    datagrams = [int(data) for _, data, _ in run(1, jittery).arrived]
    assert datagrams != sorted(datagrams)
    stream = [int(data) for _, data, _ in run(1, jittery, "TCP").arrived]
    assert stream == list(range(500))


def test_delay_and_the_flow_back() -> None:
    (at, data, flow), *_ = run(1, LinkSettings(delay_s=0.25), count=1).arrived
    assert (at, data) == (pytest.approx(1000.25), b"0")
    assert flow == Flow("UDP", "net", ONE)


def test_broken_stream_loses_what_is_sent_on_it() -> None:
    network = NetworkEmulator(VirtualClock())
    sender, receiver = Recorder(), Recorder()
    network.attach(ONE, sender, lambda output, now: None)
    network.attach(OTHER, receiver, lambda output, now: None)
    old = network.flow(ONE, OTHER, "TCP")
    network.break_stream(ONE, OTHER)
    new = network.flow(ONE, OTHER, "TCP")
    assert new.connection != old.connection
    sender.waiting = [Transmit(b"old", old), Transmit(b"new", new)]
    network.run_until_idle()
    assert [data for _, data, _ in receiver.arrived] == [b"new"]


def test_chosen_packet_is_dropped() -> None:
    network = NetworkEmulator(VirtualClock())
    sender, receiver = Recorder(), Recorder()
    network.attach(ONE, sender, lambda output, now: None)
    network.attach(OTHER, receiver, lambda output, now: None)
    network.drop = lambda packet: packet.data == b"b"
    flow = network.flow(ONE, OTHER)
    sender.waiting = [Transmit(data, flow) for data in (b"a", b"b", b"c")]
    network.run_until_idle()
    assert [data for _, data, _ in receiver.arrived] == [b"a", b"c"]
    assert network.counters.lost == 1
