"""Runs benchmarks: ``python -m benchmarks [NAMES] [--json] [--long] [--no-save]``.

Every ``bench_NAME.py`` of this folder runs in a process of its own as
``python -m benchmarks.bench_NAME [--long]`` and prints one JSON object a line, so none
inherits another's memory, processor or garbage.  The results are printed, held against
``budgets.toml`` and kept in ``results/``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.budget import check
from benchmarks.machine import describe, short_name
from benchmarks.result import Result

FOLDER = Path(__file__).parent
LIMIT_S = 180.0
"""A benchmark promises 50 s; one that hangs is ended after this."""


def names() -> list[str]:
    """Return the names of all benchmarks."""
    return sorted(path.stem.removeprefix("bench_") for path in FOLDER.glob("bench_*.py"))


def run(name: str, *, long: bool) -> Iterator[Result]:
    """Run one benchmark and yield its results as they come; what it says goes to stderr."""
    command = [sys.executable, "-m", f"benchmarks.bench_{name}", *(["--long"] if long else [])]
    begun = time.monotonic()
    with subprocess.Popen(command, cwd=FOLDER.parent, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None, "a pipe was asked for"
        for line in child.stdout:
            if line.startswith("{"):
                yield Result(**json.loads(line))
            if not long and time.monotonic() - begun > LIMIT_S:
                child.kill()
    if child.returncode:
        sys.stderr.write(f"benchmark {name} ended with status {child.returncode}\n")
    took = time.monotonic() - begun
    yield Result("run", "seconds", took, "s", {"name": name, "ok": not child.returncode})


def table(results: list[Result]) -> Table:
    """Return the results as people read them."""
    shown = Table("benchmark", "metric", "value", "unit", "circumstances", box=None)
    for one in results:
        params = " ".join(
            f"{key}={value}" for key, value in one.params.items() if not isinstance(value, list)
        )
        shown.add_row(one.bench, one.metric, f"{one.value:,.4g}", one.unit, params)
    return shown


def save(results: list[Result], *, long: bool, machine: dict[str, Any]) -> Path:
    """Keep the results of this run; return the file."""
    now = datetime.now(UTC)
    path = FOLDER / "results" / f"{now:%Y-%m-%dT%H%M}-{short_name()}.json"
    path.parent.mkdir(exist_ok=True)
    body = {
        "at": now.isoformat(timespec="seconds"),
        "long": long,
        "machine": machine,
        "results": [json.loads(one.line()) for one in results],
    }
    path.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def parse_arguments() -> argparse.Namespace:
    """Return the options; wrong ones exit with status 2."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*names(), []], help="default: all")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--long", action="store_true", help="take the time that it needs")
    parser.add_argument("--no-save", action="store_true", help="keep no file of this run")
    return parser.parse_args()


def main() -> int:
    """Run, print, check and keep; the status is 1 when a benchmark broke off."""
    options = parse_arguments()
    machine = describe()
    console = Console(stderr=options.json)
    results: list[Result] = []
    for name in options.names or names():
        found = []
        for result in run(name, long=options.long):
            found.append(result)
            if options.json:
                print(result.line(), flush=True)
        results += found
        if not options.json:
            console.print(table(found))
    for budget, result, kept in check(results):
        mark = "[green]kept[/]    " if kept else "[red]exceeded[/]"
        console.print(f"{mark} {budget}: {result.value:.4g} ({budget.why})")
    if not options.no_save:
        console.print(f"kept in {save(results, long=options.long, machine=machine)}")
    return int(any(one.bench == "run" and not one.params["ok"] for one in results))


if __name__ == "__main__":
    sys.exit(main())
