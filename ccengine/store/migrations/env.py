"""Alembic runs this with the connection that :func:`ccengine.store.migrate.upgrade` gives."""

from __future__ import annotations

from alembic import context

from ccengine.store.schema import METADATA

connection = context.config.attributes["connection"]
# Batch mode: SQLite changes a table by making it anew.
context.configure(connection=connection, target_metadata=METADATA, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
