"""Which destination a called number has: patterns and their order.

A pattern is written in these characters:

=========  ==========================================================
``0``-``9``, ``*``, ``#``, ``+``   themselves
``x``      one digit 0-9
``z``      one digit 1-9
``n``      one digit 2-9
``.``      one or more of any character, at the end of a pattern alone
=========  ==========================================================

Every other text (letters other than these, such as ``reception``) is an exact name; it is
a pattern only when it consists of the characters above.  The most exact pattern that fits
wins, compared character by character from the left: a character itself before ``n`` before
``z`` before ``x`` before ``.``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

Target = TypeVar("Target")

_CLASSES = {"x": "[0-9]", "z": "[1-9]", "n": "[2-9]"}
_RANK = {"n": 1, "z": 2, "x": 3, ".": 4}
_PATTERN = re.compile(r"[0-9*#+xzn]*\.?")


def is_pattern(text: str) -> bool:
    """Tell whether ``text`` is a pattern rather than one exact number or name."""
    return bool(_PATTERN.fullmatch(text)) and any(char in _RANK for char in text)


def pattern_mistake(text: str) -> str:
    """Return what is wrong with a pattern, empty when nothing is."""
    if re.fullmatch(r"[0-9*#+xzn.]+", text) and "." in text[:-1]:
        return "a dot stands for the rest of the number and must come last"
    if re.search(r"\s", text):
        return "a number has no blanks"
    return ""


def _compile(text: str) -> re.Pattern[str]:
    parts = [_CLASSES.get(char, ".+" if char == "." else re.escape(char)) for char in text]
    return re.compile("".join(parts), re.ASCII)


def _rank(text: str) -> tuple[int, ...]:
    return tuple(_RANK.get(char, 0) for char in text)


@dataclass(frozen=True, slots=True)
class NumberPlan(Generic[Target]):
    """Patterns with their destinations, ready to be looked up."""

    exact: Mapping[str, Target]
    patterns: tuple[tuple[re.Pattern[str], str, Target], ...]

    @classmethod
    def build(cls, targets: Mapping[str, Target]) -> NumberPlan[Target]:
        """Return a plan of ``targets``, pattern → destination."""
        exact = {text: target for text, target in targets.items() if not is_pattern(text)}
        chosen = sorted((text for text in targets if is_pattern(text)), key=_rank)
        patterns = tuple((_compile(text), text, targets[text]) for text in chosen)
        return cls(exact, patterns)

    def match(self, number: str) -> tuple[str, Target] | None:
        """Return the pattern that fits ``number`` best, with its destination."""
        if number in self.exact:
            return number, self.exact[number]
        for expression, text, target in self.patterns:
            if expression.fullmatch(number):
                return text, target
        return None
