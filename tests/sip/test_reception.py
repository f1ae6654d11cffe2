"""What a user agent server does with requests (RFC 3261 sections 8.2, 12.2.2 and 17.2)."""

from __future__ import annotations

import pytest

from ccengine.sip.flow import Flow
from ccengine.sip.message import SipRequest, SipResponse, parse_message
from ccengine.sip.output import (
    InviteCancelled,
    InviteReceived,
    RequestReceived,
    ResponseReceived,
    SessionEnded,
    Transmit,
)
from ccengine.testing.sip_rig import ANSWER, SipRig

PEER = ("192.0.2.9", 40000)
FLOW = Flow("UDP", "net", PEER)


def request(method: str = "INVITE", *, to_tag: str = "", cseq: int = 1, **fields: str) -> bytes:
    values = {
        "Via": "SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKone;rport",
        "Max-Forwards": "70",
        "From": "<sip:peer@192.0.2.9>;tag=peer",
        "To": "<sip:bob@10.0.0.2>" + (f";tag={to_tag}" if to_tag else ""),
        "Call-ID": "abc",
        "CSeq": f"{cseq} {method}",
        "Contact": "<sip:peer@192.0.2.9:5070>",
    }
    values |= {name.replace("_", "-"): value for name, value in fields.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in values.items() if value)
    return f"{method} sip:bob@10.0.0.2 SIP/2.0\r\n{lines}Content-Length: 0\r\n\r\n".encode()


class Peer:
    """A raw peer of one endpoint."""

    def __init__(self, flow: Flow = FLOW) -> None:
        self.rig = SipRig()
        self.endpoint = self.rig.bob.endpoint
        self.flow = flow
        self.outputs: list[object] = []

    def send(self, data: bytes) -> list[SipResponse]:
        self.endpoint.receive(data, self.flow, self.rig.now)
        return self.responses()

    def messages(self) -> list[tuple[SipRequest | SipResponse, Flow]]:
        found = []
        for output in self.endpoint.poll():
            if isinstance(output, Transmit):
                found.append((parse_message(output.data), output.flow))
            else:
                self.outputs.append(output)
        return found

    def responses(self) -> list[SipResponse]:
        return [message for message, _ in self.messages() if isinstance(message, SipResponse)]

    def wait(self, seconds: float) -> list[SipRequest | SipResponse]:
        end = self.rig.now + seconds
        while (due := self.endpoint.next_timeout()) is not None and due <= end:
            self.endpoint.handle_timeout(self.rig.clock.advance_to(due))
        self.rig.clock.advance_to(end)
        return [message for message, _ in self.messages()]

    def answered(self) -> tuple[str, SipResponse]:
        """Set up a call and return its session and our 2xx."""
        self.send(request())
        session = self.outputs[-1].session
        self.endpoint.accept(session, self.rig.now, body=ANSWER)
        ok = self.responses()[-1]
        self.send(
            request(
                "ACK", to_tag=ok.to.tag, Via="SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bKack;rport"
            )
        )
        return session, ok


def via(branch: str, rest: str = ";rport") -> str:
    return f"SIP/2.0/UDP 192.0.2.9:5070;branch=z9hG4bK{branch}{rest}"


def statuses(responses: list[SipResponse]) -> list[int]:
    return [response.status for response in responses]


# --- where responses go -----------------------------------------------------------------------


def test_100_trying_goes_out_at_once_without_to_tag() -> None:
    peer = Peer()
    (trying,) = peer.send(request(Timestamp="54"))
    assert trying.status == 100
    assert trying.to.tag == ""
    assert trying.header("Timestamp") == "54"  # 8.2.6.1


def test_rport_and_received_are_filled_in() -> None:
    """RFC 3581 section 4."""
    (trying,) = Peer().send(request())
    assert trying.via.rport == 40000
    assert trying.via.received == "192.0.2.9"


