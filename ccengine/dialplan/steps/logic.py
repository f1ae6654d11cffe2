"""Steps that compute, decide and go somewhere else."""

from __future__ import annotations

from pydantic import Field

from ccengine.dialplan.expression import Expression, ValueTemplate
from ccengine.dialplan.run import StepRun
from ccengine.dialplan.step import (
    BACK,
    NEXT,
    OVER,
    Enter,
    FlowName,
    Outcome,
    Step,
    Target,
    VariableName,
    leave,
)
from ccengine.errors import FlowError
from ccengine.ports import HangUp, HangupCause


class Set(Step):
    """Set variables."""

    NAME = "set"
    WHOLE = "values"

    values: dict[VariableName, ValueTemplate] = Field(description="Variables and their values.")

    def begin(self, run: StepRun) -> Outcome:
        """Set them, one after the other."""
        for name, template in self.values.items():
            value = template.value(run.scope)
            if not isinstance(value, str | int | float | bool):
                cure = "keep a text, a number, true or false"
                raise FlowError(f"{template.source!r} is no value for a variable", cure=cure)
            run.assign(name, value)
        return NEXT


class If(Step):
    """Go one way or the other."""

    NAME = "if"

    when: Expression = Field(description="Expression that is true or false.")
    then: Target | None = Field(None, description="Where true leads; without it the next step.")
    otherwise: Target | None = Field(
        None, alias="else", description="Where false leads; without it the next step."
    )

    def begin(self, run: StepRun) -> Outcome:
        """Decide."""
        return leave(self.then if self.when.test(run.scope) else self.otherwise)


class Go(Step):
    """Go to another state, or to another flow for good."""

    NAME = "go"
    WHOLE = "to"
    ENDS = True

    to: Target = Field(description="A state of this flow, or {flow: NAME, go: STATE}.")

    def begin(self, run: StepRun) -> Outcome:
        """Go there."""
        return self.to.jump


class Call(Step):
    """Run another flow as a part of this one, and come back after its end."""

    NAME = "call"
    SHORT = "flow"

    flow: FlowName = Field(description="Flow of this dialplan.")

    def begin(self, run: StepRun) -> Outcome:
        """Enter the flow."""
        return Enter(str(self.flow))


class End(Step):
    """End this flow: go back to the flow that called it, else be done."""

    NAME = "end"
    ENDS = True

    def begin(self, run: StepRun) -> Outcome:
        """Go back."""
        return BACK


class Hangup(Step):
    """End the call."""

    NAME = "hangup"
    SHORT = "cause"
    ENDS = True

    cause: HangupCause = Field("normal", description="What the caller's phone is told.")

    def begin(self, run: StepRun) -> Outcome:
        """Hang up."""
        run.emit(HangUp(run.call_id, self.cause))
        return OVER


STEPS: tuple[type[Step], ...] = (Set, If, Go, Call, End, Hangup)
