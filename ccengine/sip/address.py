"""Name-addr values: From, To, Contact, Route and their kin (:rfc:`3261` section 20.10)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from ccengine.errors import SipParseError
from ccengine.sip.grammar import (
    Params,
    closing_quote,
    format_params,
    param_of,
    parse_params,
    quote,
    unquote,
    with_param,
)
from ccengine.sip.uri import SipUri

_CACHED_LENGTH = 256
_CACHE_SIZE = 4096
_PLAIN_NAME = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+(?: [A-Za-z0-9\-.!%*_+`'~]+)*")


@dataclass(frozen=True, slots=True)
class Address:
    """A display name, a URI and the parameters of the header field (not of the URI).

    Values of parameters are kept as written; :meth:`param` takes quotes away.
    """

    uri: SipUri
    display_name: str = ""
    params: Params = ()

    @classmethod
    def parse(cls, text: str) -> Address:
        """Return the address that ``text`` spells; raises SipParseError (400)."""
        # From and To come again with every message of a dialog.
        return _read_cached(text) if len(text) <= _CACHED_LENGTH else _read(text)

    @property
    def tag(self) -> str:
        """The tag, empty when absent."""
        for name, value in self.params:
            if name == "tag":
                return value
        return ""

    def param(self, name: str) -> str | None:
        """Return the value of a parameter, ``""`` when it has none, None when absent."""
        return param_of(self.params, name)

    def with_param(self, name: str, value: str) -> Address:
        """Return a copy with one parameter set."""
        return Address(self.uri, self.display_name, with_param(self.params, name, value))

    def __str__(self) -> str:
        name = self.display_name
        if not name:
            return f"<{self.uri}>{format_params(self.params)}"
        if _PLAIN_NAME.fullmatch(name) is None:
            name = quote(name)
        return f"{name} <{self.uri}>{format_params(self.params)}"


def _read(text: str) -> Address:
    text = text.strip(" \t")
    name = ""
    if text[:1] == '"':
        end = closing_quote(text)
        if end < 0:
            raise SipParseError(f"quotes are not balanced: {text[:60]!r}")
        name = unquote(text[: end + 1])
        text = text[end + 1 :].lstrip(" \t")
        if text[:1] != "<":
            raise SipParseError(f"no <URI> after the display name: {text[:60]!r}")
        left = 0
    else:
        left = text.find("<")
        if left < 0:
            return _parse_bare(text)
        if left:
            name = text[:left].rstrip(" \t")
    right = text.find(">", left)
    if right < 0:
        raise SipParseError(f"a < is not closed: {text[:60]!r}")
    tail = text[right + 1 :]
    if tail:
        tail = tail.lstrip(" \t")
        if tail[:1] not in {";", ""}:
            raise SipParseError(f"no ; before parameters: {tail[:60]!r}")
        return Address(SipUri.parse(text[left + 1 : right].strip(" \t")), name, parse_params(tail))
    return Address(SipUri.parse(text[left + 1 : right].strip(" \t")), name)


def _parse_bare(text: str) -> Address:
    """Read the form without brackets: what follows the first ``;`` belongs to the header."""
    uri, semicolon, tail = text.partition(";")
    # "The Contact, From and To header fields that contain a question mark or comma MUST be
    # enclosed in angle brackets" (section 20).
    if "?" in uri or "," in uri:
        raise SipParseError(f"a URI with ? or , needs brackets: {text[:60]!r}")
    return Address(SipUri.parse(uri.rstrip(" \t")), "", parse_params(tail) if semicolon else ())


_read_cached = lru_cache(maxsize=_CACHE_SIZE)(_read)
