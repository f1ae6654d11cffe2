"""The clock of all calls of a farm: one loop, a packet of each call every packet time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ccengine.clock import Clock
from ccengine.phone.audio_port import AudioPort

PERIOD_S = 0.005
_MAX_BEHIND = 10
_REPORT_ROUNDS = 201  # no multiple of a packet time, so every port has its turn


@dataclass(slots=True)
class _Paced:
    """A port and when its next packet is due."""

    port: AudioPort
    due: float


class Pacer:
    """Serves every port once in its packet time; ports start at different phases.

    Each round of 5 ms looks at the ports that are due, first sends, then receives.  A round
    that comes late sends what it owes, at most ten packets; more are skipped and counted.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ports: dict[AudioPort, _Paced] = {}
        self._task: asyncio.Task[None] | None = None
        self._rounds = 0
        self.skipped = 0
        self.max_late_s = 0.0

    def add(self, port: AudioPort) -> None:
        """Begin to serve a port with the next round."""
        self._ports[port] = _Paced(port, self._clock.now())
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def remove(self, port: AudioPort) -> None:
        """Serve a port no longer."""
        self._ports.pop(port, None)

    def __len__(self) -> int:
        """Return how many ports are served."""
        return len(self._ports)

    async def close(self) -> None:
        """End the loop."""
        self._ports.clear()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        clock = self._clock
        due = clock.now()
        while self._ports:
            self._round(clock.now())
            due += PERIOD_S
            wait = due - clock.now()
            if wait <= 0:
                due = clock.now()
            await asyncio.sleep(max(0.0, wait))
        self._task = None

    def _round(self, now: float) -> None:
        wall_offset_s = now - self._clock.at().timestamp()
        self._rounds += 1
        with_reports = self._rounds % _REPORT_ROUNDS == 0
        for paced in list(self._ports.values()):
            if paced.due > now or paced.port.is_closed:
                continue
            self._serve(paced, now)
            paced.port.receive_all(now, wall_offset_s)
            if with_reports:
                paced.port.receive_reports()

    def _serve(self, paced: _Paced, now: float) -> None:
        port = paced.port
        step = port.ptime_ms / 1000
        self.max_late_s = max(self.max_late_s, now - paced.due)
        owed = 1 + int((now - paced.due) / step)
        if owed > _MAX_BEHIND:
            self.skipped += owed - _MAX_BEHIND
            paced.due = now - (_MAX_BEHIND - 1) * step
            owed = _MAX_BEHIND
        for _ in range(owed):
            port.send_frame()
        paced.due += owed * step
