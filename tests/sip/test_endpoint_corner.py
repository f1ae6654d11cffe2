"""Rarer turns of sessions: challenges inside dialogs, timeouts, early dialogs, held offers."""

from __future__ import annotations

from typing import Any

import pytest

from ccengine.sip.message import SipRequest, parse_message
from ccengine.sip.output import (
    Accepted,
    AckReceived,
    Credentials,
    InviteCancelled,
    InviteReceived,
    Provisional,
    ReinviteReceived,
    Rejected,
    RequestReceived,
    ResponseReceived,
    SessionEnded,
)
from ccengine.testing.sip_rig import ANSWER, OFFER, SipNode, SipRig

CHALLENGE = (("WWW-Authenticate", 'Digest realm="x", nonce="n", qop="auth"'),)


def answering(node: SipNode, output: Any, now: float) -> None:
    if isinstance(output, (InviteReceived, ReinviteReceived)):
        node.endpoint.accept(output.session, now, body=ANSWER)


def connected(**more: Any) -> tuple[SipRig, str]:
    rig = SipRig()
    rig.bob.script = rig.alice.script = answering
    rig.invite("call", **more)
    rig.run(1)
    return rig, rig.bob.seen(InviteReceived)[0].session


def inject(rig: SipRig, data: bytes, *, to: SipNode, by: SipNode) -> list[bytes]:
    before = len(rig.network.packets)
    to.endpoint.receive(data, rig.flow(to, by), rig.now)
    rig.network.flush()
    return [packet.data for packet in rig.network.packets[before:]]


def test_challenged_request_outside_a_dialog() -> None:
    rig = SipRig()

    def registrar(node: SipNode, output: Any, now: float) -> None:
        if isinstance(output, RequestReceived):
            known = output.request.has("Authorization")
            node.endpoint.respond(
                output.tx, 200 if known else 401, now, headers=() if known else CHALLENGE
            )

    rig.bob.script = registrar
    rig.request("r", "REGISTER", credentials=Credentials("a", "b"), call_id="mine", cseq=7)
    rig.finish()
    assert rig.alice.last(ResponseReceived).status == 200
    assert [o.request.cseq.number for o in rig.bob.seen(RequestReceived)] == [7, 8]
    assert {o.request.call_id for o in rig.bob.seen(RequestReceived)} == {"mine"}


def test_challenged_reinvite_is_repeated() -> None:
    rig, _ = connected(credentials=Credentials("a", "b"))

    def challenge(node: SipNode, output: Any, now: float) -> None:
        if isinstance(output, ReinviteReceived):
            if output.request.has("Authorization"):
                node.endpoint.accept(output.session, now, body=ANSWER)
            else:
                node.endpoint.reject(output.session, 401, now, headers=CHALLENGE)

    rig.bob.script = challenge
    rig.alice.endpoint.reinvite("call", OFFER, rig.now)
    rig.run(1)
    assert rig.alice.last(Accepted).is_reinvite
    assert not rig.alice.seen(Rejected)
    rig.alice.endpoint.bye("call", rig.now)
    rig.finish()


def test_challenged_bye_is_repeated() -> None:
    rig, _ = connected(credentials=Credentials("a", "b"))
    rig.network.detach(rig.bob.address)
    rig.alice.endpoint.bye("call", rig.now)
    rig.network.flush()
    bye = parse_message(rig.network.packets[-1].data)
    assert isinstance(bye, SipRequest)
    lines = "".join(
        f"{name}: {bye.header(name)}\r\n" for name in ("Via", "From", "To", "Call-ID", "CSeq")
    )
    name, value = CHALLENGE[0]
    refusal = f"SIP/2.0 401 No\r\n{lines}{name}: {value}\r\n\r\n".encode()
    (again,) = inject(rig, refusal, to=rig.alice, by=rig.bob)
    repeated = parse_message(again)
    assert repeated.cseq.number == bye.cseq.number + 1
    assert repeated.has("Authorization")
    rig.network.run_until_idle()
    assert rig.alice.last(SessionEnded).reason == "done"


def test_bye_that_nobody_answers_ends_the_session_all_the_same() -> None:
    """RFC 3261 15.1.1."""
    rig, _ = connected()
    rig.network.detach(rig.bob.address)
    rig.alice.endpoint.bye("call", rig.now)
    rig.run(33)
    assert rig.alice.last(SessionEnded).reason == "done"
    assert not any(rig.alice.residue.values())


def test_second_bye_is_a_late_command() -> None:
    rig, _ = connected()
    rig.alice.endpoint.bye("call", rig.now)
    rig.alice.endpoint.bye("call", rig.now)
    rig.alice.endpoint.reinvite("call", OFFER, rig.now)
    assert rig.alice.endpoint.counters.late_commands == 2
    rig.finish()
    assert rig.methods().count("BYE") == 1


def test_reinvite_that_nobody_answers_ends_the_session() -> None:
    """RFC 3261 14.1: no answer to a re-INVITE ends the dialog."""
    rig, _ = connected()
    rig.network.detach(rig.bob.address)
    rig.alice.endpoint.reinvite("call", OFFER, rig.now)
    rig.run(70)
    assert rig.alice.last(Rejected) == Rejected("call", 408, is_reinvite=True)
    assert rig.alice.last(SessionEnded).reason == "gone"
    assert not any(rig.alice.residue.values())


