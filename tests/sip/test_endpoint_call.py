"""Calls from end to end between two endpoints, by the sentences of the standards."""

from __future__ import annotations

from typing import Any

import pytest

from ccengine.errors import LocalSipError
from ccengine.sip.message import SipRequest, SipResponse, parse_message
from ccengine.sip.output import (
    Accepted,
    AckMissing,
    AckReceived,
    Credentials,
    InviteCancelled,
    InviteReceived,
    Provisional,
    ReinviteReceived,
    Rejected,
    SessionEnded,
)
from ccengine.testing.netem import Packet
from ccengine.testing.sip_rig import ANSWER, OFFER, SipNode, SipRig


def answering(node: SipNode, output: Any, now: float) -> None:
    if isinstance(output, InviteReceived):
        node.endpoint.provisional(output.session, 180, now)
        node.endpoint.accept(output.session, now, body=ANSWER)
    elif isinstance(output, ReinviteReceived):
        node.endpoint.accept(output.session, now, body=ANSWER)


def ringing(node: SipNode, output: Any, now: float) -> None:
    if isinstance(output, InviteReceived):
        node.endpoint.provisional(output.session, 180, now)


def connected(transport: str = "UDP") -> SipRig:
    rig = SipRig(transport=transport)
    rig.bob.script = answering
    rig.invite("call")
    rig.run(1)
    assert rig.alice.seen(Accepted)
    assert rig.bob.seen(AckReceived)
    return rig


def bob_session(rig: SipRig) -> str:
    return rig.bob.seen(InviteReceived)[0].session


def is_request(packet: Packet, method: str) -> bool:
    return packet.data.startswith(method.encode() + b" ")


def is_response(packet: Packet, status: int, method: str) -> bool:
    message = parse_message(packet.data)
    return (
        isinstance(message, SipResponse)
        and message.status == status
        and message.cseq.method == method
    )


def sent(rig: SipRig, node: SipNode, method: str) -> list[SipRequest]:
    messages = [parse_message(p.data) for p in rig.network.packets if p.source == node.address]
    return [m for m in messages if isinstance(m, SipRequest) and m.method == method]


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_call_from_invite_to_bye(transport: str) -> None:
    rig = connected(transport)
    assert [o.early_dialog != "" for o in rig.alice.seen(Provisional)] == [True]
    rig.alice.endpoint.bye("call", rig.now)
    rig.run(1)
    assert rig.alice.last(SessionEnded).reason == "done"
    assert rig.bob.last(SessionEnded).reason == "bye"
    rig.finish()
    assert rig.methods() == ["INVITE", "100", "180", "200", "ACK", "BYE", "200"]
    assert rig.alice.endpoint.counters.retransmissions_out == 0


def test_callee_hangs_up() -> None:
    rig = connected()
    rig.bob.endpoint.bye(bob_session(rig), rig.now)
    rig.finish()
    assert rig.bob.last(SessionEnded).reason == "done"
    assert rig.alice.last(SessionEnded).reason == "bye"


def test_contact_names_the_transport_of_a_stream() -> None:
    rig = connected("TCP")
    assert sent(rig, rig.alice, "INVITE")[0].header("Contact") == (
        "<sip:alice@10.0.0.1:5060;transport=tcp>"
    )


def test_both_hang_up_at_once() -> None:
    rig = connected()
    rig.alice.endpoint.bye("call", rig.now)
    rig.bob.endpoint.bye(bob_session(rig), rig.now)
    rig.finish()
    assert len(rig.alice.seen(SessionEnded)) == len(rig.bob.seen(SessionEnded)) == 1


def test_rejection_is_acknowledged_by_the_transaction() -> None:
    """RFC 3261 17.1.1.3: same branch and CSeq number, To of the response."""
    rig = SipRig()
    rig.bob.script = lambda node, output, now: (
        node.endpoint.reject(output.session, 486, now)
        if isinstance(output, InviteReceived)
        else None
    )
    rig.invite()
    rig.finish()
    invite, ack = sent(rig, rig.alice, "INVITE")[0], sent(rig, rig.alice, "ACK")[0]
    assert ack.via.branch == invite.via.branch
    assert ack.cseq.number == invite.cseq.number
    assert ack.to.tag
    assert rig.alice.last(Rejected).status == 486


