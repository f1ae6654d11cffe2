"""An engine for the tests of a module, and what they want to know of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ccengine.store.query import CallRecord
from ccengine.testing.engine import RunningEngine
from ccengine.testing.waiting import wait_until


@pytest.fixture(scope="module")
def changes() -> dict[str, Any]:
    """What a module changes in the sample configuration."""
    return {}


@pytest.fixture(scope="module")
def engine(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[str, Any]
) -> Iterator[RunningEngine]:
    """A whole engine for the tests of one module; a traceback in its log is an error."""
    with RunningEngine(tmp_path_factory.mktemp("engine"), changes) as running:
        yield running
        log = "\n".join(running.log)
    assert "Traceback" not in log, log


@pytest.fixture
def log_of_engine(engine: RunningEngine) -> Iterator[None]:
    """Show what the engine logged during a test that fails."""
    before = len(engine.log)
    yield
    print("\n".join(engine.log[before:]))


@pytest.fixture
def record_of(engine: RunningEngine) -> Callable[..., CallRecord]:
    """Wait for the records of the call to a number that began after a time, or just before.

    With ``recorded`` they are complete with its recording.
    """

    def find(number: str, caller: str, since: float, *, recorded: bool = False) -> CallRecord:
        found: list[CallRecord] = []

        def written() -> bool:
            records = engine.records
            try:
                begin = datetime.fromtimestamp(since - 0.2, UTC)
                rows = records.recent_calls(5, number=number, since=begin)
                rows = [row for row in rows if row.caller_number == caller]
                record = records.call(rows[0].call_id) if rows else None
            finally:
                records.close()
            assert len(rows) <= 1, f"several records for one call: {rows}"
            if record is None or (recorded and not record.recordings):
                return False
            found[:] = [record]
            return True

        wait_until(written, f"records of a call from {caller} to {number}", 10.0, 0.05)
        return found[0]

    return find


@pytest.fixture
def recording_of() -> Callable[[CallRecord], Path]:
    """Return the one file of a call's recording."""

    def find(record: CallRecord) -> Path:
        (recording,) = record.recordings
        assert not recording.error
        (file,) = recording.files
        return Path(file)

    return find
