"""pjsua2 (the PJSIP library) as a phone: one endpoint for each child process."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ccengine.testing.peers import pjsua_driver_path
from ccengine.testing.peers.process import PeerProcess
from ccengine.testing.waiting import free_sip_port, loopback_address, wait_until

_BYTES_A_SECOND = 16_000


@dataclass(frozen=True, slots=True)
class PjsuaSettings:
    """How one pjsua2 endpoint runs.

    ``domain`` (``host`` or ``host:port``) is where ``user`` registers when ``password`` is
    set.  ``play`` is a WAV that it says in every call (silence when empty), ``record`` a WAV
    of what it hears, in which ``{call}`` is replaced by the call's number.
    ``incoming_status`` answers every call: 200, 180, 486, 0 for nothing.
    """

    user: str = "pjsua"
    password: str = ""
    domain: str = ""
    tcp: bool = False
    play: str = ""
    record: str = ""
    incoming_status: int = 200
    codecs: tuple[str, ...] = ("PCMU/8000", "PCMA/8000")
    expires_s: int = 300
    log_level: int = 3
    address: str = field(default_factory=loopback_address)
    port: int = 0
    media_port: int = 4000


class Pjsua(PeerProcess):
    """A pjsua2 endpoint in a child; calls are named by small numbers that it gives.

    Every event has ``at``, its time in the child (UTC, in seconds since 1970).
    """

    def __init__(self, settings: PjsuaSettings) -> None:
        super().__init__(f"pjsua {settings.user}")
        self.settings = settings
        self.port = settings.port or free_sip_port(settings.address)
        self.events: list[dict[str, Any]] = []

    @property
    def uri(self) -> str:
        """Return the URI at which it can be called directly."""
        tail = ";transport=tcp" if self.settings.tcp else ""
        return f"sip:{self.settings.user}@{self.settings.address}:{self.port}{tail}"

    # --- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Start; with a password wait for the registration."""
        settings = self.settings
        values = {
            **asdict(settings),
            "port": self.port,
            "domain": settings.domain or f"{settings.address}:{self.port}",
        }
        self.spawn([sys.executable, str(pjsua_driver_path()), json.dumps(values)], talk=True)
        self.wait_event("ready", timeout_s=15.0)
        if settings.password:
            self.registered()

    def line_read(self, line: str) -> None:
        """Keep an event."""
        if line.startswith('{"event"'):
            self.events.append(json.loads(line))

    def terminate(self, child: subprocess.Popen[bytes]) -> None:
        """Ask it to end, so that recordings are closed."""
        if child.stdin is not None:
            child.stdin.close()

    # --- commands -----------------------------------------------------------------------------

    def _do(self, deed: str, **values: Any) -> None:
        self.send_line(json.dumps({"do": deed, **values}))

    def call(self, uri: str, timeout_s: float = 5.0) -> int:
        """Call; return the number of the call."""
        before = len(self.events_of("calling"))
        self._do("call", uri=uri)
        return int(self.wait_event("calling", before + 1, timeout_s)["call"])

    def answer(self, call: int, status: int = 200) -> None:
        """Answer a call with a status."""
        self._do("answer", number=call, status=status)

    def hang_up(self, call: int, status: int = 0) -> None:
        """End a call (before the answer with ``status``)."""
        self._do("hang_up", number=call, status=status)

    def send_digits(self, call: int, digits: str) -> None:
        """Press keys (:rfc:`4733`)."""
        self._do("digits", number=call, digits=digits)

    def mute(self, call: int, *, muted: bool = True) -> None:
        """Say nothing, or speak again."""
        self._do("mute", number=call, muted=muted)

    def hold(self, call: int) -> None:
        """Put on hold by re-INVITE."""
        self._do("hold", number=call)

    def resume(self, call: int) -> None:
        """Take back from hold."""
        self._do("resume", number=call)

    def unregister(self) -> None:
        """Take the registration back."""
        self._do("unregister")

    # --- waiting ------------------------------------------------------------------------------

    def events_of(self, kind: str, **values: Any) -> list[dict[str, Any]]:
        """Return the events of a kind whose fields have these values."""
        return [
            event
            for event in list(self.events)
            if event["event"] == kind
            and all(event.get(name) == value for name, value in values.items())
        ]

    def wait_event(
        self, kind: str, count: int = 1, timeout_s: float = 10.0, **values: Any
    ) -> dict[str, Any]:
        """Wait until ``count`` such events have come in all; return the last of them."""
        what = f"{count} {kind} {values or ''}".strip()
        self.wait_for(
            lambda: len(self.events_of(kind, **values)) >= count or self._failed(), what, timeout_s
        )
        found = self.events_of(kind, **values)
        if len(found) < count:
            raise self.error(f"no {what}: {self.events_of('failed')[-1]}")
        return found[count - 1]

    def _failed(self) -> bool:
        return bool(self.events_of("failed"))

    def registered(self, timeout_s: float = 10.0) -> None:
        """Wait until it is registered; an error at once when it is refused."""
        event = self.wait_event("registered", timeout_s=timeout_s)
        if event["status"] != 200 or not event["active"]:
            raise self.error(f"REGISTER got {event['status']} {event['reason']}")

    def incoming(self, count: int = 1, timeout_s: float = 10.0) -> int:
        """Wait for a call to come in; return its number."""
        return int(self.wait_event("incoming", count, timeout_s)["call"])

    def established(self, call: int, timeout_s: float = 10.0) -> None:
        """Wait for a call to be answered; an error at once when it fails."""
        self.wait_for(
            lambda: bool(self._states(call) & {"CONFIRMED", "DISCONNECTED"}) or self._failed(),
            f"answer of call {call}",
            timeout_s,
        )
        if "CONFIRMED" not in self._states(call):
            raise self.error(f"call {call} failed: {self.events_of('call_state', call=call)[-1:]}")

    def ringing(self, call: int, timeout_s: float = 10.0) -> None:
        """Wait until the other side rings."""
        self.wait_event("call_state", call=call, state="EARLY", timeout_s=timeout_s)

    def closed(self, call: int, timeout_s: float = 10.0) -> int:
        """Wait for the end of a call; return its last status."""
        event = self.wait_event("call_state", call=call, state="DISCONNECTED", timeout_s=timeout_s)
        return int(event["status"])

    def digits(self, count: int = 1, timeout_s: float = 5.0) -> str:
        """Wait for ``count`` keys from the other side; return all of them."""
        self.wait_event("digit", count, timeout_s)
        return "".join(event["digit"] for event in self.events_of("digit"))

    def _states(self, call: int) -> set[str]:
        return {event["state"] for event in self.events_of("call_state", call=call)}

    def heard(self, call: int = 0) -> Path:
        """Return the recording of a call (complete once the call is over)."""
        return Path(self.settings.record.replace("{call}", str(call)))

    def has_heard(self, seconds: float, call: int = 0, timeout_s: float = 10.0) -> None:
        """Wait until that much of a call is recorded (it is written in pieces of 4 kB)."""
        path = self.heard(call)
        size = int(seconds * _BYTES_A_SECOND)
        wait_until(
            lambda: path.exists() and path.stat().st_size >= size,
            f"recording of {seconds:g} s in {path.name}",
            timeout_s,
        )