def test_reinvite_on_a_broken_flow_leaves_the_session() -> None:
    rig, _ = connected()
    rig.network.detach(rig.bob.address)
    rig.alice.endpoint.reinvite("call", OFFER, rig.now)
    rig.alice.endpoint.flow_failed(rig.flow(rig.alice, rig.bob), rig.now)
    rig.network.flush()
    assert rig.alice.last(Rejected) == Rejected("call", 503, is_reinvite=True)
    assert rig.alice.endpoint.dialog("call") is not None
    assert rig.alice.endpoint.counters.transport_failures >= 1


def test_reinvite_waits_until_the_first_2xx_is_acknowledged() -> None:
    """RFC 3261 14.1: no INVITE while another is in progress."""
    rig = SipRig()
    rig.bob.script = rig.alice.script = answering
    rig.network.drop = lambda packet: packet.data.startswith(b"ACK ") and packet.at < 1002
    rig.invite()
    rig.run(0.3)
    rig.bob.endpoint.reinvite(rig.bob.seen(InviteReceived)[0].session, OFFER, rig.now)
    rig.network.flush()
    assert "INVITE" not in rig.methods(rig.bob)
    rig.run(10)
    assert rig.bob.seen(AckReceived)
    assert rig.bob.last(Accepted).is_reinvite
    rig.alice.endpoint.bye("call", rig.now)
    rig.finish()


def test_request_inside_an_early_dialog_goes_up() -> None:
    rig = SipRig()
    rig.bob.script = lambda node, output, now: (
        node.endpoint.provisional(output.session, 180, now)
        if isinstance(output, InviteReceived)
        else None
    )
    rig.invite()
    rig.run(0.3)
    ring = rig.alice.last(Provisional).response
    head = (
        "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKinfo;rport\r\n"
        f"From: {ring.header('From')}\r\nTo: {ring.header('To')}\r\nCall-ID: {ring.call_id}\r\n"
    )
    info = f"INFO sip:bob@10.0.0.2 SIP/2.0\r\n{head}CSeq: 2 INFO\r\n\r\n".encode()
    assert inject(rig, info, to=rig.bob, by=rig.alice) == []
    got = rig.bob.last(RequestReceived)
    assert got.session == rig.bob.seen(InviteReceived)[0].session
    again = f"INVITE sip:bob@10.0.0.2 SIP/2.0\r\n{head}CSeq: 3 INVITE\r\n\r\n".encode()
    (refusal,) = inject(rig, again.replace(b"Kinfo", b"Kinv"), to=rig.bob, by=rig.alice)
    assert refusal.startswith(b"SIP/2.0 500")
    rig.bob.endpoint.respond(got.tx, 200, rig.now)
    rig.alice.endpoint.cancel("call", rig.now)
    rig.run(40)
    assert not any(rig.bob.residue.values())


def test_request_for_a_dialog_that_we_are_ending_gets_481() -> None:
    rig, session = connected()
    rig.alice.endpoint.reinvite("call", OFFER, rig.now)
    rig.bob.endpoint.bye(session, rig.now)
    rig.finish()
    assert "481" in rig.methods(rig.bob)
    assert not rig.bob.seen(ReinviteReceived)


def test_reinvite_answered_before_a_restart_gets_its_2xx_again() -> None:
    rig, _ = connected()
    start = rig.now
    rig.network.drop = lambda packet: (
        packet.source == rig.bob.address and start < packet.at < start + 0.4
    )
    rig.alice.endpoint.reinvite("call", OFFER, rig.now)
    rig.run(0.3)
    rig.bob.kill_and_replay()
    rig.run(2)
    assert len(rig.bob.seen(ReinviteReceived)) == 1
    assert rig.alice.last(Accepted).is_reinvite
    rig.alice.endpoint.bye("call", rig.now)
    rig.finish()


def test_ringing_call_whose_udp_flow_fails() -> None:
    rig = SipRig()
    rig.bob.script = lambda node, output, now: (
        node.endpoint.provisional(output.session, 180, now)
        if isinstance(output, InviteReceived)
        else None
    )
    rig.invite()
    rig.run(0.3)
    rig.alice.endpoint.flow_failed(rig.flow(rig.alice, rig.bob), rig.now)
    rig.bob.endpoint.flow_failed(rig.flow(rig.bob, rig.alice), rig.now)
    rig.network.flush()
    assert rig.alice.last(Rejected) == Rejected("call", 503)
    assert rig.bob.last(SessionEnded).reason == "gone"
    rig.finish()


@pytest.mark.parametrize("status", [199, 700])
def test_reject_takes_final_statuses_only(status: int) -> None:
    rig = SipRig()
    rig.invite()
    rig.run(0.3)
    session = rig.bob.seen(InviteReceived)[0].session
    with pytest.raises(Exception, match="does not reject"):
        rig.bob.endpoint.reject(session, status, rig.now)
    rig.alice.endpoint.cancel("call", rig.now)
    rig.finish()
    assert rig.bob.seen(InviteCancelled)
