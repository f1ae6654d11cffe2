"""The migrations make exactly the tables that the code has."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from ccengine.errors import StoreError
from ccengine.store.database import open_for_writing
from ccengine.store.migrate import upgrade
from ccengine.store.schema import METADATA


def test_the_migrations_make_the_schema(tmp_path: Path) -> None:
    engine = open_for_writing(f"sqlite:///{tmp_path}/a.db")
    upgrade(engine)
    upgrade(engine)  # nothing to do is all right
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    engine = open_for_writing(f"sqlite:///{tmp_path}/a.db")
    upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="does not fit this version"):
        upgrade(engine)


def test_reading_records_does_not_load_alembic() -> None:
    code = "import sys, ccengine.store.query; print('alembic' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert ast.literal_eval(result.stdout) is False
