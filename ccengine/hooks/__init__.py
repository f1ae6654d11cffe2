"""Business hooks: specifications, deadlines and isolation."""

from __future__ import annotations

from ccengine.hooks.hooks import Hooks

__all__ = ["Hooks"]
