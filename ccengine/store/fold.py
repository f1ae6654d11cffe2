"""The fold from facts to rows: which facts a projection is made of, and what they become."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Table

from ccengine.journal import RawFact, Registry
from ccengine.journal.cdr import FACTS, CdrCall, CdrLeg, RecordingDone
from ccengine.ports import FactData
from ccengine.store.schema import CALLS, LEGS, RECORDINGS

_TABLES: dict[type, Table] = {CdrCall: CALLS, CdrLeg: LEGS, RecordingDone: RECORDINGS}
_FIELDS = {cls: tuple(field.name for field in fields(cls)) for cls in _TABLES}


@dataclass(frozen=True, slots=True)
class Row:
    """One row to be inserted, or to replace the one with the same key."""

    table: Table
    values: dict[str, Any]


def registry() -> Registry:
    """Return the registry of the facts that are projected; all others stay undecoded."""
    return Registry(FACTS)


def row_of(fact: FactData | RawFact) -> Row | None:
    """Return the row that a fact makes, None for a fact that makes none."""
    table = _TABLES.get(type(fact))
    if table is None:
        return None
    values = {name: getattr(fact, name) for name in _FIELDS[type(fact)]}
    if table is RECORDINGS:
        values["files"] = list(values["files"])
    return Row(table, values)


def unreadable(fact: FactData | RawFact) -> str:
    """Return what is wrong with a fact that should have made a row, empty when nothing is."""
    if isinstance(fact, RawFact) and any(fact.type == cls.FACT[0] for cls in FACTS):
        return f"{fact.type} v{fact.version} of {fact.stream}: {fact.error}"
    return ""
