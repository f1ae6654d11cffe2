"""One caller, one agent: reserve, alert, connect, wrap up; and everything that goes wrong."""

from __future__ import annotations

import pytest

from ccengine.acd.output import AgentStateChanged, Connect, EntryLeft, WithdrawOffer
from ccengine.acd.record import EntryRequest, Requirement
from ccengine.acd.settings import AcdSettings, Membership, QueueSettings
from ccengine.errors import AcdError
from ccengine.testing.acd import (
    Desk,
    agent,
    left,
    make_desk,
    offer,
    offers,
    without_states,
)


@pytest.fixture
def desk() -> Desk:
    return make_desk()


def test_a_call_goes_to_the_longest_idle_agent(desk: Desk) -> None:
    desk.sign_in("bob", "ann")
    found = offer(desk.call("c1"))
    assert (found.agent_id, found.phone, found.entry_id) == ("bob", "phone-bob", "c1")
    assert found.ring_timeout_s == 20
    assert desk.state("bob") == "Reserved"
    assert desk.state("ann") == "Ready"
    assert desk.answer(found)[-1] == Connect(found.offer_id, "c1", "bob")
    assert desk.state("bob") == "Talking"
    outputs = desk.do("conversation_ended", "c1")
    assert left(outputs) == [EntryLeft("c1", "sales", "answered", agent_id="bob")]
    assert desk.state("bob") == "Ready"
    desk.clock.advance(1)
    assert offer(desk.call("c2")).agent_id == "ann", "who talked last is idle shortest"


def test_an_idle_agent_gets_the_waiting_caller_in_the_same_drain(desk: Desk) -> None:
    assert desk.call("c1") == []
    assert desk.call("c2") == []
    assert [desk.engine.position(name) for name in ("c1", "c2")] == [1, 2]
    assert offer(desk.sign_in("ann")).entry_id == "c1"
    assert offer(desk.sign_in("bob")).entry_id == "c2"


def test_higher_priority_first_then_who_waits_longest(desk: Desk) -> None:
    desk.call("c1")
    desk.clock.advance(1)
    desk.call("c2")
    desk.call("vip", priority=5)
    assert [entry.entry_id for entry in desk.engine.entries("sales")] == ["vip", "c1", "c2"]
    assert offer(desk.sign_in("ann")).entry_id == "vip"
    assert offer(desk.sign_in("bob")).entry_id == "c1"


class TestRefusals:
    def test_full_queue(self) -> None:
        desk = make_desk(max_length=1)
        desk.call("c1")
        assert desk.call("c2") == [EntryLeft("c2", "sales", "refused", "full")]
        assert desk.engine.entry("c2") is None
        assert desk.engine.counters.refusals == 1

    @pytest.mark.parametrize(
        ("rule", "nobody", "away", "ready"),
        [("always", True, True, True), ("signed_in", False, True, True),
         ("available", False, False, True)],
    )  # fmt: skip
    def test_join_rules(self, rule: str, nobody: bool, away: bool, ready: bool) -> None:
        desk = make_desk(join_empty=rule)
        seen = [not left(desk.call("c1"))]
        desk.sign_in("ann", ready=False)
        seen.append(not left(desk.call("c2")))
        desk.do("ready", "ann")
        seen.append(not left(desk.call("c3")))
        assert seen == [nobody, away, ready]

    def test_unknown_queue_and_repeated_call_are_errors_that_change_nothing(
        self, desk: Desk
    ) -> None:
        with pytest.raises(AcdError, match="no queue 'sale'"):
            desk.call("c1", "sale")
        desk.call("c1")
        facts = len(desk.facts)
        with pytest.raises(AcdError, match="in a queue already"):
            desk.call("c1")
        with pytest.raises(AcdError, match="order of time"):
            desk.call("c2", requirements=(Requirement.of("zh", after_s=3),))
        assert len(desk.facts) == facts


