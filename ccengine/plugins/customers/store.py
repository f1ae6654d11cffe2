"""The table of customers; every function blocks and belongs in a worker thread."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    URL,
    Column,
    DateTime,
    Engine,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    create_engine,
    event,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from ccengine.plugin import StoreError

SCHEMA_VERSION = 1
BUSY_S = 2.0
"""How long SQLite waits for another process's lock; the caller is gone long before."""

_metadata = MetaData()

customers = Table(
    "customers",
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("number", String(32), nullable=False, unique=True, index=True),
    Column("name", String(200), nullable=False),
    Column("level", String(40), nullable=False, default=""),
    Column("note", String(2000), nullable=False, default=""),
    Column("calls", Integer, nullable=False, default=0),
    Column("last_call_at", DateTime(timezone=True)),
)

schema = Table("customers_schema", _metadata, Column("version", Integer, primary_key=True))


@dataclass(frozen=True, slots=True)
class CustomerRow:
    """One customer as stored; ``number`` is normalised, ``last_call_at`` aware UTC."""

    number: str
    name: str
    level: str = ""
    note: str = ""
    id: int = 0
    calls: int = 0
    last_call_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ImportResult:
    """How many customers an import added and changed."""

    added: int
    changed: int


class CustomerStore:
    """Customers in a database; made usable at the first need, so it may come up later."""

    def __init__(self, url: str | URL) -> None:
        self._engine = _engine(url)
        self._ready = False
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Create the tables when they are missing; raises :class:`StoreError`."""
        with self._lock:
            if self._ready:
                return
            try:
                _metadata.create_all(self._engine)
                with self._engine.begin() as connection:
                    version = connection.scalar(select(func.max(schema.c.version)))
                    if version is None:
                        connection.execute(insert(schema).values(version=SCHEMA_VERSION))
            except SQLAlchemyError as error:
                raise _lost(error) from error
            if version is not None and version > SCHEMA_VERSION:
                raise StoreError(
                    f"customers were written by a newer version (schema {version})",
                    cure=f"this one knows schema {SCHEMA_VERSION}; upgrade it",
                )
            self._ready = True

    def find(self, number: str) -> CustomerRow | None:
        """Return the customer with a normalised number."""
        self.prepare()
        try:
            with self._engine.connect() as connection:
                row = connection.execute(
                    select(customers).where(customers.c.number == number)
                ).first()
        except SQLAlchemyError as error:
            raise _lost(error) from error
        return None if row is None else _row(row)

    def count_call(self, number: str, at: datetime) -> bool:
        """Note a call of a customer; return whether there is one."""
        self.prepare()
        change = (
            update(customers)
            .where(customers.c.number == number)
            .values(calls=customers.c.calls + 1, last_call_at=at)
        )
        try:
            with self._engine.begin() as connection:
                return connection.execute(change).rowcount > 0
        except SQLAlchemyError as error:
            raise _lost(error) from error

    def save(self, rows: Iterable[CustomerRow]) -> ImportResult:
        """Add customers or change those whose number is known, all or none of them.

        Name, level and note are taken over; calls are counted on.
        """
        self.prepare()
        added = changed = 0
        try:
            with self._engine.begin() as connection:
                for row in rows:
                    values = {"name": row.name, "level": row.level, "note": row.note}
                    known = connection.execute(
                        update(customers).where(customers.c.number == row.number).values(**values)
                    ).rowcount
                    if known:
                        changed += 1
                    else:
                        connection.execute(insert(customers).values(number=row.number, **values))
                        added += 1
        except SQLAlchemyError as error:
            raise _lost(error) from error
        return ImportResult(added, changed)

    def list(self, *, limit: int = 100, after: str = "") -> Sequence[CustomerRow]:
        """Return at most ``limit`` customers by number, those after the number ``after``."""
        self.prepare()
        query = select(customers).where(customers.c.number > after)
        try:
            with self._engine.connect() as connection:
                rows = connection.execute(query.order_by(customers.c.number).limit(limit)).all()
        except SQLAlchemyError as error:
            raise _lost(error) from error
        return [_row(row) for row in rows]

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def _row(row: Row[Any]) -> CustomerRow:
    last = row.last_call_at
    if last is not None and last.tzinfo is None:  # SQLite keeps no zone: UTC went in
        last = last.replace(tzinfo=UTC)
    return CustomerRow(row.number, row.name, row.level, row.note, row.id, row.calls, last)


def _lost(error: SQLAlchemyError) -> StoreError:
    cause = getattr(error, "orig", None) or error
    return StoreError(f"the customers' database does not answer: {cause}")


def _engine(url: str | URL) -> Engine:
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_S})

    @event.listens_for(engine, "connect")
    def _settings(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        # A reader is then not stopped by a writer of another process.
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()

    return engine
