"""What a media worker is told at its start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ccengine.errors import MediaError

# Linux hands out ports of this range to anybody (net.ipv4.ip_local_port_range).
_EPHEMERAL = range(32768, 61000)


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """One media worker: ``socket`` is its control socket, ports are inclusive.

    ``leases_ahead`` RTP/RTCP pairs are kept bound for new legs; a released pair rests for
    ``quarantine_s``.  ``core`` pins the worker; ``fifo`` asks for real-time scheduling and
    falls back to a better niceness, then to nothing.
    """

    name: str
    socket: Path
    bind: str = "127.0.0.1"
    port_min: int = 20000
    port_max: int = 29999
    leases_ahead: int = 256
    quarantine_s: float = 5.0
    orphan_limit_s: float = 3600.0
    rtcp_interval_s: float = 5.0
    core: int | None = None
    fifo: bool = True
    arena_mb: int = 128
    recordings: int = 1024

    def __post_init__(self) -> None:
        if not 1024 <= self.port_min < self.port_max <= 65535:
            raise MediaError(
                f"RTP ports {self.port_min}-{self.port_max} are no range",
                cure="use two ports between 1024 and 65535, the lower one first",
            )
        if self.port_min < _EPHEMERAL.stop and self.port_max >= _EPHEMERAL.start:
            raise MediaError(
                f"RTP ports {self.port_min}-{self.port_max} overlap the system's ephemeral "
                f"ports {_EPHEMERAL.start}-{_EPHEMERAL.stop - 1}",
                cure="use a range below 32768 or above 60999",
            )
