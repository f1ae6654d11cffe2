"""The call centre when things go wrong or happen at once."""

from __future__ import annotations

import msgspec
import pytest

from ccengine.center.record import SessionSet
from ccengine.dialplan.interpreter import Interpreter
from ccengine.journal.cdr import CdrCall
from ccengine.media.control import RecordingWant
from ccengine.ports import CallAnswered, CallEnded, SetAgentState


def act(centre, action, agent="2001", **options):
    centre.core.machines.center.act_on_agent(
        SetAgentState("", "", action, agent), centre.now, centre.clock.at(), **options
    )
    centre.settle()


def raising(*arguments, **options):
    raise KeyError("a flaw")


def failing_for(call_id, method):
    def wrapped(self, *arguments):
        if self.place().call.call_id == call_id:
            raise KeyError("a flaw")
        return method(self, *arguments)

    return wrapped


class TestPhoneInUse:
    def test_an_agent_in_a_call_of_his_own_is_not_offered_calls(self, centre):
        agent = centre.agent_signs_in("1001")
        friend = centre.registered("1005")
        agent.dial("1005", centre.now)
        centre.settle()
        assert centre.agent_state("2001") == ("NotReady", "on_phone")
        friend.answer(centre.now)
        centre.settle()
        centre.to_queue("1006")
        centre.advance(30)
        assert agent.last.state == "talking"
        assert len(agent.calls) == 2, "the sign-in and the call to the friend"
        friend.hang_up(centre.now)
        centre.settle()
        assert centre.agent_state("2001")[0] == "Reserved"
        assert agent.last.state == "ringing"

    def test_somebody_calls_the_agent(self, centre):
        agent = centre.agent_signs_in("1001")
        friend = centre.registered("1005")
        friend.dial("1001", centre.now)
        centre.settle()
        assert centre.agent_state("2001") == ("NotReady", "on_phone")
        friend.hang_up(centre.now)
        centre.settle()
        assert agent.last.state == "ended"
        assert centre.agent_state("2001") == ("Ready", "")

    def test_signing_in_by_command_line_during_a_call(self, centre):
        phone, friend = centre.registered("1001"), centre.registered("1005")
        phone.dial("1005", centre.now)
        centre.settle()
        act(centre, "sign_in")
        assert centre.agent_state("2001") == ("NotReady", "on_phone")
        friend.reject(486, centre.now)
        centre.settle()
        assert centre.agent_state("2001") == ("Ready", "")

    def test_calls_of_the_queue_are_no_use_of_its_own(self, centre):
        agent = centre.agent_signs_in("1001")
        centre.to_queue("1006")
        agent.answer(centre.now)
        centre.settle()
        assert centre.agent_state("2001")[0] == "Talking"
        agent.hang_up(centre.now)
        centre.advance(6)
        assert centre.agent_state("2001") == ("Ready", "")

    def test_a_takeover_in_the_middle(self, centre):
        agent = centre.agent_signs_in("1001")
        friend = centre.registered("1005")
        agent.dial("1005", centre.now)
        centre.settle()
        friend.answer(centre.now)
        centre.settle()
        successor = centre.take_over()
        assert successor.agent_state("2001") == ("NotReady", "on_phone")
        friend.hang_up(successor.now)
        successor.settle()
        assert successor.agent_state("2001") == ("Ready", "")


class TestQueueNumber:
    def test_a_caller_without_offer_hears_the_music(self, centre):
        phone = centre.registered("1006")
        call = phone.dial("4002", centre.now, offer=False)
        centre.settle()
        assert call.state == "talking"
        assert centre.playing
        phone.hang_up(centre.now)
        centre.assert_nothing_left()

    def test_a_takeover_between_answer_and_queue(self, centre):
        phone = centre.registered("1006")
        center = centre.core.machines.center
        receive = center.receive

        def deaf(event, now, at):
            if not isinstance(event, CallAnswered):
                receive(event, now, at)

        center.receive = deaf
        call = phone.dial("4002", centre.now)
        centre.settle()
        assert not centre.core.machines.acd.queue("sales", centre.now).waiting
        successor = centre.take_over()
        assert successor.core.machines.acd.queue("sales", successor.now).waiting == 1
        phone.hang_up(successor.now)
        successor.settle()
        assert call.state == "ended"
        successor.assert_nothing_left()


