"""The call centre of the sample configuration, from ring to record, in virtual time."""

from __future__ import annotations

import pytest

from ccengine.journal.cdr import CdrCall, CdrLeg
from ccengine.media.control import BridgeWant, RecordingWant
from ccengine.ports import SetAgentState

MENU_ZH, MENU_EN = (
    [f"{language}/main_menu", f"{language}/press_nine_for_other_language"]
    for language in ("zh", "en")
)


class TestFlow:
    def test_a_caller_hears_the_greeting_and_the_menu_in_mandarin(self, centre):
        phone = centre.registered("1006")
        call = phone.dial("4001", centre.now)
        centre.advance(1)
        assert call.state == "talking"
        assert centre.playing == ["zh/greeting"]
        centre.finish_plays()
        assert centre.playing == MENU_ZH

    def test_nine_leads_to_the_menu_in_english(self, centre):
        phone = centre.registered("1006")
        phone.dial("4001", centre.now)
        centre.advance(1)
        centre.finish_plays()
        centre.press(phone, "9")
        assert centre.playing == MENU_EN

    def test_a_missing_prompt_is_passed_over(self, centre):
        centre.prompts.missing.add("greeting")
        phone = centre.registered("1006")
        phone.dial("4001", centre.now)
        centre.advance(1)
        assert centre.playing == MENU_ZH

    def test_who_says_nothing_is_sent_home(self, centre):
        phone = centre.registered("1006")
        call = phone.dial("4001", centre.now)
        for _ in range(12):
            centre.advance(6)
            centre.finish_plays()
        assert call.state == "ended"
        centre.assert_nothing_left()

    def test_an_order_number_is_read_back(self, centre):
        phone = centre.registered("1006")
        phone.dial("4001", centre.now)
        centre.advance(1)
        centre.finish_plays()
        centre.press(phone, "3")
        centre.press(phone, "20261105#")
        centre.finish_plays()
        assert centre.playing[:3] == ["zh/digit_2", "zh/digit_0", "zh/digit_2"]


