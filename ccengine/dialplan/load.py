"""Reading dialplans: every mistake in every file at once, or an immutable dialplan."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import Field

from ccengine.dialplan.check import Names, check_flow, unreachable
from ccengine.dialplan.expression import ValueTemplate
from ccengine.dialplan.plan import Dialplan, Flow
from ccengine.dialplan.registry import StepRegistry
from ccengine.dialplan.source import Document, DocumentReader, KeyPath, read_document
from ccengine.dialplan.step import FlowName, Step, Target, VariableName, walk
from ccengine.dialplan.steps import standard_steps
from ccengine.dialplan.validation import Section, Text, nearest, salvage, validate, validate_value
from ccengine.errors import DialplanError, DocumentError, Problem


class FlowSource(Section):
    """A flow as it stands in a file; the steps are read one by one afterwards."""

    language: Text = Field("", description="Language from here on, such as zh or en.")
    start: Text = Field("", description="First state; without it the first one written.")
    variables: dict[VariableName, ValueTemplate] = Field(
        {}, description="Variables that are set each time the flow is entered."
    )
    on_error: Target | None = Field(
        None, description="Where the flow goes once when a step fails; without it the flow ends."
    )
    states: Annotated[dict[FlowName, list[Any]], Field(min_length=1)] = Field(
        description="States: lists of steps by name."
    )


class FlowFile(Section):
    """A dialplan file."""

    version: Literal[1] = Field(description="Version of this notation.")
    flows: Annotated[dict[FlowName, FlowSource], Field(min_length=1)] = Field(
        description="Flows by name."
    )


@dataclass(slots=True)
class ReadFlow:
    """A flow in the making, with the document that positions come from."""

    document: Document
    path: KeyPath
    source: FlowSource
    states: dict[str, list[tuple[KeyPath, Step]]] = field(default_factory=dict)


@dataclass(slots=True)
class _Loader:
    """Collects flows and problems of all files."""

    steps: StepRegistry
    queues: Collection[str] | None
    reader: DocumentReader = read_document
    flows: dict[str, ReadFlow] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def read(self, path: Path) -> None:
        try:
            document = self.reader(path)
        except DocumentError as error:
            self.problems += error.problems
            return
        file, problems = validate(document, FlowFile)
        self.problems += [*document.problems, *problems]
        sources = file.flows if file is not None else self._rescue(document)
        for name, source in sources.items():
            self._add(document, str(name), source)

    def _rescue(self, document: Document) -> dict[FlowName, FlowSource]:
        """Return the flows that can be read, so that their mistakes are told as well."""
        found: dict[FlowName, FlowSource] = {}
        flows = document.data.get("flows") if isinstance(document.data, dict) else None
        for name, raw in flows.items() if isinstance(flows, dict) else ():
            source = salvage(FlowSource, raw)
            if source is not None:
                found[FlowName(name)] = source
        return found

    def _add(self, document: Document, name: str, source: FlowSource) -> None:
        path: KeyPath = ("flows", name)
        if name in self.flows:
            first = self.flows[name]
            line, _ = first.document.position(first.path, key=True)
            message = f"flow {name!r} exists already, in {first.document.file}:{line}"
            self.problems.append(document.problem(path, message, "give it another name", key=True))
            return
        flow = ReadFlow(document, path, source)
        for state, raw in source.states.items():
            here = (*path, "states", str(state))
            steps = [self._step(document, (*here, i), item) for i, item in enumerate(raw)]
            flow.states[str(state)] = [step for step in steps if step is not None]
        self.flows[name] = flow

    def _step(self, document: Document, path: KeyPath, raw: Any) -> tuple[KeyPath, Step] | None:
        if isinstance(raw, str):
            name, value, here = raw, None, path
        elif isinstance(raw, dict) and len(raw) == 1:
            (name, value), *_ = raw.items()
            here = (*path, name)
        else:
            self.problems.append(_no_step(document, path, raw, self.steps))
            return None
        kind = self.steps.get(name)
        if kind is None:
            cure = nearest(name, self.steps.names)
            self.problems.append(document.problem(here, f"unknown step {name!r}", cure, key=True))
            return None
        step, problems = validate_value(document, kind, value, here)
        self.problems += problems
        if step is None:
            step = salvage(kind, value)
        return None if step is None else (here, step)

    def finish(self, files: tuple[str, ...]) -> Dialplan:
        names = self._names()
        for name, flow in self.flows.items():
            self.problems += check_flow(name, flow, names)
        if self.problems:
            raise DialplanError(self.problems)
        self.warnings += unreachable(self.flows)
        flows = {name: _flow(name, flow) for name, flow in self.flows.items()}
        return Dialplan(
            version=_version(self.flows),
            flows=MappingProxyType(flows),
            blank=MappingProxyType(dict.fromkeys(sorted(names.variables), "")),
            results=MappingProxyType(dict(names.results)),
            files=files,
            warnings=tuple(sorted(self.warnings)),
        )

    def _names(self) -> Names:
        variables: set[str] = set()
        for flow in self.flows.values():
            for source in (flow.source, *(step for s in flow.states.values() for _, step in s)):
                for _, value in walk(source):
                    if isinstance(value, VariableName):
                        variables.add(str(value))
        states = {name: tuple(map(str, flow.source.states)) for name, flow in self.flows.items()}
        return Names(states, frozenset(variables), self.steps.result_members(), self.queues)


def _no_step(document: Document, path: KeyPath, raw: Any, steps: StepRegistry) -> Problem:
    if isinstance(raw, dict) and len(raw) > 1:
        first, second = list(raw)[:2]
        if steps.get(second) is None:
            cure = f"indent {second!r} deeper than {first!r}"
            return document.problem(
                (*path, second), f"{second!r} stands beside {first!r}", cure, key=True
            )
        cure = f"begin a line with '- {second}'"
        return document.problem((*path, second), "two steps stand in one", cure, key=True)
    cure = "write one word, such as answer, or 'word: …'"
    return document.problem(path, "this is no step", cure)


def _flow(name: str, read: ReadFlow) -> Flow:
    states = {state: tuple(step for _, step in steps) for state, steps in read.states.items()}
    source = read.source
    return Flow(
        name=name,
        start=source.start or next(iter(states)),
        states=MappingProxyType(states),
        language=source.language,
        variables=MappingProxyType({str(k): v.source for k, v in source.variables.items()}),
        on_error=source.on_error,
    )


def _version(flows: Mapping[str, ReadFlow]) -> str:
    """Return a hash of what is said, whatever the notation, the comments and the files."""
    content = {
        name: {"start": flow.source.start or next(iter(flow.states)), **_data(flow)}
        for name, flow in sorted(flows.items())
    }
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _data(flow: ReadFlow) -> dict[str, Any]:
    data: Any = flow.document.data
    for component in flow.path:
        data = data[component]
    return {key: value for key, value in data.items() if key != "start"}


def load_dialplan(
    paths: Sequence[Path | str],
    *,
    steps: StepRegistry | None = None,
    queues: Collection[str] | None = None,
    read: DocumentReader = read_document,
) -> Dialplan:
    """Read dialplan files as one dialplan.

    ``queues`` are the names that ``queue`` steps may use; without it they are not checked.
    Raises :class:`DialplanError` with every problem of every file.
    """
    loader = _Loader(steps if steps is not None else standard_steps(), queues, read)
    for path in paths:
        loader.read(Path(path))
    return loader.finish(tuple(str(path) for path in paths))
