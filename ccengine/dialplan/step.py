"""What a step is: a model of what stands in the file, and what it does in a running flow.

A step holds no state.  What it has to remember while it waits stands in ``run.local``, as
plain values alone, so that the flow can be put down anywhere and taken up elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, TypeAlias

from pydantic import BaseModel, Field, model_validator
from pydantic_core import CoreSchema, core_schema

from ccengine.dialplan.expression import Template
from ccengine.dialplan.run import StepRun
from ccengine.dialplan.source import KeyPath
from ccengine.dialplan.validation import Section, Text, as_text, reject
from ccengine.ports import FlowEvent

# --- outcomes ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wait:
    """The step goes on when an event or a deadline comes."""


@dataclass(frozen=True, slots=True)
class Next:
    """The step is done; the next one follows."""


@dataclass(frozen=True, slots=True)
class Jump:
    """Go on with a state; ``flow`` empty means the same flow, ``state`` empty its start."""

    state: str = ""
    flow: str = ""


@dataclass(frozen=True, slots=True)
class Enter:
    """Run another flow as a part of this one and come back."""

    flow: str


@dataclass(frozen=True, slots=True)
class Back:
    """End this flow and go back to the one that called it, if any."""


@dataclass(frozen=True, slots=True)
class Over:
    """The whole flow is over, with all that called it."""


Outcome: TypeAlias = Wait | Next | Jump | Enter | Back | Over

WAIT = Wait()
NEXT = Next()
BACK = Back()
OVER = Over()

# --- references that a loader checks ----------------------------------------------------------


def _named_text(kind: type[str], pattern: str, words: str) -> CoreSchema:
    def check(value: Any) -> str:
        value = as_text(value)
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            reject(f"{value!r} is no name", words)
        return kind(value)

    return core_schema.no_info_plain_validator_function(
        check, json_schema_input_schema=core_schema.str_schema(pattern=f"^{pattern}$")
    )


class FlowName(str):
    """The name of a flow of the same dialplan."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        return _named_text(cls, r"[\w-]+", "use letters, digits, _ and -")


class VariableName(str):
    """The name of a variable that a step sets."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        words = "use small letters, digits and _, beginning with a letter"
        return _named_text(cls, r"[a-z][a-z0-9_]*", words)


class Target(Section):
    """Where to go on: a state of this flow (short form), or another flow."""

    SHORT: ClassVar[str] = "go"

    go: Text = Field("", description="State of this flow, or of ``flow``.")
    flow: Text = Field("", description="Another flow; without ``go`` at its start.")

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if not self.go and not self.flow:
            reject("this leads nowhere", "write the name of a state, or {flow: NAME}")
        return self

    @property
    def jump(self) -> Jump:
        """The outcome that leads there."""
        return Jump(self.go, self.flow)


def leave(target: Target | None) -> Outcome:
    """Return the jump to ``target``, or the next step without one."""
    return target.jump if target else NEXT


# --- the step itself ----------------------------------------------------------------------------


class Step(Section):
    """Base of all steps; the docstring of a step is its description in the reference.

    ``NAME`` is its word in the file, ``RESULT`` the variable with members that it sets.
    """

    NAME: ClassVar[str]
    RESULT: ClassVar[tuple[str, tuple[str, ...]]] = ("", ())
    NEEDS_ANSWER: ClassVar[bool] = False
    """The call is answered before this step begins."""
    DIGITS: ClassVar[Literal["keep", "take", "drop"]] = "keep"
    """Keys are kept for later, given to this step at once, or belong to people who talk."""
    ENDS: ClassVar[bool] = False
    """No step after this one is ever reached."""

    def begin(self, run: StepRun) -> Outcome:
        """Start the step."""
        raise NotImplementedError

    def receive(self, run: StepRun, event: FlowEvent) -> Outcome:
        """Hear an event; a key is in ``run.digits`` already."""
        return WAIT

    def expire(self, run: StepRun, name: str) -> Outcome:
        """Hear that the deadline ``name`` has passed."""
        return NEXT

    def resume(self, run: StepRun) -> None:
        """Say again what is outstanding, with the same ids, after a takeover."""

    def stop(self, run: StepRun) -> None:
        """Take back what is outstanding, because the flow is stopped from outside."""

    def targets(self) -> Iterator[tuple[KeyPath, Target]]:
        """Yield every target with its path in the step."""
        for path, value in walk(self):
            if isinstance(value, Target):
                yield path, value


def walk(value: object, path: KeyPath = ()) -> Iterator[tuple[KeyPath, object]]:
    """Yield a model's values at every depth, with the path that they have in the file."""
    yield path, value
    if isinstance(value, BaseModel):
        for name, info in type(value).model_fields.items():
            inner = getattr(value, name)
            if inner is not None:
                here = path if name == "root" else (*path, info.alias or name)
                yield from walk(inner, here)
    elif isinstance(value, dict):
        for key, inner in value.items():
            # A key may carry meaning as well, such as the name of a variable.
            if not isinstance(key, str) or type(key) is not str:
                yield (*path, key), key
            yield from walk(inner, (*path, key))
    elif isinstance(value, tuple | list):
        for index, inner in enumerate(value):
            yield from walk(inner, (*path, index))


def templates(value: object) -> Iterator[tuple[KeyPath, Template]]:
    """Yield every template in a model with its path in the file."""
    for path, inner in walk(value):
        if isinstance(inner, Template):
            yield path, inner
