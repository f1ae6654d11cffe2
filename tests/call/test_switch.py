"""Calls between phones and calls of flows through the switch, in virtual time."""

from __future__ import annotations

import msgspec
import pytest

from ccengine.call.record import InviteSent
from ccengine.journal.cdr import CdrCall, CdrLeg, RecordingDone
from ccengine.media.control import BridgeWant, RecordingWant
from ccengine.ports import (
    AnswerCall,
    CallAnswered,
    CallArrived,
    CallEnded,
    CancelDial,
    ConnectDial,
    DialAnswered,
    DialEnded,
    DialFailed,
    DialRinging,
    DialTarget,
    DigitReceived,
    HangUp,
    LabelCall,
    Party,
    PlayFinished,
    StartDial,
    StartPlay,
    StopPlay,
)


def arrive(office, phone, number="4001", **options):
    """A call for a flow: returns (phone's call, call_id)."""
    call = phone.dial(number, office.now, **options)
    office.settle()
    (event,) = office.take_events()
    assert isinstance(event, CallArrived)
    return call, event.call_id


def talk(office, caller, callee_number="1002", dial_id="d1"):
    """A flow's call that talks to an extension: returns (phone's call, call_id)."""
    call, call_id = arrive(office, caller)
    office.command(AnswerCall(call_id))
    office.command(StartDial(call_id, dial_id, DialTarget("extension", callee_number), 20))
    callee = next(p for p in office.phones.values() if p.user == callee_number)
    callee.answer(office.now)
    office.settle()
    office.command(ConnectDial(call_id, dial_id))
    office.take_events()
    return call, call_id


