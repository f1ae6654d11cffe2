"""Where a flow stands: everything that is needed to go on from there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ccengine.ports import CallArrived


@dataclass(frozen=True, slots=True)
class Frame:
    """Where to go on after a flow that was called: the step after the call."""

    flow: str
    state: str
    step: int


@dataclass(frozen=True, slots=True)
class FlowPlace:
    """The whole state of an interpreter, made of plain values that msgspec encodes.

    ``step`` counts from 0 in ``state``; ``begun`` is False while the step waits for the call
    to be answered.  ``local`` belongs to the step.  ``deadlines`` and the other times are
    ``now`` of the boot in which the place was taken.  ``secrets`` names the variables whose
    values are left out, as those of ``local`` whose names begin with ``_`` are.
    """

    call: CallArrived
    flow_id: str
    dialplan: str
    flow: str
    state: str
    step: int
    status: Literal["new", "running", "ended"]
    language: str
    begun: bool = False
    answered: bool = False
    failed: bool = False
    frames: tuple[Frame, ...] = ()
    local: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, Any] = field(default_factory=dict)
    deadlines: dict[str, float] = field(default_factory=dict)
    digits: str = ""
    made_ids: int = 0
    swallow: str = ""
    swallow_until: float = 0.0
    window_start: float = 0.0
    window_steps: int = 0
    secrets: tuple[str, ...] = ()

    def moved(self, seconds: float) -> FlowPlace:
        """Return the place with all times moved, for a ``now`` of another boot."""
        return replace(
            self,
            deadlines={name: at + seconds for name, at in self.deadlines.items()},
            swallow_until=self.swallow_until + seconds,
            window_start=self.window_start + seconds,
        )
