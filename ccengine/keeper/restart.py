"""When a process that died is started again."""

from __future__ import annotations

from ccengine.keeper.spec import RestartSpec


class Restarts:
    """Counts the early deaths of one process; ``deaths`` counts them all."""

    def __init__(self, spec: RestartSpec) -> None:
        self.deaths = 0
        self.resting = False
        self._spec = spec
        self._early = 0

    def died(self, now: float, ready_at: float | None) -> float:
        """Count a death and return how many seconds to wait before the next start.

        ``ready_at`` is when the process became ready, None when it never did.
        """
        spec = self._spec
        self.deaths += 1
        if ready_at is not None and now - ready_at >= spec.young_s:
            self._early = 0
            self.resting = False
            return 0.0
        self._early += 1
        self.resting = self._early >= spec.limit
        if self.resting:
            return spec.rest_s
        if self._early == 1:
            return 0.0
        delay: float = spec.delay_s * 2 ** (self._early - 2)
        return min(spec.max_delay_s, delay)
