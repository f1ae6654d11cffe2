"""What every benchmark yields, and how one of them is run by itself."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Result:
    """One figure: ``params`` say under which circumstances it was measured."""

    bench: str
    metric: str
    value: float
    unit: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        """Return the figure as one JSON object."""
        record = {
            "bench": self.bench,
            "metric": self.metric,
            "value": round(self.value, 4),
            "unit": self.unit,
            "params": dict(self.params),
        }
        return json.dumps(record)


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that a benchmark left out to end in time, and why."""

    bench: str
    what: str


Run: TypeAlias = Callable[[bool], Iterator[Result | Skipped]]
"""A benchmark's entry ``run(long)``: ends within 50 s unless ``long``."""


def main(run: Run, text: str | None) -> None:
    """Run one benchmark from the command line: one JSON object a line."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--long", action="store_true", help="take the time that it needs")
    for found in run(parser.parse_args().long):
        if isinstance(found, Result):
            print(found.line(), flush=True)
        else:
            print(f"{found.bench}: skipped {found.what}", file=sys.stderr, flush=True)