class TestRingTimeout:
    def test_no_answer_makes_the_agent_away_and_offers_to_another_at_once(self, desk: Desk) -> None:
        desk.sign_in("ann", "bob")
        first = offer(desk.call("c1"))
        desk.clock.advance(5)
        desk.call("c2")
        desk.call("c3")
        desk.do("offer_ringing", first.offer_id)
        # c2 is with bob; bob answers and is free again when ann's phone has rung out
        second = desk.engine.entry("c2")
        assert second is not None
        assert second.offer is not None
        desk.do("offer_accepted", second.offer.offer_id)
        outputs = desk.wait(20)
        assert outputs[0] == WithdrawOffer(first.offer_id, "c1", "ann", "timeout")
        assert desk.state("ann") == "NotReady(rona)"
        assert desk.engine.position("c1") == 1, "the caller keeps the place before c3"
        assert offer(desk.do("conversation_ended", "c2")).entry_id == "c1"

    def test_other_agent_in_the_same_drain(self, desk: Desk) -> None:
        desk.sign_in("ann", "bob")
        first = offer(desk.call("c1"))
        second = offer(desk.do("offer_failed", first.offer_id, "no_answer"))
        assert (second.entry_id, second.agent_id) == ("c1", "bob")

    @pytest.mark.parametrize(
        ("cause", "state"),
        [("no_answer", "NotReady(rona)"), ("busy", "NotReady(busy)"),
         ("rejected", "NotReady(rejected)"), ("unreachable", "NotReady(unreachable)"),
         ("not_found", "NotReady(unreachable)"), ("congestion", "NotReady(offer_failed)")],
    )  # fmt: skip
    def test_every_failure_has_its_reason(self, desk: Desk, cause: str, state: str) -> None:
        desk.sign_in("ann")
        desk.do("offer_failed", offer(desk.call("c1")).offer_id, cause)
        assert desk.state("ann") == state
        entry = desk.engine.entry("c1")
        assert entry is not None
        assert [(item.agent_id, item.reason) for item in entry.tried] == [("ann", cause)]

    def test_a_phone_that_never_rings_is_unreachable(self) -> None:
        desk = make_desk(alert_timeout_s=8)
        desk.sign_in("ann")
        found = offer(desk.call("c1"))
        assert desk.wait(7.9) == []
        outputs = desk.wait(0.2)
        assert WithdrawOffer(found.offer_id, "c1", "ann", "timeout") in outputs
        assert desk.state("ann") == "NotReady(unreachable)"

    def test_after_a_failure_of_ours_the_agent_rests_and_is_then_ready_again(self) -> None:
        desk = make_desk(agent("ann"), retry_s=30)
        desk.sign_in("ann")
        desk.do("offer_failed", offer(desk.call("c1")).offer_id, "congestion")
        assert offers(desk.wait(4.9)) == []
        assert offers(desk.wait(0.2)) == [], "the same call is tried again only after retry_s"
        assert desk.state("ann") == "Ready"
        assert offer(desk.call("c2")).agent_id == "ann", "other calls reach the agent"
        desk.do("leave", "c2", "hangup")
        assert offer(desk.wait(30)).entry_id == "c1"

    def test_an_agent_who_says_ready_is_not_passed_over(self, desk: Desk) -> None:
        desk.sign_in("ann")
        desk.do("offer_failed", offer(desk.call("c1")).offer_id, "no_answer")
        assert offer(desk.do("ready", "ann")).entry_id == "c1"


