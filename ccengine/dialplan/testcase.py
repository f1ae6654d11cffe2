"""What stands in a ``*.test.yaml``: calls with scripts of deeds and expectations."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field, model_validator

from ccengine.dialplan.validation import Section, Text, one_or_more, reject
from ccengine.ports import HangupCause

Seconds = Annotated[float, Field(gt=0, le=86400)]
Words = Annotated[tuple[Text, ...], one_or_more(Text)]
DialDeed: TypeAlias = Literal["ringing", "answered", "ended"] | HangupCause
Scalar = str | int | float | bool


class ExpectedQueue(Section):
    """A queue that the flow enters."""

    SHORT: ClassVar[str] = "queue"

    queue: Text = Field(description="Name of the queue.")
    wait_flow: Text | None = Field(None, description="Flow that the caller hears.")
    priority: int | None = Field(None, description="Priority.")
    timeout_s: float | None = Field(None, description="Longest wait.")
    skills: Words | None = Field(None, description="Required skills.")
    attributes: dict[Text, Text] | None = Field(None, description="Attributes, all of them.")


class ExpectedDial(Section):
    """A party that the flow dials."""

    SHORT: ClassVar[str] = "to"

    to: Text = Field(description="Extension or URI.")
    timeout_s: float | None = Field(None, description="How long it rings.")


class ExpectedAgent(Section):
    """A change of an agent's state that the flow asks for."""

    SHORT: ClassVar[str] = "action"

    action: Literal["sign_in", "sign_out", "ready", "away"] = Field(description="What to do.")
    agent_id: Text | None = Field(None, description="Agent number.")
    pin: Text | None = Field(None, description="PIN.")
    reason: Text | None = Field(None, description="Reason of being away.")


class Expect(Section):
    """What the flow does next; ``language`` and ``variables`` may stand beside it."""

    play: Words | None = Field(None, description="Prompt keys that are heard.")
    music: Words | None = Field(None, description="Prompt keys that are heard round and round.")
    answer: bool = Field(False, description="The call is answered.")
    ring: bool = Field(False, description="The caller hears ringing.")
    queue: ExpectedQueue | None = Field(None, description="A queue is entered.")
    leave: Text | None = Field(None, description="A wait flow leaves the queue with this key.")
    dial: ExpectedDial | None = Field(None, description="Another party is dialled.")
    agent: ExpectedAgent | None = Field(None, description="An agent's state is to be changed.")
    hangup: HangupCause | None = Field(None, description="The flow hangs up.")
    end: bool = Field(False, description="The flow is over without a mistake.")
    error: Text | None = Field(None, description="The flow fails with this in its message.")
    nothing_s: Seconds | None = Field(None, description="Nothing happens for so long.")
    language: Text | None = Field(None, description="Language in use.")
    variables: dict[Text, Scalar] = Field({}, description="Variables, such as queue.result.")

    KINDS: ClassVar[tuple[str, ...]] = (
        "play", "music", "answer", "ring", "queue", "leave", "dial", "agent", "hangup", "end",
        "error", "nothing_s",
    )  # fmt: skip

    @property
    def kind(self) -> str:
        """The one thing that is expected to happen, empty for a look at variables alone."""
        chosen = [name for name in self.KINDS if getattr(self, name) not in (None, False)]
        return chosen[0] if chosen else ""

    @model_validator(mode="after")
    def _one_kind(self) -> Expect:
        chosen = [name for name in self.KINDS if getattr(self, name) not in (None, False)]
        if len(chosen) > 1:
            reject(f"{chosen[0]} and {chosen[1]} stand in one expectation", "write two of them")
        if not chosen and self.language is None and not self.variables:
            reject("nothing is expected", f"write one of: {', '.join(self.KINDS)}")
        return self


class QueueOutcome(Section):
    """How the stay in the queue ends."""

    SHORT: ClassVar[str] = "result"

    result: Literal["answered", "timeout", "overflow", "left", "hangup", "refused"] = Field(
        description="Result of the queue step."
    )
    detail: Text = Field("", description="Key or target that belongs to the result.")


class Action(Section):
    """One line of a script: a deed of the caller, of the other side, or an expectation."""

    expect: Expect | None = Field(None, description="What the flow must do next.")
    press: Text | None = Field(None, description="Keys that the caller presses.")
    wait: Seconds | None = Field(None, description="Seconds that pass.")
    queue: QueueOutcome | None = Field(None, description="How the stay in the queue ends.")
    dial: DialDeed | None = Field(None, description="What the dialled party does.")
    agent: Text | None = Field(None, description="ok, or why the change is refused.")
    play_fails: bool = Field(False, description="What is playing cannot be played.")
    hangup: bool = Field(False, description="The caller hangs up.")

    @model_validator(mode="before")
    @classmethod
    def from_short(cls, data: object) -> object:
        """Take ``hangup`` and ``play_fails`` for deeds that need no value."""
        return {data: True} if data in ("hangup", "play_fails") else data

    @model_validator(mode="after")
    def _one_deed(self) -> Action:
        chosen = [
            name for name in type(self).model_fields if getattr(self, name) not in (None, False)
        ]
        if len(chosen) != 1:
            reject("one deed or expectation is wanted", "begin a new line with '- '")
        return self


class Case(Section):
    """One call."""

    name: Text = Field(description="What the case shows.")
    number: Text = Field("", description="Number that is dialled, one of ``numbers``.")
    flow: Text = Field("", description="Flow that is run, without a number.")
    caller: Text = Field("13800138000", description="The caller's number.")
    caller_name: Text = Field("", description="The caller's name.")
    extension: Text = Field("", description="Extension of the caller, when it is ours.")
    language: Text = Field("zh", description="Language before the flow sets one.")
    answered: bool = Field(False, description="The call is answered already: a wait flow.")
    call: dict[Text, Scalar] = Field({}, description="What the engine knows of the call.")
    script: Annotated[tuple[Action, ...], Field(min_length=1)] = Field(
        description="Deeds and expectations in their order."
    )

    @model_validator(mode="after")
    def _one_way_in(self) -> Case:
        if bool(self.number) == bool(self.flow):
            reject("a case needs one way in", "write either number or flow")
        return self


class TestFile(Section):
    """A file of dialplan tests."""

    __test__ = False  # not a test of this package, whatever its name

    version: Literal[1] = Field(description="Version of this notation.")
    dialplan: Annotated[tuple[Text, ...], one_or_more(Text), Field(min_length=1)] = Field(
        description="Dialplan files, beside this one."
    )
    numbers: dict[Text, Text] = Field({}, description="Flows by number that may be dialled.")
    prompt_s: Seconds = Field(1.0, description="How long each prompt lasts.")
    cases: Annotated[tuple[Case, ...], Field(min_length=1)] = Field(description="Calls.")