class TestQueue:
    def test_from_menu_through_queue_to_agent_and_record(self, centre):
        agent = centre.agent_signs_in("1001")
        assert centre.agent_state("2001") == ("Ready", "")
        caller, _ = centre.to_queue("1006")
        assert agent.last.state == "ringing"
        assert centre.agent_state("2001")[0] == "Reserved"
        centre.advance(4)
        agent.answer(centre.now)
        centre.settle()
        assert centre.agent_state("2001")[0] == "Talking"
        assert any(isinstance(want, BridgeWant) for want in centre.worker.wants.values())
        assert any(isinstance(want, RecordingWant) for want in centre.worker.wants.values())
        assert not centre.playing
        centre.advance(20)
        caller.hang_up(centre.now)
        centre.settle()
        assert agent.last.state == "ended"
        assert centre.agent_state("2001")[0] == "WrapUp"
        centre.advance(6)
        assert centre.agent_state("2001")[0] == "Ready"
        cdr = centre.facts_of(CdrCall)[-1]
        assert (cdr.queue, cdr.agent_id, cdr.cause) == ("sales", "2001", "normal")
        assert cdr.talk_s == pytest.approx(20, abs=0.1)
        assert cdr.recording == cdr.call_id
        centre.assert_nothing_left()

    def test_without_agents_the_caller_waits_with_music_and_gets_the_first_who_is_ready(
        self, centre
    ):
        _, call = centre.to_queue("1006")
        assert centre.playing == ["zh/all_agents_busy"]
        centre.finish_plays()
        assert centre.playing == ["zh/music_on_hold"]
        agent = centre.agent_signs_in("1001")
        assert agent.last.state == "ringing"
        agent.answer(centre.now)
        centre.settle()
        assert call.state == "talking"
        assert not centre.playing
        agent.hang_up(centre.now)
        centre.settle()
        assert centre.playing == ["zh/goodbye"]
        centre.finish_plays()
        assert call.state == "ended"
        cdr = centre.facts_of(CdrCall)[-1]
        assert cdr.agent_id == "2001"
        centre.assert_nothing_left()

    def test_the_caller_hangs_up_while_the_agents_phone_rings(self, centre):
        agent = centre.agent_signs_in("1001")
        caller, _ = centre.to_queue("1006")
        caller.hang_up(centre.now)
        centre.settle()
        assert agent.last.state == "ended"
        assert centre.agent_state("2001") == ("Ready", "")
        centre.assert_nothing_left()

    def test_an_agent_who_does_not_answer_goes_away_and_the_next_one_rings(self, centre):
        first, second = centre.agent_signs_in("1001"), centre.agent_signs_in("1002")
        centre.to_queue("1006")
        assert first.last.state == "ringing"
        assert second.last.state == "ended"
        centre.advance(21)
        assert centre.agent_state("2001") == ("NotReady", "rona")
        assert first.last.state == "ended"
        assert second.last.state == "ringing"
        second.answer(centre.now)
        centre.settle()
        assert centre.agent_state("2002")[0] == "Talking"

    def test_a_dead_phone_does_not_hold_the_caller(self, centre):
        first, second = centre.agent_signs_in("1001"), centre.agent_signs_in("1002")
        first.policy = "dead"
        centre.to_queue("1006")
        centre.advance(12)
        assert centre.agent_state("2001")[0] == "NotReady"
        assert second.last.state == "ringing"

    def test_the_caller_leaves_by_key_and_is_back_in_the_menu(self, centre):
        caller, _ = centre.to_queue("1006")
        centre.finish_plays()
        centre.press(caller, "#")
        assert centre.playing == MENU_ZH

    def test_waiting_too_long_ends_with_a_word(self, centre):
        _, call = centre.to_queue("1006")
        for _ in range(40):
            centre.advance(10)
            centre.finish_plays()
        assert call.state == "ended"
        centre.assert_nothing_left()

    def test_a_number_that_is_a_queue(self, centre):
        agent = centre.agent_signs_in("1001")
        phone = centre.registered("1006")
        call = phone.dial("4002", centre.now)
        centre.settle()
        assert agent.last.state == "ringing"
        agent.answer(centre.now)
        centre.settle()
        agent.hang_up(centre.now)
        centre.settle()
        assert call.state == "ended"
        centre.assert_nothing_left()

    def test_the_customers_name_is_on_the_agents_phone_and_in_the_record(self, centre):
        centre.customers["1006"] = ("77", "王芳女士")
        caller, _ = centre.to_queue("1006")
        agent = centre.agent_signs_in("1001")
        assert agent.last.display == "王芳女士"
        agent.answer(centre.now)
        centre.settle()
        caller.hang_up(centre.now)
        centre.settle()
        cdr = centre.facts_of(CdrCall)[-1]
        assert (cdr.customer_id, cdr.customer_name) == ("77", "王芳女士")

    def test_an_agent_who_is_free_at_once_sees_the_name_as_well(self, centre):
        centre.customers["1006"] = ("77", "王芳女士")
        agent = centre.agent_signs_in("1001")
        centre.registered("1006").dial("4002", centre.now)
        centre.settle()
        assert (agent.last.state, agent.last.display) == ("ringing", "王芳女士")

    def test_a_slow_plugin_delays_the_agents_phone_by_its_deadline_and_no_more(self, centre):
        centre.plugin_is_slow = True
        agent = centre.agent_signs_in("1001")
        calls = len(agent.calls)
        centre.registered("1006").dial("4002", centre.now)
        centre.advance(0.5)
        assert len(agent.calls) == calls
        assert centre.agent_state("2001")[0] == "Reserved"
        centre.advance(0.2)
        assert (agent.last.state, agent.last.display) == ("ringing", "Visitor")

    @pytest.mark.parametrize("who", ["caller", "agent"])
    def test_who_leaves_while_the_name_is_awaited_leaves_nothing_behind(self, centre, who):
        centre.plugin_is_slow = True
        agent = centre.agent_signs_in("1001")
        calls = len(agent.calls)
        phone = centre.registered("1006")
        phone.dial("4002", centre.now)
        centre.settle()
        if who == "caller":
            phone.hang_up(centre.now)
        else:
            wish = SetAgentState("", "", "away", "2001", reason="lunch")
            centre.core.machines.center.act_on_agent(wish, centre.now, centre.clock.at())
        centre.advance(2)
        assert len(agent.calls) == calls
        assert centre.agent_state("2001")[0] == ("Ready" if who == "caller" else "NotReady")
        phone.hang_up(centre.now)
        centre.assert_nothing_left()

    def test_a_successor_rings_the_agent_without_the_name_that_it_cannot_hear(self, centre):
        centre.plugin_is_slow = True
        agent = centre.agent_signs_in("1001")
        centre.registered("1006").dial("4002", centre.now)
        centre.settle()
        successor = centre.take_over()
        successor.advance(2)
        assert agent.last.state == "ringing"


