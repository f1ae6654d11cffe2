"""The load of the signalling benchmarks: an engine on one core, SIPp on another."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.proc import Processes
from ccengine.sip.digest_client import authorization, challenges_of
from ccengine.sip.message import SipResponse, parse_message
from ccengine.testing.engine import RunningEngine
from ccengine.testing.peers.sipp import Sipp, SippSettings, SippStats

SCENARIOS = Path(__file__).with_name("scenarios")
AGENTS = 200
PHONE_PORT = 5060
ANSWERING, TALKING = "2999", "3000"
"""The extension that is dialled directly; the first of those of agents."""

ENGINE_CORE, LOAD_CORE = 0, min(1, (os.cpu_count() or 1) - 1)


def bench_configuration() -> dict[str, Any]:
    """Return the sections of the configuration that are ours: phones, agents, queue, numbers."""
    numbers = [ANSWERING, *agent_phones()]
    return {
        "extensions": {number: {"name": "", "password": password(number)} for number in numbers},
        "agents": {
            f"9{number}": {"name": number, "phone": number, "queues": ["bench"]}
            for number in agent_phones()
        },
        "queues": {
            "bench": {"music": "music_on_hold", "ring_timeout_s": 20, "wrapup_s": 0},
        },
        "numbers": {"2xxx": {"extension": True}, "3xxx": {"extension": True}, "4900": "queued"},
        "plugins": {},
        "recording": {"mode": "off"},
        # Ports rest for 5 s after a call: hundreds of calls a second want thousands of them.
        "media": {"ports": {"first": 10000, "last": 32767}},
        "dialplan": [str(SCENARIOS / "queued.yaml")],
        "log": {"level": "warning", "format": "text"},
    }


def agent_phones() -> list[str]:
    """Return the extensions of the agents' phones."""
    return [str(int(TALKING) + number) for number in range(AGENTS)]


def password(extension: str) -> str:
    """Return the password of an extension."""
    return f"secret{extension}"


class BenchEngine(RunningEngine):
    """The whole engine, with every process on one core unless there is only one."""

    def __init__(self, folder: Path, sections: Mapping[str, Any]) -> None:
        super().__init__(folder, {"sip": {"trusted": ["127.0.0.0/8"]}})
        self._sections = dict(sections)

    def start(self) -> None:
        """Start on the engine's core; this process moves to the other one."""
        os.sched_setaffinity(0, {ENGINE_CORE})
        try:
            super().start()
        finally:
            os.sched_setaffinity(0, {LOAD_CORE})
        self.parts = Processes.of(self.pid, self.ask("status")["pid"])

    def write_configuration(self) -> None:
        """Write the sample configuration with the sections of this benchmark in their places."""
        super().write_configuration()
        data = json.loads(self.configuration.read_text(encoding="utf-8"))
        for section, content in self._sections.items():
            own = section in {"recording", "log", "media"}
            data[section] = {**data.get(section, {}), **content} if own else content
        self.configuration.write_text(json.dumps(data, indent=1), encoding="utf-8")

    def record(self, mode: str) -> None:
        """Switch recording to a mode while the engine runs on."""
        data = json.loads(self.configuration.read_text(encoding="utf-8"))
        data["recording"]["mode"] = mode
        self.configuration.write_text(json.dumps(data, indent=1), encoding="utf-8")
        self.ask("reload")

    @contextlib.contextmanager
    def cost(self, count: int) -> Iterator[dict[str, float]]:
        """Fill a mapping with the CPU milliseconds of each role for each of ``count`` deeds."""
        spent: dict[str, float] = {}
        before = self.parts.cpu_s()
        yield spent
        for role, seconds in self.parts.cpu_s().items():
            spent[role] = round((seconds - before[role]) * 1000 / count, 4)


class SippPhone(Sipp):
    """A SIPp server that is registered as one or many extensions."""

    def __init__(self, engine: RunningEngine, settings: SippSettings, numbers: list[str]) -> None:
        super().__init__(settings)
        self._registrar = engine.registrar
        self._numbers = numbers

    def start(self) -> None:
        """Register from the port that the server binds afterwards, then start it."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((self.settings.address, self.settings.port))
            sock.settimeout(2)
            sock.connect(self._registrar)
            for number in self._numbers:
                register(sock, number)
        super().start()


def register(sock: socket.socket, number: str) -> None:
    """Register an extension for an hour with the address of a connected socket."""
    host, port = sock.getsockname()[:2]
    uri = "sip:{}:{}".format(*sock.getpeername()[:2])
    credentials, status = "", 0
    for cseq in (1, 2):
        sock.send(
            f"REGISTER {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{number}{cseq}"
            f"\r\nFrom: <sip:{number}@ccengine>;tag=b\r\nTo: <sip:{number}@ccengine>\r\n"
            f"Call-ID: {number}@{host}\r\nCSeq: {cseq} REGISTER\r\nExpires: 3600\r\n"
            f"Contact: <sip:{number}@{host}:{port}>\r\nMax-Forwards: 70\r\n{credentials}"
            "Content-Length: 0\r\n\r\n".encode()
        )
        response = parse_message(sock.recv(4096))
        assert isinstance(response, SipResponse)
        status = response.status
        if status == 200:
            return
        name, challenges = challenges_of(response)
        made = authorization(challenges, "REGISTER", uri, number, password(number), cnonce="b")
        credentials = f"{name}: {made}\r\n"
    raise RuntimeError(f"{number} cannot register: {status}")


def uas(
    engine: RunningEngine, folder: Path, scenario: str, numbers: list[str], hold_ms: int
) -> Sipp:
    """Return the server side of a load."""
    settings = SippSettings(
        folder,
        str(SCENARIOS / f"{scenario}.xml"),
        media_port=30000,
        extra=("-d", str(hold_ms)),
    )
    return SippPhone(engine, settings, numbers)


@dataclass(frozen=True, slots=True)
class Load:
    """One run of callers."""

    scenario: str
    number: str
    rate: float
    seconds: float
    hold_ms: int = 0
    extra: tuple[str, ...] = ()

    @property
    def calls(self) -> int:
        """How many calls are made."""
        return max(1, int(self.rate * self.seconds))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a load; CPU milliseconds for each call by role of process."""

    calls: int
    failed: int
    retransmissions: int
    seconds: float
    cpu_ms: Mapping[str, float]

    @property
    def clean(self) -> bool:
        """Whether there was neither failure nor retransmission."""
        return not self.failed and not self.retransmissions


def drive(engine: BenchEngine, folder: Path, load: Load) -> Outcome:
    """Make calls and wait until the last one is over."""
    caller = Sipp(
        SippSettings(
            folder / f"{load.scenario}-{load.rate:g}-{time.monotonic_ns()}",
            str(SCENARIOS / f"{load.scenario}.xml"),
            remote="{}:{}".format(*engine.registrar),
            calls=load.calls,
            rate=load.rate,
            service=load.number,
            media_port=32000,
            timeout_s=load.seconds + load.hold_ms / 1000 + 15,
            extra=("-d", str(load.hold_ms), *load.extra),
        )
    )
    begun = time.monotonic()
    with engine.cost(load.calls) as spent, caller:
        stats = _end(caller)
    seconds = time.monotonic() - begun
    failed = stats.failed + load.calls - stats.successful - stats.failed
    return Outcome(load.calls, failed, stats.retransmissions, seconds, spent)


def _end(caller: Sipp) -> SippStats:
    stats = caller.finish(allow_failures=1_000_000)
    if stats.failed:
        sys.stderr.write(caller.errors()[:600] + "\n")
    return stats
