"""The machine that runs a flow: events and time in, commands out, no input or output.

The flow begins with :meth:`Interpreter.start` and is over after :class:`FlowEnded`, its last
command, which comes exactly once.  Every command is for whoever runs the flow: prompts are
keys, a queue is entered by :class:`EnterQueue`, and the flow that waiting callers hear is run
by a second interpreter for the same call.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Literal

from ccengine.dialplan.place import FlowPlace, Frame
from ccengine.dialplan.plan import Dialplan, Flow
from ccengine.dialplan.run import StepRun
from ccengine.dialplan.step import (
    OVER,
    Back,
    Enter,
    Jump,
    Next,
    Outcome,
    Over,
    Step,
    Wait,
)
from ccengine.errors import FlowError
from ccengine.ids import IdMaker
from ccengine.ports import (
    AnswerCall,
    CallAnswered,
    CallArrived,
    CallEnded,
    DigitReceived,
    FlowCommand,
    FlowEnded,
    FlowEvent,
)

MAX_STEPS_PER_SECOND = 500
"""A flow that takes more steps within one second runs in circles and is ended."""

MAX_FRAMES = 32
"""Deepest nesting of flows that call flows."""

_logger = logging.getLogger(__name__)


class Interpreter:
    """One flow of one call.

    ``language`` holds until a flow or a step sets another; ``answered`` says that the call
    is answered already, as it is for a wait flow; ``variables`` are known to expressions as
    members of ``call``.
    """

    __slots__ = (
        "_begun", "_failed", "_flow", "_frames", "_plan", "_run", "_state", "_status", "_step",
        "_window_start", "_window_steps",
    )  # fmt: skip

    def __init__(
        self,
        dialplan: Dialplan,
        flow: str,
        call: CallArrived,
        ids: IdMaker,
        *,
        language: str = "zh",
        answered: bool = False,
        variables: Mapping[str, str | int | float | bool] | None = None,
    ) -> None:
        self._plan = dialplan
        self._flow: Flow = dialplan.flow(flow)
        self._run = StepRun(call, ids.make("f"), language, answered=answered)
        self._run.scope = _first_scope(dialplan, call, language, variables or {})
        self._status: Literal["new", "running", "ended"] = "new"
        self._state = self._flow.start
        self._step = 0
        self._begun = False
        self._failed = False
        self._frames: list[Frame] = []
        self._window_start = 0.0
        self._window_steps = 0

    # --- the shape of a machine ----------------------------------------------------------------

    def start(self, now: float) -> None:
        """Begin with the first step of the flow."""
        if self._status != "new":
            return
        self._status = "running"
        self._run.now = now
        self._advance(Jump(flow=self._flow.name))

    def receive(self, event: FlowEvent, now: float) -> None:
        """Hear an event; events of other calls, and late ones, are ignored."""
        if self._status != "running" or event.call_id != self._run.call_id:
            return
        run = self._run
        run.now = now
        if isinstance(event, CallEnded):
            self._finish()
        elif isinstance(event, CallAnswered):
            run.answered = True
            if not self._begun:
                self._advance(self._begin())
        elif self._wanted(event):
            self._advance(self._guarded(lambda step: step.receive(run, event)))

    def next_timeout(self) -> float | None:
        """Return when :meth:`handle_timeout` wants to be called, in seconds of ``now``."""
        return min(self._run.deadlines.values(), default=None)

    def handle_timeout(self, now: float) -> None:
        """Let the deadlines pass that are due."""
        run = self._run
        while self._status == "running" and run.deadlines:
            at, name = min((at, name) for name, at in run.deadlines.items())
            if at > now:
                return
            run.now = now
            del run.deadlines[name]
            self._advance(self._guarded(lambda step, due=name: step.expire(run, due)))  # type: ignore[misc]

    def poll(self) -> list[FlowCommand]:
        """Return and forget the commands since the last poll."""
        commands, self._run.commands = self._run.commands, []
        return commands

    def stop(self, now: float) -> None:
        """End the flow from outside, such as a wait flow whose caller gets an agent."""
        if self._status == "running":
            self._run.now = now
            if self._begun:
                self._current().stop(self._run)
        self._finish()

    # --- looking in ------------------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Whether the flow is over."""
        return self._status == "ended"

    @property
    def version(self) -> str:
        """The version of the dialplan that this flow runs on."""
        return self._plan.version

    @property
    def variables(self) -> Mapping[str, Any]:
        """What expressions see."""
        return self._run.scope

    @property
    def language(self) -> str:
        """The language in use."""
        return self._run.language

    def place(self) -> FlowPlace:
        """Return where the flow stands; commands not polled yet are no part of it."""
        run = self._run
        return FlowPlace(
            call=run.call,
            flow_id=run.flow_id,
            dialplan=self._plan.version,
            flow=self._flow.name,
            state=self._state,
            step=self._step,
            status=self._status,
            language=run.language,
            begun=self._begun,
            answered=run.answered,
            failed=self._failed,
            frames=tuple(self._frames),
            local={name: value for name, value in run.local.items() if name[0] != "_"},
            variables=run.shown(),
            deadlines=dict(run.deadlines),
            digits="" if self._is_secret() else "".join(run.digits),
            made_ids=run.made_ids,
            swallow=run.swallow,
            swallow_until=run.swallow_until,
            window_start=self._window_start,
            window_steps=self._window_steps,
            secrets=tuple(run.secrets),
        )

    def _is_secret(self) -> bool:
        return self._status == "running" and bool(getattr(self._current(), "secret", False))

    @classmethod
    def restore(cls, dialplan: Dialplan, place: FlowPlace, now: float) -> Interpreter:
        """Return an interpreter that goes on at ``place`` as if nothing had happened.

        Nothing is said again; :meth:`resume` does that.  Raises :class:`FlowError` when
        ``dialplan`` is not the version of the place.
        """
        if dialplan.version != place.dialplan:
            raise FlowError(f"the place belongs to dialplan {place.dialplan}")
        self = cls.__new__(cls)
        self._plan = dialplan
        self._flow = dialplan.flow(place.flow)
        self._state, self._step = place.state, place.step
        self._status = place.status
        self._begun, self._failed = place.begun, place.failed
        self._frames = list(place.frames)
        self._window_start, self._window_steps = place.window_start, place.window_steps
        self._run = StepRun(
            place.call,
            place.flow_id,
            place.language,
            now=now,
            answered=place.answered,
            digits=list(place.digits),
            local=dict(place.local),
            scope=dict(place.variables),
            deadlines=dict(place.deadlines),
            made_ids=place.made_ids,
            swallow=place.swallow,
            swallow_until=place.swallow_until,
            secrets=list(place.secrets),
        )
        return self

    def resume(self, now: float) -> None:
        """Say again what is outstanding, with the same ids, after a takeover."""
        if self._status != "running":
            return
        self._run.now = now
        if self._begun:
            self._current().resume(self._run)
        else:
            self._run.emit(AnswerCall(self._run.call_id))

    # --- moving on -------------------------------------------------------------------------------

    def _current(self) -> Step:
        return self._flow.states[self._state][self._step]

    def _wanted(self, event: FlowEvent) -> bool:
        """Tell whether the step in hand should hear an event; buffer keys on the way."""
        if isinstance(event, DigitReceived):
            if self._begun and self._current().DIGITS == "drop":
                return False
            if not self._run.hear_digit(event.digit):
                return False
        return self._begun

    def _advance(self, outcome: Outcome) -> None:
        while not isinstance(outcome, Wait) and self._status == "running":
            if isinstance(outcome, Over):
                self._finish()
                return
            try:
                self._move(outcome)
            except FlowError as error:
                outcome = self._fail(error)
                continue
            outcome = self._begin() if self._status == "running" else OVER

    def _move(self, outcome: Outcome) -> None:
        """Set the place to where an outcome leads."""
        self._run.local = {}
        self._run.deadlines.clear()
        if isinstance(outcome, Next):
            self._step += 1
        elif isinstance(outcome, Enter):
            if len(self._frames) >= MAX_FRAMES:
                raise FlowError("flows call flows too deep", cure="use go instead of call")
            self._frames.append(Frame(self._flow.name, self._state, self._step + 1))
            self._enter(outcome.flow, "")
        elif isinstance(outcome, Jump):
            if outcome.flow:
                self._enter(outcome.flow, outcome.state)
            else:
                self._state, self._step = outcome.state, 0
        elif isinstance(outcome, Back):
            self._return()
        while self._status == "running" and self._step >= len(self._flow.states[self._state]):
            self._return()

    def _enter(self, name: str, state: str) -> None:
        flow = self._plan.flow(name)
        self._flow, self._state, self._step = flow, state or flow.start, 0
        if flow.language:
            self._run.language = flow.language
            self._run.assign("language", flow.language)
        for variable, value in flow.variables.items():
            self._run.assign(variable, value)

    def _return(self) -> None:
        if not self._frames:
            self._finish()
            return
        frame = self._frames.pop()
        self._flow = self._plan.flow(frame.flow)
        self._state, self._step = frame.state, frame.step

    def _begin(self) -> Outcome:
        """Begin the step in hand, after the call is answered when it needs that."""
        run = self._run
        self._begun = run.answered or not self._current().NEEDS_ANSWER
        if not self._begun:
            run.emit(AnswerCall(run.call_id))
            return Wait()
        if run.now - self._window_start > 1.0:
            self._window_start, self._window_steps = run.now, 0
        self._window_steps += 1
        if self._window_steps > MAX_STEPS_PER_SECOND:
            self._failed = True
            cure = "let every circle wait for the caller or for time"
            return self._fail(FlowError(f"state {self._state!r} runs in circles", cure=cure))
        return self._guarded(lambda step: step.begin(run))

    def _guarded(self, act: Callable[[Step], Outcome]) -> Outcome:
        step = self._current()
        try:
            return act(step)
        except FlowError as error:
            return self._fail(error)
        except Exception as error:
            # A step may come from outside: its flaw ends this flow and no other.
            _logger.exception("step %s of call %s failed", step.NAME, self._run.call_id)
            return self._fail(FlowError(f"step {step.NAME!r} failed: {error!r}"))

    def _fail(self, error: FlowError) -> Outcome:
        """Go where this flow, or one that called it, wants errors to go, once; else end."""
        self._run.stop_play()
        where = f"{self._flow.name}.{self._state}, step {self._step + 1}: {error}"
        while self._flow.on_error is None and self._frames:
            self._flow = self._plan.flow(self._frames.pop().flow)
        target = self._flow.on_error
        if target is None or self._failed:
            self._finish(where)
            return OVER
        self._failed = True
        self._run.assign("error", where)
        return target.jump

    def _finish(self, error: str = "") -> None:
        if self._status == "ended":
            return
        self._status = "ended"
        self._run.deadlines.clear()
        self._run.local = {}
        self._run.emit(FlowEnded(self._run.call_id, error))


def _first_scope(
    dialplan: Dialplan, call: CallArrived, language: str, variables: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what expressions see at the beginning: every name has a value."""
    scope: dict[str, Any] = dict(dialplan.blank)
    for name, members in dialplan.results.items():
        scope[name] = dict.fromkeys(sorted(members), "")
    scope |= {
        "caller": asdict(call.caller),
        "number": call.number,
        "extension": call.extension,
        "language": language,
        "digits": "",
        "error": "",
        "call": dict(variables),
    }
    return scope