def test_response_without_rport_goes_to_the_port_of_the_via() -> None:
    """RFC 3261 18.2.2: the source address, and the port of the sent-by."""
    peer = Peer()
    peer.endpoint.receive(request(Via=via("one", "")), FLOW, peer.rig.now)
    ((_, flow),) = peer.messages()
    assert flow == Flow("UDP", "net", ("192.0.2.9", 5070))


def test_received_is_added_when_the_sent_by_is_another() -> None:
    """RFC 3261 18.2.1."""
    peer = Peer()
    (trying,) = peer.send(request(Via="SIP/2.0/UDP phone.example;branch=z9hG4bK1"))
    assert trying.via.received == "192.0.2.9"


def test_responses_on_streams_go_back_on_the_same_connection() -> None:
    flow = Flow("TCP", "net", PEER, 7)
    peer = Peer(flow)
    peer.endpoint.receive(
        request(Via="SIP/2.0/TCP 192.0.2.9:5070;branch=z9hG4bK1"), flow, peer.rig.now
    )
    ((_, used),) = peer.messages()
    assert used == flow


# --- matching -----------------------------------------------------------------------------------


def test_repeated_invite_gets_the_last_response_again() -> None:
    peer = Peer()
    peer.send(request())
    session = peer.outputs[0].session
    peer.endpoint.provisional(session, 183, peer.rig.now, body=ANSWER)
    peer.responses()
    assert statuses(peer.send(request())) == [183]
    assert len(peer.outputs) == 1


def test_ack_of_a_failure_matches_by_branch_and_stops_timer_g() -> None:
    """RFC 3261 17.2.1: G doubles from T1 to T2 until the ACK, H ends after 64*T1."""
    peer = Peer()
    peer.send(request())
    session = peer.outputs[0].session
    peer.endpoint.reject(session, 486, peer.rig.now)
    peer.responses()
    assert len(peer.wait(8)) == 4  # 0.5 1.5 3.5 7.5
    peer.send(request("ACK"))
    assert peer.wait(4) == []
    assert peer.endpoint.transaction_count == 1
    peer.wait(1.1)  # timer I = T4
    assert peer.endpoint.transaction_count == 0


def test_timer_h_ends_a_failure_that_is_never_acknowledged() -> None:
    peer = Peer()
    peer.send(request())
    peer.endpoint.reject(peer.outputs[0].session, 486, peer.rig.now)
    peer.responses()
    copies = peer.wait(32)
    assert len(copies) == 10  # 0.5 1.5 3.5 7.5 11.5 … 31.5
    assert peer.endpoint.transaction_count == 0
    assert peer.endpoint.counters.acks_missing == 1


def test_rfc2543_peer_is_matched_without_magic_cookie() -> None:
    """RFC 3261 17.2.3: by request-URI, tags, Call-ID, CSeq and top Via."""
    peer = Peer()
    old = "SIP/2.0/UDP 192.0.2.9:5070;branch=1;rport"
    peer.send(request(Via=old))
    assert statuses(peer.send(request(Via=old))) == [100]
    assert len(peer.outputs) == 1
    session = peer.outputs[0].session
    peer.endpoint.reject(session, 486, peer.rig.now)
    (busy,) = peer.responses()
    peer.send(request("ACK", to_tag="wrong", Via=old))
    assert peer.wait(0.5)
    peer.send(request("ACK", to_tag=busy.to.tag, Via=old))
    assert peer.wait(4) == []


def test_cancel_by_an_rfc2543_peer() -> None:
    peer = Peer()
    old = "SIP/2.0/UDP 192.0.2.9:5070;rport"
    peer.send(request(Via=old))
    assert statuses(peer.send(request("CANCEL", Via=old))) == [200, 487]
    assert isinstance(peer.outputs[-1], InviteCancelled)


