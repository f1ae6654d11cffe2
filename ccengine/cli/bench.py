"""Running the benchmarks of a source checkout."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ccengine.cli.output import new_console
from ccengine.errors import CommandError

_PREFIX = "bench_"


def benchmark_folder() -> Path:
    """Return the folder of the benchmarks; :class:`CommandError` without a source checkout."""
    folder = Path(__file__).parents[2] / "benchmarks"
    if not folder.is_dir():
        raise CommandError(
            "benchmarks do not come with the installed package",
            cure="run `ccengine bench` in a source checkout",
        )
    return folder


def benchmark_names() -> list[str]:
    """Return the names of all benchmarks."""
    found = benchmark_folder().glob(f"{_PREFIX}*.py")
    return sorted(path.stem.removeprefix(_PREFIX) for path in found)


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.option("--long", is_flag=True, help="Take as long as it needs.")
def bench(name: str | None, as_json: bool, long: bool) -> None:
    """Run a benchmark, or without NAME list them."""
    names = benchmark_names()
    if name is None:
        click.echo("\n".join(names))
        return
    if name not in names:
        raise CommandError(f"there is no benchmark {name!r}", cure=f"one of {', '.join(names)}")
    arguments = [sys.executable, "-m", f"benchmarks.{_PREFIX}{name}", *(["--long"] if long else [])]
    with subprocess.Popen(
        arguments, cwd=benchmark_folder().parent, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None, "a pipe was asked for"
        if as_json:
            for line in process.stdout:
                click.echo(line, nl=False)
        else:
            _print_results(_results(process.stdout))
    if process.returncode:
        raise CommandError(f"benchmark {name} ended with status {process.returncode}")


def _results(lines: Any) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line.startswith("{"):
            yield json.loads(line)
        else:
            click.echo(line, nl=False)


def _print_results(results: Iterator[dict[str, Any]]) -> None:
    from rich.text import Text

    console = new_console()
    for result in results:
        params = ", ".join(f"{key}={value}" for key, value in result.get("params", {}).items())
        head = f"{result['bench']}.{result['metric']}"
        console.print(Text(f"{head:<44}{result['value']:>14,.4g} {result['unit']:<8}"))
        if params:
            console.print(Text(f"    {params}", style="dim"))
