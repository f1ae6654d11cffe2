"""Calls plugins with a deadline and in isolation.

Whatever a plugin does, raising, hanging or answering nonsense, is counted, logged once for
each kind, and ends there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import pluggy

from ccengine.hooks.spec import HOOKS, Hook
from ccengine.hooks.worker import PluginRaisedError, PluginWorker, WorkerBusyError

_log = logging.getLogger("ccengine.hooks")


@dataclass(slots=True)
class HookCounters:
    """What one plugin did with one hook."""

    calls: int = 0
    failures: int = 0
    timeouts: int = 0
    wrong_results: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Implementation:
    """One plugin's function for one hook; ``worker`` runs it when it is not ``async``."""

    plugin: str
    hook: Hook
    impl: pluggy.HookImpl
    worker: PluginWorker | None
    counters: HookCounters


class _NoAnswer:
    """Stands for a plugin that failed, hung or answered nonsense."""


_NO_ANSWER = _NoAnswer()


class Dispatcher:
    """Runs implementations; remembers what it has logged and whom it has given up on."""

    def __init__(self) -> None:
        self._logged: set[tuple[str, str, str]] = set()
        # Tasks that ignore their cancellation: kept so that nobody collects them, not awaited.
        self._abandoned: set[asyncio.Task[Any]] = set()

    @property
    def abandoned(self) -> int:
        """How many calls outlived their deadline and have not ended yet."""
        return len(self._abandoned)

    async def first(
        self,
        implementations: Sequence[Implementation],
        arguments: Mapping[str, Any],
        deadline_s: float,
    ) -> Any:
        """Return the answer of the first implementation, in their order, that has one.

        All are asked at once, so the delay is ``deadline_s`` at most, however many there are.
        """
        tasks = self._start(implementations, arguments, deadline_s)
        try:
            for task in tasks:
                answer = await task
                if answer is not None and answer is not _NO_ANSWER:
                    return answer
        finally:
            for task in tasks:
                task.cancel()
        return None

    async def all(
        self,
        implementations: Sequence[Implementation],
        arguments: Mapping[str, Any],
        deadline_s: float,
    ) -> list[Any]:
        """Return the answers of all implementations that gave one, in their order."""
        tasks = self._start(implementations, arguments, deadline_s)
        try:
            answers = [await task for task in tasks]
        finally:
            for task in tasks:
                task.cancel()
        return [answer for answer in answers if answer is not _NO_ANSWER]

    def _start(
        self,
        implementations: Sequence[Implementation],
        arguments: Mapping[str, Any],
        deadline_s: float,
    ) -> list[asyncio.Task[Any]]:
        return [
            asyncio.create_task(self._guarded(item, arguments, deadline_s))
            for item in implementations
        ]

    async def _guarded(
        self, item: Implementation, arguments: Mapping[str, Any], deadline_s: float
    ) -> Any:
        item.counters.calls += 1
        values = [arguments[name] for name in item.impl.argnames]
        if item.worker is None:
            call: asyncio.Future[Any] = asyncio.create_task(_contained(item, values))
        else:
            try:
                call = item.worker.submit(partial(item.impl.function, *values))
            except WorkerBusyError as busy:
                item.counters.refused += 1
                self._log_once(item, "refused", str(busy), None)
                return _NO_ANSWER
        try:
            await asyncio.wait({call}, timeout=deadline_s)
        finally:
            if not call.done():
                self._give_up(call)
        return self._judge(item, call, deadline_s)

    def _give_up(self, call: asyncio.Future[Any]) -> None:
        call.cancel()
        if isinstance(call, asyncio.Task):
            self._abandoned.add(call)
            call.add_done_callback(self._ended_late)

    def _ended_late(self, call: asyncio.Task[Any]) -> None:
        self._abandoned.discard(call)
        if not call.cancelled():
            call.exception()  # looked at, so that the loop does not complain

    def _judge(self, item: Implementation, call: asyncio.Future[Any], deadline_s: float) -> Any:
        if not call.done() or (call.cancelled() and item.worker is not None):
            item.counters.timeouts += 1
            self._log_once(item, "timeout", f"took more than {deadline_s:g} s", None)
            return _NO_ANSWER
        if call.cancelled():
            item.counters.failures += 1
            self._log_once(item, "cancelled", "cancelled itself", None)
            return _NO_ANSWER
        error = call.exception()
        if error is not None:
            cause = error.error if isinstance(error, PluginRaisedError) else error
            item.counters.failures += 1
            self._log_once(item, type(cause).__name__, f"raised {cause!r}", cause)
            return _NO_ANSWER
        answer = call.result()
        if not isinstance(answer, item.hook.result):
            item.counters.wrong_results += 1
            kind = type(answer).__name__
            self._log_once(item, f"result {kind}", f"returned {kind}: {item.hook.signature}", None)
            return _NO_ANSWER
        return answer

    def _log_once(
        self, item: Implementation, kind: str, message: str, error: BaseException | None
    ) -> None:
        key = (item.plugin, item.hook.name, kind)
        if key in self._logged:
            return
        self._logged.add(key)
        _log.error(
            "plugin %r, hook %r: %s; counted from now on, not logged again",
            item.plugin,
            item.hook.name,
            message,
            exc_info=error,
        )


async def _contained(item: Implementation, values: list[Any]) -> Any:
    try:
        function = cast("Callable[..., Awaitable[Any]]", item.impl.function)
        return await function(*values)
    except (Exception, SystemExit) as error:
        # SystemExit in a task would stop the loop and with it every call.
        raise PluginRaisedError(error) from error


def deadline_of(name: str, deadline_s: float | None) -> float:
    """Return the deadline to use: the caller's or else the hook's own."""
    return HOOKS[name].deadline_s if deadline_s is None else deadline_s