def test_cancel_after_the_final_response_changes_nothing() -> None:
    """RFC 3261 9.2."""
    peer = Peer()
    session, _ = peer.answered()
    assert statuses(peer.send(request("CANCEL"))) == [200]
    assert peer.endpoint.dialog(session) is not None


def test_merged_request_gets_482() -> None:
    """RFC 3261 8.2.2.2: same From tag, Call-ID and CSeq by another path."""
    peer = Peer()
    peer.send(request())
    assert statuses(peer.send(request(Via=via("two")))) == [482]
    assert len(peer.outputs) == 1


def test_stray_ack_is_counted() -> None:
    peer = Peer()
    assert peer.send(request("ACK", to_tag="x")) == []
    assert peer.endpoint.counters.stray_acks == 1


# --- refusals ------------------------------------------------------------------------------------


def test_require_with_unknown_extension() -> None:
    """RFC 3261 8.2.2.3: 420 with Unsupported."""
    peer = Peer()
    (refusal,) = peer.send(request(Require="100rel, path"))
    assert refusal.status == 420
    assert refusal.header_values("Unsupported") == ("100rel", "path")
    assert not peer.outputs


@pytest.mark.parametrize(("method", "status"), [("FROBNICATE", 501), ("PUBLISH", 405)])
def test_method_that_nobody_handles(method: str, status: int) -> None:
    (refusal,) = Peer().send(request(method))
    assert refusal.status == status
    assert "INVITE" in refusal.header_values("Allow")


@pytest.mark.parametrize("method", ["BYE", "INFO", "INVITE", "FROBNICATE"])
def test_request_for_an_unknown_dialog(method: str) -> None:
    """RFC 3261 12.2.2 and 15.1.2: 481."""
    assert statuses(Peer().send(request(method, to_tag="unknown"))) == [481]


def test_bye_without_to_tag() -> None:
    assert statuses(Peer().send(request("BYE"))) == [481]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (request(CSeq="1 BYE"), 400),
        (request(CSeq="x INVITE"), 400),
        (request(Contact=""), 400),
        (request().replace(b" sip:bob@10.0.0.2 SIP/2.0", b" foo:bar SIP/2.0"), 416),
        (request().replace(b"SIP/2.0\r\n", b"SIP/7.0\r\n", 1), 505),
        (request().replace(b"Content-Length: 0", b"Content-Length: 99"), 400),
    ],
)
def test_malformed_request_is_answered(data: bytes, status: int) -> None:
    peer = Peer()
    (refusal,) = peer.send(data)
    assert refusal.status == status
    assert refusal.to.tag
    assert not peer.outputs
    assert peer.endpoint.transaction_count == 0


@pytest.mark.parametrize(
    "data",
    [b"\x00\xff\x00", b"INVITE", request(Via=""), request(From=""), request("ACK", Via="")],
)
def test_what_cannot_be_answered_is_counted(data: bytes) -> None:
    peer = Peer()
    assert peer.send(data) == []
    assert peer.endpoint.counters.malformed == 1


@pytest.mark.parametrize("flow", [FLOW, Flow("TCP", "net", PEER, 7)], ids=["UDP", "TCP"])
@pytest.mark.parametrize("rest", [b"Content-Length: 0", b"Content-Length: 77"])
def test_via_that_no_response_can_follow(flow: Flow, rest: bytes) -> None:
    peer = Peer(flow)
    data = request(Via=via("one", ";rport=moon")).replace(b"Content-Length: 0", rest)
    peer.send(data)
    assert not peer.outputs
    assert peer.endpoint.transaction_count == peer.endpoint.session_count == 0
    assert peer.endpoint.counters.malformed + peer.endpoint.counters.refused == 1


def test_keepalive_is_nothing() -> None:
    """RFC 5626 3.5.1."""
    peer = Peer()
    assert peer.send(b"\r\n\r\n") == []
    assert peer.endpoint.counters.malformed == 0


# --- inside dialogs ---------------------------------------------------------------------------


