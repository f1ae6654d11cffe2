"""What differs between two configurations, and whether a reload can take it over."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ccengine.config.schema import Settings


def reload_kind(info: FieldInfo) -> str:
    """Return ``hot`` or ``cold`` for a field, empty for a section of fields."""
    extra = info.json_schema_extra
    return str(extra.get("reload", "")) if isinstance(extra, dict) else ""


def _changes(old: BaseModel, new: BaseModel, prefix: str) -> Iterator[tuple[str, str]]:
    for name, info in type(old).model_fields.items():
        before, after = getattr(old, name), getattr(new, name)
        path = f"{prefix}{name}"
        if before == after:
            continue
        if isinstance(before, BaseModel) and isinstance(after, BaseModel):
            yield from _changes(before, after, f"{path}.")
        else:
            yield path, reload_kind(info)


def changed_cold(old: Settings, new: Settings) -> tuple[str, ...]:
    """Return the changed fields that need a restart, such as ``media.workers``."""
    return tuple(path for path, kind in _changes(old, new, "") if kind == "cold")


def changed_hot(old: Settings, new: Settings) -> tuple[str, ...]:
    """Return the changed fields that a reload takes over."""
    return tuple(path for path, kind in _changes(old, new, "") if kind == "hot")