class TestDirectCalls:
    def test_two_extensions_talk_and_the_caller_hangs_up(self, office):
        caller, callee = office.registered("1001"), office.registered("1002")
        call = caller.dial("1002", office.now)
        office.settle()
        assert call.status == 180
        assert callee.last.state == "ringing"
        assert (callee.last.display, callee.last.number) == ("张伟", "1001")
        office.advance(3)
        callee.answer(office.now)
        office.settle()
        assert call.state == "talking"
        bridges = [w for w in office.worker.wants.values() if isinstance(w, BridgeWant)]
        assert len(bridges) == 1
        assert len(bridges[0].legs) == 2
        office.advance(10)
        caller.hang_up(office.now)
        office.settle()
        assert callee.last.state == "ended"
        (cdr,) = office.cdrs(CdrCall)
        assert cdr.cause == "normal"
        assert cdr.ended_by == "caller"
        assert cdr.talk_s == pytest.approx(10, abs=0.01)
        assert cdr.wait_s == pytest.approx(3, abs=0.01)
        assert cdr.duration_s == pytest.approx(13, abs=0.01)
        legs = office.cdrs(CdrLeg)
        assert {leg.role for leg in legs} == {"caller", "callee"}
        assert all(leg.packets_sent == 50 for leg in legs)
        assert all(leg.codec == "PCMA" for leg in legs)
        office.assert_nothing_left()

    def test_the_callee_hangs_up(self, office):
        caller, callee = office.registered("1001"), office.registered("1002")
        call = caller.dial("1002", office.now)
        office.settle()
        callee.answer(office.now)
        office.settle()
        callee.hang_up(office.now)
        office.settle()
        assert call.state == "ended"
        (cdr,) = office.cdrs(CdrCall)
        assert (cdr.cause, cdr.ended_by) == ("normal", "callee")
        office.assert_nothing_left()

    def test_the_caller_gives_up_while_it_rings(self, office):
        caller, callee = office.registered("1001"), office.registered("1002")
        call = caller.dial("1002", office.now)
        office.advance(2)
        caller.hang_up(office.now)
        office.settle()
        assert call.status == 487
        assert callee.last.state == "ended"
        (cdr,) = office.cdrs(CdrCall)
        assert cdr.cause == "cancelled"
        assert cdr.talk_s == 0
        office.assert_nothing_left()

    @pytest.mark.parametrize(
        ("policy", "status", "cause"), [("busy", 486, "busy"), ("dead", 480, "unreachable")]
    )
    def test_a_phone_that_cannot_take_the_call(self, office, policy, status, cause):
        caller, callee = office.registered("1001"), office.registered("1002")
        callee.policy = policy
        call = caller.dial("1002", office.now)
        office.advance(40)
        assert call.state == "ended"
        assert call.status in {status, 408}
        (cdr,) = office.cdrs(CdrCall)
        assert cdr.cause == cause
        office.assert_nothing_left()

    def test_nobody_answers(self, make_office):
        office = make_office(ring_timeout_s=25)
        caller, callee = office.registered("1001"), office.registered("1002")
        call = caller.dial("1002", office.now)
        office.advance(26)
        assert (call.state, call.status) == ("ended", 408)
        assert callee.last.state == "ended"
        assert office.cdrs(CdrCall)[0].cause == "no_answer"
        office.assert_nothing_left()

    def test_an_extension_without_phone_is_unreachable(self, office):
        caller = office.registered("1001")
        call = caller.dial("1003", office.now)
        office.settle()
        assert (call.state, call.status) == ("ended", 480)
        office.assert_nothing_left()

    def test_every_phone_of_an_extension_rings_and_the_first_answer_wins(self, office):
        caller = office.registered("1001")
        desk, mobile = office.registered("1002"), office.registered("1002")
        call = caller.dial("1002", office.now)
        office.settle()
        assert desk.last.state == mobile.last.state == "ringing"
        mobile.answer(office.now)
        office.settle()
        assert call.state == "talking"
        assert desk.last.state == "ended"
        caller.hang_up(office.now)
        office.settle()
        assert len(office.cdrs(CdrCall)) == 1
        assert len(office.cdrs(CdrLeg)) == 3
        office.assert_nothing_left()

    def test_busy_on_one_phone_leaves_the_other_ringing(self, office):
        caller = office.registered("1001")
        desk, mobile = office.registered("1002"), office.registered("1002")
        desk.policy = "busy"
        call = caller.dial("1002", office.now)
        office.settle()
        assert call.status == 180
        mobile.answer(office.now)
        office.settle()
        assert call.state == "talking"
        caller.hang_up(office.now)
        office.assert_nothing_left()

    def test_an_offerless_invite_is_offered_and_connected(self, office):
        caller, callee = office.registered("1001"), office.registered("1002")
        call = caller.dial("1002", office.now, offer=False)
        office.settle()
        callee.answer(office.now)
        office.settle()
        assert call.state == "talking"
        assert len(office.worker.legs) == 2
        assert any(isinstance(w, BridgeWant) for w in office.worker.wants.values())
        caller.hang_up(office.now)
        office.assert_nothing_left()

    def test_hold_and_resume_change_the_directions(self, office):
        caller, callee = office.registered("1001"), office.registered("1002")
        call = caller.dial("1002", office.now)
        office.settle()
        callee.answer(office.now)
        office.settle()
        leg_id = next(
            leg.leg_id for leg in office.exchange.switch.state.legs.values() if leg.role == "caller"
        )
        caller.hold(office.now)
        office.settle()
        assert not office.worker.legs[leg_id].send
        assert office.worker.legs[leg_id].receive
        caller.hold(office.now, resume=True)
        office.settle()
        assert office.worker.legs[leg_id].send
        assert call.history.count("Accepted") == 3
        caller.hang_up(office.now)
        office.assert_nothing_left()


class TestWhoMayCall:
    def test_a_wrong_password_is_refused(self, office):
        stranger = office.phone("1001", password="guess")
        call = stranger.dial("4001", office.now)
        office.settle()
        assert (call.state, call.status) == ("ended", 403)
        assert not office.take_events()

    def test_without_password_there_is_a_challenge_and_no_call(self, office):
        stranger = office.phone("1001")
        call = stranger.dial("4001", office.now)
        office.settle()
        assert (call.state, call.status) == ("ended", 407)
        office.assert_nothing_left()

    def test_a_trusted_network_calls_without_password(self, make_office):
        office = make_office(trusted=("192.0.2.0/24",))
        gateway = office.phone("13800138000")
        _, call_id = arrive(office, gateway)
        call = office.exchange.switch.state.calls[call_id]
        assert call.caller == Party("13800138000", "13800138000")
        assert call.extension == ""

    def test_a_phone_cannot_register_another_number(self, office):
        phone = office.phone("1001", password="pw1001")
        phone.user = "1002"
        phone.register(office.now)
        office.settle()
        assert phone.registered == 403

    def test_an_unknown_number_is_not_found(self, office):
        caller = office.registered("1001")
        call = caller.dial("999", office.now)
        office.settle()
        assert call.status == 404
        office.assert_nothing_left()


