from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccengine.config.number import NumberPlan, is_pattern, pattern_mistake


def match(patterns: list[str], number: str) -> str | None:
    found = NumberPlan.build({pattern: pattern for pattern in patterns}).match(number)
    if found is None:
        return None
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize(
    ("pattern", "fits", "fails"),
    [
        ("4001", ["4001"], ["400", "40010", "04001", ""]),
        ("1xxx", ["1000", "1999"], ["2000", "100", "10000", "1a00", "1٣00"]),
        ("z", ["1", "9"], ["0"]),
        ("n", ["2", "9"], ["0", "1"]),
        ("9.", ["90", "9110", "9a"], ["9", "8"]),
        (".", ["1", "anything"], [""]),
        ("*11", ["*11"], ["11", "*12"]),
        ("*1x", ["*10", "*19"], ["*1*"]),
        ("+86.", ["+8613800138000"], ["8613800138000", "+86"]),
        ("#", ["#"], ["*"]),
        ("reception", ["reception"], ["Reception", "x"]),
    ],
)
def test_patterns_fit_what_the_table_says(pattern: str, fits: list[str], fails: list[str]) -> None:
    assert [number for number in fits if match([pattern], number) != pattern] == []
    assert [number for number in fails if match([pattern], number) is not None] == []


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("number", "best"),
    [
        ("1001", "1001"),
        ("1002", "10xx"),
        ("1102", "11xx"),
        ("1202", "1nxx"),
        ("1002345", "1."),
        ("2", "."),
        ("0", "."),
    ],
)
def test_the_most_exact_pattern_wins_in_any_order(order: int, number: str, best: str) -> None:
    patterns = ["1001", "10xx", "11xx", "1nxx", "1zxx", "1xxx", "1.", "."][::order]
    assert match(patterns, number) == best


def test_names_are_no_patterns() -> None:
    assert not is_pattern("reception")
    assert not is_pattern("4001")
    assert is_pattern("2xxx")


@pytest.mark.parametrize("text", ["1.x", "..", "1 2"])
def test_mistakes_are_named(text: str) -> None:
    assert pattern_mistake(text)


@given(
    st.lists(st.text("0123456789xzn.*#+", min_size=1, max_size=6), max_size=6), st.text(max_size=8)
)
def test_any_patterns_and_numbers_are_matched_without_failure(
    patterns: list[str], number: str
) -> None:
    found = match(patterns, number)
    assert found is None or found in patterns