def test_lower_cseq_gets_500() -> None:
    """RFC 3261 12.2.2."""
    peer = Peer()
    session, ok = peer.answered()
    tag = ok.to.tag
    peer.send(request("INFO", to_tag=tag, cseq=7, Via=via("i1")))
    info = peer.outputs[-1]
    assert isinstance(info, RequestReceived)
    assert info.session == session
    peer.endpoint.respond(info.tx, 200, peer.rig.now)
    assert statuses(peer.responses()) == [200]
    assert statuses(peer.send(request("INFO", to_tag=tag, cseq=6, Via=via("i2")))) == [500]
    dialog = peer.endpoint.dialog(session)
    assert dialog is not None
    assert dialog.remote_seq == 7


def test_unknown_method_inside_a_dialog_goes_up() -> None:
    peer = Peer()
    session, ok = peer.answered()
    peer.send(request("REFER", to_tag=ok.to.tag, cseq=2, Via=via("r")))
    assert isinstance(peer.outputs[-1], RequestReceived)
    assert peer.outputs[-1].session == session


def test_loose_route_set_of_the_callee() -> None:
    """RFC 3261 12.1.1 and 12.2.1.1: Record-Route in order, target in the request-URI."""
    peer = Peer()
    routes = "<sip:p1.example;lr>, <sip:p2.example;lr>"
    peer.send(request(Record_Route=routes))
    session = peer.outputs[0].session
    peer.endpoint.accept(session, peer.rig.now, body=ANSWER)
    ok = peer.responses()[-1]
    assert ok.header_values("Record-Route") == ("<sip:p1.example;lr>", "<sip:p2.example;lr>")
    peer.send(request("ACK", to_tag=ok.to.tag, Via=via("a")))
    peer.endpoint.bye(session, peer.rig.now)
    ((bye, _),) = peer.messages()
    assert isinstance(bye, SipRequest)
    assert bye.uri == "sip:peer@192.0.2.9:5070"
    assert bye.header_values("Route") == ("<sip:p1.example;lr>", "<sip:p2.example;lr>")


def test_strict_router_gets_its_own_uri() -> None:
    """RFC 3261 12.2.1.1: first route as request-URI, target as last Route."""
    peer = Peer()
    peer.send(request(Record_Route="<sip:p1.example>, <sip:p2.example;lr>"))
    session = peer.outputs[0].session
    peer.endpoint.accept(session, peer.rig.now)
    ok = peer.responses()[-1]
    peer.send(request("ACK", to_tag=ok.to.tag, Via=via("a")))
    peer.endpoint.bye(session, peer.rig.now)
    ((bye, _),) = peer.messages()
    assert isinstance(bye, SipRequest)
    assert bye.uri == "sip:p1.example"
    assert bye.header_values("Route") == ("<sip:p2.example;lr>", "<sip:peer@192.0.2.9:5070>")


def test_bye_on_an_early_dialog_ends_the_invite() -> None:
    """RFC 3261 section 15: the caller may send BYE on an early dialog."""
    peer = Peer()
    peer.send(request())
    session = peer.outputs[0].session
    peer.endpoint.provisional(session, 180, peer.rig.now)
    (ring,) = peer.responses()
    got = peer.send(request("BYE", to_tag=ring.to.tag, cseq=2, Via=via("b")))
    assert [(r.status, r.cseq.method) for r in got] == [(200, "BYE"), (487, "INVITE")]
    assert isinstance(peer.outputs[-1], InviteCancelled)


def test_bye_answers_a_pending_reinvite_with_487() -> None:
    """RFC 3261 15.1.2."""
    peer = Peer()
    _, ok = peer.answered()
    tag = ok.to.tag
    peer.send(request(to_tag=tag, cseq=2, Via=via("re")))
    got = peer.send(request("BYE", to_tag=tag, cseq=3, Via=via("b")))
    assert [(r.status, r.cseq.method) for r in got] == [(200, "BYE"), (487, "INVITE")]


