from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccengine.plugins.customers.number import normalise


@pytest.mark.parametrize(
    "number",
    ["13812345678", "013812345678", "+8613812345678", "+86 138-1234-5678", "008613812345678",
     "8613812345678", "+86(0)13812345678", "１３８１２３４５６７８", " 138 1234 5678 "],
)  # fmt: skip
def test_spellings_of_a_mobile_number(number: str) -> None:
    assert normalise(number) == "+8613812345678"


@pytest.mark.parametrize(
    "number", ["0571-87654321", "+86 571 87654321", "(0571) 8765 4321", "8657187654321"]
)
def test_spellings_of_a_landline_number(number: str) -> None:
    assert normalise(number) == "+8657187654321"


@pytest.mark.parametrize(
    ("number", "area_code", "expected"),
    [("87654321", "0571", "+8657187654321"), ("87654321", "", "87654321"),
     ("1001", "0571", "1001"), ("95588", "0571", "95588"), ("10086", "0571", "10086"),
     ("+1 (555) 010-0100", "", "+15550100100"), ("001 555 010 0100", "", "+15550100100"),
     ("010-12345678", "", "+861012345678"), ("861012345678", "", "+861012345678")],
)  # fmt: skip
def test_short_local_and_foreign_numbers(number: str, area_code: str, expected: str) -> None:
    assert normalise(number, area_code) == expected


@pytest.mark.parametrize("text", ["", "anonymous", "+", "12a4", "1001@example.com", "*88#"])
def test_text_that_is_no_number(text: str) -> None:
    assert normalise(text) == ""


@given(st.text(max_size=20), st.sampled_from(["", "0571"]))
def test_never_fails_and_changes_nothing_the_second_time(text: str, area_code: str) -> None:
    once = normalise(text, area_code)
    assert normalise(once, area_code) == once


@given(st.from_regex(r"\A(\+?86|0)?[0-9 -]{3,14}\Z"))
def test_numbers_settle_at_once(text: str) -> None:
    once = normalise(text, "0571")
    assert normalise(once, "0571") == once
