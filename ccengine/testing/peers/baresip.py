"""baresip 1.0: a soft phone with a control socket, headless."""

from __future__ import annotations

import json
import re
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ccengine.clock import SystemClock
from ccengine.testing.peers.process import PeerError, PeerProcess
from ccengine.testing.waiting import loopback_address

_MODULES = "/usr/lib/baresip/modules"
_SIP_PORT = 15060  # and one more for TLS: away from servers that listen on every address
_CONTROL_PORT = 4444
_REGISTERED = re.compile(r"200 .*\[\d+ binding")
_NOT_REGISTERED = re.compile(r"reg: .*: [3-6]\d\d ")


@dataclass(frozen=True, slots=True)
class BaresipSettings:
    """How one baresip runs.

    ``user`` at ``domain`` (default: the phone's own address) is its address-of-record; it
    registers there when ``password`` is set.  ``answer_mode`` is ``auto`` or ``manual``.
    ``source`` is what it says: ``ausine,440`` or ``aufile,/path.wav``.
    """

    folder: Path
    user: str = "baresip"
    password: str = ""
    domain: str = ""
    transport: str = "udp"
    answer_mode: str = "auto"
    source: str = "ausine,440"
    codecs: str = "PCMU/8000/1,PCMA/8000/1"
    expires_s: int = 60
    address: str = field(default_factory=loopback_address)


