"""The index against a plain search over everybody."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ccengine.acd.matching import MatchIndex
from ccengine.acd.record import Requirement
from ccengine.acd.settings import AgentSettings, Membership

QUEUES = ("a", "b", "c")
SKILLS = ("zh", "en")
skills = st.dictionaries(st.sampled_from(SKILLS), st.integers(1, 3))
need = skills.map(lambda found: tuple(sorted(found.items())))
people = st.lists(
    st.tuples(
        st.lists(
            st.tuples(st.sampled_from(QUEUES), st.integers(1, 2)), unique_by=lambda item: item[0]
        ),
        skills,
    ),
    min_size=1,
    max_size=6,
)
steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("entry"), st.integers(0, 9), st.sampled_from(QUEUES), need, st.integers(-1, 1)
        ),
        st.tuples(st.just("gone"), st.integers(0, 9)),
        st.tuples(st.just("idle"), st.integers(0, 5), st.integers(0, 5)),
        st.tuples(st.just("busy"), st.integers(0, 5)),
        st.tuples(st.just("best_entry"), st.integers(0, 5), st.frozensets(st.integers(0, 9))),
        st.tuples(st.just("best_agent"), st.integers(0, 9), st.frozensets(st.integers(0, 5))),
    ),
    max_size=80,
)


class Model:
    """The same answers by looking at everybody."""

    def __init__(self, agents: list[AgentSettings]) -> None:
        self.agents = {agent.id: agent for agent in agents}
        self.waiting: dict = {}
        self.idle: dict = {}

    def serves(self, agent: AgentSettings, queue: str, skills) -> bool:
        return any(item.queue == queue for item in agent.queues) and all(
            agent.skills.get(skill, 0) >= level for skill, level in skills
        )

    def best_entry(self, agent_id: str, barred) -> str | None:
        agent = self.agents[agent_id]
        order = {item.queue: item.order for item in agent.queues}
        found = [
            (order[queue], key, name)
            for name, (queue, skills, key) in self.waiting.items()
            if name not in barred and self.serves(agent, queue, skills)
        ]
        return min(found)[2] if found else None

    def best_agent(self, entry_id: str, barred) -> str | None:
        if entry_id not in self.waiting:
            return None
        queue, skills, _ = self.waiting[entry_id]
        found = [
            (since, name)
            for name, since in self.idle.items()
            if name not in barred and self.serves(self.agents[name], queue, skills)
        ]
        return min(found)[1] if found else None


@settings(max_examples=300, deadline=None)
@given(people, steps)
def test_finds_whom_a_plain_search_finds(team, script) -> None:
    agents = [
        AgentSettings(f"a{n}", "", tuple(Membership(*item) for item in queues), known)
        for n, (queues, known) in enumerate(team)
    ]
    index, model = MatchIndex(agents), Model(agents)
    for sequence, (step, number, *rest) in enumerate(script):
        agent_id, entry_id = f"a{number % len(agents)}", f"e{number}"
        if step == "entry":
            queue, required, priority = rest
            key = (priority, float(number), sequence)
            index.add_entry(entry_id, queue, required, key)
            model.waiting[entry_id] = (queue, required, key)
        elif step == "gone":
            index.remove_entry(entry_id)
            model.waiting.pop(entry_id, None)
        elif step == "idle":
            index.add_agent(agent_id, float(rest[0]))
            model.idle[agent_id] = float(rest[0])
        elif step == "busy":
            index.remove_agent(agent_id)
            model.idle.pop(agent_id, None)
        elif step == "best_entry":
            barred = {f"e{item}" for item in rest[0]}
            assert index.best_entry(agent_id, barred) == model.best_entry(agent_id, barred)
        else:
            barred = {f"a{item}" for item in rest[0]}
            assert index.best_agent(entry_id, barred) == model.best_agent(entry_id, barred)


def one_agent() -> MatchIndex:
    return MatchIndex([AgentSettings("ann", "", (Membership("a"),), {"zh": 1})])


def test_heaps_do_not_pile_up_when_only_one_side_moves() -> None:
    index = one_agent()
    index.add_entry("held", "a", (), (0, 0.0, 0))
    for number in range(5000):
        index.add_agent("ann", float(number))
        index.remove_agent("ann")
        index.add_entry(f"e{number}", "a", (), (1, 0.0, number))
        index.remove_entry(f"e{number}")
    group = index._waiting["held"]
    assert len(group.idle) < 200
    assert len(group.waiting) < 200


def test_requirements_that_never_come_back_are_forgotten() -> None:
    index = one_agent()
    for number in range(5000):
        index.add_entry(f"e{number}", "a", ((f"s{number}", 1),), (0, 0.0, number))
        index.remove_entry(f"e{number}")
    assert len(index._queues["a"].classes) < 200
    index.add_agent("ann", 1.0)
    index.add_entry("last", "a", (("zh", 1),), (0, 0.0, 9999))
    assert index.best_entry("ann") == "last"
    assert index.best_agent("last") == "ann"


def test_servable() -> None:
    index = one_agent()
    assert index.servable("a", Requirement.of("zh"))
    assert not index.servable("a", Requirement.of("fr"))
    assert not index.servable("b", Requirement())


def test_the_barred_are_passed_over_and_not_forgotten() -> None:
    index = MatchIndex([AgentSettings(name, "", (Membership("a"),)) for name in ("ann", "bob")])
    for number in range(3):
        index.add_entry(f"e{number}", "a", (), (0, 0.0, number))
    index.add_agent("ann", 1.0)
    index.add_agent("bob", 2.0)
    assert index.best_agent("e0", {"ann"}) == "bob"
    assert index.best_agent("e0", {"ann", "bob"}) is None
    assert index.best_agent("e0") == "ann"
    assert index.best_entry("ann", {"e0", "e1"}) == "e2"
    assert index.best_entry("ann", {"e0", "e1", "e2"}) is None
    assert index.best_entry("ann") == "e0"
    assert index.best_entry("nobody") is None
    assert index.best_agent("nobody") is None
