"""SIP, SIPS and tel URIs (:rfc:`3261` section 19.1, :rfc:`3966`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from ccengine.errors import SipParseError
from ccengine.sip.grammar import (
    Params,
    check_host,
    format_params,
    param_of,
    parse_params,
    parse_port,
)
from ccengine.sip.text import encode_text

__all__ = ["Params", "SipUri"]

_CACHED_LENGTH = 256  # longer texts are not worth their memory
_CACHE_SIZE = 4096

_URI = re.compile(
    r"(?:(?P<userinfo>[^@]*)@)?"
    r"(?P<host>\[[^\]]*\]|[^:;?\[\]]+)"
    r"(?::(?P<port>[0-9]+))?"
    r"(?P<params>;[^?]*)?"
    r"(?:\?(?P<headers>.*))?",
    re.DOTALL,
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_BLANK = re.compile(r"[\s<>]")
_ESCAPES = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
# Escapes of these stay: in a URI "%3B" and ";" are not the same (19.1.4), "%25" must not turn
# into the beginning of another escape, controls and private characters help nobody.
_KEPT = re.compile("[;/?:@&=$,%\x00-\x1f\x7f-\x9f\u2028\u2029\uf780-\uf7ff]")
_UNSAFE_USER = re.compile(r"[^A-Za-z0-9\-_.!~*'()&=+$,;?/%]|%(?![0-9A-Fa-f]{2})")
# "=" inside a value is against the grammar and common, in base64 for one.
_UNSAFE_PARAM = re.compile(r"[^A-Za-z0-9\-_.!~*'()\[\]/:&+$=%]|%(?![0-9A-Fa-f]{2})")
_UNSAFE_HEADER = re.compile(r"[^A-Za-z0-9\-_.!~*'()\[\]/?:+$%]|%(?![0-9A-Fa-f]{2})")
_SEPARATORS = re.compile(r"[-.() ]")
_NEVER_ALONE = frozenset({"user", "ttl", "method", "maddr", "transport"})


def _unescape(text: str) -> str:
    return _ESCAPES.sub(_plain, text) if "%" in text else text


def _plain(match: re.Match[str]) -> str:
    try:
        decoded = bytes.fromhex(match.group().replace("%", "")).decode()
    except UnicodeDecodeError:
        return match.group().upper()
    return _KEPT.sub(_again, decoded)


def _again(match: re.Match[str]) -> str:
    return "".join(f"%{octet:02X}" for octet in match.group().encode())


def _escaped(match: re.Match[str]) -> str:
    """Percent-encode a match; what stands for a foreign octet becomes that octet again."""
    return "".join(f"%{octet:02X}" for octet in encode_text(match.group()))


@dataclass(frozen=True, slots=True)
class SipUri:
    """A URI in a normal form.

    ``scheme`` is in lower case.  ``user`` reads as people write it: ``*88#``, ``张伟``; only
    escapes of reserved characters (``;/?:@&=$,%``) and of control characters stay escaped.
    ``host`` is as written, IPv6 in brackets; ``port`` is 0 when absent.  Of a ``tel`` URI
    ``user`` is the number without visual separators; of any other scheme it is all that
    follows the colon.
    """

    scheme: str
    user: str = ""
    host: str = ""
    port: int = 0
    params: Params = ()
    headers: Params = ()
    password: str = ""

    @classmethod
    def parse(cls, text: str) -> SipUri:
        """Return the URI that ``text`` spells; raises SipParseError (400)."""
        if len(text) <= _CACHED_LENGTH:
            return _parse_cached(text)
        return _parse(text)

    @property
    def is_sip(self) -> bool:
        """Whether the scheme is ``sip`` or ``sips``."""
        return self.scheme in {"sip", "sips"}

    @property
    def address(self) -> str:
        """The host without brackets, as sockets want it."""
        return self.host.strip("[]")

    @property
    def transport(self) -> str:
        """The transport parameter in capitals, empty when absent."""
        return (param_of(self.params, "transport") or "").upper()

    @property
    def aor(self) -> str:
        """The address-of-record: ``user@host`` with the host in lower case."""
        host = self.host.lower()
        return f"{self.user}@{host}" if self.user else host

    def param(self, name: str) -> str | None:
        """Return the value of a parameter, ``""`` when it has none, None when absent."""
        return param_of(self.params, name)

    def matches(self, other: SipUri) -> bool:
        """Whether both mean the same resource (:rfc:`3261` section 19.1.4)."""
        return (
            self.scheme == other.scheme
            and self.user == other.user
            and self.password == other.password
            and self.host.lower() == other.host.lower()
            and self.port == other.port
            and _params_match(self.params, other.params)
            and _headers_match(self.headers, other.headers)
        )

    def __str__(self) -> str:
        user = _UNSAFE_USER.sub(_escaped, self.user)
        if not self.is_sip:
            if self.scheme == "tel":
                return f"tel:{user}{format_params(self.params)}"
            return f"{self.scheme}:{self.user}"
        if self.password:
            user = f"{user}:{_UNSAFE_USER.sub(_escaped, self.password)}"
        parts = [self.scheme, ":", user, "@" if user else "", self.host]
        if self.port:
            parts.append(f":{self.port}")
        for name, value in self.params:
            parts.append(f";{_UNSAFE_PARAM.sub(_escaped, name)}")
            if value:
                parts.append(f"={_UNSAFE_PARAM.sub(_escaped, value)}")
        mark = "?"
        for name, value in self.headers:
            escaped = _UNSAFE_HEADER.sub(_escaped, value)
            parts.append(f"{mark}{_UNSAFE_HEADER.sub(_escaped, name)}={escaped}")
            mark = "&"
        return "".join(parts)


def _params_match(mine: Params, theirs: Params) -> bool:
    left, right = dict(mine), dict(theirs)
    for name in left.keys() | right.keys():
        if name in left and name in right:
            if left[name].lower() != right[name].lower():
                return False
        elif name in _NEVER_ALONE:
            return False
    return True


def _headers_match(mine: Params, theirs: Params) -> bool:
    return sorted((name.lower(), value) for name, value in mine) == sorted(
        (name.lower(), value) for name, value in theirs
    )


def _parse(text: str) -> SipUri:
    scheme, colon, rest = text.partition(":")
    scheme = scheme.lower()
    if not colon or not rest or _SCHEME.fullmatch(scheme) is None:
        raise SipParseError(f"not a URI: {text[:60]!r}")
    if _BLANK.search(rest):
        raise SipParseError(f"white space or <> inside a URI: {text[:60]!r}")
    if scheme in {"sip", "sips"}:
        return _parse_sip(scheme, rest)
    if scheme == "tel":
        number, _, params = rest.partition(";")
        return SipUri(scheme, _SEPARATORS.sub("", _unescape(number)), params=parse_params(params))
    return SipUri(scheme, rest)


_parse_cached = lru_cache(maxsize=_CACHE_SIZE)(_parse)


def _parse_sip(scheme: str, rest: str) -> SipUri:
    match = _URI.fullmatch(rest)
    if match is None:
        raise SipParseError(f"not a SIP URI: {rest[:60]!r}")
    userinfo, host, port, params, headers = match.groups()
    user, _, password = (userinfo or "").partition(":")
    return SipUri(
        scheme,
        _unescape(user),
        check_host(host),
        parse_port(port) if port else 0,
        parse_params(_unescape(params)) if params else (),
        _parse_headers(headers) if headers else (),
        _unescape(password),
    )


def _parse_headers(text: str) -> Params:
    pairs = (piece.partition("=") for piece in text.split("&") if piece)
    return tuple((_unescape(name), _unescape(value)) for name, _, value in pairs)
