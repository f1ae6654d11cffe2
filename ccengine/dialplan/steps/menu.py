"""Steps that ask the caller for keys."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from ccengine.dialplan.run import StepRun
from ccengine.dialplan.step import NEXT, WAIT, Outcome, Step, Target, VariableName, leave
from ccengine.dialplan.steps.sound import Digit, PromptList, Seconds
from ccengine.dialplan.validation import reject
from ccengine.ports import DigitReceived, FlowEvent, PlayFinished

Retries = Annotated[int, Field(ge=0, le=20)]
Failure = Literal["timeout", "invalid"]


class _Asking(Step):
    """A step that plays a prompt, hears keys, and asks again when they are wrong."""

    NEEDS_ANSWER = True
    DIGITS: ClassVar[Literal["keep", "take", "drop"]] = "take"

    prompt: PromptList = Field((), description="What is asked.")
    timeout_s: Seconds = Field(5.0, description="Longest wait for a key after the prompt.")
    retries: Retries = Field(2, description="How often it is asked again.")
    invalid: PromptList = Field((), description="Said before asking again after wrong keys.")
    no_input: PromptList = Field((), description="Said before asking again after silence.")
    barge_in: bool = Field(True, description="A key ends the prompt.")
    on_timeout: Target | None = Field(
        None, description="Where silence leads in the end; without it the next step."
    )
    on_invalid: Target | None = Field(
        None, description="Where wrong keys lead in the end; without it the next step."
    )

    def begin(self, run: StepRun) -> Outcome:
        """Ask, unless keys typed ahead are the answer already."""
        run.local["tries"] = 0
        return self._ask(run, ())

    def _ask(self, run: StepRun, before: PromptList) -> Outcome:
        if run.digits and not before:
            # Typed ahead: the prompt need not be heard.
            outcome = self.hear(run)
            if outcome is not WAIT or run.playing or run.deadlines:
                return outcome
        keys = tuple(run.text(prompt) for prompt in (*before, *self.prompt))
        if keys:
            run.play(keys)
        else:
            run.after("key", self.timeout_s)
        return WAIT

    def receive(self, run: StepRun, event: FlowEvent) -> Outcome:
        """Hear a key, or the end of the prompt."""
        if isinstance(event, PlayFinished) and run.played(event.play_id):
            run.after("key", self.timeout_s)
            return self.hear(run)
        if not isinstance(event, DigitReceived) or (run.playing and not self.barge_in):
            return WAIT
        run.stop_play()
        return self.hear(run)

    def expire(self, run: StepRun, name: str) -> Outcome:
        """Hear silence."""
        return self.fail(run, "timeout")

    def fail(self, run: StepRun, why: Failure) -> Outcome:
        """Ask again, or give up."""
        run.deadlines.clear()
        run.digits.clear()
        run.local["tries"] += 1
        if run.local["tries"] <= self.retries:
            self.forget(run)
            return self._ask(run, self.invalid if why == "invalid" else self.no_input)
        self.conclude(run, why, "")
        return leave(self.on_invalid if why == "invalid" else self.on_timeout)

    def conclude(self, run: StepRun, result: str, digits: str) -> None:
        """Set the variables that tell how it went."""
        run.assign("digits", digits)
        run.result(self.RESULT[0], {"result": result})

    def hear(self, run: StepRun) -> Outcome:
        """Use the keys in ``run.digits``."""
        raise NotImplementedError

    def forget(self, run: StepRun) -> None:
        """Forget keys of an attempt that failed."""

    def resume(self, run: StepRun) -> None:
        """Play what was playing."""
        run.play_again()

    def stop(self, run: StepRun) -> None:
        """Fall silent."""
        run.stop_play()


class Menu(_Asking):
    """Let the caller choose with one key. Sets ``digits`` and ``menu.result``."""

    NAME = "menu"
    RESULT = ("menu", ("result",))

    choices: Annotated[dict[Digit, Target], Field(min_length=1)] = Field(
        description="Keys and where they lead."
    )

    def hear(self, run: StepRun) -> Outcome:
        """Follow the key that was pressed."""
        digit = run.take_digit()
        if not digit:
            return WAIT
        target = self.choices.get(digit)
        if target is None:
            return self.fail(run, "invalid")
        self.conclude(run, "choice", digit)
        return target.jump


class Collect(_Asking):
    """Let the caller enter digits. Sets ``digits``, ``collect.result`` and ``into``.

    Digits that are ``secret`` stand in ``into`` alone and reach no record.
    """

    NAME = "collect"
    RESULT = ("collect", ("result",))

    into: VariableName | None = Field(None, description="Variable that gets the digits.")
    min_digits: Annotated[int, Field(ge=0, le=64)] = Field(1, description="Fewest digits.")
    max_digits: Annotated[int, Field(ge=1, le=64)] = Field(32, description="Most digits.")
    terminator: Digit | Literal[""] = Field(
        "#", description="Key that ends the input and is no part of it; empty for none."
    )
    inter_digit_s: Seconds = Field(3.0, description="Silence after a digit that ends the input.")
    secret: bool = Field(False, description="A PIN: kept out of ``digits`` and of every record.")

    @model_validator(mode="after")
    def _ordered(self) -> Collect:
        if self.min_digits > self.max_digits:
            reject("min_digits is above max_digits", "let min_digits ≤ max_digits")
        if self.secret and self.into is None:
            reject("secret digits go nowhere", "name the variable that gets them: into: pin")
        return self

    def hear(self, run: StepRun) -> Outcome:
        """Gather digits until they are complete."""
        entered: str = run.local.get(self._entered, "")
        while digit := run.take_digit():
            if digit == self.terminator:
                return self._complete(run, entered)
            entered += digit
            if len(entered) >= self.max_digits:
                if self.terminator:
                    run.swallow_next(self.terminator, self.inter_digit_s)
                return self._complete(run, entered)
        run.local[self._entered] = entered
        if entered:
            run.after("key", self.inter_digit_s)
        return WAIT

    def expire(self, run: StepRun, name: str) -> Outcome:
        """Take silence for the end of the input."""
        entered: str = run.local.get(self._entered, "")
        return self._complete(run, entered) if entered else self.fail(run, "timeout")

    def forget(self, run: StepRun) -> None:
        """Forget the digits of this attempt."""
        run.local.pop(self._entered, None)

    @property
    def _entered(self) -> str:
        # What begins with _ is left out of the place.
        return "_entered" if self.secret else "entered"

    def resume(self, run: StepRun) -> None:
        """Play what was playing; of a secret nothing is known any more, so ask again."""
        if self.secret and not run.playing:
            run.deadlines.clear()
            self._ask(run, ())
        else:
            super().resume(run)

    def conclude(self, run: StepRun, result: str, digits: str) -> None:
        """Set the variables, the one of ``into`` included."""
        super().conclude(run, result, "" if self.secret else digits)
        if self.into is not None:
            if self.secret:
                run.hide(self.into)
            run.assign(self.into, digits)

    def _complete(self, run: StepRun, entered: str) -> Outcome:
        if len(entered) < self.min_digits:
            return self.fail(run, "invalid")
        self.conclude(run, "entered", entered)
        return NEXT


STEPS: tuple[type[Step], ...] = (Menu, Collect)
