"""What hooks are given and give back: frozen records, never objects of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class PluginContext:
    """What a plugin is started with.

    ``settings`` is the plugin's own part of the configuration, ``data_dir`` a folder of its
    own that exists, ``database_url`` the configured database or empty for the embedded one.
    """

    name: str
    data_dir: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    database_url: str = ""


@dataclass(frozen=True, slots=True)
class Customer:
    """Who a number belongs to; ``name`` is what the agent's phone shows."""

    customer_id: str
    name: str
    level: str = ""
    note: str = ""
