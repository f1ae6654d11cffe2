"""What a test expects a flow to do next, compared with what it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ccengine.dialplan.interpreter import Interpreter
from ccengine.dialplan.scripted import QUIET, CaseFailedError, ScriptedCaller
from ccengine.dialplan.testcase import Expect, ExpectedAgent, ExpectedDial, ExpectedQueue
from ccengine.dialplan.validation import nearest
from ccengine.ports import (
    AnswerCall,
    EnterQueue,
    FlowCommand,
    FlowEnded,
    HangUp,
    LeaveQueue,
    PlayPrompts,
    RingCall,
    SetAgentState,
    StartDial,
)


def _list(keys: Sequence[str]) -> str:
    return f"[{', '.join(keys)}]"


def _say(command: FlowCommand) -> str:
    """Return a command in the words of an expectation."""
    match command:
        case PlayPrompts(keys=keys, loop=loop):
            return f"{'music' if loop else 'play'} {_list(keys)}"
        case AnswerCall():
            return "answer"
        case RingCall():
            return "ring"
        case EnterQueue(queue=queue):
            return f"queue {queue}"
        case LeaveQueue(key=key):
            return f"leave {key!r}"
        case StartDial(target=target):
            return f"dial {target.value}"
        case SetAgentState(action=action):
            return f"agent {action}"
        case HangUp(cause=cause):
            return f"hangup {cause}"
        case FlowEnded(error=error):
            return f"the flow failed: {error}" if error else "the end of the flow"
        case _:
            return type(command).__name__


def _compare(what: str, expected: Any, found: Any) -> None:
    if expected is not None and expected != found:
        raise CaseFailedError(f"{what} is {found!r}", f"expected {expected!r}")


def _match_queue(expected: ExpectedQueue, command: EnterQueue) -> None:
    _compare("the queue", expected.queue, command.queue)
    _compare("wait_flow", expected.wait_flow, command.wait_flow)
    _compare("priority", expected.priority, command.priority)
    _compare("timeout_s", expected.timeout_s, command.timeout_s)
    _compare("skills", expected.skills, command.skills)
    _compare("attributes", expected.attributes, dict(command.attributes))


def _match_dial(expected: ExpectedDial, command: StartDial) -> None:
    _compare("the dialled party", expected.to, command.target.value)
    _compare("timeout_s", expected.timeout_s, command.timeout_s)


def _match_agent(expected: ExpectedAgent, command: SetAgentState) -> None:
    for name in ("action", "agent_id", "pin", "reason"):
        _compare(name, getattr(expected, name), getattr(command, name))


def _match(expect: Expect, command: FlowCommand) -> bool:
    """Tell whether a command is of the kind expected; raises when its details differ."""
    kind = expect.kind
    match command:
        case PlayPrompts(keys=keys, loop=loop):
            return keys == (expect.music if loop else expect.play)
        case AnswerCall():
            return kind == "answer"
        case RingCall():
            return kind == "ring"
        case EnterQueue() if expect.queue is not None:
            _match_queue(expect.queue, command)
            return True
        case LeaveQueue(key=key):
            return expect.leave == key
        case StartDial() if expect.dial is not None:
            _match_dial(expect.dial, command)
            return True
        case SetAgentState() if expect.agent is not None:
            _match_agent(expect.agent, command)
            return True
        case HangUp(cause=cause):
            return expect.hangup == cause
        case FlowEnded(error=error):
            if expect.error is not None:
                return expect.error in error
            return kind == "end" and not error
    return False


def _wanted(expect: Expect) -> str:
    value = getattr(expect, expect.kind)
    if isinstance(value, tuple):
        return f"{expect.kind} {_list(value)}"
    if isinstance(value, ExpectedQueue):
        return f"queue {value.queue}"
    if isinstance(value, ExpectedDial):
        return f"dial {value.to}"
    if isinstance(value, ExpectedAgent):
        return f"agent {value.action}"
    return expect.kind if value is True else f"{expect.kind} {value}"


def expect(caller: ScriptedCaller, wanted: Expect) -> None:
    """Let time pass until the flow does something, and compare it with what is wanted.

    Raises :class:`CaseFailedError` when it is something else.
    """
    if wanted.nothing_s is not None:
        _expect_nothing(caller, wanted.nothing_s)
    elif wanted.kind:
        quiet = wanted.kind in ("answer", "ring")
        item = caller.next_heard(quiet=quiet)
        if item is None:
            raise CaseFailedError(
                f"nothing more happens after {caller.now:g} s", f"expected {_wanted(wanted)}"
            )
        if not _match(wanted, item.command):
            said = f"{_say(item.command)} at {item.at:g} s"
            raise CaseFailedError(said, f"expected {_wanted(wanted)}")
    _compare("the language", wanted.language, caller.interpreter.language)
    for name, expected in wanted.variables.items():
        _compare(f"variable {name}", expected, _variable(caller.interpreter, name))


def _expect_nothing(caller: ScriptedCaller, seconds: float) -> None:
    caller.pass_time(seconds)
    item = next((item for item in caller.heard if not isinstance(item.command, QUIET)), None)
    if item is not None:
        raise CaseFailedError(
            f"{_say(item.command)} at {item.at:g} s", f"expected nothing for {seconds:g} s"
        )


def _variable(interpreter: Interpreter, name: str) -> Any:
    value: Any = interpreter.variables
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            raise CaseFailedError(
                f"there is no variable {name}", nearest(name, interpreter.variables)
            )
        value = value[part]
    return value
