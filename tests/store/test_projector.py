"""Records reach the database exactly once, whatever happens to it."""

from __future__ import annotations

import itertools
import logging
import shutil
import sqlite3
from typing import Any

import pytest

from ccengine.errors import StoreError
from ccengine.journal.cdr import RecordingDone
from ccengine.store.projector import Projector
from ccengine.store.query import Records
from ccengine.testing.faults import read_only


def test_records_come_out_as_they_went_in(desk: Any) -> None:
    call = desk.call(1, queue="sales", agent_id="1001", recording="r/1", ended_by="callee")
    legs = (
        desk.leg(1, "l1", codec="PCMA", packets_sent=3000, loss_remote=0.25, status=200),
        desk.leg(1, "l2", role="callee", answered_at=call.answered_at, agent_id="1001"),
    )
    recording = RecordingDone(
        recording_id="r/1", call_id="c1", files=("a.wav", "b.wav"), duration_s=50.5
    )
    desk.append(*legs, recording, call)
    desk.append(desk.call(2, answered_at=None))
    desk.project()
    records = Records(desk.url)
    found = records.call("c1")
    assert found is not None
    assert (found.call, found.legs, found.recordings) == (call, legs, (recording,))
    assert found.call.started_at.utcoffset() is not None
    assert records.recent_calls() == [desk.call(2, answered_at=None), call]
    assert records.recent_calls(1) == [desk.call(2, answered_at=None)]
    assert records.recent_calls(agent_id="1001") == [call]
    assert records.recent_calls(queue="sales") == [call]
    assert records.recent_calls(number="13800130002") == [desk.call(2, answered_at=None)]
    assert records.recent_calls(since=desk.call(2).started_at)[0].call_id == "c2"
    assert records.call("nobody") is None
    records.close()


def test_a_restarted_projector_goes_on_where_the_database_is(desk: Any, sql: Any) -> None:
    desk.append(*[desk.call(n) for n in range(450)])
    desk.project()
    desk.restart_projector()
    sql("DELETE FROM calls")  # what is gone stays gone if nothing is copied twice
    desk.append(desk.call(450))
    desk.project()
    assert sql("SELECT call_id FROM calls") == [("c450",)]
    assert sql("SELECT next_seq FROM projection") == [(desk.journal.next_seq,)]


def test_rows_and_place_are_one_transaction(desk: Any, sql: Any, caplog: Any) -> None:
    desk.append(desk.call(1))
    desk.project()
    sql(
        "CREATE TRIGGER block BEFORE UPDATE ON projection "
        "BEGIN SELECT RAISE(ROLLBACK, 'blocked'); END"
    )
    desk.append(desk.call(2))
    before = sql("SELECT next_seq FROM projection")
    desk.project()
    assert sql("SELECT call_id FROM calls") == [("c1",)]
    assert sql("SELECT next_seq FROM projection") == before
    sql("DROP TRIGGER block")
    desk.clock.advance(10)
    desk.project()
    assert sql("SELECT call_id FROM calls ORDER BY 1") == [("c1",), ("c2",)]