class TestCallPort:
    def test_answer_play_digits_and_hang_up(self, office):
        caller = office.registered("1001")
        call, call_id = arrive(office, caller)
        office.command(AnswerCall(call_id))
        assert call.state == "talking"
        assert office.take_events() == [CallAnswered(call_id)]
        office.command(StartPlay(call_id, "p1", ("a.wav", "b.wav")))
        (leg_id,) = office.worker.legs
        assert office.worker.plays["p1"].files == ("a.wav", "b.wav")
        office.worker.press(leg_id, "5")
        office.worker.finish_play("p1")
        office.settle()
        assert office.take_events() == [
            DigitReceived(call_id, "5"),
            PlayFinished(call_id, "p1", "done"),
        ]
        office.command(HangUp(call_id))
        assert call.state == "ended"
        assert office.take_events() == [CallEnded(call_id, "normal", "system")]
        office.assert_nothing_left()

    def test_a_new_play_replaces_the_old_one(self, office):
        _, call_id = arrive(office, office.registered("1001"))
        office.command(AnswerCall(call_id))
        office.command(StartPlay(call_id, "p1", ("a.wav",), loop=True))
        office.command(StartPlay(call_id, "p2", ("b.wav",)))
        assert set(office.worker.plays) == {"p2"}
        assert PlayFinished(call_id, "p1", "stopped") in office.take_events()
        office.command(StopPlay(call_id, "p2"))
        assert not office.worker.plays
        assert not office.take_events()

    def test_a_file_that_cannot_be_played_is_told(self, office):
        _, call_id = arrive(office, office.registered("1001"))
        office.command(AnswerCall(call_id))
        office.command(StartPlay(call_id, "p1", ("missing.wav",)))
        office.worker.finish_play("p1", error="missing.wav: no such file")
        office.settle()
        assert office.take_events()[-1] == PlayFinished(call_id, "p1", "failed")

    def test_playing_before_the_answer_is_early_media(self, office):
        caller = office.registered("1001")
        call, call_id = arrive(office, caller)
        office.command(StartPlay(call_id, "p1", ("a.wav",)))
        assert call.status == 183
        assert set(office.worker.plays) == {"p1"}
        office.command(AnswerCall(call_id))
        assert call.state == "talking"
        assert set(office.worker.plays) == {"p1"}
        office.command(HangUp(call_id))
        office.assert_nothing_left()

    def test_dial_connect_and_the_other_side_leaves(self, office):
        caller, callee = office.registered("1001"), office.registered("1002")
        _, call_id = arrive(office, caller)
        office.command(AnswerCall(call_id))
        office.take_events()
        office.command(
            StartDial(
                call_id,
                "d1",
                DialTarget("extension", "1002"),
                20,
                display=Party("13800138000", "王芳"),
                agent_id="7",
            )
        )
        assert office.take_events() == [DialRinging(call_id, "d1")]
        assert (callee.last.display, callee.last.number) == ("王芳", "13800138000")
        callee.answer(office.now)
        office.settle()
        assert office.take_events() == [DialAnswered(call_id, "d1")]
        office.command(ConnectDial(call_id, "d1"))
        recording = next(w for w in office.worker.wants.values() if isinstance(w, RecordingWant))
        caller_leg = office.exchange.switch.state.calls[call_id].caller_leg
        assert recording.left == caller_leg
        office.advance(5)
        callee.hang_up(office.now)
        office.settle()
        assert office.take_events() == [DialEnded(call_id, "d1", "normal")]
        assert not any(isinstance(w, BridgeWant) for w in office.worker.wants.values())
        office.command(HangUp(call_id))
        (cdr,) = office.cdrs(CdrCall)
        assert (cdr.ended_by, cdr.agent_id) == ("callee", "7")
        assert cdr.talk_s == pytest.approx(5, abs=0.01)
        (done,) = office.cdrs(RecordingDone)
        assert done.call_id == call_id
        assert cdr.recording == done.recording_id
        office.assert_nothing_left()

    def test_a_cancelled_dial_tells_nothing_and_a_late_answer_reaches_nobody(self, office):
        caller, callee = office.registered("1001"), office.registered("1002")
        _, call_id = arrive(office, caller)
        office.command(AnswerCall(call_id))
        office.take_events()
        office.command(StartDial(call_id, "d1", DialTarget("extension", "1002"), 20))
        office.take_events()
        # the answer and the cancellation cross on the wire
        callee.answer(office.now)
        office.exchange.switch.command(CancelDial(call_id, "d1"), office.now, office.clock.at())
        office.settle()
        assert office.take_events() == []
        assert callee.last.state == "ended"
        office.command(HangUp(call_id))
        office.assert_nothing_left()

    @pytest.mark.parametrize(("policy", "cause"), [("busy", "busy"), ("dead", "unreachable")])
    def test_a_dial_that_fails_is_told_once(self, office, policy, cause):
        caller, callee = office.registered("1001"), office.registered("1002")
        callee.policy = policy
        _, call_id = arrive(office, caller)
        office.command(AnswerCall(call_id))
        office.take_events()
        office.command(StartDial(call_id, "d1", DialTarget("extension", "1002"), 10))
        office.advance(40)
        (event,) = office.take_events()
        assert isinstance(event, DialFailed)
        assert event.cause == cause
        office.command(HangUp(call_id))
        office.assert_nothing_left()

    def test_a_phone_that_vanishes_ends_the_call_with_its_cause(self, office):
        caller, _callee = office.registered("1001"), office.registered("1002")
        call, call_id = talk(office, caller)
        leg_id = office.exchange.switch.state.calls[call_id].caller_leg
        office.worker.lose_rtp(leg_id)
        office.settle()
        assert call.state == "ended"
        assert office.cdrs(CdrCall)[0].cause == "media_lost"
        office.assert_nothing_left()

    def test_labels_stand_in_the_record(self, office):
        _, call_id = arrive(office, office.registered("1001"))
        office.command(LabelCall(call_id, queue="sales"))
        office.command(LabelCall(call_id, customer_id="9", customer_name="王芳"))
        office.command(HangUp(call_id))
        (cdr,) = office.cdrs(CdrCall)
        assert (cdr.queue, cdr.customer_id, cdr.customer_name) == ("sales", "9", "王芳")

    def test_commands_for_calls_that_are_over_are_ignored(self, office):
        _, call_id = arrive(office, office.registered("1001"))
        office.command(HangUp(call_id))
        for command in (AnswerCall(call_id), StopPlay(call_id, "x"), HangUp(call_id)):
            office.command(command)
        assert len(office.cdrs(CdrCall)) == 1

    def test_recording_from_the_answer(self, make_office):
        office = make_office(recording_mode="answer")
        _, call_id = arrive(office, office.registered("1001"))
        office.command(AnswerCall(call_id))
        assert any(isinstance(w, RecordingWant) for w in office.worker.wants.values())
        office.command(HangUp(call_id))
        assert len(office.cdrs(RecordingDone)) == 1


