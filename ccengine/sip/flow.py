"""Where SIP messages come from and go to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Transport: TypeAlias = Literal["UDP", "TCP"]


@dataclass(frozen=True, slots=True)
class Flow:
    """A path to one peer: a UDP address pair, or one stream connection (:rfc:`5626`).

    ``listener`` is the name of our socket in the configuration.  ``connection`` is 0 for
    UDP, and for a stream that is yet to be opened (an open one to ``remote`` is reused);
    it is never used twice, so a dead connection cannot be taken for a new one.
    """

    transport: Transport
    listener: str
    remote: tuple[str, int]
    connection: int = 0

    @property
    def is_reliable(self) -> bool:
        """Whether the transport retransmits by itself (:rfc:`3261` section 17)."""
        return self.transport != "UDP"