def test_a_locked_database_is_retried_logged_once_and_loses_nothing(
    desk: Any, sql: Any, caplog: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("ccengine.store.database.BUSY_TIMEOUT_S", 0.02)
    desk.append(desk.call(0))
    desk.project()
    desk.restart_projector()
    blocker = sqlite3.connect(desk.path, isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    caplog.set_level(logging.WARNING)
    for number in range(1, 30):
        desk.append(desk.call(number))
        desk.clock.advance(6)
        desk.project()
    assert desk.projector.down
    assert [r.message for r in caplog.records] == [
        "the database takes no records, they wait in the journal: database is locked"
    ]
    blocker.execute("ROLLBACK")
    blocker.close()
    desk.clock.advance(6)
    desk.project()
    assert not desk.projector.down
    assert "takes records again after" in caplog.records[-1].message
    assert len(caplog.records) == 2
    assert sql("SELECT count(*) FROM calls") == [(30,)]


def test_retries_back_off(desk: Any, monkeypatch: Any) -> None:
    desk.append(desk.call(1))
    desk.path.parent.mkdir()
    desk.path.mkdir()  # a folder where the file should be
    tried = []
    monkeypatch.setattr(
        "ccengine.store.projector.upgrade",
        lambda engine: tried.append(desk.clock.now()) or engine.connect(),
    )
    for _ in range(300):
        desk.project()
        desk.clock.advance(0.1)
    gaps = [b - a for a, b in itertools.pairwise(tried)]
    assert 0.09 < gaps[0] < 0.21
    assert gaps[-1] == pytest.approx(5.0, abs=0.11)
    assert len(tried) < 15


def test_a_read_only_database_is_retried(desk: Any, sql: Any) -> None:
    desk.append(desk.call(1))
    desk.project()
    desk.restart_projector()
    with read_only(desk.path.parent):
        desk.append(desk.call(2))
        desk.project()
        assert desk.projector.down
    desk.clock.advance(10)
    desk.project()
    assert not desk.projector.down
    assert sql("SELECT count(*) FROM calls") == [(2,)]


def test_a_deleted_database_is_made_again_from_the_journal(desk: Any, sql: Any) -> None:
    desk.append(*[desk.call(n) for n in range(10)])
    desk.project()
    shutil.rmtree(desk.path.parent)
    desk.append(desk.call(10))
    for _ in range(3):
        desk.clock.advance(10)
        desk.project()
    assert not desk.projector.down
    assert sql("SELECT count(*) FROM calls") == [(11,)]


def test_a_new_journal_on_an_old_database_begins_at_its_first_fact(desk: Any, sql: Any) -> None:
    desk.append(*[desk.call(n) for n in range(10)])
    desk.project()
    desk.restart_projector()
    desk.journal.close()
    shutil.rmtree(desk.folder)
    desk.journal = desk.open_journal()
    desk.append(desk.call(99))
    desk.project()
    assert sql("SELECT count(*) FROM calls") == [(11,)]
    assert sql("SELECT count(*) FROM projection") == [(2,)]


def test_a_record_that_the_database_refuses_does_not_hold_up_the_others(
    desk: Any, sql: Any, caplog: Any
) -> None:
    desk.append(desk.call(0))
    desk.project()
    sql(
        "CREATE TRIGGER picky BEFORE INSERT ON calls WHEN NEW.number = 'bad' "
        "BEGIN SELECT RAISE(ABORT, 'no such number'); END"
    )
    desk.append(desk.call(1), desk.call(2, number="bad"), desk.call(3))
    desk.project()
    assert sql("SELECT call_id FROM calls ORDER BY 1") == [("c0",), ("c1",), ("c3",)]
    assert "a record of calls is refused: no such number" in caplog.text


def test_a_large_frame_is_written_in_batches(desk: Any, sql: Any) -> None:
    desk.append(*[desk.call(n) for n in range(1001)])
    desk.project()
    assert sql("SELECT count(*) FROM calls") == [(1001,)]


def test_the_place_moves_on_without_records_too(desk: Any, sql: Any) -> None:
    desk.append(desk.call(1))
    desk.project()
    desk.restart_projector()
    desk.journal.close()
    desk.journal = desk.open_journal()  # the fact of the new epoch makes no row
    desk.project()
    desk.projector.finish(desk.clock.now() + 1)
    assert sql("SELECT next_seq FROM projection") == [(desk.journal.next_seq,)]


def test_without_a_journal_it_waits(desk: Any, tmp_path: Any) -> None:
    projector = Projector(tmp_path / "elsewhere", desk.url, desk.clock.now)
    assert projector.step() is False
    assert not projector.down
    projector.close()


@pytest.mark.parametrize("url", ["nonsense", "cobol://x", "mssql+pyodbc://x"])
def test_a_url_that_can_never_work_is_an_error_at_once(desk: Any, url: str) -> None:
    with pytest.raises(StoreError):
        Projector(desk.folder, url, desk.clock.now)


def test_records_of_a_database_that_is_not_there(desk: Any) -> None:
    with pytest.raises(StoreError, match=r"no records yet.*is the engine running"):
        Records(desk.url)


def test_readers_cannot_change_anything(desk: Any) -> None:
    desk.append(desk.call(1))
    desk.project()
    from sqlalchemy import text
    from sqlalchemy.exc import OperationalError

    from ccengine.store.database import open_for_reading

    engine = open_for_reading(desk.url)
    with engine.connect() as connection, pytest.raises(OperationalError, match="readonly"):
        connection.execute(text("DELETE FROM calls"))
    engine.dispose()
