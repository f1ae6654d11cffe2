"""Going on after a restart: dialogs made again from their facts alone."""

from __future__ import annotations

from typing import Any

import pytest

from ccengine.sip.dialog import FACTS, DialogSet
from ccengine.sip.output import (
    Accepted,
    AckMissing,
    AckReceived,
    InviteReceived,
    ReinviteReceived,
    SessionEnded,
)
from ccengine.testing.sip_rig import ANSWER, OFFER, SipNode, SipRig


def answering(node: SipNode, output: Any, now: float) -> None:
    if isinstance(output, (InviteReceived, ReinviteReceived)):
        node.endpoint.accept(output.session, now, body=ANSWER)


def connected() -> tuple[SipRig, str]:
    rig = SipRig()
    rig.bob.script = rig.alice.script = answering
    rig.invite("call")
    rig.run(1)
    return rig, rig.bob.seen(InviteReceived)[0].session


@pytest.mark.parametrize("killed", ["alice", "bob"])
@pytest.mark.parametrize("hanging_up", ["alice", "bob"])
def test_bye_works_both_ways_after_replay(killed: str, hanging_up: str) -> None:
    rig, session = connected()
    rig.nodes[killed].kill_and_replay()
    name = "call" if hanging_up == "alice" else session
    rig.nodes[hanging_up].endpoint.bye(name, rig.now)
    rig.finish()
    assert rig.alice.last(SessionEnded).session == "call"
    assert rig.bob.last(SessionEnded).session == session
    assert {rig.alice.last(SessionEnded).reason, rig.bob.last(SessionEnded).reason} == {
        "bye",
        "done",
    }


@pytest.mark.parametrize("killed", ["alice", "bob"])
@pytest.mark.parametrize("changing", ["alice", "bob"])
def test_reinvite_works_both_ways_after_replay(killed: str, changing: str) -> None:
    rig, session = connected()
    rig.nodes[killed].kill_and_replay()
    name = "call" if changing == "alice" else session
    rig.nodes[changing].endpoint.reinvite(name, OFFER, rig.now)
    rig.run(1)
    assert rig.nodes[changing].last(Accepted).is_reinvite
    rig.alice.endpoint.bye("call", rig.now)
    rig.finish()


def test_unacknowledged_2xx_goes_on_after_replay() -> None:
    rig = SipRig()
    rig.bob.script = answering
    rig.network.drop = lambda packet: packet.data.startswith(b"ACK ") and packet.at < 1003
    rig.invite()
    rig.run(1)
    rig.bob.kill_and_replay()
    rig.run(5)
    assert len(rig.bob.seen(AckReceived)) == 1
    rig.alice.endpoint.bye("call", rig.now)
    rig.finish()


def test_wait_for_the_ack_keeps_its_end_after_replay() -> None:
    rig = SipRig()
    rig.bob.script = answering
    rig.network.drop = lambda packet: packet.data.startswith(b"ACK ")
    rig.invite()
    rig.run(10)
    rig.bob.kill_and_replay()
    rig.run(21)
    assert not rig.bob.seen(AckMissing)
    rig.run(2)
    assert len(rig.bob.seen(AckMissing)) == 1


def test_invite_that_was_answered_before_the_restart_is_no_new_call() -> None:
    """The caller never saw our 2xx and repeats its INVITE."""
    rig = SipRig()
    rig.bob.script = answering
    rig.network.drop = lambda packet: packet.source == rig.bob.address and packet.at < 1000.4
    rig.invite()
    rig.run(0.3)
    rig.bob.kill_and_replay()
    rig.run(2)
    assert len(rig.bob.seen(InviteReceived)) == 1
    assert rig.alice.seen(Accepted)
    assert rig.bob.seen(AckReceived)


def test_repeated_2xx_is_acknowledged_by_a_replayed_caller() -> None:
    rig = SipRig()
    rig.bob.script = answering
    rig.network.drop = lambda packet: packet.data.startswith(b"ACK ") and packet.at < 1000.3
    rig.invite()
    rig.run(0.3)
    rig.alice.kill_and_replay()
    rig.run(2)
    assert rig.bob.seen(AckReceived)
    assert rig.alice.endpoint.counters.stray_responses >= 1


def test_bye_that_was_not_answered_is_sent_again_with_its_cseq() -> None:
    rig, _ = connected()
    rig.network.drop = lambda packet: packet.data.startswith(b"BYE ") and packet.at < 1001.3
    rig.alice.endpoint.bye("call", rig.now)
    rig.run(0.3)
    rig.alice.kill_and_replay()
    rig.finish()
    assert rig.alice.last(SessionEnded).reason == "done"
    assert rig.bob.last(SessionEnded).reason == "bye"
    byes = [p.data for p in rig.network.packets if p.data.startswith(b"BYE ")]
    assert all(b"CSeq: 2 BYE" in data for data in byes)


def test_facts_leave_nothing_behind() -> None:
    rig, _ = connected()
    rig.alice.endpoint.bye("call", rig.now)
    rig.finish()
    for node in (rig.alice, rig.bob):
        node.kill_and_replay()
        assert not any(node.residue.values())
        assert {type(fact) for fact in node.facts} == set(FACTS)
        assert len({fact.stream for fact in node.facts}) == 1


def test_sequence_numbers_are_in_the_facts() -> None:
    rig, session = connected()
    rig.alice.endpoint.reinvite("call", OFFER, rig.now)
    rig.run(1)
    last = [fact for fact in rig.bob.facts if isinstance(fact, DialogSet)][-1].record
    assert (last.session, last.remote_seq, last.unacknowledged) == (session, 2, b"")
