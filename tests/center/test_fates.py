"""Any order of phones' deeds, time, takeovers and lost sound: calls end, nobody is stuck.

A state machine of random deeds drives the whole core in virtual time.  At any moment a replay
of the facts must equal the living state, and in the end nothing may be left.
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from typing import ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ccengine.config.data import sample_config
from ccengine.config.loader import Config, load_config
from ccengine.errors import AcdError, CommandError
from ccengine.journal.cdr import CdrCall, CdrLeg
from ccengine.ports import SetAgentState
from ccengine.testing.centre import CallCentre
from ccengine.testing.phone import PaperCall, PaperPhone

AGENTS = ("1001", "1002", "1003")
CALLERS = ("1004", "1005", "1006")
NUMBERS = ("4001", "4002", "4002", "1001", "1002", "1006", "888", "*13", "*14")
MAX_CALLS = 8
LONGEST_WAIT_S = 700.0

indexes = st.integers(0, 50)


class Complaints(logging.Handler):
    """Everything logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(self.format(record))


class Fates(RuleBasedStateMachine):
    """See the module's text."""

    config: ClassVar[Config | None] = None

    def __init__(self) -> None:
        super().__init__()
        if Fates.config is None:
            Fates.config = load_config(sample_config())
        self.centre = CallCentre(Fates.config).open()
        self.complaints = Complaints()
        logging.getLogger("ccengine").addHandler(self.complaints)

    @initialize()
    def everybody_comes(self) -> None:
        for user in AGENTS:
            self.centre.agent_signs_in(user)
        for user in CALLERS:
            self.centre.registered(user)

    # --- who and what there is -----------------------------------------------------------------

    def phone(self, index: int) -> PaperPhone:
        phones = list(self.centre.phones.values())
        return phones[index % len(phones)]

    def calls(self, *states: str) -> list[tuple[PaperPhone, PaperCall]]:
        return [
            (phone, call)
            for phone in self.centre.phones.values()
            for call in phone.calls.values()
            if call.state in states
        ]

    def legs(self) -> list[str]:
        return sorted(self.centre.worker.legs)

    # --- deeds ---------------------------------------------------------------------------------

    @precondition(lambda self: len(self.calls("new", "talking")) < MAX_CALLS)
    @rule(index=indexes, number=st.sampled_from(NUMBERS), offer=st.booleans())
    def dial(self, index: int, number: str, offer: bool) -> None:
        self.phone(index).dial(number, self.centre.now, offer=offer)
        self.centre.settle()

    @precondition(lambda self: len(self.calls("new", "talking")) < MAX_CALLS)
    @rule(index=indexes, number=st.sampled_from(("4002", "4002", "1002")))
    def a_conversation_begins(self, index: int, number: str) -> None:
        """Deeds drawn one by one seldom get so far."""
        for phone in self.centre.phones.values():
            phone.policy = "ring"
        self.phone(index).dial(number, self.centre.now)
        self.centre.advance(0.2)
        for phone, call in self.calls("ringing"):
            phone.answer(self.centre.now, call)
        self.centre.settle()

    @precondition(lambda self: self.calls("ringing"))
    @rule(index=indexes, settle=st.booleans())
    def answer(self, index: int, settle: bool) -> None:
        ringing = self.calls("ringing")
        phone, call = ringing[index % len(ringing)]
        phone.answer(self.centre.now, call)
        if settle:  # else it crosses with what comes next
            self.centre.settle()

    @precondition(lambda self: self.calls("ringing"))
    @rule(index=indexes, status=st.sampled_from((486, 480, 603, 500, 404)))
    def reject(self, index: int, status: int) -> None:
        ringing = self.calls("ringing")
        phone, call = ringing[index % len(ringing)]
        phone.last = call
        phone.reject(status, self.centre.now)
        self.centre.settle()

    @precondition(lambda self: self.calls("new", "talking", "ringing"))
    @rule(index=indexes, settle=st.booleans())
    def hang_up(self, index: int, settle: bool) -> None:
        alive = self.calls("new", "talking", "ringing")
        phone, call = alive[index % len(alive)]
        phone.hang_up(self.centre.now, call)
        call.state = "ended" if call.state != "new" else "leaving"
        if settle:
            self.centre.settle()

    @precondition(lambda self: self.calls("talking"))
    @rule(index=indexes, resume=st.booleans(), settle=st.booleans())
    def hold(self, index: int, resume: bool, settle: bool) -> None:
        talking = self.calls("talking")
        phone, call = talking[index % len(talking)]
        if call.sdp is not None and call.sdp.state == "stable":
            phone.last = call
            phone.hold(self.centre.now, resume=resume)
            if settle:
                self.centre.settle()

    @precondition(lambda self: self.legs())
    @rule(index=indexes, digits=st.sampled_from(("1", "2", "3", "9", "#", "77", "12345678", "0")))
    def press(self, index: int, digits: str) -> None:
        legs = self.legs()
        self.centre.worker.press(legs[index % len(legs)], digits)
        self.centre.settle()

    @rule()
    def hear_it_out(self) -> None:
        self.centre.finish_plays()

    @precondition(lambda self: self.centre.worker.plays)
    @rule(index=indexes)
    def a_play_fails(self, index: int) -> None:
        plays = sorted(self.centre.worker.plays)
        self.centre.worker.finish_play(plays[index % len(plays)], "no such file")
        self.centre.settle()

    @precondition(lambda self: self.legs())
    @rule(index=indexes)
    def the_wire_falls_silent(self, index: int) -> None:
        legs = self.legs()
        self.centre.worker.lose_rtp(legs[index % len(legs)])
        self.centre.settle()

    @rule(index=indexes, policy=st.sampled_from(("ring", "answer", "answer", "busy", "dead")))
    def a_phone_is_set_or_loses_power(self, index: int, policy: str) -> None:
        self.phone(index).policy = policy

    @rule(seconds=st.sampled_from((0.01, 0.5, 3.0, 10.0, 33.0, 130.0)))
    def time_passes(self, seconds: float) -> None:
        self.centre.advance(seconds)

    @rule(
        agent=st.sampled_from(("2001", "2002", "2003")),
        action=st.sampled_from(("sign_in", "sign_out", "ready", "ready", "away")),
    )
    def an_agent_acts(self, agent: str, action: str) -> None:
        with contextlib.suppress(AcdError, CommandError):  # what the state does not allow
            self.centre.core.machines.center.act_on_agent(
                SetAgentState("", "", action, agent),  # type: ignore[arg-type]
                self.centre.now,
                self.centre.clock.at(),
            )
        self.centre.settle()

    @rule()
    def signalling_dies(self) -> None:
        """What was on its way to the dead one is lost with it; the journal is all there is."""
        before = self.centre.facts
        self.centre = self.centre.take_over()
        self.centre.facts[:0] = before

    @rule()
    def the_worker_reconnects(self) -> None:
        media = self.centre.core.machines.media
        media.detach("m0")
        media.attach("m0", 1)
        self.centre.settle()

    # --- what always holds ------------------------------------------------------------------------

    @rule()
    def replay_equals_the_living_state(self) -> None:
        self.centre.settle()
        copy, live = self.centre.replayed().core.machines, self.centre.core.machines
        assert copy.switch.state.calls == live.switch.state.calls
        assert copy.switch.state.legs == live.switch.state.legs
        assert copy.switch.state.closing == live.switch.state.closing
        assert copy.switch.state.in_use == live.switch.state.in_use
        assert copy.center.state.sessions == live.center.state.sessions
        assert set(copy.media.wants()) == set(live.media.wants())
        assert {one.session: one for one in copy.sip.dialogs} == {
            one.session: one for one in live.sip.dialogs
        }
        for queue in ("sales", "service"):
            assert copy.acd.entries(queue) == live.acd.entries(queue)
        signed_in = [agent for agent in live.acd.agents() if agent.phone]
        assert [agent for agent in copy.acd.agents() if agent.phone] == signed_in
        assert tuple(copy.registrar) == tuple(live.registrar)

    @invariant()
    def nothing_went_wrong(self) -> None:
        core = self.centre.core
        assert not self.complaints.records, self.complaints.records
        assert not core.flaws
        assert not core.quarantined

    @invariant()
    def agents_belong_to_calls(self) -> None:
        machines = self.centre.core.machines
        sessions = machines.center.state.sessions
        for agent in machines.acd.agents():
            if agent.state in {"Reserved", "Talking"}:
                assert agent.entry_id in sessions, agent

    # --- the end --------------------------------------------------------------------------------

    def teardown(self) -> None:
        logging.getLogger("ccengine").removeHandler(self.complaints)
        centre = self.centre
        for phone in centre.phones.values():
            phone.policy = "dead"
        centre.settle()
        for leg in self.legs():
            centre.worker.lose_rtp(leg)
        centre.advance(LONGEST_WAIT_S)
        centre.assert_nothing_left()
        self.nothing_went_wrong()
        self.every_call_has_one_record()

    def every_call_has_one_record(self) -> None:
        begun = {
            fact.record.call_id: fact.record
            for fact in self.centre.facts
            if getattr(fact, "FACT", ("", 0))[0] == "call.set"
        }
        cdrs = Counter(fact.call_id for fact in self.centre.facts_of(CdrCall))
        assert cdrs == Counter(dict.fromkeys(begun, 1))
        legs = Counter(fact.leg_id for fact in self.centre.facts_of(CdrLeg))
        assert all(count == 1 for count in legs.values()), legs
        for cdr in self.centre.facts_of(CdrCall):
            assert 0 <= cdr.talk_s <= cdr.duration_s + 0.001, cdr
            assert (cdr.talk_s == 0) or cdr.answered_at, cdr


Fates.TestCase.settings = settings(
    max_examples=100,
    stateful_step_count=40,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestFates = Fates.TestCase
