"""A journal with records in it, and a projector beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ccengine.clock import VirtualClock
from ccengine.journal import Journal, Registry
from ccengine.journal.cdr import FACTS, CdrCall, CdrLeg, RecordingDone
from ccengine.store.projector import Projector

START = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)


class Desk:
    """A journal, a database and the projector between them."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock()
        self.folder = folder / "journal"
        self.path = folder / "db" / "calls.db"
        self.url = f"sqlite:///{self.path}"
        self.journal = self.open_journal()
        self.projector: Projector | None = None

    def open_journal(self) -> Journal:
        return Journal.open(
            self.folder,
            boot_id="boot",
            clock=self.clock,
            registry=Registry(FACTS),
            segment_bytes=256 << 10,
        )

    def append(self, *facts: CdrCall | CdrLeg | RecordingDone) -> None:
        self.journal.append(facts, self.clock.now(), self.clock.at())

    def project(self) -> None:
        """Copy all there is, as one life of a writer would."""
        if self.projector is None:
            self.projector = Projector(self.folder, self.url, self.clock.now)
        while self.projector.step():
            pass

    def restart_projector(self) -> None:
        if self.projector is not None:
            self.projector.close()
        self.projector = None

    def close(self) -> None:
        self.restart_projector()
        self.journal.close()

    @staticmethod
    def call(index: int, /, **more: object) -> CdrCall:
        started = START + timedelta(seconds=index)
        values = {
            "call_id": f"c{index}",
            "number": "4008001234",
            "caller_number": f"1380013{index:04d}",
            "caller_name": "张伟",
            "started_at": started,
            "answered_at": started + timedelta(seconds=2),
            "ended_at": started + timedelta(seconds=60),
            "duration_s": 60.0,
            "talk_s": 50.0,
            "cause": "normal",
            **more,
        }
        return CdrCall(**values)  # type: ignore[arg-type]

    @staticmethod
    def leg(index: int, leg_id: str, /, **more: object) -> CdrLeg:
        started = START + timedelta(seconds=index)
        values = {
            "leg_id": leg_id,
            "call_id": f"c{index}",
            "role": "caller",
            "started_at": started,
            "ended_at": started + timedelta(seconds=60),
            "cause": "normal",
            **more,
        }
        return CdrLeg(**values)  # type: ignore[arg-type]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


@pytest.fixture
def sql(desk: Desk) -> Callable[[str], list[tuple[object, ...]]]:
    import sqlite3

    def run(statement: str) -> list[tuple[object, ...]]:
        connection = sqlite3.connect(desk.path)
        try:
            rows = connection.execute(statement).fetchall()
            connection.commit()
        finally:
            connection.close()
        return rows

    return run
