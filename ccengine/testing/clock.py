"""Virtual time for tests: the clock that moves only when told to."""

from __future__ import annotations

from ccengine.clock import VirtualClock

__all__ = ["VirtualClock"]
