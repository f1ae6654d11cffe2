"""Begins, restores and lets go of interpreters, and turns their prompts into files."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Protocol

from ccengine.center.output import CallPort
from ccengine.center.settings import CenterSettings
from ccengine.dialplan.interpreter import Interpreter
from ccengine.dialplan.place import FlowPlace
from ccengine.dialplan.plan import DialplanStore
from ccengine.errors import FlowError
from ccengine.ids import IdMaker
from ccengine.ports import CallArrived, FlowEvent, PlayFinished, PlayPrompts, StartPlay


class Prompts(Protocol):
    """Looks prompts up."""

    def find(self, key: str, language: str) -> Path | None:
        """Return the file of a prompt, or nothing (which was logged) when it is missing."""


class FlowDesk:
    """Interpreters for calls: each holds on to the version of the dialplan that it runs.

    ``pending`` collects what flows are to hear after the input in hand.
    """

    def __init__(
        self,
        *,
        settings: CenterSettings,
        dialplans: DialplanStore,
        prompts: Prompts,
        port: CallPort,
        ids: IdMaker,
        pending: list[FlowEvent],
    ) -> None:
        self.settings = settings
        self.prompts = prompts
        self._dialplans = dialplans
        self._port = port
        self._ids = ids
        self._pending = pending

    def begin(
        self,
        name: str,
        event: CallArrived,
        now: float,
        *,
        language: str = "",
        answered: bool = False,
    ) -> Interpreter | None:
        """Return a flow that has begun, or nothing when there is none of that name."""
        plan = self._dialplans.acquire()
        try:
            flow = Interpreter(
                plan,
                name,
                event,
                self._ids,
                language=language or self.settings.language,
                answered=answered,
            )
        except FlowError:
            self._dialplans.release(plan.version)
            return None
        flow.start(now)
        return flow

    def restore(self, place: FlowPlace | None, now: float) -> Interpreter | None:
        """Return the flow that stands at a place, or nothing when its version is gone."""
        if place is None:
            return None
        try:
            plan = self._dialplans.adopt(place.dialplan)
        except FlowError:
            return None
        flow = Interpreter.restore(plan, place, now)
        flow.resume(now)
        return flow

    def release(self, flow: Interpreter | None) -> None:
        """Let go of an interpreter, and of the version of the dialplan that it ran."""
        if flow is not None:
            self._dialplans.release(flow.version)

    def play(self, command: PlayPrompts, now: float, at: datetime) -> None:
        """Play the prompts that there are; with none at all the play has failed."""
        found = [self.prompts.find(key, command.language) for key in command.keys]
        files = tuple(str(path) for path in found if path is not None)
        if not files:
            self._pending.append(PlayFinished(command.call_id, command.play_id, "failed"))
            return
        self._port.command(
            StartPlay(command.call_id, command.play_id, files, loop=command.loop), now, at
        )
