"""What differs between two configurations, and whether a reload can take it over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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


def with_cold(running: Settings, new: Settings) -> Settings:
    """Return the new settings with every cold field as it is in those that run."""
    merged: Settings = _merged(running, new)
    return merged


def _merged(running: Any, new: Any) -> Any:
    changes: dict[str, Any] = {}
    for name, info in type(running).model_fields.items():
        before, after = getattr(running, name), getattr(new, name)
        if before == after:
            continue
        if reload_kind(info) == "cold":
            changes[name] = before
        elif isinstance(before, BaseModel) and isinstance(after, BaseModel):
            changes[name] = _merged(before, after)
    return new.model_copy(update=changes) if changes else new
