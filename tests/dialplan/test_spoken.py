"""Spoken numbers: known readings, and thousands of values read back by an independent ear."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ccengine.dialplan.spoken import say_count, say_digits, say_number, unspeakable

MANIFEST = yaml.safe_load(
    (Path(__file__).parents[2] / "prompts" / "manifest.yaml").read_text("utf-8")
)["prompts"]


def text_of(keys: tuple[str, ...], language: str) -> str:
    return ("" if language == "zh" else " ").join(MANIFEST[key][language] for key in keys)


ZH = {
    0: "零", 1: "一", 2: "二", 10: "十", 12: "十二", 20: "二十", 22: "二十二", 100: "一百",
    101: "一百零一", 110: "一百一十", 115: "一百一十五", 200: "两百", 202: "两百零二",
    222: "两百二十二", 1000: "一千", 1001: "一千零一", 1010: "一千零一十", 1200: "一千二百",
    2000: "两千", 2002: "两千零二", 2222: "两千二百二十二", 10000: "一万", 10001: "一万零一",
    10010: "一万零一十", 12000: "一万两千", 20000: "两万", 100000: "十万", 105000: "十万五千",
    120000: "十二万", 220000: "二十二万", 1000000: "一百万", 2000000: "两百万",
    10000001: "一千万零一", 10010000: "一千零一万", 100000000: "一亿", 100000005: "一亿零五",
    100010000: "一亿零一万", 200000000: "两亿", 1000000000: "十亿", 120005000: "一亿两千万五千",
    101000010: "一亿零一百万零一十", 1200000000000: "一万两千亿", -5: "负五",
    20000000000000: "二十万亿", 2000000000000: "两万亿", 1000200000000: "一万零二亿",
}  # fmt: skip

EN = {
    0: "zero", 5: "five", 10: "ten", 13: "thirteen", 20: "twenty", 21: "twenty one",
    100: "one hundred", 101: "one hundred one", 119: "one hundred nineteen",
    1000: "one thousand", 2017: "two thousand seventeen", 10000: "ten thousand",
    123456: "one hundred twenty three thousand four hundred fifty six",
    1000001: "one million one", 3000000000: "three billion", -40: "minus forty",
}  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), ZH.items())
def test_mandarin_readings(value: int, expected: str) -> None:
    assert text_of(say_number(value, "zh"), "zh") == expected


@pytest.mark.parametrize(("value", "expected"), EN.items())
def test_english_readings(value: int, expected: str) -> None:
    assert text_of(say_number(value, "en"), "en") == expected


ZH_DIGITS = {char: value for value, char in enumerate("零一二三四五六七八九")} | {"两": 2}


def heard_zh(text: str) -> int:
    """Understand a Mandarin number the way a listener does: by its largest unit first."""
    for unit, weight in (("亿", 10**8), ("万", 10**4), ("千", 1000), ("百", 100), ("十", 10)):
        if unit in text:
            head, _, tail = text.rpartition(unit) if weight >= 10**4 else text.partition(unit)
            return (heard_zh(head) if head else 1) * weight + (heard_zh(tail) if tail else 0)
    text = text.lstrip("零") or "零"
    assert len(text) == 1, text
    return ZH_DIGITS[text]


EN_WORDS = {
    word: value
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
} | {
    word: 10 * value
    for value, word in enumerate(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], start=2
    )
}


def heard_en(text: str) -> int:
    total = group = 0
    for word in text.split():
        if word == "hundred":
            group *= 100
        elif word in {"thousand", "million", "billion"}:
            total += group * {"thousand": 10**3, "million": 10**6, "billion": 10**9}[word]
            group = 0
        else:
            group += EN_WORDS[word]
    return total + group


def check_zh(value: int) -> None:
    text = text_of(say_number(value, "zh"), "zh")
    assert heard_zh(text) == value, text
    assert "零零" not in text, text
    assert value == 0 or not text.startswith("零"), text
    assert value == 0 or not text.endswith("零"), text
    assert not any(bad in text for bad in ("零千", "零百", "零十", "零万", "零亿", "两十")), text
    assert not text.startswith("一十"), text


def test_thousands_of_values_are_heard_as_they_are() -> None:
    values = [*range(12000), *range(99_900, 100_300), *range(10**8 - 50, 10**8 + 50)]
    values += [digit * 10**power + rest for digit in (1, 2, 9) for power in range(12)
               for rest in (0, 1, 2, 20, 222, 1002) if rest < 10**power]  # fmt: skip
    for value in values:
        check_zh(value)
        if value < 10**12:
            assert heard_en(text_of(say_number(value, "en"), "en")) == value


@given(st.integers(0, 10**16 - 1))
def test_any_number_in_mandarin(value: int) -> None:
    check_zh(value)


@given(st.integers(0, 10**12 - 1))
def test_any_number_in_english(value: int) -> None:
    assert heard_en(text_of(say_number(value, "en"), "en")) == value


def test_what_is_too_large_or_in_another_language_is_spelt() -> None:
    assert say_number(10**16, "zh") == ("digit_1", *["digit_0"] * 16)
    assert say_number(-(10**12), "en")[:2] == ("minus", "digit_1")
    assert say_number(42, "fr") == ("digit_4", "digit_2")


def test_telephone_numbers_say_yao_in_mandarin_only() -> None:
    assert text_of(say_digits("110", "zh"), "zh") == "幺幺零"
    assert text_of(say_digits("021-5510 (1)", "zh-CN"), "zh") == "零二幺五五幺零幺"
    assert text_of(say_digits("+1 *2#", "en"), "en") == "plus one star two pound"
    assert say_digits("１２", "en") == ("digit_1", "digit_2")


@given(st.text(max_size=30))
def test_every_character_is_spoken_or_reported_or_a_separator(text: str) -> None:
    plain = unicodedata.normalize("NFKC", text)
    silent = sum(one in " -.()/\t" for one in plain)
    assert len(say_digits(text, "zh")) + len(unspeakable(text)) + silent == len(plain)
    assert all(key in MANIFEST for key in say_digits(text, "zh"))


def test_unknown_characters_are_reported_in_order() -> None:
    assert unspeakable("A12-B#") == ("A", "B")
    assert unspeakable("10#") == ()


def test_two_before_a_measure_word() -> None:
    assert text_of(say_count(2, "zh"), "zh") == "两"
    assert text_of(say_count(12, "zh"), "zh") == "十二"
    assert say_count(2, "en") == ("digit_2",)
