"""Waiting for a condition that is looked at whenever something happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Waiting:
    """Those who wait for something about one object, woken by :meth:`notify`."""

    __slots__ = ("_futures",)

    def __init__(self) -> None:
        self._futures: list[asyncio.Future[None]] = []

    def notify(self) -> None:
        """Let everyone who waits look again."""
        if not self._futures:
            return
        futures, self._futures = self._futures, []
        for future in futures:
            if not future.done():
                future.set_result(None)

    async def until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until ``condition`` holds; return whether it does after ``timeout_s`` at most."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    future = loop.create_future()
                    self._futures.append(future)
                    await future
        except TimeoutError:
            return condition()
        return True