def test_rejection_on_a_stream_leaves_nothing_at_once() -> None:
    """RFC 3261 17.1.1.2 and 17.2.1: timers D and I are zero on reliable transports."""
    rig = SipRig(transport="TCP")
    rig.bob.script = lambda node, output, now: (
        node.endpoint.reject(output.session, 486, now)
        if isinstance(output, InviteReceived)
        else None
    )
    rig.invite()
    rig.run(0.1)
    assert not any(rig.alice.residue.values())
    assert not any(rig.bob.residue.values())


def test_endpoint_can_call_itself() -> None:
    rig = SipRig()
    rig.alice.script = answering
    rig.bob.address = rig.alice.address
    rig.invite()
    rig.run(1)
    assert len(rig.alice.endpoint.dialogs) == 2
    assert rig.alice.seen(AckReceived)
    rig.alice.endpoint.bye("call", rig.now)
    rig.finish()
    assert {o.reason for o in rig.alice.seen(SessionEnded)} == {"bye", "done"}


def test_nobody_answers_timer_a_doubles_and_timer_b_ends() -> None:
    """RFC 3261 17.1.1.2: T1, 2*T1, 4*T1 … until 64*T1."""
    rig = SipRig()
    rig.network.detach(rig.bob.address)
    start = rig.now
    rig.invite()
    rig.network.run_until_idle()
    times = [round(packet.at - start, 3) for packet in rig.network.packets]
    assert times == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert rig.alice.last(Rejected) == Rejected("call", 408)
    assert rig.now - start == pytest.approx(32)


def test_no_retransmissions_on_streams() -> None:
    """RFC 3261 17.1.1.2: timer A is not started on reliable transports, B is."""
    rig = SipRig(transport="TCP")
    rig.network.detach(rig.bob.address)
    start = rig.now
    rig.invite()
    rig.network.run_until_idle()
    assert len(rig.network.packets) == 1
    assert rig.now - start == pytest.approx(32)


def test_ringing_is_not_limited_by_timer_b() -> None:
    rig = SipRig()
    rig.bob.script = ringing
    rig.invite()
    rig.run(100)
    assert not rig.alice.seen(Rejected)
    rig.bob.endpoint.accept(bob_session(rig), rig.now, body=ANSWER)
    rig.run(1)
    assert rig.alice.seen(Accepted)


# --- CANCEL -----------------------------------------------------------------------------------


def test_cancel_of_a_ringing_call() -> None:
    """RFC 3261 9.2: 200 to the CANCEL, 487 to the INVITE, both with the same To tag."""
    rig = SipRig()
    rig.bob.script = ringing
    rig.invite()
    rig.run(1)
    rig.alice.endpoint.cancel("call", rig.now, 'SIP;cause=200;text="Call completed elsewhere"')
    rig.finish()
    assert rig.alice.last(Rejected).status == 487
    assert rig.bob.seen(InviteCancelled)
    cancel, invite = sent(rig, rig.alice, "CANCEL")[0], sent(rig, rig.alice, "INVITE")[0]
    assert cancel.via.branch == invite.via.branch
    assert cancel.header("Reason") == 'SIP;cause=200;text="Call completed elsewhere"'
    tags = {
        parse_message(p.data).to.tag
        for p in rig.network.packets
        if is_response(p, 200, "CANCEL") or is_response(p, 487, "INVITE")
    }
    assert len(tags) == 1


def test_cancel_waits_for_a_provisional_response() -> None:
    """RFC 3261 9.1: no CANCEL before a provisional response."""
    rig = SipRig()
    rig.bob.script = ringing
    rig.invite()
    rig.alice.endpoint.cancel("call", rig.now)
    rig.network.flush()
    assert rig.methods(rig.alice) == ["INVITE"]
    rig.run(1)
    assert rig.methods(rig.alice) == ["INVITE", "CANCEL", "ACK"]
    rig.finish()


