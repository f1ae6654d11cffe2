"""SIP, SIPS and tel URIs (:rfc:`3261` section 19.1, :rfc:`3966`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Params: TypeAlias = tuple[tuple[str, str], ...]
"""Parameters in order; a parameter without value (``;lr``) has the value ``""``."""


@dataclass(frozen=True, slots=True)
class SipUri:
    """A URI; ``user`` is unescaped except for reserved characters, ``port`` 0 when absent."""

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
        raise NotImplementedError

    def param(self, name: str) -> str | None:
        """Return the value of a parameter, ``""`` when it has none, None when absent."""
        raise NotImplementedError
