"""Opening the database of the projection: by URL, for the writer or only to read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from ccengine.errors import StoreError

BUSY_TIMEOUT_S = 2.0


BACKENDS = ("sqlite", "postgresql")


def parse_url(url: str) -> URL:
    """Return the URL as SQLAlchemy has it; raises :class:`StoreError`."""
    cure = "write sqlite:///path/to/calls.db or postgresql://user@host/name"
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError(f"{url!r} is no database URL", cure=cure) from error
    if parsed.get_backend_name() not in BACKENDS:
        raise StoreError(f"no records can be kept in {parsed.get_backend_name()}", cure=cure)
    return parsed


def sqlite_path(url: URL) -> Path | None:
    """Return the file of an SQLite database, None for any other."""
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def open_for_writing(url: str) -> Engine:
    """Return an engine for the one process that writes; raises :class:`StoreError`.

    An SQLite database is in WAL mode, so that readers never wait for the writer nor the
    writer for them.
    """
    parsed = parse_url(url)
    if sqlite_path(parsed) is None:
        return _server(parsed)
    # No pool: a connection that is kept would go on writing to a file that was deleted.
    engine = create_engine(parsed, poolclass=NullPool, connect_args={"timeout": BUSY_TIMEOUT_S})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        # The driver would begin transactions by its own rules, and none for a savepoint.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def make_folder(engine: Engine) -> None:
    """Make the folder of an SQLite database if it is not there; raises OSError."""
    path = sqlite_path(engine.url)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)


def open_for_reading(url: str) -> Engine:
    """Return an engine for queries; with SQLite it cannot change anything.

    Raises :class:`StoreError`.
    """
    parsed = parse_url(url)
    path = sqlite_path(parsed)
    if path is None:
        return _server(parsed)
    if not path.exists():
        raise StoreError(f"no records yet: {path} is not there", cure="is the engine running?")
    if not os.access(path, os.R_OK):
        raise StoreError(f"{path} may not be read", cure="run as the engine's user")
    target = f"sqlite:///file:{quote(str(path.absolute()))}?mode=ro&uri=true"
    return create_engine(target, poolclass=NullPool, connect_args={"timeout": BUSY_TIMEOUT_S})


def _server(url: URL) -> Engine:
    try:
        return create_engine(url, pool_pre_ping=True)
    except (ImportError, NoSuchModuleError) as error:
        raise StoreError(
            f"the driver for {url.drivername} is missing: {error}", cure="install it"
        ) from error
