"""The configuration that an engine runs, kept for the process that takes over.

What stands on the disk may be half edited, and cold changes wait for a restart: a successor
wants what its predecessor had, not what the files say by now.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from ccengine.config.change import with_cold
from ccengine.config.loader import Config, load_config
from ccengine.dialplan.source import Document, parse_document, read_text
from ccengine.errors import CcengineError, DocumentError, Problem

KEPT_NAME = "configuration.json"

Texts: TypeAlias = Mapping[str, str]
"""The text of each file by its path."""


class Sources:
    """Reads documents from the disk, or from kept texts, and remembers what it read."""

    def __init__(self, kept: Texts | None = None) -> None:
        self._kept = kept
        self.texts: dict[str, str] = {}

    def read(self, path: Path) -> Document:
        """Return one document; raises :class:`DocumentError` when it cannot be read."""
        name = str(path)
        if self._kept is None:
            text = read_text(path)
        elif name in self._kept:
            text = self._kept[name]
        else:
            raise DocumentError([Problem(name, 0, 0, "it was not kept", "restart the engine")])
        self.texts[name] = text
        return parse_document(text, name)


class KeptConfig:
    """One file with the texts of the start and, after a reload, those of the last one.

    It holds passwords, so only its owner may read it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def save(self, config: Path, started: Texts, reloaded: Texts | None = None) -> None:
        """Replace what is kept; raises :class:`OSError`."""
        data = {"config": str(config), "started": started, "reloaded": reloaded or {}}
        draft = self._path.with_name(self._path.name + ".draft")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            json.dump(data, file, ensure_ascii=True)
        draft.replace(self._path)

    def reload(self, config: Path, texts: Texts) -> None:
        """Keep the texts of a reload beside those of the start; raises :class:`OSError`."""
        started: Texts = texts
        with suppress(OSError, ValueError, KeyError):
            started = json.loads(self._path.read_text(encoding="utf-8"))["started"]
        self.save(config, started, texts)

    def stamp(self) -> tuple[int, int] | None:
        """Return what changes whenever something is kept, None when nothing is."""
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino

    def load(self) -> Config:
        """Return the configuration that ran; raises :class:`CcengineError` when there is none."""
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
            path, started, reloaded = Path(data["config"]), data["started"], data["reloaded"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CcengineError(f"no configuration is kept in {self._path}: {error}") from error
        config = load_config(path, check_folders=False, read=Sources(started).read)
        if not reloaded:
            return config
        new = load_config(path, check_folders=False, read=Sources(reloaded).read)
        return replace(new, settings=with_cold(config.settings, new.settings))
