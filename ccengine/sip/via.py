"""The Via header field (:rfc:`3261` section 20.42, :rfc:`3581`)."""

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
    parse_scalar,
    with_param,
)

# sent-protocol LWS sent-by; white space is legal around each slash and colon.  Any version is
# read, so that a request of a future version can be told 505.
_SENT = re.compile(
    r"[ \t]*SIP[ \t]*/[ \t]*[0-9]+\.[0-9]+[ \t]*/[ \t]*([A-Za-z0-9\-.!%*_+`'~]+)[ \t]+"
    r"(\[[^\]]*\]|[^:;\s\[\]]+)(?:[ \t]*:[ \t]*([0-9]+))?[ \t]*",
    re.IGNORECASE,
)


_CACHED_LENGTH = 128
_CACHE_SIZE = 4096


@dataclass(frozen=True, slots=True)
class Via:
    """One Via value; ``transport`` in capitals, IPv6 hosts in brackets, ``port`` 0 if absent."""

    transport: str
    host: str
    port: int = 0
    params: Params = ()

    @classmethod
    def parse(cls, text: str) -> Via:
        """Return the Via that ``text`` spells; raises SipParseError (400)."""
        sent, _, params = text.partition(";")
        # The same peers come again and again, the branch is always new.
        if len(sent) <= _CACHED_LENGTH:
            transport, host, port = _parse_sent_cached(sent)
        else:
            transport, host, port = _parse_sent(sent)
        return cls(transport, host, port, parse_params(params) if params else ())

    @property
    def branch(self) -> str:
        """The branch, empty when absent."""
        for name, value in self.params:
            if name == "branch":
                return value
        return ""

    @property
    def received(self) -> str:
        """The address that the next hop saw, without brackets, empty when absent."""
        return (param_of(self.params, "received") or "").strip("[]")

    @property
    def rport(self) -> int | None:
        """The port of :rfc:`3581`: None when absent, 0 when asked for."""
        value = param_of(self.params, "rport")
        if not value:
            return None if value is None else 0
        return parse_scalar(value, "rport", 65536)

    def param(self, name: str) -> str | None:
        """Return the value of a parameter, ``""`` when it has none, None when absent."""
        return param_of(self.params, name)

    def with_received(self, address: str, port: int) -> Via:
        """Return a copy that tells where the request came from.

        ``received`` is written when the sent-by is another host, or with ``rport``
        (:rfc:`3261` section 18.2.1, :rfc:`3581` section 4).
        """
        params = self.params
        names = [name for name, _ in params]
        asked = "rport" in names
        if asked:
            params = with_param(params, "rport", str(port))
        if asked or "received" in names or self.host.strip("[]").lower() != address.lower():
            params = with_param(params, "received", address)
        return Via(self.transport, self.host, self.port, params)

    def __str__(self) -> str:
        port = f":{self.port}" if self.port else ""
        return f"SIP/2.0/{self.transport} {self.host}{port}{format_params(self.params)}"


def _parse_sent(text: str) -> tuple[str, str, int]:
    match = _SENT.fullmatch(text)
    if match is None:
        raise SipParseError(f"not a Via: {text[:60]!r}")
    transport, host, port = match.groups()
    return transport.upper(), check_host(host), parse_port(port) if port else 0


_parse_sent_cached = lru_cache(maxsize=_CACHE_SIZE)(_parse_sent)
