"""The step by which agents change their state from a phone."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ccengine.dialplan.expression import Template
from ccengine.dialplan.run import StepRun
from ccengine.dialplan.step import WAIT, Outcome, Step, Target, leave
from ccengine.ports import AgentStateSet, FlowEvent, SetAgentState


class Agent(Step):
    """Sign an agent in or out, or set ready or away.

    Without ``agent_id`` the owner of the calling phone is meant. ``agent.error`` is empty
    when it was done.
    """

    NAME = "agent"
    SHORT = "action"
    RESULT = ("agent", ("error",))

    action: Literal["sign_in", "sign_out", "ready", "away"] = Field(description="What to do.")
    agent_id: Template | None = Field(None, description="Agent number.")
    pin: Template | None = Field(None, description="The agent's PIN.")
    reason: Template | None = Field(None, description="Reason of being away.")
    on_done: Target | None = Field(None, description="When it was done; else the next step.")
    on_refused: Target | None = Field(None, description="When it was not; else the next step.")

    def begin(self, run: StepRun) -> Outcome:
        """Ask for the change."""
        run.result("agent", {"error": ""})
        run.local["request_id"] = run.new_id("agent")
        self.resume(run)
        return WAIT

    def resume(self, run: StepRun) -> None:
        """Ask for the change, or ask once more."""
        # The PIN is read from the variables each time: it is kept in no second place.
        agent_id, pin, reason = (
            "" if template is None else run.text(template)
            for template in (self.agent_id, self.pin, self.reason)
        )
        run.emit(
            SetAgentState(
                run.call_id,
                run.local["request_id"],
                self.action,
                agent_id=agent_id,
                pin=pin,
                reason=reason,
            )
        )

    def receive(self, run: StepRun, event: FlowEvent) -> Outcome:
        """Go on with the answer."""
        if not isinstance(event, AgentStateSet) or event.request_id != run.local["request_id"]:
            return WAIT
        run.result("agent", {"error": event.error})
        return leave(self.on_refused if event.error else self.on_done)


STEPS: tuple[type[Step], ...] = (Agent,)
