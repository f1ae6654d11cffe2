"""A network layer that writes down what it hears, on both event loops."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
import uvloop

from ccengine.net import ListenerSettings, NetLayer, NetSettings
from ccengine.sip.flow import Flow
from ccengine.testing.waiting import wait_until_async


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@dataclass
class Ear:
    """A layer on 127.0.0.1 with one UDP and one TCP listener, and everything it reported."""

    settings: NetSettings
    messages: list[tuple[bytes, Flow]] = field(default_factory=list)
    failures: list[tuple[Flow, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.layer = NetLayer(
            self.settings,
            lambda data, flow: self.messages.append((data, flow)),
            lambda flow, reason: self.failures.append((flow, reason)),
        )

    async def start(self, adopted: Mapping[str, socket.socket] | None = None) -> None:
        await self.layer.start(adopted or {})

    def address(self, name: str) -> tuple[str, int]:
        sock = self.layer.sockets()[name]
        return sock.getsockname()[:2]

    def flow(self, transport: str, remote: tuple[str, int], connection: int = 0) -> Flow:
        return Flow(transport, transport.lower(), remote, connection)  # type: ignore[arg-type]

    async def heard(self, count: int = 1) -> list[tuple[bytes, Flow]]:
        await wait_until_async(lambda: len(self.messages) >= count, f"{count} messages")
        return self.messages

    async def failed(self, count: int = 1) -> list[tuple[Flow, str]]:
        await wait_until_async(lambda: len(self.failures) >= count, f"{count} failures")
        return self.failures


def settings(**limits: object) -> NetSettings:
    listeners = (
        ListenerSettings("udp", "UDP", "127.0.0.1", 0),
        ListenerSettings("tcp", "TCP", "127.0.0.1", 0),
    )
    return NetSettings(listeners, **limits)  # type: ignore[arg-type]


class MakeEar:
    def __init__(self) -> None:
        self.ears: list[Ear] = []

    async def __call__(self, **limits: object) -> Ear:
        ear = Ear(settings(**limits))
        self.ears.append(ear)
        await ear.start()
        return ear


@pytest_asyncio.fixture
async def make_ear() -> AsyncIterator[MakeEar]:
    maker = MakeEar()
    yield maker
    for ear in maker.ears:
        await ear.layer.close()


@pytest_asyncio.fixture
async def ear(make_ear: MakeEar) -> Ear:
    return await make_ear()