class TestCallerGone:
    def test_while_offered_the_phone_stops_ringing_and_idle_time_is_kept(self, desk: Desk) -> None:
        """FreeSWITCH #2529: the agent's leg was left ringing after the caller hung up."""
        desk.sign_in("ann", "bob")
        found = offer(desk.call("c1"))
        idle_since = desk.engine.agent("ann").idle_since
        desk.clock.advance(3)
        outputs = desk.do("leave", "c1", "hangup")
        assert without_states(outputs) == [
            WithdrawOffer(found.offer_id, "c1", "ann", "hangup"),
            EntryLeft("c1", "sales", "hangup"),
        ]
        assert desk.engine.agent("ann").idle_since == idle_since
        assert offer(desk.call("c2")).agent_id == "ann", "still the longest idle"

    def test_the_freed_agent_gets_the_next_caller_in_the_same_drain(self, desk: Desk) -> None:
        desk.sign_in("ann")
        desk.call("c1")
        desk.call("c2")
        assert offer(desk.do("leave", "c1", "hangup")).entry_id == "c2"

    def test_by_key(self, desk: Desk) -> None:
        desk.call("c1")
        assert desk.do("leave", "c1", "left", detail="2") == [EntryLeft("c1", "sales", "left", "2")]

    def test_while_talking_counts_as_answered(self, desk: Desk) -> None:
        """Issabel #41: answered calls were reported as abandoned."""
        desk.sign_in("ann")
        desk.answer(offer(desk.call("c1")))
        assert left(desk.do("leave", "c1", "hangup"))[0].result == "answered"
        assert desk.facts[-2].result == "answered"
        assert desk.facts[-2].entry.agent_id == "ann"

    def test_unknown_call_is_counted(self, desk: Desk) -> None:
        assert desk.do("leave", "gone", "hangup") == []
        assert desk.do("conversation_ended", "gone") == []
        assert desk.engine.counters.stale_calls == 2


class TestStaleAnswers:
    def test_a_late_answer_is_hung_up_and_never_connected(self, desk: Desk) -> None:
        """Asterisk #176: two agents answered one call."""
        desk.sign_in("ann", "bob")
        first = offer(desk.call("c1"))
        second = offer(desk.do("offer_failed", first.offer_id, "no_answer"))
        assert desk.do("offer_accepted", first.offer_id) == [
            WithdrawOffer(first.offer_id, "", "", "stale")
        ]
        assert Connect(second.offer_id, "c1", "bob") in desk.answer(second)
        assert desk.do("offer_accepted", first.offer_id)[0].reason == "stale"
        assert desk.engine.counters.stale_answers == 2
        assert desk.engine.counters.connects == 1

    def test_a_repeated_answer_does_not_hang_up_the_conversation(self, desk: Desk) -> None:
        desk.sign_in("ann")
        found = offer(desk.call("c1"))
        desk.answer(found)
        assert desk.do("offer_accepted", found.offer_id) == []
        assert desk.do("offer_failed", found.offer_id, "no_answer") == []
        assert desk.do("offer_ringing", found.offer_id) == []
        assert desk.state("ann") == "Talking"
        assert desk.engine.counters.stale_answers == 3

    def test_words_about_offers_that_never_were(self, desk: Desk) -> None:
        desk.do("offer_ringing", "offer-x")
        desk.do("offer_failed", "offer-x", "busy")
        assert desk.engine.counters.stale_answers == 2
        assert desk.facts == []


class TestPatience:
    def test_max_wait(self) -> None:
        desk = make_desk(max_wait_s=60)
        desk.call("c1")
        assert desk.wait(59.9) == []
        assert desk.wait(0.2) == [EntryLeft("c1", "sales", "timeout")]
        assert desk.engine.next_timeout() is None

    def test_the_flow_may_shorten_it(self) -> None:
        desk = make_desk(max_wait_s=60)
        desk.call("c1", timeout_s=10)
        desk.call("c2", timeout_s=100)
        assert [item.entry_id for item in left(desk.wait(11))] == ["c1"]
        assert [item.entry_id for item in left(desk.wait(50))] == ["c2"]

    def test_no_patience_at_all_still_gets_an_agent_who_is_free(self) -> None:
        desk = make_desk()
        assert desk.call("c1", timeout_s=0) == []
        assert [item.result for item in left(desk.wait(0))] == ["timeout"]
        desk.sign_in("ann")
        assert offer(desk.call("c2", timeout_s=0)).agent_id == "ann"

    def test_a_call_that_rings_is_not_taken_away_but_leaves_when_that_fails(self) -> None:
        desk = make_desk(agent("ann"), agent("bob"), max_wait_s=10)
        desk.sign_in("ann")
        found = offer(desk.call("c1"))
        desk.clock.advance(5)
        desk.do("offer_ringing", found.offer_id)
        assert desk.wait(10) == [], "patience ended while ringing"
        outputs = desk.do("offer_failed", found.offer_id, "no_answer")
        assert left(outputs)[0].result == "timeout"


