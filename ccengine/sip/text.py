"""Octets to text and back without loss.

SIP is UTF-8 (:rfc:`3261` section 7), yet phones send GBK and Latin-1.  An octet that is not
UTF-8 becomes one character of the private area U+F780-U+F7FF and turns back into the same
octet on the way out.  Unlike lone surrogates these characters survive JSON, msgpack and
databases, so a foreign display name can stand in a journal.
"""

from __future__ import annotations

import re

from ccengine.errors import LocalSipError

_BASE = 0xF700
_TO_PRIVATE = {0xDC00 + octet: _BASE + octet for octet in range(0x80, 0x100)}
_PRIVATE = re.compile("[\uf780-\uf7ff]")
# U+F780-U+F7BF is EF 9E 80-BF in UTF-8, U+F7C0-U+F7FF is EF 9F 80-BF.
_LEADS = (b"\xef\x9e", b"\xef\x9f")
_ENCODED = re.compile(rb"\xef([\x9e\x9f])([\x80-\xbf])")
_PRIVATE_OCTETS = re.compile(rb"(\xef[\x9e\x9f][\x80-\xbf])")


def decode_text(data: bytes) -> str:
    """Return text from which :func:`encode_text` makes exactly ``data`` again."""
    if data.isascii():
        return data.decode()
    if _LEADS[0] in data or _LEADS[1] in data:
        # The private characters themselves came in: held octet by octet, else each of them
        # would leave as one octet.
        pieces = _PRIVATE_OCTETS.split(data)
        return "".join(
            "".join([chr(_BASE + octet) for octet in piece]) if at % 2 else _decode(piece)
            for at, piece in enumerate(pieces)
        )
    return _decode(data)


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape").translate(_TO_PRIVATE)


def encode_text(text: str) -> bytes:
    """Return the octets of ``text``; raises LocalSipError for lone surrogates of our own."""
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise LocalSipError(
            f"text for a SIP message has a lone surrogate at {error.start}: {text[:40]!r}"
        ) from error
    if not data.isascii() and (_LEADS[0] in data or _LEADS[1] in data):
        return _ENCODED.sub(_octet, data)
    return data


def _octet(match: re.Match[bytes]) -> bytes:
    high = 0x80 if match.group(1) == b"\x9e" else 0xC0
    return bytes((high | (match.group(2)[0] & 0x3F),))


def readable(text: str) -> str:
    """Return ``text`` for people: foreign octets are read as GB 18030, else as Latin-1."""
    if _PRIVATE.search(text) is None:
        return text
    data = encode_text(text)
    try:
        return data.decode("gb18030")
    except UnicodeDecodeError:
        return data.decode("latin-1")
