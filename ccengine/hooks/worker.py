"""Threads for plugins that block: few, bounded, and never in the way of the engine's end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

_STOP = None


class WorkerBusyError(Exception):
    """A plugin's threads are all held up and no more work is accepted."""


class PluginWorker:
    """Runs the blocking functions of one plugin in daemon threads of its own.

    A function that never returns holds one thread of its plugin and nothing else: other
    plugins have their own threads, and daemon threads do not keep the process alive.
    """

    def __init__(self, name: str, *, threads: int = 2, limit: int = 256) -> None:
        self._name = name
        self._limit = limit
        self._threads = threads
        self._started = 0
        self._idle = 0
        self._jobs: SimpleQueue[tuple[asyncio.Future[Any], Callable[[], Any]] | None] = (
            SimpleQueue()
        )
        self._lock = threading.Lock()

    def submit(self, function: Callable[[], Any]) -> asyncio.Future[Any]:
        """Return the future of ``function`` run in a thread.

        Raises :class:`WorkerBusyError` when too much work waits already.
        """
        if self._jobs.qsize() >= self._limit:
            raise WorkerBusyError(f"plugin {self._name!r} has {self._limit} calls waiting")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._jobs.put((future, function))
        with self._lock:
            if self._started < self._threads and self._jobs.qsize() > self._idle:
                self._start()
        return future

    def _start(self) -> None:
        self._started += 1
        name = f"plugin-{self._name}-{self._started}"
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def stop(self) -> None:
        """Let idle threads end and forget the work that waits."""
        try:
            while True:
                self._jobs.get_nowait()
        except Empty:
            pass
        for _ in range(self._started):
            self._jobs.put(_STOP)

    def _run(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            job = self._jobs.get()
            with self._lock:
                self._idle -= 1
            if job is _STOP:
                return
            future, function = job
            # Whoever waited may have given up at the deadline: then the work is not begun.
            if not future.cancelled():
                self._settle(future, function)

    def _settle(self, future: asyncio.Future[Any], function: Callable[[], Any]) -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            result = function()
        except (Exception, SystemExit) as raised:  # noqa: BLE001 - a plugin may raise anything
            error = raised
        try:
            future.get_loop().call_soon_threadsafe(_deliver, future, result, error)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more


def _deliver(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(PluginRaisedError(error))


class PluginRaisedError(Exception):
    """Carries whatever a plugin raised across a future; ``error`` is the original."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error
