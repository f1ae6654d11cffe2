"""Waiting without fixed sleeps, and addresses and ports that nobody else uses."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import time
from collections.abc import Callable

from ccengine.clock import SystemClock

_clock = SystemClock()
_counter = itertools.count(1)


def wait_until(
    condition: Callable[[], object], what: str, timeout_s: float = 5.0, period_s: float = 0.005
) -> None:
    """Return as soon as ``condition`` is true.

    Raises:
        AssertionError: it is not true in time.

    """
    limit = _clock.now() + timeout_s
    while not condition():
        if _clock.now() > limit:
            raise AssertionError(f"no {what} in {timeout_s:g} s")
        time.sleep(period_s)


async def wait_until_async(
    condition: Callable[[], object], what: str, timeout_s: float = 5.0, period_s: float = 0.005
) -> None:
    """Do what :func:`wait_until` does, while the event loop runs on."""
    limit = _clock.now() + timeout_s
    while not condition():
        if _clock.now() > limit:
            raise AssertionError(f"no {what} in {timeout_s:g} s")
        await asyncio.sleep(period_s)


def loopback_address() -> str:
    """Return an address in 127/8 that no other process of this kit uses, new at each call."""
    pid = os.getpid()
    return f"127.{64 + pid % 128}.{pid // 128 % 256}.{next(_counter) % 253 + 1}"


def free_port(host: str = "127.0.0.1", kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    """Return a port that was free a moment ago."""
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind((host, 0))
        return int(sock.getsockname()[1])


def free_sip_port(host: str = "127.0.0.1") -> int:
    """Return a port that was free for UDP and for TCP a moment ago."""
    for _ in range(100):
        port = free_port(host)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
            try:
                sock.bind((host, port))
            except OSError:
                continue
            return port
    raise AssertionError(f"no port of {host} is free for both UDP and TCP")