class TestAgentCommands:
    def test_away_while_talking_comes_after_the_call(self, desk: Desk) -> None:
        desk.sign_in("ann")
        desk.answer(offer(desk.call("c1")))
        assert desk.do("away", "ann", "小休") == []
        assert desk.state("ann") == "Talking"
        desk.do("conversation_ended", "c1")
        assert desk.state("ann") == "NotReady(小休)"

    def test_ready_while_talking_forgets_it(self, desk: Desk) -> None:
        desk.sign_in("ann")
        desk.answer(offer(desk.call("c1")))
        desk.do("away", "ann", "lunch")
        desk.do("ready", "ann")
        desk.do("conversation_ended", "c1")
        assert desk.state("ann") == "Ready"

    def test_sign_out_while_talking_comes_after_the_call(self) -> None:
        desk = make_desk(wrapup_s=10)
        desk.sign_in("ann")
        desk.answer(offer(desk.call("c1")))
        desk.do("sign_out", "ann")
        assert desk.state("ann") == "Talking"
        desk.do("conversation_ended", "c1")
        assert desk.state("ann") == "LoggedOut"
        assert desk.engine.agent_at("phone-ann") is None

    @pytest.mark.parametrize(
        ("command", "args", "state"),
        [("away", ("ann", "lunch"), "NotReady(lunch)"), ("sign_out", ("ann",), "LoggedOut")],
    )
    def test_leaving_while_the_phone_rings_withdraws_the_offer(
        self, desk: Desk, command: str, args: tuple[str, ...], state: str
    ) -> None:
        desk.sign_in("ann", "bob")
        found = offer(desk.call("c1"))
        outputs = desk.do(command, *args)
        assert isinstance(outputs[0], WithdrawOffer)
        assert outputs[0].offer_id == found.offer_id
        assert desk.state("ann") == state
        assert offer(outputs).agent_id == "bob"

    def test_sign_in_rules(self, desk: Desk) -> None:
        desk.sign_in("ann")
        with pytest.raises(AcdError, match="used by agent 'ann'"):
            desk.do("sign_in", "bob", "phone-ann")
        with pytest.raises(AcdError, match="no agent 'eve'"):
            desk.do("sign_in", "eve", "phone-eve")
        with pytest.raises(AcdError, match="LoggedOut"):
            desk.do("ready", "bob")
        with pytest.raises(AcdError, match="LoggedOut"):
            desk.do("away", "bob", "lunch")
        assert desk.do("sign_out", "bob") == []
        desk.do("sign_in", "ann", "phone-2")
        assert desk.engine.agent_at("phone-2") == "ann"
        assert desk.engine.agent_at("phone-ann") is None
        found = offer(desk.call("c1"))
        assert found.phone == "phone-2"
        with pytest.raises(AcdError, match="Reserved"):
            desk.do("sign_in", "ann", "phone-3")
        assert desk.do("sign_in", "ann", "phone-2") == []

    def test_signed_in_but_not_ready(self, desk: Desk) -> None:
        desk.sign_in("ann", ready=False)
        assert desk.state("ann") == "NotReady(signed_in)"
        assert offers(desk.call("c1")) == []

    def test_change_of_state_tells_since_when(self, desk: Desk) -> None:
        (told,) = desk.sign_in("ann")
        assert told == AgentStateChanged("ann", "Ready", "", 1000.0, told.at)
        desk.clock.advance(10)
        assert desk.do("ready", "ann") == [], "asking again changes nothing"
        assert desk.engine.agent("ann").since.now == 1000.0
        (told,) = desk.do("away", "ann", "lunch")
        assert (told.state, told.reason, told.since) == ("NotReady", "lunch", 1010.001)


