"""The step that rings another party."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from ccengine.dialplan.expression import Template
from ccengine.dialplan.run import StepRun
from ccengine.dialplan.step import NEXT, WAIT, Outcome, Step, Target, leave
from ccengine.dialplan.validation import reject
from ccengine.ports import (
    CancelDial,
    ConnectDial,
    DialAnswered,
    DialEnded,
    DialFailed,
    DialRinging,
    DialTarget,
    FlowEvent,
    RingCall,
    StartDial,
)


class Dial(Step):
    """Ring an extension or a SIP URI and let the two talk.

    ``dial.result`` is ``answered`` or the cause of the failure. Without the matching
    ``on_…`` the next step follows.
    """

    NAME = "dial"
    DIGITS: ClassVar[Literal["keep", "take", "drop"]] = "drop"
    RESULT = ("dial", ("result",))

    extension: Template | None = Field(None, description="One of our extensions.")
    uri: Template | None = Field(None, description="A SIP URI.")
    timeout_s: Annotated[float, Field(gt=0, le=600)] = Field(30.0, description="How long it rings.")
    on_answered: Target | None = Field(None, description="After the conversation.")
    on_busy: Target | None = Field(None, description="The other party is busy or rejects.")
    on_no_answer: Target | None = Field(None, description="Nobody answers in time.")
    on_failed: Target | None = Field(None, description="Every failure without its own target.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Dial:
        if (self.extension is None) == (self.uri is None):
            reject("one of extension and uri is wanted", "write {extension: …} or {uri: …}")
        return self

    def begin(self, run: StepRun) -> Outcome:
        """Start dialling."""
        run.digits.clear()
        run.result("dial", {"result": ""})
        run.local["dial_id"] = run.new_id("dial")
        template = self.extension if self.extension is not None else self.uri
        assert template is not None
        run.local["to"] = run.text(template)
        self.resume(run)
        return WAIT

    def resume(self, run: StepRun) -> None:
        """Dial, or say so once more; a conversation goes on by itself."""
        if run.local.get("talking"):
            return
        kind: Literal["extension", "uri"] = "extension" if self.extension is not None else "uri"
        target = DialTarget(kind, run.local["to"])
        run.emit(StartDial(run.call_id, run.local["dial_id"], target, self.timeout_s))

    def receive(self, run: StepRun, event: FlowEvent) -> Outcome:
        """Follow the dial from ringing to its end."""
        dial_id = run.local["dial_id"]
        if getattr(event, "dial_id", "") != dial_id:
            return WAIT
        if isinstance(event, DialRinging) and not run.answered:
            run.emit(RingCall(run.call_id))
        elif isinstance(event, DialAnswered):
            run.local["talking"] = True
            run.emit(ConnectDial(run.call_id, dial_id))
        elif isinstance(event, DialEnded):
            run.result("dial", {"result": "answered"})
            return leave(self.on_answered)
        elif isinstance(event, DialFailed):
            run.result("dial", {"result": event.cause})
            return self._failed(event.cause)
        return WAIT

    def stop(self, run: StepRun) -> None:
        """Give the dial up; people who talk already are not parted."""
        if not run.local.get("talking"):
            run.emit(CancelDial(run.call_id, run.local["dial_id"]))

    def _failed(self, cause: str) -> Outcome:
        target = None
        if cause in ("busy", "rejected"):
            target = self.on_busy
        elif cause == "no_answer":
            target = self.on_no_answer
        target = target or self.on_failed
        return target.jump if target else NEXT


STEPS: tuple[type[Step], ...] = (Dial,)