def test_2xx_without_provisional_after_cancel_is_acknowledged_and_ended() -> None:
    rig = SipRig()
    rig.bob.script = lambda node, output, now: (
        node.endpoint.accept(output.session, now, body=ANSWER)
        if isinstance(output, InviteReceived)
        else None
    )
    rig.network.drop = lambda packet: packet.data.startswith(b"SIP/2.0 100")
    rig.invite()
    rig.alice.endpoint.cancel("call", rig.now)
    rig.finish()
    assert rig.methods(rig.alice) == ["INVITE", "ACK", "BYE"]
    assert rig.alice.seen(Rejected) == [Rejected("call", 487)]


def test_2xx_that_crosses_cancel_is_acknowledged_and_ended() -> None:
    rig = SipRig()
    rig.bob.script = ringing
    rig.invite()
    rig.run(1)
    rig.alice.endpoint.cancel("call", rig.now)
    rig.bob.endpoint.accept(bob_session(rig), rig.now, body=ANSWER)
    rig.finish()
    assert rig.methods(rig.alice) == ["INVITE", "CANCEL", "ACK", "BYE"]
    assert rig.alice.seen(Rejected) == [Rejected("call", 487)]
    assert not rig.alice.seen(Accepted)
    assert rig.bob.last(SessionEnded).reason == "bye"


def test_cancel_for_nothing_gets_481() -> None:
    """RFC 3261 9.2: no matching transaction, 481."""
    rig = SipRig()
    data = (
        b"CANCEL sip:bob@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKnone\r\n"
        b"From: <sip:a@b>;tag=1\r\nTo: <sip:bob@10.0.0.2>\r\nCall-ID: c\r\nCSeq: 1 CANCEL\r\n\r\n"
    )
    rig.bob.endpoint.receive(data, rig.flow(rig.bob, rig.alice), rig.now)
    rig.finish()
    assert rig.methods(rig.bob) == ["481"]


def test_cancelled_invite_without_final_response_ends_after_64_t1() -> None:
    """RFC 3261 9.1: the client transaction is destroyed 64*T1 after the CANCEL."""
    rig = SipRig()
    rig.bob.script = ringing
    rig.invite()
    rig.run(1)
    rig.network.detach(rig.bob.address)
    rig.alice.endpoint.cancel("call", rig.now)
    rig.run(33)
    assert rig.alice.last(Rejected).status == 408
    assert rig.alice.residue["sessions"] == 0


def test_bye_before_the_answer_is_a_cancel_or_a_480() -> None:
    rig = SipRig()
    rig.bob.script = ringing
    rig.invite()
    rig.run(1)
    rig.alice.endpoint.bye("call", rig.now)
    rig.finish()
    assert "CANCEL" in rig.methods(rig.alice)
    rig.invite("second")
    rig.run(1)
    rig.bob.endpoint.bye(rig.bob.last(InviteReceived).session, rig.now)
    rig.finish()
    assert rig.alice.last(Rejected).status == 480


# --- 2xx and ACK --------------------------------------------------------------------------------


def test_2xx_is_repeated_until_acknowledged() -> None:
    """RFC 3261 13.3.1.4: T1, doubling to T2; each copy is acknowledged with the same ACK."""
    rig = SipRig()
    rig.bob.script = answering
    start = rig.now
    rig.network.drop = lambda packet: is_request(packet, "ACK") and packet.at < start + 7
    rig.invite()
    rig.run(20)
    times = [
        round(p.at - start - 0.01, 3) for p in rig.network.packets if is_response(p, 200, "INVITE")
    ]
    assert times == [0, 0.5, 1.5, 3.5, 7.5]
    assert len({p.data for p in rig.network.packets if is_request(p, "ACK")}) == 1
    assert len(rig.bob.seen(AckReceived)) == len(rig.alice.seen(Accepted)) == 1


def test_missing_ack_is_reported_after_64_t1() -> None:
    rig = SipRig()
    rig.bob.script = answering
    rig.network.drop = lambda packet: is_request(packet, "ACK")
    rig.invite()
    rig.run(33)
    session = bob_session(rig)
    assert rig.bob.seen(AckMissing) == [AckMissing(session)]
    rig.bob.endpoint.bye(session, rig.now)
    rig.finish()
    assert rig.alice.last(SessionEnded).reason == "bye"


