from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ccengine.dialplan import Dialplan, Interpreter, load_dialplan
from ccengine.ids import SeededIds
from ccengine.ports import CallArrived, FlowCommand, FlowEvent, Party

CALL = CallArrived("c1", "4001", Party("13800138000", "张伟"), extension="1001")


class Rig:
    """An interpreter with a clock that moves only when told to."""

    def __init__(self, plan: Dialplan, flow: str = "main", **more: object) -> None:
        self.now = 100.0
        self.machine = Interpreter(plan, flow, CALL, SeededIds(), **more)  # type: ignore[arg-type]

    def start(self) -> list[FlowCommand]:
        self.machine.start(self.now)
        return self.machine.poll()

    def hear(self, event: FlowEvent) -> list[FlowCommand]:
        self.machine.receive(event, self.now)
        return self.machine.poll()

    def after(self, seconds: float) -> list[FlowCommand]:
        self.now += seconds
        self.machine.handle_timeout(self.now)
        return self.machine.poll()


@pytest.fixture
def plan_of(tmp_path: Path) -> Callable[..., Dialplan]:
    """Load a dialplan from the text below ``flows:`` of one file."""

    def load(flows: str, **more: object) -> Dialplan:
        path = tmp_path / "plan.yaml"
        path.write_text("version: 1\nflows:\n" + flows, encoding="utf-8")
        return load_dialplan([path], **more)  # type: ignore[arg-type]

    return load


@pytest.fixture
def rig_of(plan_of: Callable[..., Dialplan]) -> Callable[..., Rig]:
    """Return a rig for the steps of one state, in YAML, with other states behind it."""

    def make(steps: str, states: str = "", **more: object) -> Rig:
        body = "\n".join("        " + line for line in steps.strip("\n").splitlines())
        text = f"  main:\n    states:\n      first:\n{body}\n"
        for line in states.strip("\n").splitlines():
            text += f"      {line}\n"
        return Rig(plan_of(text), **more)

    return make


@pytest.fixture
def rig_for(plan_of: Callable[..., Dialplan]) -> Callable[..., Rig]:
    """Return a rig for the flow ``main`` of the given flows, already answered."""

    def make(flows: str) -> Rig:
        return Rig(plan_of(flows), answered=True)

    return make
