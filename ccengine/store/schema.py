"""The tables of the projection: calls, legs, recordings, and how far the journal is in them.

Columns are named like the fields of the facts in :mod:`ccengine.journal.cdr`; a row is a copy
of one fact.  There are no foreign keys, because a leg is stated before its call.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    TypeDecorator,
)


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: aware UTC in Python, whatever the database makes of time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware instant into what the database stores."""
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return the stored instant as aware UTC."""
        if value is None:
            return None
        instant: datetime = value
        if dialect.name == "sqlite":
            return instant.replace(tzinfo=UTC)
        return instant.astimezone(UTC)


METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

CALLS = Table(
    "calls",
    METADATA,
    Column("call_id", String, primary_key=True),
    Column("number", String, nullable=False),
    Column("caller_number", String, nullable=False),
    Column("caller_name", String, nullable=False),
    Column("extension", String, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("answered_at", UtcDateTime),
    Column("ended_at", UtcDateTime, nullable=False),
    Column("duration_s", Float, nullable=False),
    Column("talk_s", Float, nullable=False),
    Column("wait_s", Float, nullable=False),
    Column("cause", String, nullable=False),
    Column("ended_by", String, nullable=False),
    Column("queue", String, nullable=False),
    Column("agent_id", String, nullable=False),
    Column("customer_id", String, nullable=False),
    Column("customer_name", String, nullable=False),
    Column("recording", String, nullable=False),
    Index(None, "started_at"),
    Index(None, "caller_number"),
    Index(None, "number"),
)

LEGS = Table(
    "legs",
    METADATA,
    Column("leg_id", String, primary_key=True),
    Column("call_id", String, nullable=False),
    Column("role", String, nullable=False),
    Column("number", String, nullable=False),
    Column("name", String, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ringing_at", UtcDateTime),
    Column("answered_at", UtcDateTime),
    Column("ended_at", UtcDateTime, nullable=False),
    Column("cause", String, nullable=False),
    Column("status", Integer, nullable=False),
    Column("agent_id", String, nullable=False),
    Column("dial_id", String, nullable=False),
    Column("codec", String, nullable=False),
    Column("packets_sent", BigInteger, nullable=False),
    Column("packets_received", BigInteger, nullable=False),
    Column("packets_lost", BigInteger, nullable=False),
    Column("jitter_ms", Float, nullable=False),
    Column("loss_remote", Float),
    Column("round_trip_ms", Float),
    Index(None, "call_id"),
)

RECORDINGS = Table(
    "recordings",
    METADATA,
    Column("recording_id", String, primary_key=True),
    Column("call_id", String, nullable=False),
    Column("files", JSON, nullable=False),
    Column("duration_s", Float, nullable=False),
    Column("error", String, nullable=False),
    Index(None, "call_id"),
)

PROJECTION = Table(
    "projection",
    METADATA,
    Column("journal_id", String, primary_key=True),
    Column("next_seq", BigInteger, nullable=False),
)
"""For each journal that this database has seen: the first fact that is not in it yet."""