class TestLimits:
    def test_no_free_port_means_503_and_retry_after(self, make_office):
        office = make_office(ports=0)
        caller = office.registered("1001")
        call = caller.dial("4001", office.now)
        office.settle()
        assert call.status == 503
        office.assert_nothing_left()

    def test_the_last_port_is_taken_between_arrival_and_dial(self, make_office):
        office = make_office(ports=1)
        caller, _ = office.registered("1001"), office.registered("1002")
        _, call_id = arrive(office, caller)
        office.command(AnswerCall(call_id))
        office.take_events()
        office.command(StartDial(call_id, "d1", DialTarget("extension", "1002"), 10))
        (event,) = office.take_events()
        assert (event.cause, event.status) == ("congestion", 503)
        office.command(HangUp(call_id))
        office.assert_nothing_left()

    def test_while_draining_new_calls_are_refused_and_old_ones_go_on(self, office):
        caller, _ = office.registered("1001"), office.registered("1002")
        call, _ = talk(office, caller)
        office.exchange.switch.stop_accepting()
        late = office.registered("1003")
        second = late.dial("4001", office.now)
        office.settle()
        assert second.status == 503
        assert call.state == "talking"

    def test_a_worker_that_never_sends_its_counts_delays_the_record_only(self, office):
        caller = office.registered("1001")
        _, call_id = arrive(office, caller)
        office.command(AnswerCall(call_id))
        office.worker.receive = lambda data: None  # the worker is gone
        office.command(HangUp(call_id))
        assert len(office.cdrs(CdrCall)) == 1
        assert len(office.cdrs(CdrLeg)) == 0
        office.advance(4)
        assert len(office.cdrs(CdrLeg)) == 1


