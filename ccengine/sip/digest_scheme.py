"""The arithmetic and the syntax of digest authentication (:rfc:`7616`, :rfc:`8760`)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from ccengine.sip.grammar import unquote
from ccengine.sip.text import encode_text

STRENGTH = ("SHA-512-256", "SHA-512-256-sess", "SHA-256", "SHA-256-sess", "MD5", "MD5-sess")
"""The algorithms that we compute, strongest first."""

# auth-param = name "=" ( token / quoted-string ), separated by commas
_PARAM = re.compile(
    r"""[ \t,]*+([^\s=,"]++)[ \t]*+=[ \t]*+("(?:[^"\\]++|\\.)*+"|[^,"\s]*+)""", re.DOTALL
)
_NAMES = {name.lower(): name for name in STRENGTH}


def algorithm_name(text: str) -> str:
    """Return an algorithm as it is registered, empty when we do not compute it.

    No name at all means MD5 (:rfc:`7616` section 3.3).
    """
    return _NAMES.get(text.lower(), "") if text else "MD5"


def digest_hex(algorithm: str, text: str | bytes) -> str:
    """Return H(text) of an algorithm, ``-sess`` or not, as hexadecimal digits."""
    data = encode_text(text) if isinstance(text, str) else text
    if algorithm.startswith("MD5"):
        return hashlib.md5(data, usedforsecurity=False).hexdigest()
    if algorithm.startswith("SHA-512-256"):
        return hashlib.new("sha512_256", data).hexdigest()
    return hashlib.sha256(data).hexdigest()


def make_ha1(username: str, realm: str, password: str, algorithm: str = "MD5") -> str:
    """Return H(username:realm:password), what a server keeps instead of the password."""
    return digest_hex(algorithm, f"{username}:{realm}:{password}")


@dataclass(frozen=True, slots=True)
class Exchange:
    """What goes into a digest beside HA1 and the method; ``qop`` empty for :rfc:`2069`."""

    algorithm: str
    nonce: str
    uri: str
    qop: str = ""
    nc: str = ""
    cnonce: str = ""
    body_hash: str = ""

    def response(self, ha1: str, method: str) -> str:
        """Return the response digits (:rfc:`7616` section 3.4.1)."""
        algorithm = self.algorithm
        if algorithm.endswith("-sess"):
            ha1 = digest_hex(algorithm, f"{ha1}:{self.nonce}:{self.cnonce}")
        a2 = f"{method}:{self.uri}"
        if self.qop == "auth-int":
            a2 = f"{a2}:{self.body_hash}"
        ha2 = digest_hex(algorithm, a2)
        if not self.qop:
            return digest_hex(algorithm, f"{ha1}:{self.nonce}:{ha2}")
        return digest_hex(algorithm, f"{ha1}:{self.nonce}:{self.nc}:{self.cnonce}:{self.qop}:{ha2}")


def parse_digest(text: str) -> Mapping[str, str] | None:
    """Return the parameters of a challenge or of credentials; None when not of Digest."""
    scheme, _, rest = text.strip(" \t").partition(" ")
    if scheme.lower() != "digest":
        return None
    params: dict[str, str] = {}
    position = 0
    # Matched one after the other, never searched for: hostile text ends the list.
    while match := _PARAM.match(rest, position):
        name, value = match.groups()
        params.setdefault(name.lower(), unquote(value) if value[:1] == '"' else value)
        position = match.end()
    return params