def test_cancelled_reinvite_leaves_the_session() -> None:
    peer = Peer()
    session, ok = peer.answered()
    peer.send(request(to_tag=ok.to.tag, cseq=2, Via=via("re")))
    got = peer.send(request("CANCEL", to_tag=ok.to.tag, cseq=2, Via=via("re")))
    assert statuses(got) == [200, 487]
    last = peer.outputs[-1]
    assert isinstance(last, InviteCancelled)
    assert last.is_reinvite
    assert peer.endpoint.dialog(session) is not None


def test_target_is_refreshed_by_an_accepted_reinvite_only() -> None:
    """RFC 6141 section 4."""
    peer = Peer()
    session, ok = peer.answered()
    moved = "<sip:peer@198.51.100.1>"
    peer.send(request(to_tag=ok.to.tag, cseq=2, Via=via("re"), Contact=moved))
    peer.endpoint.reject(session, 488, peer.rig.now)
    assert peer.endpoint.dialog(session).remote_target == "sip:peer@192.0.2.9:5070"
    peer.send(request(to_tag=ok.to.tag, cseq=3, Via=via("re2"), Contact=moved))
    peer.endpoint.accept(session, peer.rig.now)
    assert peer.endpoint.dialog(session).remote_target == "sip:peer@198.51.100.1"


# --- non-INVITE -----------------------------------------------------------------------------------


def test_options_goes_up_and_its_answer_is_kept_for_timer_j() -> None:
    """RFC 3261 17.2.2: the final response is repeated for 64*T1."""
    peer = Peer()
    peer.send(request("OPTIONS"))
    received = peer.outputs[-1]
    assert isinstance(received, RequestReceived)
    peer.endpoint.respond(received.tx, 200, peer.rig.now, headers=(("Accept", "application/sdp"),))
    (ok,) = peer.responses()
    assert ok.header("Accept") == "application/sdp"
    peer.wait(31.9)
    assert statuses(peer.send(request("OPTIONS"))) == [200]
    peer.wait(0.2)
    assert peer.endpoint.transaction_count == 0


def test_ready_response_is_sent_as_it_is() -> None:
    peer = Peer()
    peer.send(request("REGISTER"))
    received = peer.outputs[-1]
    assert isinstance(received, RequestReceived)
    ready = SipResponse.build(200, "Fine", [("Contact", "<sip:a@b>"), ("Expires", "60")], b"x")
    peer.endpoint.respond_with(received.tx, ready, peer.rig.now)
    (ok,) = peer.responses()
    assert (ok.reason, ok.expires, ok.body) == ("Fine", 60, b"x")
    assert ok.header("Contact") == "<sip:a@b>"
    assert ok.to.tag


def test_slow_answer_is_announced_by_100_and_dropped_when_too_late() -> None:
    """RFC 4320 4.1 and 4.2: 100 not before 3.5 s on UDP, no 408, silence after 64*T1."""
    peer = Peer()
    peer.send(request("OPTIONS"))
    assert peer.wait(3.4) == []
    (trying,) = peer.wait(0.2)
    assert isinstance(trying, SipResponse)
    assert trying.status == 100
    assert peer.wait(30) == []
    assert peer.endpoint.transaction_count == 0
    assert peer.endpoint.counters.unanswered == 1
    peer.endpoint.respond(peer.outputs[0].tx, 200, peer.rig.now)
    assert peer.responses() == []
    assert peer.endpoint.counters.late_commands == 1


def test_request_outside_a_dialog() -> None:
    rig = SipRig()
    rig.bob.script = lambda node, output, now: (
        node.endpoint.respond(output.tx, 202, now) if isinstance(output, RequestReceived) else None
    )
    rig.request("m1", "MESSAGE", body=b"hello", content_type="text/plain", contact_user="alice")
    rig.finish()
    assert rig.alice.last(ResponseReceived).status == 202
    got = rig.bob.last(RequestReceived).request
    assert (got.body, got.content_type) == (b"hello", "text/plain")


