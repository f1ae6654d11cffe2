"""Running dialplan tests: the interpreter of production, in virtual time, with scripted calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ccengine.dialplan.expectation import expect
from ccengine.dialplan.interpreter import Interpreter
from ccengine.dialplan.load import load_dialplan
from ccengine.dialplan.plan import Dialplan
from ccengine.dialplan.scripted import CALL_ID, CaseFailedError, ScriptedCaller
from ccengine.dialplan.source import Document, KeyPath, read_document
from ccengine.dialplan.testcase import Action, Case, DialDeed, TestFile
from ccengine.dialplan.validation import nearest, validate
from ccengine.errors import DocumentError, Problem
from ccengine.ids import SeededIds
from ccengine.ports import (
    AgentStateSet,
    CallArrived,
    CallEnded,
    DialAnswered,
    DialEnded,
    DialFailed,
    DialRinging,
    DigitReceived,
    Party,
    PlayFinished,
    QueueLeft,
)


@dataclass(frozen=True, slots=True)
class CaseResult:
    """How one case went; ``problem`` is None when it passed, ``virtual_s`` its length."""

    file: str
    line: int
    name: str
    virtual_s: float = 0.0
    problem: Problem | None = None

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return self.problem is None


@dataclass(frozen=True, slots=True)
class TestReport:
    """Results of all cases, and the files that could not be read."""

    __test__ = False

    results: tuple[CaseResult, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def passed(self) -> int:
        """Number of cases that passed."""
        return sum(result.passed for result in self.results)

    @property
    def failures(self) -> tuple[Problem, ...]:
        """Everything that is wrong, in the order of the files."""
        failed = [result.problem for result in self.results if result.problem is not None]
        return tuple(sorted([*self.problems, *failed]))

    @property
    def ok(self) -> bool:
        """Whether there were cases and all of them passed."""
        return bool(self.results) and not self.failures


def _press(caller: ScriptedCaller, keys: str) -> None:
    for key in keys:
        caller.send(DigitReceived(CALL_ID, key))


def _leave_queue(caller: ScriptedCaller, action: Action) -> None:
    assert action.queue is not None
    if not caller.queued:
        raise CaseFailedError("the call is in no queue", "expect a queue before")
    caller.queued = False
    caller.send(QueueLeft(CALL_ID, action.queue.result, action.queue.detail))


def _dial(caller: ScriptedCaller, what: DialDeed) -> None:
    dial_id = caller.dial_id
    if not dial_id:
        raise CaseFailedError("nobody is dialled", "expect a dial before")
    if what == "ringing":
        caller.send(DialRinging(CALL_ID, dial_id))
    elif what == "answered":
        caller.send(DialAnswered(CALL_ID, dial_id))
    elif what == "ended":
        caller.send(DialEnded(CALL_ID, dial_id, "normal"))
    else:
        caller.send(DialFailed(CALL_ID, dial_id, what))


def _agent(caller: ScriptedCaller, answer: str) -> None:
    if not caller.request_id:
        raise CaseFailedError(
            "no change of an agent's state is asked for", "expect an agent before"
        )
    error = "" if answer == "ok" else answer
    caller.send(AgentStateSet(CALL_ID, caller.request_id, error))


def _fail_play(caller: ScriptedCaller) -> None:
    play, caller.play = caller.play, None
    if play is None:
        raise CaseFailedError("nothing is playing", "expect a play before")
    caller.send(PlayFinished(CALL_ID, play.play_id, "failed"))


def _act(caller: ScriptedCaller, action: Action) -> None:
    if action.expect is not None:
        expect(caller, action.expect)
        return
    if caller.interpreter.ended and action.wait is None:
        raise CaseFailedError("the flow is over already", "remove this line")
    if action.press is not None:
        _press(caller, action.press)
    elif action.wait is not None:
        caller.pass_time(action.wait)
    elif action.queue is not None:
        _leave_queue(caller, action)
    elif action.dial is not None:
        _dial(caller, action.dial)
    elif action.agent is not None:
        _agent(caller, action.agent)
    elif action.play_fails:
        _fail_play(caller)
    else:
        caller.send(CallEnded(CALL_ID, "normal", by="caller"))


@dataclass(slots=True)
class _File:
    document: Document
    source: TestFile
    dialplan: Dialplan

    def run(self, index: int) -> CaseResult:
        case = self.source.cases[index]
        path: KeyPath = ("cases", index)
        line, _ = self.document.position(path)
        caller: ScriptedCaller | None = None
        try:
            caller = self._caller(case)
            caller.begin()
            for i, action in enumerate(case.script):
                path = ("cases", index, "script", i)
                _act(caller, action)
            problem = None
        except CaseFailedError as failure:
            message = f"{case.name}: {failure.message}"
            problem = self.document.problem(path, message, failure.cure)
        virtual_s = caller.now if caller is not None else 0.0
        return CaseResult(self.document.file, line, case.name, virtual_s, problem)

    def _caller(self, case: Case) -> ScriptedCaller:
        flow = case.flow
        if case.number:
            if case.number not in self.source.numbers:
                raise CaseFailedError(f"no flow has number {case.number}", "add it to numbers")
            flow = self.source.numbers[case.number]
        if flow not in self.dialplan.flows:
            raise CaseFailedError(f"there is no flow {flow!r}", nearest(flow, self.dialplan.flows))
        arrived = CallArrived(
            CALL_ID, case.number or flow, Party(case.caller, case.caller_name), case.extension
        )
        interpreter = Interpreter(
            self.dialplan,
            flow,
            arrived,
            SeededIds(),
            language=case.language,
            answered=case.answered,
            variables=case.call,
        )
        return ScriptedCaller(interpreter, self.source.prompt_s)


def _find(paths: Sequence[Path | str]) -> list[Path]:
    found: list[Path] = []
    for path in map(Path, paths):
        found += sorted(path.rglob("*.test.yaml")) if path.is_dir() else [path]
    return found


def _read(path: Path, load: Callable[[Sequence[Path]], Dialplan]) -> _File:
    document = read_document(path)
    source, problems = validate(document, TestFile)
    if source is None or document.problems:
        raise DocumentError([*document.problems, *problems])
    return _File(document, source, load([path.parent / name for name in source.dialplan]))


def run_tests(
    paths: Sequence[Path | str],
    *,
    load: Callable[[Sequence[Path]], Dialplan] = load_dialplan,
) -> TestReport:
    """Run all cases of test files, or of the ``*.test.yaml`` below folders.

    ``load`` reads the dialplans, for callers that add steps of their own.
    """
    results: list[CaseResult] = []
    problems: list[Problem] = []
    for path in _find(paths):
        try:
            file = _read(path, load)
        except DocumentError as error:
            problems += error.problems
            continue
        results += [file.run(index) for index in range(len(file.source.cases))]
    return TestReport(tuple(results), tuple(problems))