def test_callee_holds_its_bye_until_the_ack() -> None:
    """RFC 3261 15.1.1: no BYE on a dialog whose 2xx is not acknowledged."""
    rig = SipRig()
    rig.bob.script = answering
    rig.network.drop = lambda packet: is_request(packet, "ACK") and packet.at < 1002
    rig.invite()
    rig.run(1)
    rig.bob.endpoint.bye(bob_session(rig), rig.now)
    rig.network.flush()
    assert "BYE" not in rig.methods()
    rig.run(5)
    assert rig.bob.last(SessionEnded).reason == "done"
    rig.finish()


def test_callee_sends_its_bye_when_the_ack_never_comes() -> None:
    rig = SipRig()
    rig.bob.script = answering
    rig.network.drop = lambda packet: is_request(packet, "ACK")
    rig.invite()
    rig.run(1)
    rig.bob.endpoint.bye(bob_session(rig), rig.now)
    rig.finish()
    assert not rig.bob.seen(AckMissing)
    assert rig.bob.last(SessionEnded).reason == "done"


def test_accepted_state_absorbs_invites() -> None:
    """RFC 6026 7.1: a repeated INVITE after the 2xx makes no new call and no new 2xx."""
    rig = connected()
    invite = next(p for p in rig.network.packets if is_request(p, "INVITE"))
    before = len(rig.network.packets)
    rig.bob.endpoint.receive(invite.data, rig.flow(rig.bob, rig.alice), rig.now)
    rig.network.flush()
    assert len(rig.network.packets) == before
    assert len(rig.bob.seen(InviteReceived)) == 1
    assert rig.bob.endpoint.counters.retransmissions_in == 1


def test_offerless_invite_is_acknowledged_by_its_owner() -> None:
    rig = SipRig()
    rig.bob.script = answering
    rig.invite(body=b"")
    rig.run(0.3)
    assert rig.alice.last(Accepted).needs_ack
    assert "ACK" not in rig.methods()
    rig.alice.endpoint.ack("call", ANSWER, rig.now)
    rig.run(1)
    assert rig.bob.last(AckReceived).request.body == ANSWER
    rig.alice.endpoint.bye("call", rig.now)
    rig.finish()


def test_hanging_up_an_offerless_call_acknowledges_first() -> None:
    rig = SipRig()
    rig.bob.script = answering
    rig.invite(body=b"")
    rig.run(0.3)
    rig.alice.endpoint.bye("call", rig.now)
    rig.finish()
    assert rig.methods(rig.alice) == ["INVITE", "ACK", "BYE"]


def test_lost_180_and_200_in_the_wrong_order() -> None:
    """A 180 that is overtaken by the 200 is not told any more."""
    rig = connected()
    ring = next(p for p in rig.network.packets if is_response(p, 180, "INVITE")).data
    before = len(rig.alice.outputs)
    rig.alice.endpoint.receive(ring, rig.flow(rig.alice, rig.bob), rig.now)
    rig.network.flush()
    assert len(rig.alice.outputs) == before


def test_forked_2xx_is_acknowledged_and_ended() -> None:
    """RFC 3261 13.2.2.4: every 2xx is acknowledged; a dialog too many is ended by BYE."""
    rig = connected()
    answer = next(p for p in rig.network.packets if is_response(p, 200, "INVITE")).data
    tag = parse_message(answer).to.tag.encode()
    fork = answer.replace(b";tag=" + tag, b";tag=another")
    before = len(rig.network.packets)
    flow = rig.flow(rig.alice, rig.bob)
    rig.alice.endpoint.receive(fork, flow, rig.now)
    rig.network.flush()
    requests = [parse_message(p.data) for p in rig.network.packets[before:]]
    assert [m.method for m in requests if isinstance(m, SipRequest)] == ["ACK", "BYE"]
    assert {m.to.tag for m in requests} == {"another"}
    rig.alice.endpoint.receive(fork, flow, rig.now)
    rig.network.flush()
    assert rig.methods(rig.alice)[-1] == "ACK"
    assert len(rig.alice.seen(Accepted)) == 1
    rig.alice.endpoint.bye("call", rig.now)
    rig.finish()


