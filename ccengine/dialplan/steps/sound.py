"""Steps that answer, ring, play and speak."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from ccengine.dialplan.expression import Prompt, Template
from ccengine.dialplan.run import StepRun
from ccengine.dialplan.spoken import say_digits, say_number
from ccengine.dialplan.step import NEXT, WAIT, Outcome, Step, Target
from ccengine.dialplan.validation import Text, one_or_more, reject
from ccengine.errors import FlowError
from ccengine.ports import DigitReceived, FlowEvent, PlayFinished, RingCall

PromptList = Annotated[tuple[Prompt, ...], one_or_more(Prompt)]
Seconds = Annotated[float, Field(gt=0, le=86400)]


def _one_key(value: str) -> str:
    if len(value) != 1 or value not in "0123456789*#ABCD":
        reject(f"{value!r} is no key of a phone", 'write one of "0" to "9", "*", "#"')
    return value


Digit = Annotated[Text, AfterValidator(_one_key)]
"""One key of a phone."""


class Answer(Step):
    """Answer the call. Steps that play or listen answer by themselves."""

    NAME = "answer"
    NEEDS_ANSWER = True

    def begin(self, run: StepRun) -> Outcome:
        """Go on: the interpreter has answered."""
        return NEXT


class Ring(Step):
    """Tell the caller that it rings, and let it ring for a while."""

    NAME = "ring"
    SHORT = "duration_s"

    duration_s: Annotated[float, Field(ge=0, le=300)] = Field(
        0.0, description="How long before the next step."
    )

    def begin(self, run: StepRun) -> Outcome:
        """Ring."""
        if not run.answered:
            run.emit(RingCall(run.call_id))
        if not self.duration_s:
            return NEXT
        run.after("ring", self.duration_s)
        return WAIT


class Pause(Step):
    """Do nothing for some seconds."""

    NAME = "wait"
    SHORT = "duration_s"

    duration_s: Seconds = Field(description="How long.")

    def begin(self, run: StepRun) -> Outcome:
        """Wait."""
        run.after("wait", self.duration_s)
        return WAIT


class Language(Step):
    """Use another language from here on."""

    NAME = "language"
    SHORT = "language"

    language: Template = Field(description="Language of prompts, such as zh or en.")

    def begin(self, run: StepRun) -> Outcome:
        """Change the language."""
        run.language = run.text(self.language)
        run.assign("language", run.language)
        return NEXT


class _Sounding(Step):
    """A step that is over when its sound is."""

    NEEDS_ANSWER = True

    barge_in: bool = Field(False, description="A key ends the sound and is kept for later.")

    def sound(self, run: StepRun) -> tuple[str, ...]:
        """Return the prompt keys to be heard."""
        raise NotImplementedError

    def spoken_language(self, run: StepRun) -> str:
        """Return the language of the prompts."""
        return run.language

    def begin(self, run: StepRun) -> Outcome:
        """Play, unless a key typed ahead has ended it already."""
        if self.barge_in and run.digits:
            return NEXT
        keys = self.sound(run)
        if not keys:
            return NEXT
        run.play(keys, language=self.spoken_language(run))
        return WAIT

    def receive(self, run: StepRun, event: FlowEvent) -> Outcome:
        """Go on at the end of the sound, or at a key."""
        if isinstance(event, PlayFinished) and run.played(event.play_id):
            return NEXT
        if isinstance(event, DigitReceived) and self.barge_in and run.playing:
            run.stop_play()
            return NEXT
        return WAIT

    def resume(self, run: StepRun) -> None:
        """Play what was playing."""
        run.play_again()

    def stop(self, run: StepRun) -> None:
        """Fall silent."""
        run.stop_play()


class Play(_Sounding):
    """Play prompts one after the other."""

    NAME = "play"
    SHORT = "prompts"

    prompts: Annotated[PromptList, Field(min_length=1)] = Field(description="Prompt keys.")

    def sound(self, run: StepRun) -> tuple[str, ...]:
        """Return the prompts."""
        return tuple(run.text(prompt) for prompt in self.prompts)


class Say(_Sounding):
    """Speak digits one by one, or a whole number."""

    NAME = "say"

    digits: Template | None = Field(None, description="Digits, such as an order number.")
    number: Template | None = Field(None, description="A whole number, such as an amount.")
    language: Text = Field("", description="Language; empty: that of the flow.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Say:
        if (self.digits is None) == (self.number is None):
            reject("one of digits and number is wanted", "write {digits: …} or {number: …}")
        return self

    def spoken_language(self, run: StepRun) -> str:
        """Return the step's own language, else the flow's."""
        return self.language or run.language

    def sound(self, run: StepRun) -> tuple[str, ...]:
        """Return the prompts of the spoken value."""
        language = self.spoken_language(run)
        if self.digits is not None:
            return say_digits(run.text(self.digits), language)
        assert self.number is not None
        text = run.text(self.number).strip()
        try:
            return say_number(int(text), language)
        except ValueError as error:
            cure = "let the step say digits, or check the value first"
            raise FlowError(f"{text!r} cannot be said as a number", cure=cure) from error


class Music(Step):
    """Play prompts round and round, for a time or until a key is pressed."""

    NAME = "music"
    SHORT = "prompts"
    NEEDS_ANSWER = True
    DIGITS: ClassVar[Literal["keep", "take", "drop"]] = "take"

    prompts: Annotated[PromptList, Field(min_length=1)] = Field(description="Prompt keys.")
    duration_s: Seconds | None = Field(None, description="How long; without it for ever.")
    choices: dict[Digit, Target] = Field({}, description="Keys and where they lead.")

    def begin(self, run: StepRun) -> Outcome:
        """Start the music."""
        chosen = self._choice(run)
        if chosen is not None:
            return chosen
        run.play(tuple(run.text(prompt) for prompt in self.prompts), loop=True)
        if self.duration_s is not None:
            run.after("music", self.duration_s)
        return WAIT

    def receive(self, run: StepRun, event: FlowEvent) -> Outcome:
        """Look at a key; music that cannot be played is silence, not the end."""
        if isinstance(event, PlayFinished):
            run.played(event.play_id)
        chosen = self._choice(run) if isinstance(event, DigitReceived) else None
        if chosen is None:
            return WAIT
        run.stop_play()
        return chosen

    def expire(self, run: StepRun, name: str) -> Outcome:
        """End the music."""
        run.stop_play()
        return NEXT

    def resume(self, run: StepRun) -> None:
        """Play what was playing."""
        run.play_again()

    def stop(self, run: StepRun) -> None:
        """Fall silent."""
        run.stop_play()

    def _choice(self, run: StepRun) -> Outcome | None:
        while digit := run.take_digit():
            target = self.choices.get(digit)
            if target is not None:
                run.assign("digits", digit)
                return target.jump
        return None


STEPS: tuple[type[Step], ...] = (Answer, Ring, Play, Say, Music, Pause, Language)
