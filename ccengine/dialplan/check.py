"""Whether what a dialplan names exists: states, flows, queues, variables, functions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from ccengine.dialplan.expression import (
    FUNCTIONS,
    Expression,
    QueueName,
    Reference,
    Template,
)
from ccengine.dialplan.source import Document, KeyPath
from ccengine.dialplan.step import FlowName, Step, Target, VariableName, walk
from ccengine.dialplan.validation import nearest
from ccengine.errors import Problem

if TYPE_CHECKING:
    from ccengine.dialplan.load import ReadFlow

FIXED_MEMBERS: Mapping[str, frozenset[str]] = {"caller": frozenset({"number", "name"})}
FIXED = frozenset({"caller", "number", "extension", "language", "digits", "error", "call"})
"""Variables that every flow has; ``call`` holds what the engine knows of the call."""

_RESERVED_WORDS = """
as break const continue else false for function if import in let loop namespace null package
return true var void while bool bytes double duration dyn int list map string timestamp type
uint size has
"""
RESERVED = frozenset(_RESERVED_WORDS.split())
"""Words of the expression language, which no variable can be called."""


@dataclass(frozen=True, slots=True)
class Names:
    """Everything that may be referred to; ``states`` by flow, ``queues`` None for any."""

    states: Mapping[str, tuple[str, ...]]
    variables: frozenset[str]
    results: Mapping[str, frozenset[str]]
    queues: Collection[str] | None

    @property
    def known_variables(self) -> frozenset[str]:
        """Return all names that an expression may begin with."""
        return self.variables | FIXED | frozenset(self.results)


def check_flow(name: str, flow: ReadFlow, names: Names) -> list[Problem]:
    """Return the problems of one flow's references."""
    document = flow.document
    problems: list[Problem] = []
    start = flow.source.start
    if start and start not in names.states[name]:
        cure = nearest(start, names.states[name])
        message = f"there is no state {start!r}"
        problems.append(document.problem((*flow.path, "start"), message, cure))
    for path, value in walk(flow.source, flow.path):
        if "states" not in path[2:3]:
            problems += _value(document, path, value, name, names)
    for steps in flow.states.values():
        for at, step in steps:
            for path, value in walk(step, at):
                problems += _value(document, path, value, name, names)
    return problems


def _value(
    document: Document, path: KeyPath, value: object, flow: str, names: Names
) -> Iterator[Problem]:
    if isinstance(value, Target):
        yield from _target(document, path, value, flow, names)
    elif isinstance(value, FlowName):
        yield from _flow_name(document, path, value, names)
    elif isinstance(value, VariableName):
        if value in RESERVED | FIXED or value in names.results:
            cure = "choose another name"
            yield document.problem(path, f"the name {value!r} is taken", cure, key=True)
    elif isinstance(value, Expression):
        yield from _references(document, path, value, names)
    elif isinstance(value, Template):
        for expression in value.expressions:
            yield from _references(document, path, expression, names)
        if isinstance(value, QueueName) and names.queues is not None:
            constant = value.constant
            if constant is not None and str(constant) not in names.queues:
                cure = nearest(str(constant), names.queues)
                yield document.problem(path, f"there is no queue {constant!r}", cure)


def _target(
    document: Document, path: KeyPath, target: Target, flow: str, names: Names
) -> Iterator[Problem]:
    if target.flow and target.flow not in names.states:
        yield from _flow_name(document, (*path, "flow"), target.flow, names)
        return
    home = target.flow or flow
    if target.go and target.go not in names.states[home]:
        inside = f" in flow {home!r}" if target.flow else ""
        message = f"there is no state {target.go!r}{inside}"
        if not target.flow and target.go in names.states:
            cure = f"to go to the flow of that name write {{flow: {target.go}}}"
        else:
            cure = nearest(target.go, names.states[home])
        yield document.problem((*path, "go"), message, cure)


def _flow_name(document: Document, path: KeyPath, name: str, names: Names) -> Iterator[Problem]:
    if name not in names.states:
        message = f"there is no flow {str(name)!r}"
        yield document.problem(path, message, nearest(name, names.states))


def _references(
    document: Document, path: KeyPath, expression: Expression, names: Names
) -> Iterator[Problem]:
    for reference in expression.references():
        mistake = _reference(reference, names)
        if mistake is not None:
            yield document.problem(path, *mistake, offset=reference.offset)


def _reference(reference: Reference, names: Names) -> tuple[str, str] | None:
    name, member = reference.name, reference.member
    if reference.kind == "variable" and name not in names.known_variables:
        cure = nearest(name, names.known_variables)
        return f"there is no variable {name!r}", cure
    if reference.kind == "function" and name not in FUNCTIONS:
        return f"there is no function {name!r}", nearest(name, FUNCTIONS)
    if reference.kind == "member" and name != "call":
        members = FIXED_MEMBERS.get(name) or names.results.get(name)
        if members is None and name in names.known_variables:
            return f"{name!r} has no members", f"write {name} alone"
        if members is not None and member not in members:
            return f"{name!r} has no member {member!r}", nearest(member, members)
    return None


# --- what is never reached ---------------------------------------------------------------------


def unreachable(flows: Mapping[str, ReadFlow]) -> list[Problem]:
    """Return a warning for every state and step that no caller can get to."""
    reached = {(name, flow.source.start or next(iter(flow.states))) for name, flow in flows.items()}
    pending = list(reached)
    edges = {
        (name, state): set(_edges(name, flow, state))
        for name, flow in flows.items()
        for state in flow.states
    }
    for name, flow in flows.items():
        target = flow.source.on_error
        if target is not None and target.go:
            pending.append((target.flow or name, target.go))
    reached = set()
    while pending:
        place = pending.pop()
        if place not in reached:
            reached.add(place)
            pending += edges.get(place, ())
    warnings = []
    for name, flow in flows.items():
        for state, steps in flow.states.items():
            if (name, state) not in reached:
                path = (*flow.path, "states", state)
                message = f"state {state!r} is never reached"
                warnings.append(
                    flow.document.problem(path, message, "remove it, or go to it", key=True)
                )
            warnings += _after_end(flow.document, steps)
    return warnings


def _edges(name: str, flow: ReadFlow, state: str) -> Iterator[tuple[str, str]]:
    for _, step in flow.states[state]:
        for _, target in step.targets():
            if target.go:
                yield target.flow or name, target.go


def _after_end(document: Document, steps: list[tuple[KeyPath, Step]]) -> Iterator[Problem]:
    for (_, step), (path, later) in pairwise(steps):
        if step.ENDS:
            message = f"step {later.NAME!r} is never reached: {step.NAME!r} stands before it"
            yield document.problem(path, message, "remove one of them", key=True)
            return
