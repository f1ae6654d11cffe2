"""Steps around a queue: entering it, and leaving it from a wait flow."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ccengine.dialplan.expression import QueueName, Template
from ccengine.dialplan.run import StepRun
from ccengine.dialplan.step import OVER, WAIT, FlowName, Outcome, Step, Target, leave
from ccengine.dialplan.steps.sound import Seconds
from ccengine.dialplan.validation import Text, one_or_more
from ccengine.ports import EnterQueue, FlowEvent, LeaveQueue, QueueLeft


class Queue(Step):
    """Put the caller into a queue until the conversation with an agent is over.

    Without the matching ``on_…`` the next step follows. Sets ``queue.name``,
    ``queue.result`` and ``queue.detail``.
    """

    NAME = "queue"
    SHORT = "queue"
    NEEDS_ANSWER = True
    DIGITS: ClassVar[Literal["keep", "take", "drop"]] = "drop"
    RESULT = ("queue", ("name", "result", "detail"))

    queue: QueueName = Field(description="Name of the queue.")
    wait_flow: FlowName | None = Field(
        None, description="Flow that the caller hears; without it that of the queue."
    )
    priority: Annotated[int, Field(ge=-100, le=100)] = Field(
        0, description="Callers of higher priority are served first."
    )
    skills: Annotated[tuple[Template, ...], one_or_more(Template)] = Field(
        (), description="Skills that the agent must have."
    )
    timeout_s: Seconds | None = Field(None, description="Longest wait.")
    attributes: dict[Text, Template] = Field(
        {}, description="What routing and the agent's display may look at."
    )
    on_answered: Target | None = Field(None, description="After the conversation.")
    on_timeout: Target | None = Field(None, description="When the wait was too long.")
    on_overflow: Target | None = Field(None, description="When the queue sends the caller on.")
    on_left: Target | None = Field(None, description="When the caller left by a key.")
    on_refused: Target | None = Field(
        None, description="When the queue takes no caller; without it as on_overflow."
    )

    def begin(self, run: StepRun) -> Outcome:
        """Enter the queue."""
        name = run.text(self.queue)
        run.local["queue"] = name
        run.local["skills"] = [run.text(skill) for skill in self.skills]
        run.local["attributes"] = {
            str(key): run.text(value) for key, value in self.attributes.items()
        }
        # Keys pressed from now on are meant for the wait flow or the agent.
        run.digits.clear()
        run.result("queue", {"name": name, "result": "", "detail": ""})
        self.resume(run)
        return WAIT

    def resume(self, run: StepRun) -> None:
        """Enter the queue, or say so once more."""
        run.emit(
            EnterQueue(
                run.call_id,
                run.local["queue"],
                wait_flow=str(self.wait_flow or ""),
                priority=self.priority,
                skills=tuple(run.local["skills"]),
                timeout_s=self.timeout_s,
                attributes=dict(run.local["attributes"]),
            )
        )

    def receive(self, run: StepRun, event: FlowEvent) -> Outcome:
        """Go on with the result."""
        if not isinstance(event, QueueLeft):
            return WAIT
        run.result("queue", {"result": event.result, "detail": event.detail})
        if event.result == "hangup":
            return OVER
        targets = {
            "answered": self.on_answered,
            "timeout": self.on_timeout,
            "overflow": self.on_overflow,
            "left": self.on_left,
            "refused": self.on_refused or self.on_overflow,
        }
        return leave(targets[event.result])


class Leave(Step):
    """In a wait flow: take the caller out of the queue, result ``left``."""

    NAME = "leave"
    SHORT = "key"
    ENDS = True

    key: Template | None = Field(
        None, description="Given to the flow as queue.detail; without it the last key."
    )

    def begin(self, run: StepRun) -> Outcome:
        """Leave the queue; the wait flow is over by that."""
        key = run.text(self.key) if self.key is not None else str(run.scope.get("digits", ""))
        run.emit(LeaveQueue(run.call_id, key))
        return OVER


STEPS: tuple[type[Step], ...] = (Queue, Leave)
