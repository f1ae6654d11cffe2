"""Legs: their numbers as columns over all legs of a group, and what is rarely touched."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ccengine.media.control import DigitsWant, LegWant
from ccengine.media.lease import PortPair
from ccengine.media.play import Play
from ccengine.media.udp import Address
from ccengine.rtp.event import EventReceiver, EventSender
from ccengine.rtp.rtcp import SenderInfo

if TYPE_CHECKING:
    from ccengine.media.bridge import Bridge
    from ccengine.media.group import Group
    from ccengine.media.unit import Unit

NO_EVENT: Final = 255
"""A payload type that never comes: it is wider than its seven bits."""

# Sound that waited longer for its lock than this many packets is of no use to anybody.
_MAX_PENDING: Final = 3

_COLUMNS: Final = {
    # receiving
    "pt": np.uint8,
    "event_pt": np.uint8,
    "receive": np.bool_,
    "eager": np.bool_,
    "rx_ssrc": np.uint32,
    "rx_seq": np.uint16,
    "rx_ext": np.int64,
    "rx_ts": np.uint32,
    "rx_visit": np.int64,
    "rx_run": np.int64,
    "rx_base": np.int64,
    "rx_base_received": np.int64,
    "lost_before": np.int64,
    "received": np.int64,
    "rejected": np.int64,
    "jitter": np.float32,
    "heard": np.float64,
    "timeout": np.float64,
    "timed_out": np.bool_,
    # sending
    "can_send": np.bool_,
    "keying": np.bool_,
    "tx_pt": np.uint8,
    "tx_seq": np.uint16,
    "tx_ts": np.uint32,
    "tx_visit": np.int64,
    "tx_started": np.bool_,
    "tx_run": np.int64,
    "seq_shift": np.uint16,
    "ts_shift": np.uint32,
    "sent": np.int64,
    "octets": np.int64,
    # routing
    "peer": np.intp,
    "mixed": np.bool_,
    "alaw": np.bool_,
    "channel": np.intp,
    "buffered": np.bool_,
    # playing
    "playing": np.bool_,
    "play_at": np.int64,
    "play_start": np.int64,
    "play_end": np.int64,
    "play_loop": np.bool_,
}


class LegTable:
    """One column for each number of a leg, one row for each leg of a group.

    ``rx_run`` numbers the run of packets that a leg receives: a new SSRC or a clock that
    jumps is a new run, and whoever relays it must map its numbers afresh.  ``tx_run`` is the
    run that the leg's outgoing numbers are mapped from, 0 for frames of our own.
    """

    pt: NDArray[np.uint8]
    event_pt: NDArray[np.uint8]
    receive: NDArray[np.bool_]
    eager: NDArray[np.bool_]
    rx_ssrc: NDArray[np.uint32]
    rx_seq: NDArray[np.uint16]
    rx_ext: NDArray[np.int64]
    rx_ts: NDArray[np.uint32]
    rx_visit: NDArray[np.int64]
    rx_run: NDArray[np.int64]
    rx_base: NDArray[np.int64]
    rx_base_received: NDArray[np.int64]
    lost_before: NDArray[np.int64]
    received: NDArray[np.int64]
    rejected: NDArray[np.int64]
    jitter: NDArray[np.float32]
    heard: NDArray[np.float64]
    timeout: NDArray[np.float64]
    timed_out: NDArray[np.bool_]
    can_send: NDArray[np.bool_]
    keying: NDArray[np.bool_]
    tx_pt: NDArray[np.uint8]
    tx_seq: NDArray[np.uint16]
    tx_ts: NDArray[np.uint32]
    tx_visit: NDArray[np.int64]
    tx_started: NDArray[np.bool_]
    tx_run: NDArray[np.int64]
    seq_shift: NDArray[np.uint16]
    ts_shift: NDArray[np.uint32]
    sent: NDArray[np.int64]
    octets: NDArray[np.int64]
    peer: NDArray[np.intp]
    mixed: NDArray[np.bool_]
    alaw: NDArray[np.bool_]
    channel: NDArray[np.intp]
    buffered: NDArray[np.bool_]
    playing: NDArray[np.bool_]
    play_at: NDArray[np.int64]
    play_start: NDArray[np.int64]
    play_end: NDArray[np.int64]
    play_loop: NDArray[np.bool_]

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        for name, kind in _COLUMNS.items():
            # np.full touches the memory, so that no tick waits for page faults.
            setattr(self, name, np.full(capacity, 0, kind))
        self.peer[...] = -1
        self.channel[...] = -1

    def clear(self, row: int) -> None:
        """Make a row that of a leg to which nothing has happened."""
        for name in _COLUMNS:
            getattr(self, name)[row] = 0
        self.peer[row] = -1
        self.channel[row] = -1

    def move(self, source: LegTable, source_row: int | slice, row: int | slice) -> None:
        """Copy a row (or some) of ``source`` (or of this table) to ``row``."""
        for name in _COLUMNS:
            getattr(self, name)[row] = getattr(source, name)[source_row]

    def expected(self, row: int) -> int:
        """Return how many packets the present source has sent as far as is known."""
        if not self.rx_run[row]:
            return 0
        return int(self.rx_ext[row] - self.rx_base[row]) + 1

    def lost(self, row: int) -> int:
        """Return how many packets never came, over all sources of the leg."""
        got = int(self.received[row] - self.rx_base_received[row])
        return int(self.lost_before[row]) + max(0, self.expected(row) - got)


@dataclass(slots=True)
class RtcpState:
    """What RTCP knows of a leg; ``remote`` is where its reports go."""

    remote: Address | None = None
    due: float = 0.0
    last_sr: int = 0
    last_sr_at: float = 0.0
    peer: SenderInfo | None = None
    expected_prior: int = 0
    received_prior: int = 0
    loss_remote: float = -1.0
    round_trip_ms: float = -1.0


@dataclass(slots=True)
class Leg:
    """One leg: its sockets and everything that no tick needs for all legs at once.

    ``pending`` holds packets that came before the socket was connected.  ``sending`` is the
    digits in hand, ``plays`` the plays with the one that is heard last; ``ended`` are plays and
    digits that are over but still wanted.
    """

    key: str
    want: LegWant
    pair: PortPair
    ssrc: int
    unit: Unit
    group: Group
    row: int = -1
    latched: Address | None = None
    refused_source: Address | None = None
    refused_until: float = 0.0
    strangers: int = 0
    pending: deque[bytes] = field(default_factory=lambda: deque(maxlen=_MAX_PENDING))
    events: EventReceiver = field(default_factory=EventReceiver)
    sending: tuple[DigitsWant, EventSender] | None = None
    digits: deque[DigitsWant] = field(default_factory=deque)
    event_start: int = 0
    forwarded: tuple[int, int] | None = None
    plays: list[Play] = field(default_factory=list)
    ended: dict[str, None] = field(default_factory=dict)
    bridge: Bridge | None = None
    recording: str = ""
    rtcp: RtcpState = field(default_factory=RtcpState)

    @property
    def remote(self) -> Address | None:
        """Return where the leg's RTP goes: the source that latched, else the description."""
        if self.latched is not None:
            return self.latched
        if self.want.remote_host and self.want.remote_port:
            return self.want.remote_host, self.want.remote_port
        return None