def test_several_early_dialogs() -> None:
    rig = SipRig()
    rig.bob.script = ringing
    rig.invite()
    rig.run(0.3)
    ring = next(p for p in rig.network.packets if is_response(p, 180, "INVITE")).data
    tag = parse_message(ring).to.tag.encode()
    rig.alice.endpoint.receive(ring.replace(tag, b"other"), rig.flow(rig.alice, rig.bob), rig.now)
    rig.network.flush()
    assert rig.alice.residue["early"] == 2
    assert {o.early_dialog for o in rig.alice.seen(Provisional)} == {tag.decode(), "other"}
    rig.bob.endpoint.accept(bob_session(rig), rig.now, body=ANSWER)
    rig.run(1)
    assert rig.alice.residue["early"] == 0
    assert [d.remote_tag for d in rig.alice.endpoint.dialogs] == [tag.decode()]


# --- re-INVITE ----------------------------------------------------------------------------------


def test_reinvite_refreshes_the_target_and_keeps_the_dialog() -> None:
    rig = connected()
    rig.alice.endpoint.reinvite("call", OFFER, rig.now)
    rig.run(1)
    assert rig.alice.last(Accepted).is_reinvite
    assert rig.bob.seen(ReinviteReceived)
    assert len(rig.bob.seen(AckReceived)) == 2
    rig.bob.endpoint.reinvite(bob_session(rig), OFFER, rig.now)
    rig.alice.script = answering
    rig.run(1)
    assert rig.bob.last(Accepted).is_reinvite
    rig.bob.endpoint.bye(bob_session(rig), rig.now)
    rig.finish()


def test_offerless_reinvite() -> None:
    rig = connected()
    rig.alice.endpoint.reinvite("call", b"", rig.now)
    rig.run(0.2)
    assert rig.alice.last(Accepted) == Accepted(
        "call", rig.alice.last(Accepted).response, is_reinvite=True, needs_ack=True
    )
    rig.alice.endpoint.ack("call", ANSWER, rig.now)
    rig.run(1)
    assert rig.bob.last(AckReceived).request.body == ANSWER
    rig.alice.endpoint.bye("call", rig.now)
    rig.finish()


def test_glare_is_sorted_out() -> None:
    """RFC 3261 14.1: both get 491; the owner of the Call-ID waits 2.1-4 s, the other 0-2 s."""
    rig = connected()
    rig.alice.script = answering
    start = rig.now
    rig.alice.endpoint.reinvite("call", OFFER, start)
    rig.bob.endpoint.reinvite(bob_session(rig), OFFER, start)
    rig.run(10)
    assert rig.methods().count("491") == 2
    again = [p for p in rig.network.packets if is_request(p, "INVITE") and p.at > start]
    by_alice = [p.at - start for p in again if p.source == rig.alice.address]
    by_bob = [p.at - start for p in again if p.source == rig.bob.address]
    assert 2.1 <= by_alice[0] <= 4.1
    assert 0 <= by_bob[0] <= 2.1
    assert rig.alice.last(Accepted).is_reinvite
    assert rig.bob.last(Accepted).is_reinvite
    rig.alice.endpoint.bye("call", rig.now)
    rig.finish()


def test_rejected_reinvite_leaves_the_session() -> None:
    rig = connected()
    rig.bob.script = lambda node, output, now: (
        node.endpoint.reject(output.session, 488, now)
        if isinstance(output, ReinviteReceived)
        else None
    )
    rig.alice.endpoint.reinvite("call", OFFER, rig.now)
    rig.run(1)
    assert rig.alice.last(Rejected).is_reinvite
    assert rig.alice.endpoint.dialog("call") is not None
    rig.alice.endpoint.bye("call", rig.now)
    rig.finish()


def test_reinvite_for_an_unknown_dialog_ends_the_session() -> None:
    """RFC 3261 12.2.1.2: 481 or 408 to a request inside a dialog ends the dialog."""
    rig = connected()
    rig.bob.facts.clear()
    rig.bob.kill_and_replay()
    rig.alice.endpoint.reinvite("call", OFFER, rig.now)
    rig.run(1)
    assert rig.alice.last(Rejected).status == 481
    assert rig.alice.last(SessionEnded).reason == "gone"
    rig.finish()


