"""Printing: tables for people, JSON for programs, once or again and again."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

WATCH_S = 1.0
PIPE_COLUMNS = 120
"""Width of tables that no terminal limits."""


def new_console() -> Console:
    """Return a console for stdout, coloured only when that is a terminal."""
    from rich.console import Console

    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(highlight=False, width=PIPE_COLUMNS if piped else None)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def print_json(answer: Any, *, indent: int | None = 2) -> None:
    """Print plain values as JSON, instants in ISO 8601."""
    click.echo(json.dumps(answer, ensure_ascii=False, indent=indent, default=_plain))


def print_table(console: Console, table: RenderableType) -> None:
    """Print a table; into a pipe without the blanks that fill its last column."""
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as capture:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in capture.get().splitlines()))


def show(
    query: Callable[[], Any],
    render: Callable[[Any], RenderableType],
    *,
    as_json: bool,
    watch: bool = False,
) -> None:
    """Print the answer of ``query`` as JSON or as ``render`` makes it; anew when watched."""
    if watch:
        _watch(query, render, as_json)
    elif as_json:
        print_json(query())
    else:
        print_table(new_console(), render(query()))


def _watch(
    query: Callable[[], Any], render: Callable[[Any], RenderableType], as_json: bool
) -> None:
    try:
        if as_json:
            while True:
                print_json(query(), indent=None)
                time.sleep(WATCH_S)
        _watch_table(query, render)
    except KeyboardInterrupt:
        return


def _watch_table(query: Callable[[], Any], render: Callable[[Any], RenderableType]) -> None:
    from rich.live import Live

    console = new_console()
    if not console.is_terminal:
        while True:
            print_table(console, render(query()))
            time.sleep(WATCH_S)
    with Live(render(query()), console=console, auto_refresh=False, screen=True) as live:
        while True:
            time.sleep(WATCH_S)
            live.update(render(query()), refresh=True)
