"""Typed in-process events: publish and subscribe with bounded queues."""

from __future__ import annotations

from ccengine.bus.bus import Bus, Subscription

__all__ = ["Bus", "Subscription"]
