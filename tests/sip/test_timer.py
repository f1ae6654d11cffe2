"""The timer queue."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from ccengine.sip.timer import TimerQueue


def test_timers_expire_in_order_and_equal_ones_in_order_of_arming() -> None:
    queue: TimerQueue[str] = TimerQueue()
    for due, owner in ((3.0, "c"), (1.0, "a"), (1.0, "b"), (2.0, "d")):
        queue.arm(due, owner, "t")
    assert queue.next_due() == 1.0
    assert queue.pop_due(0.9) is None
    assert [queue.pop_due(5.0) for _ in range(5)] == [
        ("a", "t"),
        ("b", "t"),
        ("d", "t"),
        ("c", "t"),
        None,
    ]
    assert len(queue) == 0


def test_cancelling_twice_or_after_expiry_is_fine() -> None:
    queue: TimerQueue[str] = TimerQueue()
    timer, other = queue.arm(1.0, "a", "t"), queue.arm(2.0, "b", "t")
    queue.cancel(timer)
    queue.cancel(timer)
    queue.cancel(None)
    assert len(queue) == 1
    assert queue.pop_due(9.0) == ("b", "t")
    queue.cancel(other)
    assert len(queue) == 0
    assert queue.next_due() is None


def test_cancelled_timers_do_not_pile_up() -> None:
    queue: TimerQueue[str] = TimerQueue()
    queue.arm(1e9, "stays", "t")
    for number in range(10_000):
        queue.cancel(queue.arm(1e6 + number, "x", "t"))
    assert len(queue) == 1
    assert len(queue._heap) < 200


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=300), st.integers())
def test_same_as_a_sorted_list(entries: list[tuple[float, bool]], seed: int) -> None:
    queue: TimerQueue[int] = TimerQueue()
    timers = [queue.arm(due, index, "t") for index, (due, _) in enumerate(entries)]
    cancelled = [index for index, (_, cancel) in enumerate(entries) if cancel]
    random.Random(seed).shuffle(cancelled)
    for index in cancelled:
        queue.cancel(timers[index])
    expected = sorted((due, index) for index, (due, cancel) in enumerate(entries) if not cancel)
    got = []
    while (item := queue.pop_due(1000.0)) is not None:
        got.append(item[0])
    assert got == [index for _, index in expected]
