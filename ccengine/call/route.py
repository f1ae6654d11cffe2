"""What a called number leads to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Route:
    """Where a number leads: ``extension`` is dialled directly, ``flow`` belongs to others."""

    kind: Literal["extension", "flow"]
    value: str = ""


class Router(Protocol):
    """Looks numbers up."""

    def route(self, number: str) -> Route | None:
        """Return where a called number leads, or nothing when it leads nowhere."""


@dataclass(frozen=True, slots=True)
class StaticRouter:
    """Exact numbers only; for tests and softswitches without flows."""

    routes: Sequence[tuple[str, Route]]

    def route(self, number: str) -> Route | None:
        """Return where a called number leads, or nothing when it leads nowhere."""
        return dict(self.routes).get(number)
