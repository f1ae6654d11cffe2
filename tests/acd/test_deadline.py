from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ccengine.acd.deadline import Deadlines

KEYS = st.sampled_from([("agent", "a"), ("entry", "a"), ("entry", "b"), ("agent", "c")])


@given(st.lists(st.tuples(KEYS, st.one_of(st.none(), st.integers(0, 50))), max_size=60))
def test_behaves_like_a_mapping_sorted_by_time(changes) -> None:
    deadlines, model = Deadlines(), {}
    for key, when in changes:
        deadlines.set(key, when)
        model.pop(key, None)
        if when is not None:
            model[key] = when
        assert deadlines.next() == min(model.values(), default=None)
    assert len(deadlines) == len(model)
    order = []
    while (key := deadlines.pop_due(25)) is not None:
        order.append((model.pop(key), key))
    assert order == sorted(order)
    assert all(when > 25 for when in model.values())


def test_changes_do_not_pile_up() -> None:
    deadlines = Deadlines()
    for when in range(10_000):
        deadlines.set(("agent", "a"), float(when))
    assert len(deadlines._heap) < 1000
    assert deadlines.next() == 9999
