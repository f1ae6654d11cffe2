"""Printing: tables for people, JSON for programs, once or again and again."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
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


def print_json(answer: Any) -> None:
    """Print plain values as indented JSON."""
    click.echo(json.dumps(answer, ensure_ascii=False, indent=2, default=str))


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
        new_console().print(render(query()))


def _watch(
    query: Callable[[], Any], render: Callable[[Any], RenderableType], as_json: bool
) -> None:
    try:
        if as_json:
            while True:
                click.echo(json.dumps(query(), ensure_ascii=False, default=str))
                time.sleep(WATCH_S)
        _watch_table(query, render)
    except KeyboardInterrupt:
        return


def _watch_table(query: Callable[[], Any], render: Callable[[Any], RenderableType]) -> None:
    from rich.live import Live

    console = new_console()
    if not console.is_terminal:
        while True:
            console.print(render(query()))
            time.sleep(WATCH_S)
    with Live(render(query()), console=console, auto_refresh=False, screen=True) as live:
        while True:
            time.sleep(WATCH_S)
            live.update(render(query()), refresh=True)
