"""Pieces of the grammar that several header fields share (:rfc:`3261` section 25.1).

Every scanner is linear in its input: a hostile message costs no more than a long one.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from ccengine.errors import SipParseError

Params: TypeAlias = tuple[tuple[str, str], ...]
"""Parameters in order, names in lower case; one without value (``;lr``) has ``""``."""

_TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
_MARKS = re.compile(r'\\.|["<>,]', re.DOTALL)
_SEMICOLONS = re.compile(r'\\.|[";]', re.DOTALL)
_HOST = re.compile(r"[A-Za-z0-9._-]+")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]+")


def is_token(text: str) -> bool:
    """Whether ``text`` is a token."""
    return _TOKEN.fullmatch(text) is not None


def split_list(text: str) -> list[str]:
    """Return the elements of a comma-separated list; quotes and ``<>`` hide commas.

    Empty elements are dropped.
    """
    if "," not in text:
        parts = [text]
    elif '"' not in text and "<" not in text:
        parts = text.split(",")
    else:
        parts = _split_guarded(text)
    return [part for part in (part.strip(" \t") for part in parts) if part]


def _split_guarded(text: str) -> list[str]:
    parts = []
    start = 0
    quoted = angled = False
    for match in _MARKS.finditer(text):
        mark = match.group()
        if mark == '"':
            quoted = not quoted and not angled
        elif quoted:
            continue
        elif mark == "<":
            angled = True
        elif mark == ">":
            angled = False
        elif mark == "," and not angled:
            parts.append(text[start : match.start()])
            start = match.end()
    parts.append(text[start:])
    return parts


def parse_params(text: str) -> Params:
    """Return the parameters of ``;a=b;c``; quoted values keep their quotes."""
    pieces = _split_params(text) if '"' in text else text.split(";")
    triples = [piece.partition("=") for piece in pieces if piece]
    if " " in text or "\t" in text:
        pairs = [(name.strip(" \t"), value.strip(" \t")) for name, _, value in triples]
        return tuple([(name.lower(), value) for name, value in pairs if name])
    return tuple([(name.lower(), value) for name, _, value in triples if name])


def _split_params(text: str) -> list[str]:
    pieces = []
    start = 0
    quoted = False
    for match in _SEMICOLONS.finditer(text):
        mark = match.group()
        if mark == '"':
            quoted = not quoted
        elif mark == ";" and not quoted:
            pieces.append(text[start : match.start()])
            start = match.end()
    pieces.append(text[start:])
    return pieces


def param_of(params: Params, name: str) -> str | None:
    """Return the value of a parameter without quotes, ``""`` when bare, None when absent."""
    for key, value in params:
        if key == name:
            return unquote(value) if value[:1] == '"' else value
    return None


def format_params(params: Params) -> str:
    """Return ``;a=b;c``."""
    return "".join([f";{name}={value}" if value else f";{name}" for name, value in params])


def with_param(params: Params, name: str, value: str) -> Params:
    """Return ``params`` with one of them set where it stood, or added at the end."""
    if all(key != name for key, _ in params):
        return (*params, (name, value))
    return tuple((key, value if key == name else old) for key, old in params)


def quote(text: str) -> str:
    """Return ``text`` as a quoted-string; line ends become spaces."""
    flat = text.replace("\r", " ").replace("\n", " ")
    return '"' + flat.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquote(text: str) -> str:
    """Return the content of a quoted-string; text without quotes comes back as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    inner = text[1:-1]
    return re.sub(r"\\(.)", r"\1", inner, flags=re.DOTALL) if "\\" in inner else inner


def closing_quote(text: str) -> int:
    """Return where the quoted-string that ``text`` begins with ends; -1 if it does not."""
    if "\\" not in text:
        return text.find('"', 1)
    for match in re.finditer(r'\\.|"', text[1:], re.DOTALL):
        if match.group() == '"':
            return match.start() + 1
    return -1


def parse_scalar(text: str, what: str, limit: int) -> int:
    """Return a decimal number below ``limit``; raises SipParseError (400)."""
    digits = text.strip(" \t")
    if not (digits.isascii() and digits.isdigit()):
        raise SipParseError(f"{what} is not a number: {digits[:40]!r}")
    digits = digits.lstrip("0") or "0"
    # Python refuses to convert thousands of digits and is slow with hundreds.
    if len(digits) > 20 or int(digits) >= limit:
        raise SipParseError(f"{what} is out of range: {digits[:40]}")
    return int(digits)


def check_host(text: str) -> str:
    """Return a host as written, IPv6 in brackets; raises SipParseError (400).

    Three colons in a row, which the ABNF of :rfc:`3261` breeds, are read as two
    (:rfc:`5118` section 4.10).
    """
    if text[:1] == "[":
        address = text[1:-1].replace(":::", "::")
        if text[-1] == "]" and _IPV6.fullmatch(address) and ":" in address:
            return f"[{address}]"
    elif _HOST.fullmatch(text):
        return text
    raise SipParseError(f"not a host: {text[:60]!r}")


def parse_port(text: str) -> int:
    """Return a port number; raises SipParseError (400)."""
    return parse_scalar(text, "port", 65536)