class Baresip(PeerProcess):
    """One baresip with an address of its own, controlled over TCP.

    ``events`` are the control socket's events in order, each with ``at``, the time (UTC, in
    seconds since 1970) at which it was read.  What it says and hears is recorded
    while it runs: see :meth:`heard` and :meth:`said`.
    """

    def __init__(self, settings: BaresipSettings) -> None:
        super().__init__(f"baresip {settings.user}")
        self.settings = settings
        self.events: list[dict[str, Any]] = []
        self._responses: dict[str, dict[str, Any]] = {}
        self._token = 0
        self._clock = SystemClock()
        self._control: socket.socket | None = None
        self._sending = threading.Lock()

    @property
    def uri(self) -> str:
        """Return the URI at which this phone can be called directly."""
        return f"sip:{self.settings.user}@{self.settings.address}:{_SIP_PORT}"

    # --- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Write the configuration, start, connect the control socket."""
        folder = self.settings.folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config").write_text(self._config(), encoding="utf-8")
        (folder / "accounts").write_text(self._account(), encoding="utf-8")
        (folder / "contacts").write_text("", encoding="utf-8")
        self.spawn(["baresip", "-f", str(folder)], folder=folder)
        self._connect()
        self.background(self._read_control)
        if self.settings.password:
            self.registered()

    def _connect(self) -> None:
        found: list[socket.socket] = []

        def connected() -> bool:
            if not found:
                try:
                    found.append(
                        socket.create_connection((self.settings.address, _CONTROL_PORT), 1.0)
                    )
                except OSError:
                    return False
            return True

        self.wait_for(
            lambda: any("baresip is ready" in line for line in self.lines()), "start", 10.0
        )
        self.wait_for(connected, "control socket", 5.0)
        found[0].settimeout(None)
        self._control = found[0]

    def _config(self) -> str:
        settings = self.settings
        address = settings.address
        lines = [
            "poll_method epoll",
            f"sip_listen {address}:{_SIP_PORT}",
            f"net_interface {address}",
            "audio_player aubridge,sink",
            f"audio_source {settings.source}",
            "audio_alert aubridge,alert",
            "ausrc_srate 48000",
            "auplay_srate 48000",
            "ausrc_channels 2",
            "auplay_channels 2",
            "rtp_ports 40000-59999",
            "jitter_buffer_type fixed",
            "jitter_buffer_delay 1-5",
            f"module_path {_MODULES}",
            *(f"module {name}.so" for name in ("g711", "aufile", "ausine", "aubridge")),
            "module sndfile.so",
            "module uuid.so",
            "module_tmp account.so",
            "module_app menu.so",
            "module_app ctrl_tcp.so",
            f"ctrl_tcp_listen {address}:{_CONTROL_PORT}",
            f"snd_path {settings.folder}",
        ]
        return "\n".join([*lines, ""])

    def _account(self) -> str:
        settings = self.settings
        domain = settings.domain or settings.address
        registers = bool(settings.password)
        parameters = [
            f"<sip:{settings.user}@{domain};transport={settings.transport}>",
            f"regint={settings.expires_s if registers else 0}",
            f"answermode={settings.answer_mode}",
            f"audio_codecs={settings.codecs}",
        ]
        if registers:
            parameters.append(f"auth_pass={settings.password}")
        return ";".join(parameters) + "\n"

    def stop(self) -> None:
        """Hang up by ending the program, which closes its recordings."""
        control, self._control = self._control, None
        if control is not None:
            control.close()
        super().stop()

    # --- control ------------------------------------------------------------------------------

    def _read_control(self) -> None:
        control = self._control
        assert control is not None
        buffer = b""
        while True:
            try:
                data = control.recv(65536)
            except OSError:
                return
            if not data:
                return
            buffer = self._take(buffer + data)

    def _take(self, buffer: bytes) -> bytes:
        """Take whole netstrings from the front of ``buffer``; return the rest."""
        while True:
            length, colon, rest = buffer.partition(b":")
            if not colon or len(rest) <= int(length):
                return buffer
            size = int(length)
            message = json.loads(rest[:size].decode("utf-8", "replace"))
            buffer = rest[size + 1 :]
            with self.changed():
                if message.get("response"):
                    self._responses[message.get("token", "")] = message
                else:
                    self.events.append({**message, "at": self._clock.at().timestamp()})
                self.changed().notify_all()

    def command(self, name: str, params: str = "", timeout_s: float = 5.0) -> str:
        """Give a command of the menu (``dial``, ``hangup``…); return what it prints.

        Raises:
            PeerError: it fails or is not answered.

        """
        with self._sending:
            self._token += 1
            token = str(self._token)
        body = json.dumps({"command": name, "params": params, "token": token}).encode()
        if self._control is None:
            raise self.error("has no control socket")
        self._control.sendall(b"%d:%s," % (len(body), body))
        self.wait_for(lambda: token in self._responses, f"answer to {name}", timeout_s)
        response = self._responses.pop(token)
        if not response.get("ok"):
            raise self.error(f"{name} {params} failed: {response.get('data')}")
        return str(response.get("data", ""))

    def dial(self, uri: str) -> None:
        """Call."""
        self.command("dial", uri)

    def answer(self) -> None:
        """Accept the call that rings."""
        self.command("accept")

    def hang_up(self) -> None:
        """End the current call, or reject the one that rings."""
        self.command("hangup")

    def mute(self) -> None:
        """Say nothing from now on, or speak again: the other of the two."""
        self.command("mute")

    def send_digits(self, digits: str) -> None:
        """Press keys (:rfc:`4733`)."""
        for digit in digits:
            self.command("sndcode", digit)

    # --- waiting ------------------------------------------------------------------------------

    def events_of(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of a type, such as ``CALL_ESTABLISHED``."""
        return [event for event in list(self.events) if event.get("type") == kind]

    def wait_event(self, kind: str, count: int = 1, timeout_s: float = 10.0) -> dict[str, Any]:
        """Wait until ``count`` events of a type have come in all; return the last of them."""
        self.wait_for(lambda: len(self.events_of(kind)) >= count, f"{count} {kind}", timeout_s)
        return self.events_of(kind)[count - 1]

    def registered(self, timeout_s: float = 10.0) -> None:
        """Wait until it is registered; :class:`PeerError` at once when it is refused."""
        # Events from before the control socket was connected stand in the output alone.
        self.wait_for(
            lambda: self._has_printed(_REGISTERED) or self._has_printed(_NOT_REGISTERED),
            "registration",
            timeout_s,
        )
        if not self._has_printed(_REGISTERED):
            raise self.error("was not registered")

    def _has_printed(self, pattern: re.Pattern[str]) -> bool:
        return any(pattern.search(line) for line in self.lines())

    def incoming(self, count: int = 1, timeout_s: float = 10.0) -> dict[str, Any]:
        """Wait for a call to ring here."""
        return self.wait_event("CALL_INCOMING", count, timeout_s)

    def established(self, count: int = 1, timeout_s: float = 10.0) -> dict[str, Any]:
        """Wait for a call to be answered."""
        return self.wait_event("CALL_ESTABLISHED", count, timeout_s)

    def closed(self, count: int = 1, timeout_s: float = 10.0) -> dict[str, Any]:
        """Wait for a call to end; ``param`` of the event says why."""
        return self.wait_event("CALL_CLOSED", count, timeout_s)

    def digits(self, count: int = 1, timeout_s: float = 5.0) -> str:
        """Wait for ``count`` keys from the other side; return all of them."""
        self.wait_event("CALL_DTMF_START", count, timeout_s)
        return "".join(event["param"] for event in self.events_of("CALL_DTMF_START"))

    # --- recordings -----------------------------------------------------------------------------

    def _recordings(self, kind: str) -> list[Path]:
        return sorted(self.settings.folder.glob(f"dump-*-{kind}.wav"))

    def heard(self) -> Path:
        """Return the recording of what it heard in its last call (complete after the end)."""
        return self._last("dec")

    def said(self) -> Path:
        """Return the recording of what it said in its last call."""
        return self._last("enc")

    def _last(self, kind: str) -> Path:
        found = self._recordings(kind)
        if not found:
            raise PeerError(f"{self.name} recorded nothing in {self.settings.folder}")
        return found[-1]
