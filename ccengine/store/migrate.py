"""Bringing a database's tables up to date with Alembic, without a command line."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine

from ccengine.errors import StoreError

_SCRIPTS = Path(__file__).parent / "migrations"


def upgrade(engine: Engine) -> None:
    """Apply the migrations that the database does not have yet.

    Raises :class:`StoreError` for a database of a newer version and SQLAlchemyError when it
    cannot be reached.
    """
    # Imported here: it takes longer than everything else in this room together.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError(
            f"the database does not fit this version: {error}",
            cure="run the version of ccengine that made it, or give another database",
        ) from error