def test_second_reinvite_of_the_peer_is_refused_while_one_is_pending() -> None:
    """RFC 3261 14.2: 500 with Retry-After of 0 to 10 s."""
    rig = connected()
    rig.bob.script = None
    rig.alice.endpoint.reinvite("call", OFFER, rig.now)
    rig.run(0.1)
    first = sent(rig, rig.alice, "INVITE")[-1]
    second = first.with_header("Via", "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKsecond")
    second = second.with_header("CSeq", f"{first.cseq.number + 1} INVITE")
    rig.bob.endpoint.receive(second.to_bytes(), rig.flow(rig.bob, rig.alice), rig.now)
    rig.network.flush()
    refusal = parse_message(rig.network.packets[-1].data)
    assert isinstance(refusal, SipResponse)
    assert refusal.status == 500
    assert 0 <= int(refusal.header("Retry-After") or "") <= 10


# --- challenges -------------------------------------------------------------------------------


def test_challenged_invite_is_repeated_once_with_credentials() -> None:
    """RFC 3261 22.2: same Call-ID and From tag, next CSeq, new branch."""
    rig = SipRig()

    def challenge(node: SipNode, output: Any, now: float) -> None:
        if isinstance(output, InviteReceived):
            if output.request.has("Authorization"):
                node.endpoint.accept(output.session, now, body=ANSWER)
            else:
                header = ("WWW-Authenticate", 'Digest realm="x", nonce="n", qop="auth"')
                node.endpoint.reject(output.session, 401, now, headers=(header,))

    rig.bob.script = challenge
    rig.invite(credentials=Credentials("alice", "secret"))
    rig.run(1)
    first, second = sent(rig, rig.alice, "INVITE")
    assert (first.cseq.number, second.cseq.number) == (1, 2)
    assert first.call_id == second.call_id
    assert first.from_.tag == second.from_.tag
    assert first.via.branch != second.via.branch
    assert rig.alice.seen(Accepted)
    assert not rig.alice.seen(Rejected)
    rig.alice.endpoint.bye("call", rig.now)
    rig.finish()


def test_second_challenge_is_a_rejection() -> None:
    rig = SipRig()
    header = ("WWW-Authenticate", 'Digest realm="x", nonce="n"')
    rig.bob.script = lambda node, output, now: (
        node.endpoint.reject(output.session, 401, now, headers=(header,))
        if isinstance(output, InviteReceived)
        else None
    )
    rig.invite(credentials=Credentials("alice", "wrong"))
    rig.finish()
    assert [o.status for o in rig.alice.seen(Rejected)] == [401]
    assert rig.methods(rig.alice).count("INVITE") == 2


# --- commands that do not fit ------------------------------------------------------------------


def test_commands_for_sessions_that_are_over_are_counted() -> None:
    rig = SipRig()
    endpoint = rig.alice.endpoint
    endpoint.bye("none", rig.now)
    endpoint.cancel("none", rig.now)
    endpoint.accept("none", rig.now)
    endpoint.reinvite("none", b"", rig.now)
    endpoint.respond("none", 200, rig.now)
    assert endpoint.counters.late_commands == 5
    assert not endpoint.poll()


def test_commands_that_the_state_does_not_allow_raise() -> None:
    rig = connected()
    with pytest.raises(LocalSipError):
        rig.alice.endpoint.accept("call", rig.now)
    with pytest.raises(LocalSipError):
        rig.alice.endpoint.cancel("call", rig.now)
    with pytest.raises(LocalSipError):
        rig.invite("call")
    with pytest.raises(LocalSipError):
        rig.alice.endpoint.ack("call", b"", rig.now)


def test_line_break_in_a_header_value_is_refused() -> None:
    rig = SipRig()
    with pytest.raises(LocalSipError):
        rig.invite(headers=(("X-Name", "a\r\nEvil: b"),))
    assert rig.alice.residue["sessions"] == 0
