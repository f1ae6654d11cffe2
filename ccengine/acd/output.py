"""What the queue engine wants done, and what it tells.

Every word about an offer carries its ``offer_id``: an answer that names another one is
dropped, so no call reaches two agents and no agent two calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from ccengine.acd.record import AgentState, EntryResult


@dataclass(frozen=True, slots=True)
class OfferCall:
    """Ring ``phone`` for this entry.

    Answer with ``offer_ringing``, ``offer_accepted`` or ``offer_failed``; after
    ``ring_timeout_s`` of ringing the offer fails by itself with a :class:`WithdrawOffer`.
    """

    offer_id: str
    entry_id: str
    queue: str
    agent_id: str
    phone: str
    ring_timeout_s: float


@dataclass(frozen=True, slots=True)
class WithdrawOffer:
    """Stop ringing for this offer, or hang up the phone that answered it too late."""

    offer_id: str
    entry_id: str
    agent_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Connect:
    """Let the caller and the agent who accepted talk."""

    offer_id: str
    entry_id: str
    agent_id: str


@dataclass(frozen=True, slots=True)
class EntryLeft:
    """A stay in a queue is over: exactly one for each ``enqueue``.

    After ``answered`` the conversation is over as well; ``detail`` says more for ``refused``
    (``full``, ``empty``, ``closed``) and ``left`` (the key).
    """

    entry_id: str
    queue: str
    result: EntryResult
    detail: str = ""
    agent_id: str = ""


@dataclass(frozen=True, slots=True)
class AgentStateChanged:
    """An agent is in a state since ``since`` (monotonic seconds) and ``at`` (UTC)."""

    agent_id: str
    state: AgentState
    reason: str
    since: float
    at: datetime


AcdOutput: TypeAlias = OfferCall | WithdrawOffer | Connect | EntryLeft | AgentStateChanged
