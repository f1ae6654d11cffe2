"""One run of the demo: traffic and view side by side until the time is up or somebody stops it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import RenderableType
from rich.live import Live

from ccengine.cli.demo.process import EngineProcess
from ccengine.cli.demo.traffic import Traffic
from ccengine.cli.demo.view import Snapshot, live_view, status_line, take_snapshot
from ccengine.cli.output import new_console
from ccengine.errors import CcengineError, CommandError
from ccengine.units import format_duration

LIVE_S = 0.5
LINE_S = 5.0
IDLE_LIMIT_S = 5.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """How long to run (None: until stopped) and what stands above and below the live table."""

    seconds: float | None
    heading: str
    footing: str


class Session:
    """Runs :class:`Traffic`, if any, against an engine and shows what happens."""

    def __init__(
        self, engine: EngineProcess, traffic: Traffic | None, settings: SessionSettings
    ) -> None:
        self._engine = engine
        self._traffic = traffic
        self._settings = settings
        self._stopped = asyncio.Event()
        self._began = 0.0

    async def run(self) -> None:
        """Run until the time is up or a signal asks to stop; then hang up and sign out."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._stopped.set)
        try:
            if self._traffic is not None:
                await self._traffic.start()
                self._complain()
            self._began = loop.time()
            await self._show()
        finally:
            await self._wind_down()
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    def _complain(self) -> None:
        traffic = self._traffic
        if traffic is not None and not traffic.counters.agents and traffic.counters.problems:
            raise CommandError(traffic.counters.problems[0])

    def _elapsed(self) -> float:
        return asyncio.get_running_loop().time() - self._began

    async def _show(self) -> None:
        console = new_console()
        if not console.is_terminal:
            await self._repeat(LINE_S, lambda shot: print(self._line(shot), flush=True))
            return
        with Live(console=console, auto_refresh=False, transient=True) as live:
            await self._repeat(LIVE_S, lambda shot: live.update(self._view(shot), refresh=True))

    async def _repeat(self, interval_s: float, tell: Callable[[Snapshot], None]) -> None:
        limit = self._settings.seconds
        while not self._stopped.is_set():
            left = interval_s if limit is None else min(interval_s, limit - self._elapsed())
            if left <= 0:
                return
            try:
                tell(await asyncio.to_thread(take_snapshot, self._engine))
            except CommandError:
                self._engine.refuse_dead()  # else its successor takes over in a moment
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), left)

    def _line(self, snapshot: Snapshot) -> str:
        placed = self._traffic.counters.placed if self._traffic is not None else 0
        return status_line(snapshot, self._elapsed(), max(0, placed - len(snapshot.calls)))

    def _view(self, snapshot: Snapshot) -> RenderableType:
        limit = self._settings.seconds
        whole = f" of {format_duration(limit)}" if limit is not None else ""
        heading = f"{self._settings.heading} · {format_duration(self._elapsed())}{whole}"
        return live_view(snapshot, heading, self._settings.footing)

    async def _wind_down(self) -> None:
        if self._traffic is not None:
            await self._traffic.close()
        with contextlib.suppress(CcengineError):
            await asyncio.to_thread(self._sign_out)
            await self._until_idle()

    def _sign_out(self) -> None:
        """Sign out who is left: the next run begins with a clean floor."""
        for agent in self._engine.ask("agents"):
            if agent["state"] != "LoggedOut":
                with contextlib.suppress(CommandError):
                    self._engine.ask("agent", action="sign_out", agent=agent["agent"])

    async def _until_idle(self) -> None:
        end = asyncio.get_running_loop().time() + IDLE_LIMIT_S
        while asyncio.get_running_loop().time() < end:
            status = await asyncio.to_thread(self._engine.ask, "status")
            if not status["calls"]:
                return
            await asyncio.sleep(0.1)
