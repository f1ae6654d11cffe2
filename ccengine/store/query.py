"""Reading the records, from any process: recent calls, and one call with its legs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, RowMapping, Select, select
from sqlalchemy.exc import SQLAlchemyError

from ccengine.errors import StoreError
from ccengine.journal.cdr import CdrCall, CdrLeg, RecordingDone
from ccengine.store.database import open_for_reading
from ccengine.store.schema import CALLS, LEGS, RECORDINGS


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A call with its legs in order of their start and its recordings."""

    call: CdrCall
    legs: tuple[CdrLeg, ...]
    recordings: tuple[RecordingDone, ...]


class Records:
    """The records of calls behind a database URL, opened so that nothing can be changed.

    Every method raises :class:`StoreError` when the database is not there or cannot be read.
    """

    def __init__(self, url: str) -> None:
        self._engine: Engine = open_for_reading(url)

    def recent_calls(
        self,
        limit: int = 50,
        *,
        since: datetime | None = None,
        number: str = "",
        agent_id: str = "",
        queue: str = "",
        recorded: bool = False,
    ) -> list[CdrCall]:
        """Return ended calls, the latest start first.

        ``number`` is either the caller's or the dialled one; ``since`` is aware; ``recorded``
        leaves out calls without a recording.
        """
        query = select(CALLS).order_by(CALLS.c.started_at.desc(), CALLS.c.call_id).limit(limit)
        if since is not None:
            query = query.where(CALLS.c.started_at >= since)
        if number:
            query = query.where((CALLS.c.caller_number == number) | (CALLS.c.number == number))
        if agent_id:
            query = query.where(CALLS.c.agent_id == agent_id)
        if queue:
            query = query.where(CALLS.c.queue == queue)
        if recorded:
            query = query.where(CALLS.c.recording != "")
        return [_call(row) for row in self._rows(query)]

    def call(self, call_id: str) -> CallRecord | None:
        """Return everything that is kept of one call, None for an unknown one."""
        rows = self._rows(select(CALLS).where(CALLS.c.call_id == call_id))
        if not rows:
            return None
        legs = self._rows(
            select(LEGS)
            .where(LEGS.c.call_id == call_id)
            # Of legs that begin in one moment the caller's was the reason for the others.
            .order_by(LEGS.c.started_at, LEGS.c.role.desc(), LEGS.c.leg_id)
        )
        recordings = self._rows(
            select(RECORDINGS)
            .where(RECORDINGS.c.call_id == call_id)
            .order_by(RECORDINGS.c.recording_id)
        )
        return CallRecord(
            _call(rows[0]),
            tuple(CdrLeg(**row) for row in legs),
            tuple(_recording(row) for row in recordings),
        )

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _rows(self, query: Select[Any]) -> list[RowMapping]:
        try:
            with self._engine.connect() as connection:
                return list(connection.execute(query).mappings())
        except SQLAlchemyError as error:
            raise StoreError(
                f"the records cannot be read: {getattr(error, 'orig', None) or error}",
                cure="is the engine running, and does this user own its files?",
            ) from error


def _call(row: RowMapping) -> CdrCall:
    return CdrCall(**row)


def _recording(row: RowMapping) -> RecordingDone:
    return RecordingDone(**{**row, "files": tuple(row["files"])})