def test_non_invite_timers_e_and_f() -> None:
    """RFC 3261 17.1.2.2: E doubles from T1 to T2, F ends after 64*T1."""
    rig = SipRig()
    rig.network.detach(rig.bob.address)
    start = rig.now
    rig.request("m1", "OPTIONS")
    rig.network.run_until_idle()
    times = [round(packet.at - start, 3) for packet in rig.network.packets]
    assert times == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert rig.alice.seen(ResponseReceived) == [ResponseReceived("m1", 408)]


def test_provisional_slows_timer_e_to_t2() -> None:
    """RFC 3261 17.1.2.2: in Proceeding, E is reset to T2."""
    rig = SipRig()
    start = rig.now
    rig.bob.script = lambda node, output, now: (
        node.endpoint.respond(output.tx, 100, now) if isinstance(output, RequestReceived) else None
    )
    rig.request("m1", "OPTIONS")
    rig.run(0.1)
    rig.network.detach(rig.bob.address)
    rig.run(40)
    times = [round(p.at - start, 3) for p in rig.network.packets if p.data.startswith(b"OPTIONS")]
    assert times == [0, 0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]


# --- broken flows ---------------------------------------------------------------------------------


def test_broken_flow_fails_what_waits_on_it() -> None:
    rig = SipRig(transport="TCP")
    rig.network.detach(rig.bob.address)
    flow = rig.flow(rig.alice, rig.bob)
    rig.request("m1", "OPTIONS")
    rig.network.flush()
    rig.alice.endpoint.flow_failed(flow, rig.now)
    rig.network.flush()
    assert rig.alice.seen(ResponseReceived) == [ResponseReceived("m1", 503)]
    rig.finish()


def test_caller_whose_connection_breaks_is_gone() -> None:
    flow = Flow("TCP", "net", PEER, 7)
    peer = Peer(flow)
    peer.send(request())
    peer.endpoint.flow_failed(flow, peer.rig.now)
    peer.messages()
    ended = peer.outputs[-1]
    assert isinstance(ended, SessionEnded)
    assert ended.reason == "gone"
    assert peer.endpoint.transaction_count == peer.endpoint.session_count == 0


def test_dialog_survives_its_connection_and_moves() -> None:
    rig = SipRig(transport="TCP")
    rig.bob.script = lambda node, output, now: (
        node.endpoint.accept(output.session, now, body=ANSWER)
        if isinstance(output, InviteReceived)
        else None
    )
    rig.invite()
    rig.run(1)
    old = rig.flow(rig.alice, rig.bob)
    rig.network.break_stream(rig.alice.address, rig.bob.address)
    rig.alice.endpoint.flow_failed(old, rig.now)
    assert rig.alice.endpoint.dialog("call") is not None
    rig.alice.endpoint.move_session("call", rig.flow(rig.alice, rig.bob))
    rig.alice.endpoint.bye("call", rig.now)
    rig.finish()
    assert rig.alice.last(SessionEnded).reason == "done"
    assert rig.bob.last(SessionEnded).reason == "bye"


def test_connection_opened_by_our_request_becomes_the_flow_of_its_dialog() -> None:
    rig = SipRig(transport="TCP")
    rig.bob.script = lambda node, output, now: (
        node.endpoint.accept(output.session, now, body=ANSWER)
        if isinstance(output, InviteReceived)
        else None
    )
    opened = rig.flow(rig.alice, rig.bob)
    unopened = Flow("TCP", "net", rig.bob.address, 0)
    rig.network.flow = lambda *_: unopened
    rig.invite()
    rig.run(1)
    dialog = rig.alice.endpoint.dialog("call")
    assert dialog is not None
    assert dialog.flow == opened