class TestRecording:
    def test_two_agents_one_after_the_other_are_one_recording(self, centre):
        first = centre.agent_signs_in("1001")
        caller, _ = centre.to_queue("1006")
        first.answer(centre.now)
        centre.advance(5)
        recordings = [w for w in centre.worker.wants.values() if isinstance(w, RecordingWant)]
        assert len(recordings) == 1
        caller.hang_up(centre.now)
        centre.settle()
        (cdr,) = [one for one in centre.facts_of(CdrCall) if one.agent_id]
        assert cdr.recording == cdr.call_id
        centre.assert_nothing_left()


class TestFlaws:
    def test_a_flaw_in_one_flow_ends_that_call_alone(self, centre, monkeypatch):
        good, bad = centre.registered("1006"), centre.registered("1005")
        mine = good.dial("4001", centre.now)
        centre.advance(1)
        theirs = bad.dial("4001", centre.now)
        centre.advance(1)
        center = centre.core.machines.center
        call_id = next(
            s.call_id for s in center.state.sessions.values() if s.arrived.caller.number == "1005"
        )
        monkeypatch.setattr(Interpreter, "receive", failing_for(call_id, Interpreter.receive))
        centre.finish_plays()
        assert theirs.state == "ended"
        assert mine.state == "talking"
        assert set(center.state.sessions) == {
            s.call_id for s in center.state.sessions.values() if s.arrived.caller.number == "1006"
        }
        good.hang_up(centre.now)
        centre.assert_nothing_left()

    def test_a_flaw_at_a_deadline_ends_that_call_and_wakes_the_others(self, centre, monkeypatch):
        good, bad = centre.registered("1006"), centre.registered("1005")
        mine = good.dial("4001", centre.now)
        theirs = bad.dial("4001", centre.now)
        centre.advance(1)
        centre.finish_plays()
        centre.finish_plays()  # the menu has been heard: both wait for a key
        center = centre.core.machines.center
        call_id = next(
            s.call_id for s in center.state.sessions.values() if s.arrived.caller.number == "1005"
        )
        wake = failing_for(call_id, Interpreter.handle_timeout)
        monkeypatch.setattr(Interpreter, "handle_timeout", wake)
        centre.advance(6)
        assert theirs.state == "ended"
        assert mine.state == "talking"
        assert centre.playing, "the other caller is asked again"

    def test_a_flaw_in_an_offer_ends_the_call_and_frees_the_agent(self, centre):
        agent = centre.agent_signs_in("1001")
        queues = centre.core.machines.center._queues
        offer, queues.offer = queues.offer, raising
        _, call = centre.to_queue("1006")
        assert call.state == "ended"
        queues.offer = offer
        assert centre.agent_state("2001")[0] == "Ready"
        centre.to_queue("1005")
        assert agent.last.state == "ringing"

    def test_a_flaw_in_the_sip_stack_drops_one_message(self, centre):
        sip = centre.core.machines.sip
        receive, sip.receive = sip.receive, raising
        centre.core.sip_message(b"OPTIONS sip:x SIP/2.0\r\n\r\n", None, centre.now)
        sip.receive = receive
        assert centre.core.flaws == 1
        assert centre.registered("1006")

    def test_a_timer_that_fails_does_not_stop_the_clock(self, centre):
        registrar = centre.core.machines.registrar
        registrar.handle_timeout = raising
        phone = centre.registered("1006")
        call = phone.dial("4001", centre.now)
        centre.core.handle_timeout(centre.now, centre.clock.at())
        centre.settle()
        assert call.state == "talking"


class TestQuarantine:
    def test_a_fact_that_cannot_be_applied_leaves_its_stream_behind(self, centre):
        phone = centre.registered("1006")
        phone.dial("4001", centre.now)
        centre.advance(1)
        facts = list(centre.facts)
        other = type(centre)(centre.config, seed=99)
        center = other.core.machines.center
        apply, center.apply = center.apply, raising
        other.core._appliers[SessionSet] = raising
        for fact in facts:
            assert other.core.apply(fact)
        center.apply = apply
        assert other.core.quarantined
        assert other.core.machines.switch.state.calls, "other streams are replayed"

    def test_a_session_without_call_is_forgotten(self, centre):
        phone = centre.registered("1006")
        phone.dial("4001", centre.now)
        centre.advance(1)
        other = type(centre)(centre.config, seed=99)
        other.clock, other.phones = centre.clock, centre.phones
        other.worker, other.workers = centre.worker, centre.workers
        for fact in centre.facts:
            if fact.FACT[0] not in {"call.set"}:
                other.core.apply(msgspec.convert(fact, type(fact)))
        other.core.resume(other.now, other.clock.at(), "boot")
        other.open()
        assert not other.core.machines.center.state.sessions
        other.assert_nothing_left()


