"""In-process publish and subscribe by type; a slow listener loses events, nobody waits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, TypeVar

T = TypeVar("T")

DEFAULT_LIMIT = 1000


class Subscription(Generic[T]):
    """Events of some types, kept in a bounded queue until they are read.

    ``async for event in subscription`` ends when the subscription is closed.  When the queue
    is full the oldest event goes and ``dropped`` counts it: what a late reader gets is fresh.
    """

    def __init__(
        self, types: tuple[type[T], ...], limit: int, leave: Callable[[Any], None]
    ) -> None:
        self.types = types
        self.dropped = 0
        self._events: deque[T] = deque()
        self._limit = limit
        self._leave = leave
        self._closed = False
        self._waiter: asyncio.Future[None] | None = None

    def put(self, event: T) -> None:
        """Take an event in; drops the oldest when there is no room."""
        if self._closed:
            return
        if len(self._events) >= self._limit:
            self._events.popleft()
            self.dropped += 1
        self._events.append(event)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def take(self) -> list[T]:
        """Return and forget what is there, without waiting."""
        events = list(self._events)
        self._events.clear()
        return events

    def close(self) -> None:
        """Leave the bus; a reader gets what is queued and then the end."""
        if not self._closed:
            self._closed = True
            self._leave(self)
            self._wake()

    def __aiter__(self) -> Subscription[T]:
        return self

    async def __anext__(self) -> T:
        while not self._events:
            if self._closed:
                raise StopAsyncIteration
            if self._waiter is not None:
                raise RuntimeError("a subscription has one reader")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._events.popleft()

    def __enter__(self) -> Subscription[T]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Bus:
    """Hands each event to every subscription of its type, in order of publishing."""

    def __init__(self) -> None:
        self._by_type: dict[type, tuple[Subscription[Any], ...]] = {}
        self.published = 0
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """Events that slow subscribers lost, of those that are gone and those that are there."""
        live = {id(item): item for items in self._by_type.values() for item in items}
        return self._dropped + sum(item.dropped for item in live.values())

    def subscribe(self, *types: type[T], limit: int = DEFAULT_LIMIT) -> Subscription[T]:
        """Return a subscription to events of exactly these types."""
        if not types or limit < 1:
            raise ValueError("a subscription needs a type and room for an event")
        subscription = Subscription(types, limit, self._unsubscribe)
        for kind in types:
            self._by_type[kind] = (*self._by_type.get(kind, ()), subscription)
        return subscription

    def _unsubscribe(self, subscription: Subscription[Any]) -> None:
        self._dropped += subscription.dropped
        for kind in subscription.types:
            kept = tuple(item for item in self._by_type[kind] if item is not subscription)
            if kept:
                self._by_type[kind] = kept
            else:
                del self._by_type[kind]

    def publish(self, event: object) -> None:
        """Hand an event out; never waits and never fails because of a listener."""
        self.published += 1
        for subscription in self._by_type.get(type(event), ()):
            subscription.put(event)

    def wanted(self, kind: type) -> bool:
        """Tell whether anybody listens, for events that are dear to make."""
        return kind in self._by_type