class TestPhones:
    def test_an_agent_without_a_registered_phone_is_not_offered_calls(self, desk: Desk) -> None:
        """FusionPBX #2831: an agent was available with an unregistered phone."""
        desk.sign_in("ann", registered=False)
        assert desk.state("ann") == "NotReady(phone_unregistered)"
        assert offers(desk.call("c1")) == []
        assert desk.do("ready", "ann") == []
        assert desk.state("ann") == "NotReady(phone_unregistered)"
        assert offer(desk.do("phone_registered", "phone-ann", True)).entry_id == "c1"

    def test_a_phone_that_goes_takes_its_agent_along(self, desk: Desk) -> None:
        desk.sign_in("ann")
        desk.do("phone_registered", "phone-ann", False)
        assert desk.state("ann") == "NotReady(phone_unregistered)"
        assert offers(desk.call("c1")) == []

    def test_away_stays_away_when_the_phone_comes_back(self, desk: Desk) -> None:
        desk.sign_in("ann")
        desk.do("away", "ann", "lunch")
        desk.do("phone_registered", "phone-ann", False)
        desk.do("phone_registered", "phone-ann", True)
        assert desk.state("ann") == "NotReady(lunch)"

    def test_a_phone_lost_in_a_conversation_counts_after_it(self, desk: Desk) -> None:
        desk.sign_in("ann")
        desk.answer(offer(desk.call("c1")))
        assert desk.do("phone_registered", "phone-ann", False) == []
        desk.do("conversation_ended", "c1")
        assert desk.state("ann") == "NotReady(phone_unregistered)"

    def test_moving_to_a_phone_that_is_away(self, desk: Desk) -> None:
        desk.sign_in("ann")
        desk.do("sign_in", "ann", "phone-2", registered=False)
        assert desk.state("ann") == "NotReady(phone_unregistered)"

    def test_phones_of_nobody_are_no_matter(self, desk: Desk) -> None:
        assert desk.do("phone_registered", "phone-x", False) == []
        assert desk.facts == []


class TestWrapUp:
    def test_has_a_limit_for_each_agent(self) -> None:
        """OpenSIPS #2679: wrap-up ended only when the last agent's ended."""
        desk = make_desk(wrapup_s=10)
        desk.sign_in("ann", "bob")
        desk.answer(offer(desk.call("c1")))
        desk.answer(offer(desk.call("c2")))
        desk.do("conversation_ended", "c1")
        desk.clock.advance(4)
        desk.do("conversation_ended", "c2")
        assert (desk.state("ann"), desk.state("bob")) == ("WrapUp", "WrapUp")
        desk.wait(6)
        assert (desk.state("ann"), desk.state("bob")) == ("Ready", "WrapUp")
        desk.wait(4)
        assert desk.state("bob") == "Ready"

    def test_end_and_extend(self) -> None:
        desk = make_desk(wrapup_s=10)
        desk.sign_in("ann")
        desk.answer(offer(desk.call("c1")))
        with pytest.raises(AcdError, match="Talking, not in wrap-up"):
            desk.do("end_wrapup", "ann")
        desk.do("conversation_ended", "c1")
        desk.do("extend_wrapup", "ann", 20)
        desk.wait(29)
        assert desk.state("ann") == "WrapUp"
        desk.call("c2")
        assert offer(desk.do("end_wrapup", "ann")).entry_id == "c2"

    def test_nobody_is_offered_calls_in_wrapup(self) -> None:
        desk = make_desk(wrapup_s=10)
        desk.sign_in("ann")
        desk.answer(offer(desk.call("c1")))
        desk.do("conversation_ended", "c1")
        assert offers(desk.call("c2")) == []
        assert offer(desk.wait(10)).entry_id == "c2"


