"""Which steps a dialplan may use: the standard ones and those that others add."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ccengine.dialplan.step import Step


class StepRegistry:
    """Steps by the word that names them in a dialplan."""

    __slots__ = ("_steps",)

    def __init__(self, steps: Iterable[type[Step]] = ()) -> None:
        self._steps: dict[str, type[Step]] = {}
        for step in steps:
            self.add(step)

    def add(self, step: type[Step]) -> None:
        """Add a step; raises :class:`ValueError` when its word is taken."""
        if step.NAME in self._steps:
            raise ValueError(f"step {step.NAME!r} is registered already")
        self._steps[step.NAME] = step

    def get(self, name: str) -> type[Step] | None:
        """Return the step of that name."""
        return self._steps.get(name)

    def __iter__(self) -> Iterator[type[Step]]:
        return iter(self._steps.values())

    @property
    def names(self) -> tuple[str, ...]:
        """The words of all steps."""
        return tuple(self._steps)

    def result_members(self) -> dict[str, frozenset[str]]:
        """Return the variables with members that steps set, such as ``queue.result``."""
        found: dict[str, frozenset[str]] = {}
        for step in self:
            name, members = step.RESULT
            if name:
                found[name] = found.get(name, frozenset()) | frozenset(members)
        return found
