"""Limits of figures, and which of them are kept."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.result import Result

PATH = Path(__file__).with_name("budgets.toml")


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit for the results of one metric whose params are as ``where`` says."""

    bench: str
    metric: str
    why: str
    where: Mapping[str, Any] = field(default_factory=dict)
    max: float | None = None
    min: float | None = None

    def holds_for(self, result: Result) -> bool:
        """Return whether this limit is about that result."""
        return (result.bench, result.metric) == (self.bench, self.metric) and all(
            result.params.get(key) == value for key, value in self.where.items()
        )

    def is_kept(self, result: Result) -> bool:
        """Return whether a result keeps it."""
        above = self.min is None or result.value >= self.min
        return above and (self.max is None or result.value <= self.max)

    def __str__(self) -> str:
        limit = f"≤ {self.max:g}" if self.max is not None else f"≥ {self.min or 0:g}"
        where = " ".join(f"{key}={value}" for key, value in self.where.items())
        return f"{self.bench}.{self.metric} {where}".rstrip() + f" {limit}"


def budgets(path: Path = PATH) -> tuple[Budget, ...]:
    """Return every limit of the file."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    return tuple(Budget(**one) for one in data["budget"])


def check(results: Iterable[Result]) -> Iterator[tuple[Budget, Result, bool]]:
    """Yield every limit that some result is about, with whether it is kept."""
    known = budgets()
    for result in results:
        for budget in known:
            if budget.holds_for(result):
                yield budget, result, budget.is_kept(result)
