"""A caller who follows a script: plays last their time, everything else waits for a deed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from ccengine.dialplan.interpreter import Interpreter
from ccengine.ports import (
    AnswerCall,
    CallAnswered,
    CallEnded,
    CancelDial,
    ConnectDial,
    EnterQueue,
    FlowCommand,
    FlowEvent,
    HangUp,
    PlayFinished,
    PlayPrompts,
    RingCall,
    SetAgentState,
    StartDial,
    StopPlay,
)

PATIENCE_S = 3600.0
"""Virtual time that an expectation waits for what it expects."""

CALL_ID = "call-1"
QUIET = (AnswerCall, RingCall, StopPlay, CancelDial, ConnectDial)
"""What may happen without being expected."""


class CaseFailedError(Exception):
    """The case is over: what was wrong, and what was expected."""

    def __init__(self, message: str, cure: str = "") -> None:
        super().__init__(message)
        self.message, self.cure = message, cure


@dataclass(slots=True)
class Heard:
    """A command of the flow and when it came."""

    at: float
    command: FlowCommand


@dataclass(slots=True)
class ScriptedCaller:
    """A scripted call: plays last their time, everything else waits for the script."""

    interpreter: Interpreter
    prompt_s: float
    now: float = 0.0
    play: PlayPrompts | None = None
    play_until: float = 0.0
    queued: bool = False
    dial_id: str = ""
    request_id: str = ""
    heard: deque[Heard] = field(default_factory=deque)

    def begin(self) -> None:
        """Let the call arrive."""
        self.interpreter.start(self.now)
        self.drain()

    def send(self, event: FlowEvent) -> None:
        """Let the flow hear an event."""
        self.interpreter.receive(event, self.now)
        self.drain()

    def drain(self) -> None:
        """Take what the flow says, and answer at once what is answered at once."""
        while commands := self.interpreter.poll():
            self.heard += [Heard(self.now, command) for command in commands]
            for event in [event for command in commands for event in self._take(command)]:
                self.interpreter.receive(event, self.now)

    def _take(self, command: FlowCommand) -> Iterator[FlowEvent]:
        if isinstance(command, AnswerCall):
            yield CallAnswered(CALL_ID)
        elif isinstance(command, HangUp):
            yield CallEnded(CALL_ID, command.cause, by="system")
        elif isinstance(command, PlayPrompts):
            self.play = command
            self.play_until = self.now + self.prompt_s * len(command.keys)
        elif isinstance(command, StopPlay):
            self.play = None
        elif isinstance(command, EnterQueue):
            self.queued = True
        elif isinstance(command, StartDial):
            self.dial_id = command.dial_id
        elif isinstance(command, SetAgentState):
            self.request_id = command.request_id

    # --- time ----------------------------------------------------------------------------------

    def next_due(self) -> float | None:
        """Return when something happens by itself."""
        due = [] if self.play is None or self.play.loop else [self.play_until]
        timeout = self.interpreter.next_timeout()
        return min([*due, *([] if timeout is None else [timeout])], default=None)

    def step(self, until: float) -> bool:
        """Let the next thing happen that is due by ``until``; False when there is none."""
        due = self.next_due()
        if due is None or due > until:
            return False
        self.now = max(self.now, due)
        play = self.play
        if play is not None and not play.loop and self.play_until <= self.now:
            self.play = None
            self.send(PlayFinished(CALL_ID, play.play_id))
        else:
            self.interpreter.handle_timeout(self.now)
            self.drain()
        return True

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and everything happen that is due."""
        until = self.now + seconds
        while self.step(until):
            pass
        self.now = until

    def next_heard(self, *, quiet: bool) -> Heard | None:
        """Return what happens next, as time passes; ``quiet`` things only when asked for."""
        until = self.now + PATIENCE_S
        while True:
            while self.heard:
                item = self.heard.popleft()
                if quiet or not isinstance(item.command, QUIET):
                    return item
            if not self.step(until):
                return None
