"""The projector: copies records from the journal to the database, exactly once.

Rows and the place reached in the journal are written in one transaction, so after any fault
the database itself says where to go on.  A database that is locked, read-only, lost or deleted
is tried again and again; meanwhile the journal keeps everything.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from ccengine.errors import StoreError
from ccengine.journal.follower import Follower
from ccengine.journal.segment import list_segments, read_header
from ccengine.journal.tail import FIRST_SEQ
from ccengine.store.database import make_folder, open_for_writing
from ccengine.store.fold import Row, registry, row_of, unreadable
from ccengine.store.migrate import upgrade
from ccengine.store.schema import PROJECTION

_log = logging.getLogger(__name__)

BATCH_ROWS = 200
_STEP_FACTS = 20_000
_OFFSET_EVERY_S = 5.0
_RETRY_S = 0.1
_MAX_RETRY_S = 5.0

_INSERT: dict[str, Callable[[Table], Any]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


class Projector:
    """Follows the journal in ``folder`` into the database at ``url``.

    :meth:`step` does what it can without waiting for new facts; ``clock`` gives monotonic
    seconds.  ``down`` says that the database does not take records at present, ``next_seq``
    which fact it lacks first.  Raises :class:`StoreError` for a URL that can never work.
    """

    def __init__(self, folder: Path, url: str, clock: Callable[[], float]) -> None:
        self.down = False
        self.next_seq = 0
        self._folder = folder
        self._clock = clock
        self._engine: Engine = open_for_writing(url)
        self._follower: Follower | None = None
        self._journal_id = ""
        self._written_at = 0.0
        self._retry_at = 0.0
        self._delay = _RETRY_S
        self._down_since = 0.0

    def step(self) -> bool:
        """Copy at most one batch; return whether there may be more at once."""
        now = self._clock()
        if now < self._retry_at:
            return False
        try:
            if self._follower is None and not self._resume():
                return False
            more = self._copy(now)
        except (SQLAlchemyError, StoreError, OSError) as error:
            self._fail(error, now)
            return False
        self._recover(now)
        return more

    def finish(self, deadline: float) -> None:
        """Copy all that the journal has and the place reached, until ``deadline`` at most.

        What a database that is down does not take is copied by the next writer.
        """
        self._retry_at = 0.0
        self._written_at = -_OFFSET_EVERY_S
        while self.step() and self._clock() < deadline:
            pass

    def close(self) -> None:
        """Let go of journal and database."""
        self._forget_place()
        self._engine.dispose()

    def _resume(self) -> bool:
        """Prepare the tables and find the place where they end; False without a journal."""
        segments = list_segments(self._folder) if self._folder.exists() else []
        if not segments:
            return False
        self._journal_id = read_header(segments[-1].path).journal_id
        make_folder(self._engine)
        upgrade(self._engine)
        with self._engine.connect() as connection:
            self.next_seq = (
                connection.scalar(
                    select(PROJECTION.c.next_seq).where(PROJECTION.c.journal_id == self._journal_id)
                )
                or FIRST_SEQ
            )
        self._follower = Follower(self._folder, registry(), self.next_seq)
        return True

    def _copy(self, now: float) -> bool:
        assert self._follower is not None
        rows: dict[tuple[str, Any], Row] = {}
        begin = self._follower.next_seq
        more = True
        while more and len(rows) < BATCH_ROWS and self._follower.next_seq - begin < _STEP_FACTS:
            frames = self._follower.poll(1)
            more = bool(frames)
            for frame in frames:
                for fact in frame.facts:
                    _gather(fact, rows)
        next_seq = self._follower.next_seq
        stale = next_seq > self.next_seq and now - self._written_at >= _OFFSET_EVERY_S
        if rows or stale:
            # The database must never be ahead of what survives a loss of power.
            self._follower.sync()
            self._write(list(rows.values()), next_seq)
            self._written_at = now
            self.next_seq = next_seq
        return more

    def _write(self, rows: list[Row], next_seq: int) -> None:
        place = Row(PROJECTION, {"journal_id": self._journal_id, "next_seq": next_seq})
        batches = [rows[i : i + BATCH_ROWS] for i in range(0, len(rows), BATCH_ROWS)] or [[]]
        for index, batch in enumerate(batches):
            # A frame of many records takes several transactions; the place moves with the
            # last, and rows that are written twice replace themselves.
            tail = [place] if index == len(batches) - 1 else []
            try:
                with self._engine.begin() as connection:
                    _upsert(connection, [*batch, *tail])
            except (DataError, IntegrityError):
                self._write_singly(batch, tail)

    def _write_singly(self, rows: list[Row], tail: list[Row]) -> None:
        """Write what the database takes; one bad record must not hold up all that follow."""
        with self._engine.begin() as connection:
            for row in rows:
                try:
                    with connection.begin_nested():
                        _upsert(connection, [row])
                except (DataError, IntegrityError) as error:
                    _log.error("a record of %s is refused: %s", row.table.name, error.orig)
            _upsert(connection, tail)

    def _fail(self, error: Exception, now: float) -> None:
        # Whatever was read since the last transaction is read again from the journal.
        self._forget_place()
        self._retry_at = now + self._delay
        self._delay = min(_MAX_RETRY_S, self._delay * 2)
        if not self.down:
            self.down = True
            self._down_since = now
            reason = getattr(error, "orig", None) or error
            _log.error("the database takes no records, they wait in the journal: %s", reason)

    def _recover(self, now: float) -> None:
        self._delay = _RETRY_S
        if self.down:
            self.down = False
            _log.warning("the database takes records again after %.1f s", now - self._down_since)

    def _forget_place(self) -> None:
        if self._follower is not None:
            self._follower.close()
            self._follower = None


def _gather(fact: Any, rows: dict[tuple[str, Any], Row]) -> None:
    row = row_of(fact)
    if row is not None:
        key = next(iter(row.table.primary_key))
        rows[row.table.name, row.values[key.name]] = row
    elif problem := unreadable(fact):
        _log.error("a record cannot be kept: %s", problem)


def _upsert(connection: Connection, rows: Iterable[Row]) -> None:
    by_table: dict[Table, list[dict[str, Any]]] = {}
    for row in rows:
        by_table.setdefault(row.table, []).append(row.values)
    insert = _INSERT[connection.dialect.name]
    for table, values in by_table.items():
        statement = insert(table)
        keys = [column.name for column in table.primary_key]
        changed = {
            column.name: statement.excluded[column.name]
            for column in table.columns
            if not column.primary_key
        }
        connection.execute(
            statement.on_conflict_do_update(index_elements=keys, set_=changed), values
        )
