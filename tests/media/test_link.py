"""MediaLink without sockets: wants, recovery by difference, ports, facts."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccengine.errors import MediaError, PortsExhaustedError
from ccengine.media import control
from ccengine.media.control import (
    Ack,
    BridgeWant,
    Codec,
    Digit,
    Drops,
    Have,
    Hello,
    Leases,
    LegWant,
    Load,
    PlayDone,
    PlayWant,
    Wants,
    Welcome,
)
from ccengine.media.link import MediaLink
from ccengine.media.link_record import FACTS, LinkClose

PCMU = Codec("PCMU", 0)


class PaperWorker:
    """The other end: keeps what it is told."""

    def __init__(self, name, ports, pid=1):
        self.name, self.pid = name, pid
        self.ports = set(ports)
        self.objects: dict[str, object] = {}
        self.sent: list = []

    def attach(self, link, epoch=1):
        link.attach(self.name, epoch)
        self.exchange(link)
        self.say(link, Welcome(control.PROTOCOL_VERSION, self.name, self.pid))
        keys = [(key, want.rev) for key, want in self.objects.items()]
        self.say(link, Have(tuple(keys[:2]), last=False))
        self.say(link, Have(tuple(keys[2:]), last=True))
        used = {w.port for w in self.objects.values() if isinstance(w, LegWant)}
        self.say(link, Leases(tuple(sorted(self.ports - used))))
        self.exchange(link)

    def say(self, link, message):
        return link.receive(self.name, control.encode(message))

    def exchange(self, link):
        for output in link.poll():
            if isinstance(output, LinkClose) or output.worker != self.name:
                continue
            assert len(output.data) <= control.MAX_MESSAGE_BYTES
            message = control.decode_to_worker(output.data)
            self.sent.append(message)
            if isinstance(message, Wants):
                self.objects.update({want.key: want for want in message.objects})
            elif isinstance(message, Drops):
                for key in message.keys:
                    self.objects.pop(key, None)


def linked(ports=range(20000, 20020, 2)):
    facts: list = []
    link = MediaLink(["m0"], facts)
    worker = PaperWorker("m0", ports)
    worker.attach(link)
    return link, worker, facts


def leg(link, key, unit="u", **fields):
    link.want(LegWant(key, 0, unit, link.lease(unit), PCMU, **fields))


def test_wants_reach_the_worker_once():
    link, worker, facts = linked()
    leg(link, "a")
    leg(link, "b")
    link.want(BridgeWant("br", 0, "u", ("a", "b")))
    worker.exchange(link)
    assert set(worker.objects) == {"a", "b", "br"}
    count = len(facts)
    link.want(BridgeWant("br", 0, "u", ("a", "b")))
    worker.exchange(link)
    assert len(facts) == count
    assert link.poll() == []
    link.drop("a", "nothing")
    worker.exchange(link)
    assert set(worker.objects) == {"b", "br"}


def test_facts_rebuild_the_link_and_the_difference_is_sent():
    link, worker, facts = linked()
    leg(link, "a")
    leg(link, "b")
    worker.exchange(link)
    leg(link, "c")
    link.drop("a")
    link.want(BridgeWant("br", 0, "u", ("b", "c")))
    # Nothing of the last three has left the process: it dies here.
    later: list = []
    again = MediaLink(["m0"], later)
    for fact in facts:
        assert type(fact) in FACTS
        data = msgspec.msgpack.encode(fact)
        again.apply(msgspec.msgpack.decode(data, type=type(fact)))
    worker.attach(again, epoch=2)
    assert set(worker.objects) == {"b", "c", "br"}
    assert isinstance(worker.sent[-1], Wants)
    assert [type(want) for want in worker.sent[-1].objects] == [LegWant, BridgeWant]
    assert again.wants() == link.wants()
    assert later == []


def test_a_new_worker_gets_everything_again():
    link, worker, _ = linked()
    leg(link, "a")
    link.want(PlayWant("p", 0, "a", ("x.wav",), loop=True))
    worker.exchange(link)
    link.detach("m0")
    link.want(PlayWant("q", 0, "a", ("y.wav",)))
    fresh = PaperWorker("m0", worker.ports, pid=2)
    fresh.attach(link)
    assert set(fresh.objects) == {"a", "p", "q"}


def test_ports_are_leased_given_back_and_run_out():
    link, worker, _ = linked(ports=(20000, 20002))
    first, second = link.lease("u"), link.lease("u")
    assert {first, second} == {20000, 20002}
    with pytest.raises(PortsExhaustedError):
        link.lease("u")
    link.free(first)
    assert link.lease("v") == first
    link.want(LegWant("a", 0, "u", second, PCMU))
    link.free(second)
    assert link.free_ports() == 0
    assert link.leased_ports() == 1
    link.drop("a")
    worker.say(link, Leases((second,)))
    worker.say(link, Leases((second,)))
    assert link.free_ports() == 1


def test_a_leased_port_is_not_free_after_the_next_attach():
    link, worker, _ = linked(ports=(20000, 20002))
    leased = link.lease("u")
    link.detach("m0")
    worker.attach(link)
    assert link.lease("u") != leased
    with pytest.raises(PortsExhaustedError):
        link.lease("u")


def test_legs_of_a_unit_live_together_and_units_go_to_the_least_loaded():
    link = MediaLink(["m0", "m1"], [])
    workers = [PaperWorker("m0", range(20000, 20100, 2)), PaperWorker("m1", range(30000, 30100, 2))]
    for worker in workers:
        worker.attach(link)
    homes = []
    for number in range(10):
        unit = f"u{number}"
        ports = [link.lease(unit), link.lease(unit)]
        for side, port in enumerate(ports):
            link.want(LegWant(f"{unit}-{side}", 0, unit, port, PCMU))
        link.want(BridgeWant(f"{unit}-br", 0, unit, (f"{unit}-0", f"{unit}-1")))
        homes.append({port // 10000 for port in ports})
    assert all(len(home) == 1 for home in homes)
    assert homes.count({2}) == homes.count({3}) == 5


def test_events_are_told_once_and_acknowledged():
    link, worker, facts = linked()
    leg(link, "a")
    worker.exchange(link)
    event = Digit(1, "a", "5", 100)
    assert worker.say(link, event) == (event,)
    assert worker.say(link, event) == ()
    worker.exchange(link)
    assert worker.sent[-1] == Ack(1)
    again = MediaLink(["m0"], [])
    for fact in facts:
        again.apply(fact)
    worker.attach(again, epoch=2)
    assert worker.say(again, event) == ()
    worker.exchange(again)
    assert worker.sent[-1] == Ack(1), "it is acknowledged all the same"
    again.detach("m0")
    reborn = PaperWorker("m0", worker.ports, pid=77)
    reborn.attach(again)
    assert reborn.say(again, event) == (event,), "a new worker counts from 1 again"


def test_a_play_that_is_done_is_wanted_no_longer():
    link, worker, _ = linked()
    leg(link, "a")
    link.want(PlayWant("p", 0, "a", ("x.wav",)))
    worker.exchange(link)
    worker.say(link, PlayDone(1, "p", "a"))
    worker.exchange(link)
    assert link.wanted("p") is None
    assert "p" not in worker.objects


def test_plays_fall_with_their_leg():
    link, _, _ = linked()
    leg(link, "a")
    link.want(PlayWant("p", 0, "a", ("x.wav",)))
    link.drop("a")
    assert link.wants() == ()


def test_errors_name_what_is_missing():
    link, _, _ = linked()
    with pytest.raises(MediaError, match="no leg nobody"):
        link.want(PlayWant("p", 0, "nobody", ("x.wav",)))
    with pytest.raises(MediaError, match="not leased"):
        link.want(LegWant("a", 0, "elsewhere", 20000, PCMU))
    with pytest.raises(MediaError, match="no media worker is attached"):
        MediaLink(["m0"], []).lease("u")


def test_a_refusal_closes_the_connection():
    link = MediaLink(["m0"], [])
    link.attach("m0", 3)
    hello = control.decode_to_worker(link.poll()[0].data)
    assert hello == Hello(control.PROTOCOL_VERSION, 3)
    link.receive("m0", control.encode(Welcome(1, "m0", 1, "epoch 3 is over")))
    assert link.poll() == [LinkClose("m0", "epoch 3 is over")]


def test_loads_and_garbage():
    link, worker, _ = linked()
    load = Load(1, 2, 0.5, 0.1, 0.2, 3, 4, 0, 0)
    worker.say(link, load)
    assert link.loads() == {"m0": load}
    link.receive("m0", b"\xc1")
    assert link.garbage == 1


def test_pages_stay_below_the_limit():
    link, worker, _ = linked(ports=range(20000, 26000, 2))
    for number in range(1200):
        leg(link, f"a-rather-long-leg-name-{number:05}", unit=f"unit-{number}")
    worker.exchange(link)
    assert len(worker.objects) == 1200
    fresh = PaperWorker("m0", worker.ports, pid=9)
    fresh.attach(link)
    assert len(fresh.objects) == 1200
    link.drop(*[want.key for want in link.wants()])
    fresh.exchange(link)
    assert fresh.objects == {}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("wdDrk"), st.integers(0, 5)), max_size=40))
def test_whatever_happens_the_worker_ends_up_with_what_is_wanted(steps):
    link, worker, facts = linked()
    epoch = 1
    for step, number in steps:
        key = f"k{number}"
        if step == "w" and link.attached():
            entry = link.wanted(key)
            port = entry.port if isinstance(entry, LegWant) else None
            try:
                port = port or link.lease("u")
            except PortsExhaustedError:
                continue
            link.want(LegWant(key, 0, "u", port, PCMU, timeout_s=float(number)))
        elif step == "d":
            link.drop(key)
        elif step == "D":
            link.detach("m0")
        elif step == "r":
            epoch += 1
            worker.attach(link, epoch)
        elif step == "k":
            epoch += 1
            link2 = MediaLink(["m0"], facts)
            for fact in list(facts):
                link2.apply(fact)
            assert link2.wants() == link.wants()
            link = link2
            worker.attach(link, epoch)
        if number % 2 and link.attached():
            worker.exchange(link)
    worker.attach(link, epoch + 1)
    assert worker.objects == {want.key: want for want in link.wants()}