class TestSkills:
    def test_only_agents_who_know_enough(self) -> None:
        desk = make_desk(agent("ann", zh=2), agent("bob", zh=1, en=3))
        desk.sign_in("ann", "bob")
        assert offer(desk.call("c1", "sales", "en")).agent_id == "bob"
        need = (Requirement((("zh", 2),)),)
        assert offer(desk.call("c2", requirements=need)).agent_id == "ann"

    def test_requirements_are_relaxed_as_the_caller_waits(self) -> None:
        desk = make_desk(agent("ann", zh=1), agent("bob", zh=3))
        desk.sign_in("ann")
        stages = (Requirement((("zh", 3),)), Requirement((("zh", 1),), after_s=30))
        assert offers(desk.call("c1", requirements=stages)) == []
        assert offers(desk.wait(29)) == []
        assert offer(desk.wait(1)).agent_id == "ann"

    def test_stages_that_fell_due_while_ringing_hold_afterwards(self) -> None:
        desk = make_desk(agent("ann", zh=1), agent("bob", zh=3))
        desk.sign_in("bob")
        stages = (Requirement((("zh", 3),)), Requirement((("zh", 1),), after_s=30))
        found = offer(desk.call("c1", requirements=stages))
        desk.sign_in("ann")
        desk.do("offer_ringing", found.offer_id)
        desk.clock.advance(31)
        assert offer(desk.do("offer_failed", found.offer_id, "no_answer")).agent_id == "ann"

    def test_a_skill_that_nobody_has_is_not_silently_ignored(self) -> None:
        """Asterisk #1901: a rule that was silently ignored."""
        desk = make_desk(agent("ann", zh=1))
        desk.sign_in("ann")
        assert offers(desk.call("c1", "sales", "frnch")) == []
        assert desk.engine.counters.unservable == 1


class TestSharedAgents:
    QUEUES = (QueueSettings("sales"), QueueSettings("help"))

    def test_the_agents_order_of_queues_comes_before_waiting_time(self) -> None:
        ann = agent("ann")
        ann = type(ann)("ann", "Ann", (Membership("sales", 2), Membership("help", 1)))
        desk = make_desk(ann, queues=self.QUEUES)
        desk.call("c1", "sales", priority=9)
        desk.clock.advance(10)
        desk.call("c2", "help")
        assert offer(desk.sign_in("ann")).entry_id == "c2"

    def test_equal_order_shares_by_key(self) -> None:
        """Wazo: no order between queues that share agents."""
        desk = make_desk(agent("ann", "help", "sales"), queues=self.QUEUES)
        desk.call("c1", "sales")
        desk.clock.advance(10)
        desk.call("c2", "help")
        assert offer(desk.sign_in("ann")).entry_id == "c1"


