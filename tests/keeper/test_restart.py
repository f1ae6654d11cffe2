"""Back-off, limit and rest of restarts."""

from __future__ import annotations

from ccengine.keeper.restart import Restarts
from ccengine.keeper.spec import RestartSpec


def test_early_deaths_wait_longer_and_longer_then_rest() -> None:
    restarts = Restarts(RestartSpec(limit=9, delay_s=0.1, max_delay_s=5, rest_s=30))
    delays = [restarts.died(float(n), None) for n in range(10)]
    assert delays == [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 30, 30]
    assert restarts.resting
    assert restarts.deaths == 10


def test_a_death_within_10_s_of_ready_counts_and_a_later_one_forgives() -> None:
    restarts = Restarts(RestartSpec(limit=3))
    assert restarts.died(100.0, 90.1) == 0
    assert restarts.died(200.0, 199.0) == 0.1
    assert restarts.died(300.0, 290.0) == 0  # it had lived
    assert restarts.died(301.0, 300.5) == 0
    assert restarts.died(302.0, None) == 0.1
    assert restarts.died(303.0, None) == 30
    assert restarts.resting
    assert restarts.died(400.0, 350.0) == 0
    assert not restarts.resting
