"""Configuration schema and loader."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ccengine.config.change import changed_cold, changed_hot
    from ccengine.config.data import data_folder, sample_config
    from ccengine.config.loader import Config, check, load_config
    from ccengine.config.number import NumberPlan
    from ccengine.config.schema import Settings

# Loading schema and dialplan takes most of a second: commands that need a path do without.
_HOMES = {
    "Config": "loader",
    "NumberPlan": "number",
    "Settings": "schema",
    "changed_cold": "change",
    "changed_hot": "change",
    "check": "loader",
    "data_folder": "data",
    "load_config": "loader",
    "sample_config": "data",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


__all__ = [
    "Config",
    "NumberPlan",
    "Settings",
    "changed_cold",
    "changed_hot",
    "check",
    "data_folder",
    "load_config",
    "sample_config",
]