class TestReconfigure:
    def settings(self, *agents, **fields) -> AcdSettings:
        return AcdSettings((QueueSettings("sales", **fields),), agents)

    def test_nobody_is_signed_out_and_calls_go_on(self) -> None:
        """Asterisk #1255, #2081, FreeSWITCH #39: reload logged agents out."""
        desk = make_desk(max_wait_s=60, wrapup_s=10)
        desk.sign_in("ann", "bob")
        desk.answer(offer(desk.call("c1")))
        ringing = offer(desk.call("c2"))
        desk.call("c3")
        facts = len(desk.facts)
        desk.do("reconfigure", self.settings(agent("ann"), max_wait_s=5, wrapup_s=20))
        assert len(desk.facts) == facts
        assert (desk.state("ann"), desk.state("bob")) == ("Talking", "Reserved")
        assert left(desk.wait(6)) == [], "c3 keeps the patience that it came with"
        assert Connect(ringing.offer_id, "c2", "bob") in desk.answer(ringing)
        desk.do("conversation_ended", "c2")
        assert desk.state("bob") == "WrapUp"

    def test_new_skills_match_those_who_wait(self) -> None:
        desk = make_desk(agent("ann"))
        desk.sign_in("ann")
        assert offers(desk.call("c1", "sales", "en")) == []
        settings = self.settings(agent("ann", en=1))
        assert offer(desk.do("reconfigure", settings)).entry_id == "c1"

    def test_wrong_settings_change_nothing(self, desk: Desk) -> None:
        desk.sign_in("ann")
        with pytest.raises(AcdError, match="did you mean 'sales'"):
            desk.do("reconfigure", self.settings(agent("ann", "slaes")))
        assert offer(desk.call("c1")).agent_id == "ann"

    def test_a_queue_that_is_gone_serves_whom_it_has(self) -> None:
        two = (QueueSettings("sales"), QueueSettings("help", ring_timeout_s=7))
        desk = make_desk(agent("ann", "sales", "help"), queues=two)
        desk.call("c1", "help")
        desk.do("reconfigure", self.settings(agent("ann")))
        assert left(desk.call("c2", "help"))[0].detail == "closed"
        found = offer(desk.sign_in("ann"))
        assert (found.entry_id, found.ring_timeout_s) == ("c1", 7)
        desk.answer(found)
        desk.do("conversation_ended", "c1")
        assert [shot.name for shot in desk.engine.queues(0)] == ["sales"]

    def test_an_agent_who_is_no_longer_configured_ends_his_call_and_signs_out(self) -> None:
        desk = make_desk()
        desk.sign_in("ann")
        desk.answer(offer(desk.call("c1")))
        desk.do("reconfigure", self.settings(agent("bob")))
        desk.do("conversation_ended", "c1")
        assert desk.state("ann") == "Ready"
        assert offers(desk.call("c2")) == []
        desk.do("sign_out", "ann")
        assert [item.agent_id for item in desk.engine.agents()] == ["bob"]
        with pytest.raises(AcdError, match="no longer configured"):
            desk.do("sign_in", "ann", "phone-ann")


class TestQueries:
    def test_queue_figures(self, desk: Desk) -> None:
        desk.sign_in("ann")
        desk.call("c1")
        desk.clock.advance(5)
        desk.call("c2", priority=3)
        desk.clock.advance(5)
        shot = desk.engine.queue("sales", desk.clock.now())
        assert (shot.waiting, shot.offered, shot.connected) == (1, 1, 0)
        assert shot.longest_wait_s == pytest.approx(10)
        assert shot.agents == {"Reserved": 1, "LoggedOut": 1}
        with pytest.raises(AcdError):
            desk.engine.queue("sale", 0)

    def test_listings_come_in_pages(self, desk: Desk) -> None:
        """Asterisk #1214: a listing of a queue flooded the engine."""
        for number in range(250):
            desk.call(f"c{number}")
        assert len(desk.engine.entries("sales")) == 100
        page = desk.engine.entries("sales", start=240, limit=100)
        assert [entry.entry_id for entry in page] == [f"c{n}" for n in range(240, 250)]

    def test_positions_ignore_who_talks(self, desk: Desk) -> None:
        desk.sign_in("ann")
        found = offer(desk.call("c1"))
        desk.call("c2")
        assert desk.engine.position("c2") == 2, "a call that rings keeps its place"
        desk.answer(found)
        assert desk.engine.position("c1") is None
        assert desk.engine.position("c2") == 1
        assert desk.engine.position("nobody") is None


def test_requests_are_limited() -> None:
    stages = tuple(Requirement((), float(n)) for n in range(33))
    request = EntryRequest("c1", "sales", requirements=stages)
    with pytest.raises(AcdError, match="more than 32"):
        make_desk().do("enqueue", request)
