"""SIPp: drives many calls from a scenario, within bounds, and says why calls failed."""

from __future__ import annotations

import csv
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from ccengine.testing.peers.process import PeerError, PeerProcess
from ccengine.testing.waiting import loopback_address

_MAX_RATE = 500.0
_MAX_CALLS = 100_000
_ERROR_CHARACTERS = 4000


@dataclass(frozen=True, slots=True)
class SippSettings:
    """One run of SIPp.

    ``scenario`` is a file, or the name of a built-in one (``uac``, ``uas``).  ``remote`` is
    ``host:port``, empty for a server.  ``rate`` is calls a second, ``calls`` ends the run
    (0: only for a server, which is then ended by the context manager), ``limit`` bounds the
    calls at a time.
    """

    folder: Path
    scenario: str
    remote: str = ""
    calls: int = 0
    rate: float = 10.0
    limit: int = 0
    service: str = "service"
    transport: str = "u1"
    rtp_echo: bool = False
    timeout_s: float = 60.0
    address: str = field(default_factory=loopback_address)
    port: int = 5060
    media_port: int = 6000
    extra: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SippStats:
    """The last line of SIPp's statistics, in calls and messages."""

    created: int
    successful: int
    failed: int
    retransmissions: int
    unexpected: int
    out_of_call: int


class Sipp(PeerProcess):
    """One SIPp process: a context manager, with :meth:`finish` for runs that end."""

    def __init__(self, settings: SippSettings) -> None:
        super().__init__(f"sipp {settings.scenario}")
        if not 0 < settings.rate <= _MAX_RATE or not 0 <= settings.calls <= _MAX_CALLS:
            raise PeerError(f"{self.name}: at most {_MAX_RATE:g} calls/s and {_MAX_CALLS} calls")
        if settings.remote and not settings.calls:
            raise PeerError(f"{self.name}: a run against {settings.remote} needs a number of calls")
        self.settings = settings
        self._name = "".join(c if c.isalnum() else "-" for c in Path(settings.scenario).stem)

    @property
    def uri(self) -> str:
        """Return the URI at which a server can be called."""
        settings = self.settings
        return f"sip:{settings.service}@{settings.address}:{settings.port}"

    def start(self) -> None:
        """Start; a server is ready when its socket is bound."""
        settings = self.settings
        settings.folder.mkdir(parents=True, exist_ok=True)
        for old in (self._stats_file, self._errors_file):
            old.unlink(missing_ok=True)
        self.spawn(self._command(), folder=settings.folder)
        if not settings.remote:
            self.wait_for(self._is_bound, "bound socket", 5.0)

    def _command(self) -> list[str]:
        settings = self.settings
        built_in = settings.scenario in {"uac", "uas"}
        command = ["sipp", "-sn" if built_in else "-sf", settings.scenario]
        if settings.remote:
            command.append(settings.remote)
        command += ["-i", settings.address, "-p", str(settings.port), "-mi", settings.address]
        command += ["-mp", str(settings.media_port), "-t", settings.transport, "-nostdin"]
        command += ["-s", settings.service, "-buff_size", "8388608"]
        command += ["-trace_stat", "-stf", str(self._stats_file), "-fd", "1"]
        command += ["-trace_err", "-error_file", str(self._errors_file)]
        if settings.calls:
            command += ["-m", str(settings.calls)]
        if settings.remote:
            command += ["-r", f"{settings.rate:g}", "-timeout", f"{settings.timeout_s:g}"]
            command.append("-timeout_error")
        if settings.limit:
            command += ["-l", str(settings.limit)]
        if settings.rtp_echo:
            command.append("-rtp_echo")
        return [*command, *settings.extra]

    def _is_bound(self) -> bool:
        hexadecimal = "".join(f"{int(part):02X}" for part in self.settings.address.split(".")[::-1])
        wanted = f"{hexadecimal}:{self.settings.port:04X}"
        kind = "tcp" if self.settings.transport.startswith("t") else "udp"
        return wanted in Path(f"/proc/net/{kind}").read_text(encoding="ascii")

    def terminate(self, child: subprocess.Popen[bytes]) -> None:
        """End: a second signal would be needed for SIPp to leave calls in progress."""
        child.kill()

    # --- results ------------------------------------------------------------------------------

    @property
    def _stats_file(self) -> Path:
        return self.settings.folder / f"{self._name}-stats.csv"

    @property
    def _errors_file(self) -> Path:
        return self.settings.folder / f"{self._name}-errors.log"

    def errors(self) -> str:
        """Return the begin of the error file."""
        if not self._errors_file.exists():
            return ""
        text = self._errors_file.read_text(encoding="utf-8", errors="replace")
        return text[:_ERROR_CHARACTERS]

    def stats(self) -> SippStats:
        """Return the latest statistics (written once a second and at the end)."""
        try:
            lines = self._stats_file.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            raise self.error("wrote no statistics") from None
        rows = list(csv.DictReader(lines, delimiter=";"))
        if not rows:
            raise self.error("wrote no statistics")
        last = rows[-1]

        def number(name: str) -> int:
            return int(last.get(f"{name}(C)") or 0)

        return SippStats(
            created=number("TotalCallCreated") or int(last.get("TotalCallCreated") or 0),
            successful=number("SuccessfulCall"),
            failed=number("FailedCall"),
            retransmissions=number("Retransmissions"),
            unexpected=number("FailedUnexpectedMessage"),
            out_of_call=number("OutOfCallMsgs"),
        )

    def finish(self, *, allow_failures: int = 0) -> SippStats:
        """Wait for the end of a run; return its statistics.

        Raises:
            PeerError: calls failed (more than ``allow_failures``) or the run did not end in
                time; the message holds the text of the error file.

        """
        limit = self.settings.timeout_s + 10
        self.wait_for(lambda: not self.is_running, "end of the run", limit, needs_life=False)
        stats = self.stats()
        if stats.failed > allow_failures or (self.exit_code and not stats.failed):
            raise self.error(f"{stats.failed} of {stats.created} calls failed\n{self.errors()}")
        return stats
