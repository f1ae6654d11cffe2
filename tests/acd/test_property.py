"""Random days: whatever people do, the invariants hold and the facts tell all of it."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ccengine.acd.engine import AcdEngine
from ccengine.acd.output import Connect, EntryLeft, OfferCall, WithdrawOffer
from ccengine.acd.record import FACTS, Requirement
from ccengine.acd.settings import AcdSettings, AgentSettings, Membership, QueueSettings
from ccengine.errors import AcdError
from ccengine.ids import SeededIds
from ccengine.testing.acd import Desk

SETTINGS = AcdSettings(
    (
        QueueSettings("sales", wrapup_s=5, max_wait_s=120, max_length=6),
        QueueSettings("help", ring_timeout_s=10, join_empty="available", retry_s=15),
    ),
    (
        AgentSettings("a1", "", (Membership("sales"),), {"zh": 2}),
        AgentSettings("a2", "", (Membership("sales", 2), Membership("help", 1)), {"en": 1}),
        AgentSettings("a3", "", (Membership("sales"), Membership("help")), {"zh": 1, "en": 2}),
    ),
)
OTHER = AcdSettings(
    (QueueSettings("sales", wrapup_s=0),),
    (
        AgentSettings("a1", "", (Membership("sales"),), {"zh": 2, "en": 1}),
        AgentSettings("a3", "", (Membership("sales"),), {}),
    ),
)
AGENTS = st.sampled_from(["a1", "a2", "a3"])
CAUSES = st.sampled_from(["no_answer", "busy", "unreachable", "congestion"])
REQUIREMENTS = st.sampled_from(
    [
        (Requirement(),),
        (Requirement.of("zh"),),
        (Requirement((("zh", 2),)), Requirement((("zh", 1),), 20.0), Requirement((), 40.0)),
        (Requirement.of("fr"), Requirement((), 15.0)),
    ]
)


class Day(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(SETTINGS)
        self.count = 0
        self.offers: dict[str, OfferCall] = {}
        self.connected: dict[str, str] = {}
        self.inside: set[str] = set()
        self.dead: list[str] = []

    def do(self, command: str, *args: Any, **kwargs: Any) -> None:
        try:
            self.hear(self.desk.do(command, *args, **kwargs))
        except AcdError:
            assert list(self.desk.engine.poll()) == []

    def hear(self, outputs: list[Any]) -> None:
        """Do what the engine says, as the center would, and check that it makes sense."""
        for item in outputs:
            if isinstance(item, OfferCall):
                assert item.entry_id not in {offer.entry_id for offer in self.offers.values()}
                assert item.agent_id not in {offer.agent_id for offer in self.offers.values()}
                assert item.agent_id not in self.connected.values()
                self.offers[item.offer_id] = item
            elif isinstance(item, WithdrawOffer):
                assert item.reason == "stale" or item.offer_id in self.offers
                self.offers.pop(item.offer_id, None)
                self.dead.append(item.offer_id)
            elif isinstance(item, Connect):
                offer = self.offers.pop(item.offer_id)
                assert (offer.entry_id, offer.agent_id) == (item.entry_id, item.agent_id)
                assert item.entry_id not in self.connected
                self.connected[item.entry_id] = item.agent_id
            elif isinstance(item, EntryLeft):
                assert item.entry_id in self.inside
                self.inside.discard(item.entry_id)
                talked = self.connected.pop(item.entry_id, None)
                assert (item.result == "answered") == (talked is not None)

    @rule(
        queue=st.sampled_from(["sales", "help"]),
        priority=st.integers(0, 2),
        requirements=REQUIREMENTS,
        timeout_s=st.sampled_from([None, 5.0, 30.0]),
    )
    def call(self, **fields: Any) -> None:
        self.count += 1
        name = f"c{self.count}"
        self.inside.add(name)
        try:
            self.hear(self.desk.call(name, **fields))
        except AcdError:  # the queue is not configured any more
            self.inside.discard(name)

    @rule(agent=AGENTS, ready=st.booleans(), registered=st.booleans())
    def sign_in(self, agent: str, ready: bool, registered: bool) -> None:
        self.do("sign_in", agent, f"p-{agent}", ready=ready, registered=registered)

    @rule(agent=AGENTS)
    def sign_in_elsewhere(self, agent: str) -> None:
        self.do("sign_in", agent, "p-shared")

    @rule(agent=AGENTS, command=st.sampled_from(["sign_out", "ready", "end_wrapup"]))
    def press(self, agent: str, command: str) -> None:
        self.do(command, agent)

    @rule(agent=AGENTS)
    def away(self, agent: str) -> None:
        self.do("away", agent, "lunch")

    @rule(agent=AGENTS, registered=st.booleans())
    def phone(self, agent: str, registered: bool) -> None:
        self.do("phone_registered", f"p-{agent}", registered)

    @precondition(lambda self: self.offers)
    @rule(data=st.data(), cause=CAUSES)
    def fail(self, data: st.DataObject, cause: str) -> None:
        offer_id = data.draw(st.sampled_from(sorted(self.offers)))
        # the dial is over: the engine need not withdraw it
        self.offers.pop(offer_id)
        self.do("offer_failed", offer_id, cause)

    @precondition(lambda self: self.offers)
    @rule(data=st.data(), command=st.sampled_from(["offer_ringing", "offer_accepted"]))
    def answer(self, data: st.DataObject, command: str) -> None:
        self.do(command, data.draw(st.sampled_from(sorted(self.offers))))

    @precondition(lambda self: self.dead)
    @rule(data=st.data(), command=st.sampled_from(["offer_ringing", "offer_accepted"]))
    def answer_late(self, data: st.DataObject, command: str) -> None:
        self.do(command, data.draw(st.sampled_from(self.dead)))

    @precondition(lambda self: self.inside)
    @rule(data=st.data(), command=st.sampled_from(["leave", "conversation_ended"]))
    def end(self, data: st.DataObject, command: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.inside)))
        self.do(command, name, *(("hangup",) if command == "leave" else ()))

    @rule(seconds=st.sampled_from([0.5, 3.0, 9.0, 25.0, 70.0]))
    def wait(self, seconds: float) -> None:
        self.hear(self.desk.wait(seconds))

    @rule(other=st.booleans())
    def reconfigure(self, other: bool) -> None:
        self.desk.settings = OTHER if other else SETTINGS
        self.do("reconfigure", self.desk.settings)

    # --- what always holds ---------------------------------------------------------------

    @invariant()
    def agents_and_entries_belong_together(self) -> None:
        engine = self.desk.engine
        board = engine._ledger.board
        assert set(board.entries) == self.inside
        offered = {e.offer.offer_id: e for e in board.entries.values() if e.state == "offered"}
        assert offered.keys() == self.offers.keys()
        held = []
        for agent in engine.agents():
            if agent.state == "Reserved":
                assert offered[agent.offer_id].entry_id == agent.entry_id
                held.append(agent.entry_id)
            elif agent.state == "Talking":
                assert self.connected[agent.entry_id] == agent.agent_id
                held.append(agent.entry_id)
            else:
                assert not agent.entry_id
                assert not agent.offer_id
            assert agent.state != "Ready" or agent.registered
            assert agent.state != "WrapUp" or agent.deadline is not None
        assert len(held) == len(set(held))
        assert len(held) == len(offered) + len(self.connected)

    @invariant()
    def nobody_waits_beside_an_agent_who_could_serve(self) -> None:
        board = self.desk.engine._ledger.board
        ready = [agent for agent in board.agents.values() if agent.state == "Ready"]
        for entry in board.waiting():
            tried = {item.agent_id for item in entry.tried}
            for agent in ready:
                person = board.people.get(agent.agent_id)
                serves = person is not None and entry.queue in {m.queue for m in person.queues}
                knows = serves and all(
                    person.skills.get(skill, 0) >= level
                    for skill, level in entry.requirement.skills
                )
                assert agent.agent_id in tried or not knows

    @invariant()
    def replay_gives_the_same_state(self) -> None:
        live = self.desk.engine._ledger.board
        again = self.desk.replayed()._ledger.board
        assert again.agents == live.agents
        assert again.entries == live.entries
        assert again.sequence == live.sequence
        assert again.offers == live.offers
        assert again.phones == live.phones
        assert again.tried_by == live.tried_by
        assert again.deadlines.next() == live.deadlines.next()
        for name, queue in live.queues.items():
            if not queue.closing:
                other = again.queues[name]
                assert other.line == queue.line
                assert (other.offered, other.connected) == (queue.offered, queue.connected)
                assert {k: n for k, n in other.states.items() if n} == {
                    k: n for k, n in queue.states.items() if n
                }

    def teardown(self) -> None:
        """When all is over nothing is left: no entry, no offer, no deadline, no count."""
        self.takeover()
        for name in sorted(self.inside):
            self.do("leave", name, "hangup")
        for name in ("a1", "a2", "a3"):
            self.do("sign_out", name)
        self.hear(self.desk.wait(1000))
        board = self.desk.engine._ledger.board
        for left in (self.inside, self.offers, self.connected, board.entries):
            assert not left
        for left in (board.offers, board.phones, board.tried_by, board.deadlines):
            assert len(left) == 0
        for queue in board.queues.values():
            assert (queue.line, queue.offered, queue.connected) == ([], 0, 0)
            assert not any(queue.states.values())
        decode_all(self.desk.facts)

    def takeover(self) -> None:
        """Another process replays the facts, read from bytes, and goes on."""
        facts = decode_all(self.desk.facts)
        engine = AcdEngine(self.desk.settings, SeededIds(9), self.desk.facts, boot_id="boot-1")
        for fact in facts:
            engine.apply(fact)
        self.desk.engine = engine
        engine.resume(self.desk.clock.now(), self.desk.clock.at(), "boot-1")
        self.hear(list(engine.poll()))
        self.agents_and_entries_belong_together()
        self.nobody_waits_beside_an_agent_who_could_serve()


def decode_all(facts: list[Any]) -> list[Any]:
    """Return facts as the journal would give them back."""
    kinds = {kind.FACT: kind for kind in FACTS}
    decoded = [
        msgspec.msgpack.decode(msgspec.msgpack.encode(fact), type=kinds[fact.FACT])
        for fact in facts
    ]
    assert decoded == facts
    return decoded


Day.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestDay = Day.TestCase


def test_a_long_random_day_of_mixed_fates_ends_where_it_began() -> None:
    """FreeSWITCH #2540, #1973, OpenSIPS #3123: agents stuck in Reserved or in a call."""
    chance = random.Random(7)
    day = Day()
    for agent in ("a1", "a2", "a3"):
        day.do("sign_in", agent, f"p-{agent}")
    for _ in range(500):
        day.call(
            queue=chance.choice(["sales", "help"]),
            priority=chance.randrange(3),
            requirements=(Requirement(),),
            timeout_s=chance.choice([None, 20.0]),
        )
        for offer_id in list(day.offers):
            fate = chance.random()
            if fate < 0.6:
                day.do("offer_ringing", offer_id)
                day.do("offer_accepted", offer_id)
            elif fate < 0.8:
                day.offers.pop(offer_id, None)
                day.do("offer_failed", offer_id, chance.choice(["no_answer", "congestion"]))
        for name in sorted(day.inside):
            if chance.random() < 0.3:
                day.do("leave", name, "hangup")
        day.wait(chance.uniform(1, 30))
        for agent in ("a1", "a2", "a3"):
            day.do("ready", agent)
        day.agents_and_entries_belong_together()
    assert day.desk.engine.counters.connects > 100
    assert day.desk.clock.at() > Desk(SETTINGS).clock.at() + timedelta(hours=1)
    day.teardown()
