"""What many commands share: the configuration's path, ``--json`` and ``--watch``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ccengine.config.place import Places, find_places
from ccengine.errors import CommandError

DEFAULT_NAME = "ccengine.yaml"
VARIABLE = "CCENGINE_CONFIG"
_KEY = "ccengine.config"

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def _remember(context: click.Context, parameter: click.Parameter, value: Path | None) -> None:
    del parameter
    if value is not None:
        context.meta[_KEY] = value


config_option: Callable[[Decorated], Decorated] = click.option(
    "-c",
    "--config",
    metavar="FILE",
    type=click.Path(path_type=Path),
    callback=_remember,
    expose_value=False,
    help=f"Configuration; else ./{DEFAULT_NAME}, else ${VARIABLE}.",
)
"""``-c FILE``, before or after the name of a command."""

json_option: Callable[[Decorated], Decorated] = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON for programs."
)

watch_option: Callable[[Decorated], Decorated] = click.option(
    "--watch", is_flag=True, help="Show it anew every second until Ctrl-C."
)


def config_path() -> Path:
    """Return the path of the configuration that the user means; it need not exist."""
    given: Path | None = click.get_current_context().meta.get(_KEY)
    if given is not None:
        return given
    if Path(DEFAULT_NAME).is_file():
        return Path(DEFAULT_NAME)
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE])
    raise CommandError(
        f"there is no {DEFAULT_NAME} in this folder",
        cure=f"name a configuration with -c FILE or in ${VARIABLE}",
    )


def places() -> Places:
    """Return the paths of the configuration that the user means."""
    return find_places(config_path())


_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def as_seconds(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> float | None:
    """Turn an option such as ``90``, ``90s``, ``2m`` or ``1h`` into seconds (a callback)."""
    if value is None:
        return None
    text = value.strip().lower()
    factor = _UNITS.get(text[-1:])
    try:
        seconds = float(text[:-1] if factor else text) * (factor or 1.0)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e7:
        raise click.BadParameter(
            f"{value!r} is no time; write it like 60s, 2m or 1h", context, parameter
        )
    return seconds
