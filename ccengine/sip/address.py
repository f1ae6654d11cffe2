"""Name-addr values: From, To, Contact, Route and their kin (:rfc:`3261` section 20.10)."""

from __future__ import annotations

from dataclasses import dataclass

from ccengine.sip.uri import Params, SipUri


@dataclass(frozen=True, slots=True)
class Address:
    """A display name, a URI and the parameters of the header field (not of the URI)."""

    uri: SipUri
    display_name: str = ""
    params: Params = ()

    @classmethod
    def parse(cls, text: str) -> Address:
        """Return the address that ``text`` spells; raises SipParseError (400)."""
        raise NotImplementedError

    @property
    def tag(self) -> str:
        """The tag, empty when absent."""
        raise NotImplementedError

    def param(self, name: str) -> str | None:
        """Return the value of a parameter, ``""`` when it has none, None when absent."""
        raise NotImplementedError

    def with_param(self, name: str, value: str) -> Address:
        """Return a copy with one parameter set."""
        raise NotImplementedError