class TestEveryMoment:
    """A takeover at any moment of a call leaves nothing behind, and exactly one record."""

    @pytest.mark.parametrize("moment", range(7))
    def test_takeover(self, centre, moment):
        deeds = [
            lambda c, a, p: None,
            lambda c, a, p: c.finish_plays(),
            lambda c, a, p: c.press(p, "1"),
            lambda c, a, p: c.finish_plays(),
            lambda c, a, p: (a.answer(c.now), c.settle()),
            lambda c, a, p: c.advance(5),
            lambda c, a, p: (a.hang_up(c.now), c.settle()),
        ]
        agent = centre.agent_signs_in("1001")
        phone = centre.registered("1006")
        call = phone.dial("4001", centre.now)
        centre.advance(1)
        for deed in deeds[: moment + 1]:
            deed(centre, agent, phone)
        successor = centre.take_over()
        assert len(agent.calls) <= 2, "the phone rings but once"
        for deed in deeds[moment + 1 :]:
            deed(successor, agent, phone)
        if call.state != "ended":
            successor.finish_plays()
        phone.hang_up(successor.now)
        successor.settle()
        assert call.state == "ended"
        before = [one for one in centre.facts_of(CdrCall) if one.number == "4001"]
        after = [one for one in successor.facts_of(CdrCall) if one.number == "4001"]
        assert len(before) + len(after) == 1
        successor.assert_nothing_left()


def test_events_of_unknown_calls_are_ignored(centre):
    center = centre.core.machines.center
    center.receive(CallEnded("nobody", "normal"), centre.now, centre.clock.at())
    center.receive(CallAnswered("nobody"), centre.now, centre.clock.at())
    assert not center.state.sessions


class TestWorkersAfterTakeover:
    def test_flows_and_queues_wait_for_the_worker_that_has_their_calls(self, centre):
        caller, _ = centre.to_queue("1006")
        successor = centre.replayed()
        successor.core.resume(successor.now, successor.clock.at(), "boot")
        agent = successor.registered("1001")
        assert not successor.core.machines.center._sessions.running
        successor.open()
        assert successor.core.machines.center._sessions.running
        successor.feature_code(agent, "*11")
        assert agent.last.state == "ringing"
        caller.hang_up(successor.now)
        successor.assert_nothing_left()

    def test_they_wait_for_a_dead_worker_no_longer_than_a_second(self, centre):
        centre.to_queue("1006")
        successor = centre.replayed()
        successor.core.resume(successor.now, successor.clock.at(), "boot")
        successor.advance(1.1)
        assert successor.core.machines.center._sessions.running


class TestSecrets:
    def test_a_pin_is_in_no_fact(self, centre):
        phone = centre.registered("1006")
        phone.dial("*11", centre.now)
        centre.settle()
        centre.press(phone, "2006#")
        for digit in "1006#":  # each key in a drain of its own
            centre.press(phone, digit)
        centre.finish_plays()
        assert centre.agent_state("2006")[0] == "Ready"
        places = [
            place
            for fact in centre.facts_of(SessionSet)
            if (place := fact.record.place) is not None
        ]
        assert any(place.variables["agent_number"] == "2006" for place in places)
        for place in places:
            assert place.variables["agent_pin"] == ""
            assert "1006" not in (place.digits, place.variables["digits"])
            assert "_entered" not in place.local

    def test_a_pin_that_was_half_entered_is_asked_for_again_after_a_takeover(self, centre):
        phone = centre.registered("1006")
        phone.dial("*11", centre.now)
        centre.settle()
        centre.press(phone, "2006#")
        centre.press(phone, "10")
        successor = centre.take_over()
        assert successor.playing == ["zh/enter_pin"]
        successor.press(phone, "1006#")
        successor.finish_plays()
        assert successor.agent_state("2006")[0] == "Ready"
