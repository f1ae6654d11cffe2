"""The Via header field (:rfc:`3261` section 20.42, :rfc:`3581`)."""

from __future__ import annotations

from dataclasses import dataclass

from ccengine.sip.uri import Params


@dataclass(frozen=True, slots=True)
class Via:
    """One Via value; ``transport`` in capitals, ``port`` 0 when absent."""

    transport: str
    host: str
    port: int = 0
    params: Params = ()

    @classmethod
    def parse(cls, text: str) -> Via:
        """Return the Via that ``text`` spells; raises SipParseError (400)."""
        raise NotImplementedError

    @property
    def branch(self) -> str:
        """The branch, empty when absent."""
        raise NotImplementedError

    @property
    def received(self) -> str:
        """The address that the next hop saw, empty when absent."""
        raise NotImplementedError

    @property
    def rport(self) -> int | None:
        """The port of :rfc:`3581`: None when absent, 0 when asked for."""
        raise NotImplementedError

    def with_received(self, address: str, port: int) -> Via:
        """Return a copy that tells where the request came from (18.2.1, :rfc:`3581` 4)."""
        raise NotImplementedError