class TestReplay:
    def replayed(self, office, make_office):
        other = make_office()
        for fact in office.facts:
            data = msgspec.msgpack.encode(fact)
            other.exchange.apply(msgspec.msgpack.decode(data, type=type(fact)))
        return other

    def test_replay_gives_the_same_state_at_every_moment(self, office, make_office):
        caller, _ = office.registered("1001"), office.registered("1002")
        _, call_id = talk(office, caller)
        copy = self.replayed(office, make_office)
        assert copy.exchange.switch.state.calls == office.exchange.switch.state.calls
        assert copy.exchange.switch.state.legs == office.exchange.switch.state.legs
        assert copy.exchange.media.wants() == office.exchange.media.wants()
        office.command(HangUp(call_id))
        office.advance(40)
        copy = self.replayed(office, make_office)
        assert not copy.exchange.switch.state.calls
        assert not copy.exchange.switch.state.legs

    def test_after_a_takeover_bye_works_and_there_is_exactly_one_record(self, office, make_office):
        caller, callee = office.registered("1001"), office.registered("1002")
        call, _ = talk(office, caller)
        successor = self.replayed(office, make_office)
        successor.phones, successor.worker = office.phones, office.worker
        successor.workers = office.workers
        successor.clock = office.clock
        successor.exchange.sip.resume(office.now)
        successor.exchange.switch.resume(office.now, office.clock.at())
        successor.exchange.media.attach("m0", 2)
        successor.settle()
        before = dict(office.worker.wants)
        assert office.worker.wants == before, "attaching changes nothing that goes on"
        caller.hang_up(successor.now)
        successor.settle()
        assert call.state == callee.last.state == "ended"
        assert len(successor.cdrs(CdrCall)) == 1
        successor.assert_nothing_left()

    def take_over(self, office, make_office):
        successor = self.replayed(office, make_office)
        successor.clock, successor.phones = office.clock, office.phones
        successor.worker, successor.workers = office.worker, office.workers
        successor.exchange.sip.resume(office.now)
        successor.exchange.switch.resume(office.now, office.clock.at())
        successor.exchange.media.attach("m0", 2)
        successor.settle()
        return successor

    def test_a_phone_that_was_ringing_rings_on_and_is_connected(self, office, make_office):
        caller, callee = office.registered("1001"), office.registered("1002")
        call, call_id = arrive(office, caller)
        office.command(AnswerCall(call_id))
        start = StartDial(call_id, "d1", DialTarget("extension", "1002"), 20)
        office.command(start)
        successor = self.take_over(office, make_office)
        successor.command(start)
        assert successor.take_events() == [], "it goes on by itself"
        assert len(callee.calls) == 1
        callee.answer(successor.now)
        successor.settle()
        assert successor.take_events() == [DialAnswered(call_id, "d1")]
        successor.command(start)
        assert successor.take_events() == [DialAnswered(call_id, "d1")], "said once more"
        successor.command(ConnectDial(call_id, "d1"))
        assert callee.last.state == call.state == "talking"
        caller.hang_up(successor.now)
        successor.settle()
        assert callee.last.state == "ended"
        successor.assert_nothing_left()

    def test_a_phone_that_was_ringing_can_be_cancelled_afterwards(self, office, make_office):
        caller, callee = office.registered("1001"), office.registered("1002")
        _, call_id = arrive(office, caller)
        office.command(AnswerCall(call_id))
        office.command(StartDial(call_id, "d1", DialTarget("extension", "1002"), 20))
        successor = self.take_over(office, make_office)
        successor.advance(21)
        (event,) = successor.take_events()
        assert (event.dial_id, event.cause) == ("d1", "no_answer")
        assert callee.last.state == "ended"
        successor.command(HangUp(call_id))
        successor.assert_nothing_left()

    def test_the_phone_of_a_caller_who_is_lost_stops_ringing(self, office, make_office):
        caller, callee = office.registered("1001"), office.registered("1002")
        caller.dial("1002", office.now)
        office.settle()
        assert callee.last.state == "ringing"
        successor = self.take_over(office, make_office)
        assert callee.last.state == "ended"
        (cdr,) = successor.cdrs(CdrCall)
        assert cdr.cause == "failure"
        successor.assert_nothing_left()

    def test_a_phone_whose_dialling_is_not_known_is_forgotten(self, office, make_office):
        caller, _ = office.registered("1001"), office.registered("1002")
        _, call_id = arrive(office, caller)
        office.command(AnswerCall(call_id))
        start = StartDial(call_id, "d1", DialTarget("extension", "1002"), 20)
        office.command(start)
        office.facts = [one for one in office.facts if type(one) is not InviteSent]
        successor = self.take_over(office, make_office)
        assert successor.take_events() == []
        successor.command(start)
        assert successor.take_events() == [DialRinging(call_id, "d1")]
