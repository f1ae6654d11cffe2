"""From a value to the prompts that speak it: digits, numbers and counts, in Mandarin and English.

Pure rules: the result is a tuple of prompt keys, played one after the other.  Nothing here
fails: what a language has no rule for is spoken digit by digit, and :func:`unspeakable` says
beforehand which characters would be left out.

Sources: GB/T 15835-2011 and common usage for Mandarin (幺 for 1 in number strings, 两 for 2
before 百 at the head, 千, 万, 亿 and measure words, one 零 for any run of zeros inside);
American usage without "and" for English.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_SEPARATORS: Final = frozenset(" -.()/\t")
_KEYS: Final = {"*": "star", "#": "pound", "+": "plus"}
_ZERO: Final = "digit_0"

_ZH_LIMIT: Final = 10**16
_ZH_PLACES: Final = ((1000, "thousand"), (100, "hundred"), (10, "ten"))

_EN_LIMIT: Final = 10**12
_EN_SCALES: Final = ((10**9, "billion"), (10**6, "million"), (10**3, "thousand"))
_EN_TEENS: Final = (
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
    "eighteen", "nineteen",
)  # fmt: skip
_EN_TENS: Final = (
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
)  # fmt: skip


def _base(language: str) -> str:
    """Return the language of a tag such as ``zh-CN`` (:rfc:`5646`)."""
    return language.replace("_", "-").partition("-")[0].lower()


def _plain(text: str) -> str:
    """Return full-width forms (１２３＃) as their usual ones."""
    return unicodedata.normalize("NFKC", text)


def _is_digit(character: str) -> bool:
    return "0" <= character <= "9"


def say_digits(text: str, language: str) -> tuple[str, ...]:
    """Return the prompts that spell ``text``: a telephone, order, agent or room number.

    Digits, ``*``, ``#`` and ``+`` are spoken; separators are not, nor is what
    :func:`unspeakable` returns.  Mandarin says 幺 for 1.
    """
    one = "digit_1_yao" if _base(language) == "zh" else "digit_1"
    spoken = []
    for character in _plain(text):
        if character == "1":
            spoken.append(one)
        elif _is_digit(character):
            spoken.append(f"digit_{character}")
        elif character in _KEYS:
            spoken.append(_KEYS[character])
    return tuple(spoken)


def unspeakable(text: str) -> tuple[str, ...]:
    """Return the characters of ``text`` that :func:`say_digits` has no prompt for, in order."""
    known = (*_KEYS, *_SEPARATORS)
    return tuple(one for one in _plain(text) if not _is_digit(one) and one not in known)


def say_number(value: int, language: str) -> tuple[str, ...]:
    """Return the prompts that speak an integer as a number.

    Beyond 10^16 (Mandarin) or 10^12 (English), and in other languages, its digits are spelt.
    """
    base = _base(language)
    sign = ("minus",) if value < 0 else ()
    size = abs(value)
    if base == "zh" and size < _ZH_LIMIT:
        return (*sign, *_zh_number(size))
    if base == "en" and size < _EN_LIMIT:
        return (*sign, *_en_number(size))
    return (*sign, *(f"digit_{character}" for character in str(size)))


def say_count(value: int, language: str) -> tuple[str, ...]:
    """Return the prompts for a number before a measure word (两位, 两分钟; 第二位 is none)."""
    if value == 2 and _base(language) == "zh":
        return ("liang",)
    return say_number(value, language)


def _zh_number(value: int) -> tuple[str, ...]:
    if value == 0:
        return (_ZERO,)
    spoken: list[str] = []
    _zh_group(value, spoken)
    if spoken[:2] == ["digit_1", "ten"]:  # 十五, not 一十五, but 一百一十五
        del spoken[0]
    if spoken[:2] == ["digit_2", "hundred"]:  # 两百 at the head, 一千二百 inside
        spoken[0] = "liang"
    return tuple(spoken)


def _zh_group(value: int, spoken: list[str]) -> None:
    """Add a value below 10^16: what stands before 亿, before 万, and the last four digits."""
    for scale, name in ((10**8, "yi"), (10**4, "wan")):
        head, value = divmod(value, scale)
        if not head:
            continue
        if spoken and head < scale // 10 and head < 1000:
            spoken.append(_ZERO)
        if head == 2:
            spoken.append("liang")
        else:
            _zh_group(head, spoken) if head >= 10**4 else _zh_section(head, spoken)
        spoken.append(name)
    if value:
        if spoken and value < 1000:
            spoken.append(_ZERO)
        _zh_section(value, spoken)


def _zh_section(value: int, spoken: list[str]) -> None:
    """Add a value from 1 to 9999; zeros between its digits become one 零."""
    started = zero = False
    for weight, name in _ZH_PLACES:
        digit, value = divmod(value, weight)
        if digit:
            if zero:
                spoken.append(_ZERO)
                zero = False
            spoken.append("liang" if digit == 2 and weight == 1000 else f"digit_{digit}")
            spoken.append(name)
            started = True
        elif started:
            zero = True
    if value:
        if zero:
            spoken.append(_ZERO)
        spoken.append(f"digit_{value}")


def _en_number(value: int) -> tuple[str, ...]:
    if value == 0:
        return (_ZERO,)
    spoken: list[str] = []
    for scale, name in _EN_SCALES:
        head, value = divmod(value, scale)
        if head:
            _en_hundreds(head, spoken)
            spoken.append(name)
    _en_hundreds(value, spoken)
    return tuple(spoken)


def _en_hundreds(value: int, spoken: list[str]) -> None:
    """Add a value from 0 to 999; 0 adds nothing."""
    hundreds, rest = divmod(value, 100)
    if hundreds:
        spoken += [f"digit_{hundreds}", "hundred"]
    if rest >= 20:
        spoken.append(_EN_TENS[rest // 10 - 2])
        rest %= 10
    if rest >= 10:
        spoken.append(_EN_TEENS[rest - 10])
    elif rest:
        spoken.append(f"digit_{rest}")
