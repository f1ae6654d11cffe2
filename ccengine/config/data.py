"""Where the files that we ship are: in the installed package, or beside its sources."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent.parent


def data_folder(name: str) -> Path:
    """Return the folder ``prompts`` or ``dialplans`` that belongs to this installation."""
    installed = _PACKAGE / "_data" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def sample_config() -> Path:
    """Return the sample configuration, the one of the demo."""
    return data_folder("dialplans") / "ccengine.yaml"
