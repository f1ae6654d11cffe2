"""Engines for one test or for all tests of a module; after each test nothing has broken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ccengine.testing.hostile import TriedEngine, tried_engine

CHANGES: dict[str, Any] = {
    "sip": {"tcp": {"message_timeout_s": 2, "max_connections": 60}, "timers": {"t1_ms": 40}},
    "media": {"rtp_timeout_s": 2},
    "queues": {"sales": {"ring_timeout_s": 1.5, "wrapup_s": 0}},
    "log": {"level": "debug"},
}
"""Limits that tests need not wait long for; everything is logged."""


@pytest.fixture(scope="module")
def shared_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TriedEngine]:
    with tried_engine(tmp_path_factory.mktemp("engine"), CHANGES) as engine:
        yield engine


@pytest.fixture
def engine(shared_engine: TriedEngine) -> Iterator[TriedEngine]:
    """The module's engine; after the test it has no traceback, all processes, no calls."""
    yield shared_engine
    mishaps = shared_engine.mishaps()
    assert not mishaps, "\n".join((*mishaps, "---", *shared_engine.log[-60:]))
    shared_engine.takes_a_call()
