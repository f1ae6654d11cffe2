"""What goes wrong in the middle of things: crossings on the wire, missing media, our own flaws."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ccengine.clock import VirtualClock
from ccengine.journal.cdr import CdrCall, CdrLeg, RecordingDone
from ccengine.media import control
from ccengine.media.control import BridgeWant
from ccengine.ports import (
    AnswerCall,
    CallAnswered,
    CallArrived,
    CancelDial,
    ConnectDial,
    DialAnswered,
    DialEnded,
    DialFailed,
    DialTarget,
    HangUp,
    PlayFinished,
    StartDial,
    StartPlay,
)


def arrive(office, phone, number="4001", **options):
    call = phone.dial(number, office.now, **options)
    office.settle()
    arrived = next(e for e in office.take_events() if isinstance(e, CallArrived))
    return call, arrived.call_id


def talk(office, caller, callee, dial_id="d1"):
    call, call_id = arrive(office, caller)
    office.command(AnswerCall(call_id))
    office.command(StartDial(call_id, dial_id, DialTarget("extension", callee.user), 20))
    callee.answer(office.now)
    office.settle()
    office.command(ConnectDial(call_id, dial_id))
    office.take_events()
    return call, call_id


def deliver(office, *phones):
    """Let what phones have sent arrive together, before anything is looked at."""
    for phone in phones:
        sent, phone.outbox = phone.outbox, []
        for transmit in sent:
            office.system.sip_message(
                transmit.data, type(transmit.flow)("UDP", "udp", (phone.host, 5060)), office.now
            )


class TestCrossings:
    def test_the_caller_gives_up_in_the_moment_of_the_answer(self, office):
        caller, callee = office.registered("1001"), office.registered("1002")
        caller.dial("1002", office.now)
        office.settle()
        caller.hang_up(office.now)
        callee.answer(office.now)
        deliver(office, caller, callee)  # CANCEL and 200 in one drain
        office.settle()
        assert callee.last.state == "ended"
        assert len(office.cdrs(CdrCall)) == 1
        assert office.exchange.context.counters.flaws == 0
        office.assert_nothing_left()

    def test_the_answer_and_the_hang_up_of_the_same_phone(self, office):
        caller, callee = office.registered("1001"), office.registered("1002")
        call = caller.dial("1002", office.now)
        office.settle()
        callee.answer(office.now)
        deliver(office, callee)
        office.settle()
        callee.hang_up(office.now)
        caller.hang_up(office.now)
        deliver(office, callee, caller)
        office.settle()
        assert call.state == "ended"
        assert len(office.cdrs(CdrCall)) == 1
        office.assert_nothing_left()

    def test_a_reinvite_that_is_taken_back_at_once_changes_nothing(self, office):
        """RFC 3261 section 14.2: CANCEL of a re-INVITE leaves the session as it was."""
        caller, callee = office.registered("1001"), office.registered("1002")
        _, call_id = talk(office, caller, callee)
        legs = office.exchange.switch.state.legs
        leg_id = office.exchange.switch.state.calls[call_id].caller_leg
        before = legs[leg_id]
        caller.hold(office.now)
        (invite,) = [t.data for t in caller.outbox if t.data.startswith(b"INVITE")]
        head, _, _ = invite.partition(b"\r\n\r\n")
        lines = [
            line.replace(b"INVITE", b"CANCEL")
            for line in head.split(b"\r\n")
            if not line.lower().startswith((b"content", b"contact", b"allow", b"supported"))
        ]
        cancel = b"\r\n".join([*lines, b"Content-Length: 0", b"", b""])
        deliver(office, caller)
        flow = type(caller.server)("UDP", "udp", (caller.host, 5060))
        office.system.sip_message(cancel, flow, office.now)
        office.settle()
        assert office.exchange.context.counters.flaws == 0
        assert legs[leg_id] == before
        assert office.worker.legs[leg_id].send
        caller.hang_up(office.now)
        office.assert_nothing_left()

    def test_a_reinvite_of_the_caller_while_the_dial_rings(self, office):
        caller, callee = office.registered("1001"), office.registered("1002")
        call, call_id = arrive(office, caller)
        office.command(AnswerCall(call_id))
        office.command(StartDial(call_id, "d1", DialTarget("extension", "1002"), 20))
        caller.hold(office.now)
        office.settle()
        caller.hold(office.now, resume=True)
        office.settle()
        callee.answer(office.now)
        office.settle()
        office.command(ConnectDial(call_id, "d1"))
        assert call.state == "talking"
        leg_id = office.exchange.switch.state.calls[call_id].caller_leg
        assert office.worker.legs[leg_id].send
        caller.hang_up(office.now)
        office.assert_nothing_left()


class TestHold:
    def test_a_phone_on_hold_may_be_silent_for_long(self, office):
        caller, callee = office.registered("1001"), office.registered("1002")
        _, call_id = talk(office, caller, callee)
        leg_id = office.exchange.switch.state.calls[call_id].caller_leg
        usual = office.worker.legs[leg_id].timeout_s
        caller.hold(office.now)
        office.settle()
        assert office.worker.legs[leg_id].timeout_s == 3600
        caller.hold(office.now, resume=True)
        office.settle()
        assert office.worker.legs[leg_id].timeout_s == usual == 60

    def test_hanging_up_on_hold(self, office):
        caller, callee = office.registered("1001"), office.registered("1002")
        call, _ = talk(office, caller, callee)
        caller.hold(office.now)
        office.settle()
        callee.hang_up(office.now)
        office.settle()
        assert call.state == "talking", "the flow decides what follows"
        caller.hang_up(office.now)
        office.assert_nothing_left()


class TestOfferless:
    """RFC 3261 section 13.2.1: the offer is in our 2xx, the answer in the ACK."""

    def test_the_answer_is_told_when_the_caller_can_hear(self, office):
        caller = office.registered("1001")
        _, call_id = arrive(office, caller, offer=False)
        office.exchange.switch.command(AnswerCall(call_id), office.now, office.clock.at())
        assert not office.exchange.switch.poll(), "no media before the ACK"
        office.settle()
        assert office.take_events() == [CallAnswered(call_id)]
        office.command(StartPlay(call_id, "p1", ("a.wav",)))
        assert set(office.worker.plays) == {"p1"}
        office.command(HangUp(call_id))
        office.assert_nothing_left()

    def test_a_takeover_before_the_ack_ends_the_call(self, office, make_office):
        caller = office.registered("1001")
        _, call_id = arrive(office, caller, offer=False)
        office.exchange.switch.command(AnswerCall(call_id), office.now, office.clock.at())
        batch = office.exchange.drain(office.now, office.clock.at())
        other = make_office()
        for fact in (*office.facts, *batch.facts):
            other.exchange.apply(fact)
        other.clock, other.phones = office.clock, office.phones
        other.exchange.sip.resume(office.now)
        other.exchange.switch.resume(office.now, office.clock.at())
        other.settle()
        (cdr,) = other.cdrs(CdrCall)
        assert cdr.cause == "failure"
        other.assert_nothing_left()


class TestMedia:
    def test_ports_run_out_in_the_middle_of_a_dial_to_two_phones(self, make_office):
        office = make_office(ports=2)
        caller = office.registered("1001")
        desk, mobile = office.registered("1002"), office.registered("1002")
        _, call_id = arrive(office, caller)
        office.command(AnswerCall(call_id))
        office.take_events()
        office.command(StartDial(call_id, "d1", DialTarget("extension", "1002"), 20))
        (event,) = office.take_events()
        assert isinstance(event, DialFailed)
        assert (event.cause, event.status) == ("congestion", 503)
        assert {desk.last.state, mobile.last.state} <= {"ended", "new"}
        office.command(HangUp(call_id))
        office.assert_nothing_left()

    def test_a_direct_call_without_a_second_port_is_refused_and_rings_nobody(self, make_office):
        office = make_office(ports=1)
        caller, callee = office.registered("1001"), office.registered("1002")
        call = caller.dial("1002", office.now)
        office.settle()
        assert (call.state, call.status) == ("ended", 503)
        assert not callee.calls
        office.assert_nothing_left()

    def test_a_bridge_that_is_refused_ends_the_call(self, office):
        caller, callee = office.registered("1001"), office.registered("1002")
        call, call_id = talk(office, caller, callee)
        office.worker._say(control.Refused(office.worker._next(), f"{call_id}.b", "no"))
        office.settle()
        assert call.state == callee.last.state == "ended"
        office.assert_nothing_left()

    def test_a_recording_that_is_refused_stands_in_the_books(self, office):
        caller, callee = office.registered("1001"), office.registered("1002")
        call, call_id = talk(office, caller, callee)
        office.worker.wants.pop(call_id)
        office.worker._say(control.Refused(office.worker._next(), call_id, "no room"))
        office.settle()
        assert call.state == "talking"
        (done,) = office.cdrs(RecordingDone)
        assert (done.call_id, done.files, done.error) == (call_id, (), "no room")
        office.command(HangUp(call_id))
        office.assert_nothing_left()

    def test_a_callee_whose_audio_is_gone_leaves_the_caller_with_the_flow(self, office):
        caller, callee = office.registered("1001"), office.registered("1002")
        call, call_id = talk(office, caller, callee)
        dial = office.exchange.switch.state.calls[call_id].dial("d1")
        office.worker.lose_rtp(dial.answered_leg)
        office.settle()
        assert office.take_events() == [DialEnded(call_id, "d1", "media_lost")]
        assert callee.last.state == "ended"
        assert call.state == "talking"
        office.command(HangUp(call_id))
        office.assert_nothing_left()

    def test_hanging_up_during_early_media(self, office):
        caller = office.registered("1001")
        call, call_id = arrive(office, caller)
        office.command(StartPlay(call_id, "p1", ("a.wav",)))
        office.command(HangUp(call_id, "busy"))
        assert (call.state, call.status) == ("ended", 486)
        (cdr,) = office.cdrs(CdrCall)
        assert (cdr.answered_at, cdr.cause, cdr.ended_by) == (None, "busy", "system")
        office.assert_nothing_left()

    def test_a_play_for_a_leg_without_media_fails(self, office):
        caller = office.registered("1001")
        _, call_id = arrive(office, caller, offer=False)
        office.command(StartPlay(call_id, "p1", ("a.wav",)))
        assert office.take_events() == [PlayFinished(call_id, "p1", "failed")]
        office.command(HangUp(call_id))
        office.assert_nothing_left()


class TestDials:
    def test_several_dials_at_once_are_independent(self, office):
        caller = office.registered("1001")
        first, second = office.registered("1002"), office.registered("1003")
        _, call_id = arrive(office, caller)
        office.command(AnswerCall(call_id))
        for dial_id, number in (("d1", "1002"), ("d2", "1003")):
            office.command(StartDial(call_id, dial_id, DialTarget("extension", number), 20))
        office.take_events()
        second.answer(office.now)
        office.settle()
        assert office.take_events() == [DialAnswered(call_id, "d2")]
        assert first.last.state == "ringing"
        office.command(ConnectDial(call_id, "d2"))
        first.answer(office.now)
        office.settle()
        office.command(ConnectDial(call_id, "d1"))
        bridges = [w for w in office.worker.wants.values() if isinstance(w, BridgeWant)]
        assert len(bridges) == 1, "who talks is not taken away by another dial"
        office.command(CancelDial(call_id, "d1"))
        assert first.last.state == "ended"
        assert second.last.state == "talking"
        caller.hang_up(office.now)
        office.settle()
        assert second.last.state == "ended"
        office.assert_nothing_left()

    def test_cancelling_a_connected_dial_parts_the_two(self, office):
        caller, callee = office.registered("1001"), office.registered("1002")
        call, call_id = talk(office, caller, callee)
        office.advance(4)
        office.command(CancelDial(call_id, "d1"))
        assert callee.last.state == "ended"
        assert call.state == "talking"
        assert not any(isinstance(w, BridgeWant) for w in office.worker.wants.values())
        office.command(HangUp(call_id))
        (cdr,) = office.cdrs(CdrCall)
        assert cdr.talk_s == pytest.approx(4, abs=0.01)
        assert cdr.ended_by == "system"
        office.assert_nothing_left()

    def test_a_dial_whose_connection_is_broken_is_unreachable(self, office):
        caller, callee = office.registered("1001"), office.registered("1002")
        callee.policy = "dead"
        _, call_id = arrive(office, caller)
        office.command(AnswerCall(call_id))
        office.take_events()
        office.command(StartDial(call_id, "d1", DialTarget("extension", "1002"), 20))
        leg = next(x for x in office.exchange.switch.state.legs.values() if x.role == "callee")
        office.exchange.sip.flow_failed(leg.flow, office.now)
        office.settle()
        (event,) = office.take_events()
        assert (event.cause, event.status) == ("unreachable", 503)

    def test_a_second_agent_goes_on_in_the_same_recording(self, office):
        caller = office.registered("1001")
        first, second = office.registered("1002"), office.registered("1003")
        call, call_id = talk(office, caller, first)
        office.advance(5)
        folder = office.worker.wants[call_id].folder
        first.hang_up(office.now)
        office.advance(86_400)
        second.register(office.now)
        office.settle()
        office.command(StartDial(call_id, "d2", DialTarget("extension", "1003"), 20))
        second.answer(office.now)
        office.settle()
        office.command(ConnectDial(call_id, "d2"))
        office.advance(5)
        assert call.state == "talking"
        assert office.worker.wants[call_id].folder == folder, "the writer adds a segment there"
        caller.hang_up(office.now)
        office.settle()
        done = office.cdrs(RecordingDone)
        assert {one.call_id for one in done} == {call_id}
        (cdr,) = office.cdrs(CdrCall)
        assert cdr.recording == call_id
        assert cdr.talk_s == pytest.approx(10, abs=0.01)
        office.assert_nothing_left()


class TestFlaws:
    """A mistake of ours ends the call in hand and no other."""

    def test_an_exception_in_one_call_ends_that_call(self, office, caplog):
        first, second = office.registered("1001"), office.registered("1002")
        mine, first_id = arrive(office, first)
        other, second_id = arrive(office, second)
        for call_id in (first_id, second_id):
            office.command(AnswerCall(call_id))

        def broken(*arguments, **options):
            raise RuntimeError("a flaw")

        office.exchange.switch._connector.play = broken
        office.command(StartPlay(first_id, "p1", ("a.wav",)))
        assert mine.state == "ended"
        assert other.state == "talking"
        assert first_id in caplog.text
        assert office.exchange.context.counters.flaws == 1
        (cdr,) = office.cdrs(CdrCall)
        assert (cdr.call_id, cdr.cause) == (first_id, "failure")
        office.command(HangUp(second_id))
        office.assert_nothing_left()

    def test_a_call_that_cannot_even_be_ended_is_taken_away(self, office, caplog):
        caller, callee = office.registered("1001"), office.registered("1002")
        call, call_id = talk(office, caller, callee)

        def broken(*arguments, **options):
            raise RuntimeError("a flaw")

        office.exchange.switch._connector.stop = broken
        office.exchange.switch._ender.release_dial = broken
        office.exchange.switch._connector.play = broken
        office.command(StartPlay(call_id, "p1", ("a.wav",)))
        assert call.state == callee.last.state == "ended"
        assert len(office.cdrs(CdrCall)) == 1
        assert len(office.cdrs(CdrLeg)) == 2
        office.assert_nothing_left()


class TestPhonesInUse:
    def test_a_phone_is_in_use_from_its_first_leg_to_its_last(self, office):
        caller, callee = office.registered("1001"), office.registered("1002")
        switch = office.exchange.switch
        caller.dial("1002", office.now)
        office.settle()
        assert set(switch.phones()) == {("1001", True), ("1002", True)}
        callee.answer(office.now)
        office.settle()
        assert switch.phones() == ()
        caller.hang_up(office.now)
        office.settle()
        assert set(switch.phones()) == {("1001", False), ("1002", False)}
        assert not switch.is_in_use("1001")

    def test_an_agents_leg_is_no_use_of_its_own(self, office):
        caller, _ = office.registered("1001"), office.registered("1002")
        _, call_id = arrive(office, caller)
        target = DialTarget("extension", "1002")
        office.command(StartDial(call_id, "d1", target, 20, agent_id="7"))
        assert not office.exchange.switch.is_in_use("1002")


class TestReboot:
    def test_no_call_goes_on_and_the_books_are_right(self, office, make_office):
        caller, callee = office.registered("1001"), office.registered("1002")
        talk(office, caller, callee)
        office.advance(10)
        other = make_office()
        for fact in office.facts:
            other.exchange.apply(fact)
        # Another boot: the wall clock went on for a minute, the monotonic clock began anew.
        other.clock = VirtualClock(5.0, office.clock.at() + timedelta(seconds=60))
        other.exchange.sip.resume(other.now)
        other.exchange.switch.resume(other.now, other.clock.at(), rebooted=True)
        other.settle()
        (cdr,) = other.cdrs(CdrCall)
        assert (cdr.cause, cdr.ended_by) == ("failure", "system")
        assert cdr.duration_s == pytest.approx(70, abs=0.1)
        assert cdr.talk_s == pytest.approx(70, abs=0.1)
        other.advance(5)
        assert len(other.cdrs(CdrLeg)) == 2
        assert not other.exchange.media.wants()