class TestAgents:
    def test_feature_codes(self, centre):
        phone = centre.agent_signs_in("1001")
        centre.feature_code(phone, "*14")
        assert centre.agent_state("2001") == ("NotReady", "break")
        centre.feature_code(phone, "*13")
        assert centre.agent_state("2001") == ("Ready", "")
        centre.feature_code(phone, "*12")
        assert centre.agent_state("2001")[0] == "LoggedOut"

    def test_nobody_is_ready_while_still_listening_to_the_feature_code(self, centre):
        centre.to_queue("1006")
        phone = centre.registered("1001")
        phone.dial("*11", centre.now)
        centre.settle()
        assert centre.agent_state("2001")[0] == "NotReady"
        assert len(phone.calls) == 1

    def test_another_agent_signs_in_with_id_and_pin(self, centre):
        phone = centre.registered("1006")
        phone.dial("*11", centre.now)
        centre.settle()
        centre.press(phone, "2006#")
        centre.press(phone, "1006#")
        centre.finish_plays()
        assert centre.agent_state("2006")[0] == "Ready"
        assert centre.core.machines.acd.agent("2006").phone == "1006"

    def test_a_wrong_pin_signs_nobody_in(self, centre):
        phone = centre.registered("1006")
        phone.dial("*11", centre.now)
        centre.settle()
        centre.press(phone, "2006#")
        centre.press(phone, "9999#")
        centre.finish_plays()
        assert centre.agent_state("2006")[0] == "LoggedOut"

    def test_an_agent_whose_phone_is_gone_is_not_ready(self, centre):
        phone = centre.agent_signs_in("1001")
        phone.register(centre.now, expires=0)
        centre.settle()
        assert centre.agent_state("2001")[0] == "NotReady"
        phone.register(centre.now)
        centre.settle()
        assert centre.agent_state("2001")[0] == "Ready"

    def test_the_command_line_changes_states(self, centre):
        phone = centre.agent_signs_in("1001")
        centre.core.machines.center.act_on_agent(
            SetAgentState("", "", "away", "2001", reason="lunch"), centre.now, centre.clock.at()
        )
        centre.settle()
        assert centre.agent_state("2001") == ("NotReady", "lunch")
        assert phone.last.state == "ended"


class TestTakeover:
    """The journal alone makes a successor that goes on where the predecessor died."""

    def same(self, centre):
        copy = centre.replayed().core.machines
        live = centre.core.machines
        assert copy.switch.state.calls == live.switch.state.calls
        assert copy.switch.state.legs == live.switch.state.legs
        assert copy.center.state.sessions == live.center.state.sessions
        assert copy.media.wants() == live.media.wants()
        signed_in = [agent for agent in live.acd.agents() if agent.phone]
        assert [agent for agent in copy.acd.agents() if agent.phone] == signed_in
        assert tuple(copy.registrar) == tuple(live.registrar)

    def test_replay_equals_the_live_state_all_along_a_call(self, centre):
        agent = centre.agent_signs_in("1001")
        self.same(centre)
        caller, _ = centre.to_queue("1006")
        self.same(centre)
        agent.answer(centre.now)
        centre.settle()
        self.same(centre)
        caller.hang_up(centre.now)
        centre.settle()
        self.same(centre)

    def test_a_caller_in_the_menu_goes_on(self, centre):
        phone = centre.registered("1006")
        phone.dial("4001", centre.now)
        centre.advance(1)
        centre.finish_plays()
        successor = centre.take_over()
        assert successor.playing == MENU_ZH
        successor.press(phone, "9")
        assert successor.playing == MENU_EN

    def test_a_waiting_caller_keeps_the_place_and_the_music(self, centre):
        phone, call = centre.to_queue("1006")
        centre.finish_plays()
        plays = dict(centre.worker.plays)
        successor = centre.take_over()
        assert successor.worker.plays == plays
        assert (
            successor.core.machines.acd.position(
                next(iter(successor.core.machines.switch.state.calls))
            )
            == 1
        )
        agent = successor.agent_signs_in("1001")
        agent.answer(successor.now)
        successor.settle()
        assert call.state == "talking"
        phone.hang_up(successor.now)
        successor.settle()
        assert len(successor.facts_of(CdrCall)) == 2  # the feature code and the call
        successor.assert_nothing_left()

    def test_people_who_talk_notice_nothing(self, centre):
        agent = centre.agent_signs_in("1001")
        _, call = centre.to_queue("1006")
        agent.answer(centre.now)
        centre.settle()
        wants = dict(centre.worker.wants)
        successor = centre.take_over()
        assert successor.worker.wants == wants
        assert call.state == agent.last.state == "talking"
        agent.hang_up(successor.now)
        successor.settle()
        successor.finish_plays()
        assert call.state == "ended"
        assert len(successor.facts_of(CdrCall)) == 1
        assert len(successor.facts_of(CdrLeg)) == 2
        successor.assert_nothing_left()
