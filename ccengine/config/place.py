"""Where a configuration puts things, without the cost of loading all of it.

Commands about a running engine need no more than these paths, and must go on working while
somebody is half-way through an edit of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ccengine.errors import CommandError, ConfigError, Problem

_SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True)
class Places:
    """The paths of a configuration, resolved as :class:`ccengine.config.schema.Settings` does."""

    config: Path
    run: Path
    journal: Path
    recordings: Path
    store_url: str


def _section(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = data.get(name)
    return section if isinstance(section, Mapping) else {}


def find_places(path: Path) -> Places:
    """Return the paths that the configuration at ``path`` names.

    Raises :class:`CommandError` when there is no such file and :class:`ConfigError` when it is
    no YAML.
    """
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except OSError as error:
        raise CommandError(
            f"{path}: {error.strerror}", cure="name the configuration with -c FILE"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        problem = Problem(str(path), 0, 0, "this is no YAML", "see `ccengine check`")
        raise ConfigError([problem]) from error
    data = data if isinstance(data, Mapping) else {}

    def resolved(section: str, key: str, default: str) -> Path:
        value = Path(str(_section(data, section).get(key) or default)).expanduser()
        return (path.parent / value).resolve()

    url = str(_section(data, "store").get("url") or f"{_SQLITE}var/ccengine.db")
    if url.startswith(_SQLITE):
        file = Path(url.removeprefix(_SQLITE)).expanduser()
        url = f"{_SQLITE}{(path.parent / file).resolve()}"
    return Places(
        config=path,
        run=resolved("run", "folder", "var/run"),
        journal=resolved("journal", "folder", "var/journal"),
        recordings=resolved("recording", "folder", "var/recordings"),
        store_url=url,
    )
