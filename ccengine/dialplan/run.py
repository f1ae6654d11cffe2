"""The running state of one flow, as steps see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ccengine.dialplan.expression import Template
from ccengine.ports import CallArrived, FlowCommand, PlayPrompts, StopPlay

MAX_DIGITS_AHEAD = 64
"""Keys typed ahead of their step beyond this number are forgotten."""


@dataclass(slots=True)
class StepRun:
    """What a step may look at and do.

    ``local`` belongs to the step in hand and is empty when it begins; ``deadlines`` (name →
    ``now``) are cleared when it ends.  ``scope`` is what expressions see.
    """

    call: CallArrived
    flow_id: str
    language: str
    now: float = 0.0
    answered: bool = False
    digits: list[str] = field(default_factory=list)
    local: dict[str, Any] = field(default_factory=dict)
    scope: dict[str, Any] = field(default_factory=dict)
    deadlines: dict[str, float] = field(default_factory=dict)
    commands: list[FlowCommand] = field(default_factory=list)
    made_ids: int = 0
    swallow: str = ""
    swallow_until: float = 0.0
    secrets: list[str] = field(default_factory=list)

    @property
    def call_id(self) -> str:
        """The call that this flow belongs to."""
        return self.call.call_id

    def emit(self, command: FlowCommand) -> None:
        """Say something to the call."""
        self.commands.append(command)

    def new_id(self, kind: str) -> str:
        """Return an id that is unique among all flows of the engine."""
        self.made_ids += 1
        return f"{self.flow_id}-{kind}{self.made_ids}"

    # --- time ------------------------------------------------------------------------------

    def after(self, name: str, seconds: float) -> None:
        """Arm, or arm anew, the deadline ``name``."""
        self.deadlines[name] = self.now + seconds

    def disarm(self, name: str) -> None:
        """Forget the deadline ``name``."""
        self.deadlines.pop(name, None)

    # --- variables ----------------------------------------------------------------------------

    def text(self, template: Template) -> str:
        """Return a template's text in this flow."""
        return template.text(self.scope)

    def assign(self, name: str, value: Any) -> None:
        """Set a variable."""
        self.scope[str(name)] = value

    def shown(self) -> dict[str, Any]:
        """Return the variables as a place may show them."""
        variables = dict(self.scope)
        for name in self.secrets:
            variables[name] = ""
        return variables

    def hide(self, name: str) -> None:
        """Let a variable's value appear in no place: after a takeover it is empty."""
        if name not in self.secrets:
            self.secrets.append(name)

    def result(self, name: str, values: Mapping[str, str]) -> None:
        """Set the members of a step's result variable, such as ``queue.result``."""
        self.scope[name] = {**self.scope.get(name, {}), **values}

    # --- sound ----------------------------------------------------------------------------------

    def play(self, keys: tuple[str, ...], *, loop: bool = False, language: str = "") -> None:
        """Start playing; ``playing`` holds until the play is over or stopped."""
        self.local["play"] = {
            "id": self.new_id("play"),
            "keys": list(keys),
            "language": language or self.language,
            "loop": loop,
        }
        self.play_again()

    def play_again(self) -> None:
        """Say the outstanding play once more, if there is one."""
        play = self.local.get("play")
        if play:
            keys = tuple(play["keys"])
            self.emit(
                PlayPrompts(self.call_id, play["id"], keys, play["language"], loop=play["loop"])
            )

    @property
    def playing(self) -> bool:
        """Whether a play of this step is going on."""
        return "play" in self.local

    def played(self, play_id: str) -> bool:
        """Take note that a play is over; False when it is not the one in hand."""
        if self.local.get("play", {}).get("id") != play_id:
            return False
        del self.local["play"]
        return True

    def stop_play(self) -> None:
        """Stop the play in hand, if there is one."""
        play = self.local.pop("play", None)
        if play:
            self.emit(StopPlay(self.call_id, play["id"]))

    # --- keys -----------------------------------------------------------------------------------

    def take_digit(self) -> str:
        """Return and remove the oldest key, empty when there is none."""
        return self.digits.pop(0) if self.digits else ""

    def swallow_next(self, digit: str, seconds: float) -> None:
        """Ignore one ``digit`` within ``seconds``: the terminator after a full number."""
        self.swallow, self.swallow_until = digit, self.now + seconds

    def hear_digit(self, digit: str) -> bool:
        """Buffer a key; False when it was one to be ignored."""
        swallowed = digit == self.swallow and self.now <= self.swallow_until
        self.swallow = ""
        if swallowed or len(self.digits) >= MAX_DIGITS_AHEAD:
            return False
        self.digits.append(digit)
        return True
