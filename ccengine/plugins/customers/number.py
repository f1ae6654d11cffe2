"""Telephone numbers in one spelling, so that a caller is found however he is written.

Mainland China's plan is known in detail: mobile numbers have eleven digits and begin with
13 to 19, area codes begin with 0 in national writing (a mobile number dialled from another
area may have a 0 in front as well).
"""

from __future__ import annotations

import re
import unicodedata

CHINA = "86"

_NOISE = re.compile(r"\(0\)|[\s().\-/–—]")
_MOBILE = re.compile(r"0?(1[3-9]\d{9})")
_LANDLINE = re.compile(r"0([1-9]\d{8,10})")
_LOCAL = re.compile(r"[2-8]\d{6,7}")
_LONGEST_LOCAL = 8


def normalise(number: str, area_code: str = "") -> str:
    """Return the one spelling of a number: ``+`` and country code, or a short number as it is.

    ``area_code`` (such as ``0571``) completes local numbers of seven or eight digits.  Text
    that is no number gives the empty string.
    """
    text = _NOISE.sub("", unicodedata.normalize("NFKC", number))
    foreign = text.startswith(("+", "00"))
    if foreign:
        text = text.removeprefix("+") if text.startswith("+") else text.removeprefix("00")
    if not text.isascii() or not text.isdigit() or (foreign and text.startswith("0")):
        return ""  # no country code begins with 0
    if foreign:
        return _in_china(text[2:]) if text.startswith(CHINA) else f"+{text}"
    if text.startswith(CHINA) and len(text) > _LONGEST_LOCAL + 2 and not _MOBILE.fullmatch(text):
        return _in_china(text[2:])
    mobile = _MOBILE.fullmatch(text)
    if mobile:
        return f"+{CHINA}{mobile[1]}"
    landline = _LANDLINE.fullmatch(text)
    if landline:
        return f"+{CHINA}{landline[1]}"
    if area_code and _LOCAL.fullmatch(text):
        return f"+{CHINA}{area_code.removeprefix('0')}{text}"
    return text


def _in_china(national: str) -> str:
    return f"+{CHINA}{national.lstrip('0')}"
