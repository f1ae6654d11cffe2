"""A media worker as a subprocess, driven by a MediaLink, and raw RTP peers on loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ccengine.dsp import g711
from ccengine.media.control import (
    BridgeWant,
    Codec,
    LegWant,
    PlayWant,
    RecordingWant,
    WorkerEvent,
)
from ccengine.media.link import MediaLink
from ccengine.media.link_record import LinkClose
from ccengine.rtp.packet import RtpPacket, pack, parse

HOST = "127.0.7.1"
PT = {"PCMU": 0, "PCMA": 8}
_next_port = [20000]


def tone(frequency: float, count: int, level: float = 8000.0, start: int = 0) -> np.ndarray:
    t = np.arange(start, start + count)
    return np.round(level * np.sin(2 * np.pi * frequency * t / 8000)).astype(np.int16)


def level_of(samples: np.ndarray, frequency: float) -> float:
    """Return the amplitude of one frequency (a bin of the window's FFT)."""
    t = np.arange(len(samples))
    wave = np.exp(-2j * np.pi * frequency * t / 8000)
    return float(2 * abs(np.dot(samples.astype(np.float64), wave)) / len(samples))


class Peer:
    """One raw RTP endpoint: sends what it is told, keeps what it gets."""

    def __init__(self, *, host: str = HOST, law: str = "PCMU", ssrc: int = 0x1234) -> None:
        self.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.host, self.port = self._bind(host)
        for sock in (self.rtp, self.rtcp):
            sock.setblocking(False)
        self.law = law
        self.ssrc = ssrc
        self.seq = 65530
        self.ts = 0xFFFFFF00
        self.got: list[RtpPacket] = []
        self.raw: list[bytes] = []
        self.rtcp_got: list[bytes] = []
        self.to: tuple[str, int] = ("", 0)

    def _bind(self, host: str) -> tuple[str, int]:
        while True:
            port = 30000 + int.from_bytes(os.urandom(2)) % 1300 * 2
            try:
                self.rtp.bind((host, port))
                self.rtcp.bind((host, port + 1))
            except OSError:
                self.rtp.close()
                self.rtcp.close()
                self.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                self.rtcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                continue
            return host, port

    def send(self, payload: bytes, *, marker: bool = False, pt: int | None = None) -> None:
        kind = PT[self.law] if pt is None else pt
        packet = RtpPacket(kind, self.seq, self.ts, self.ssrc, payload, marker)
        self.rtp.sendto(pack(packet), self.to)
        self.seq = (self.seq + 1) & 0xFFFF
        if pt is None:
            self.ts = (self.ts + len(payload)) & 0xFFFFFFFF

    def send_pcm(self, samples: np.ndarray) -> None:
        self.send(g711.encode(self.law, samples, np.empty(len(samples), np.uint8)).tobytes())

    def read(self) -> None:
        for sock, into in ((self.rtp, self.raw), (self.rtcp, self.rtcp_got)):
            while True:
                try:
                    into.append(sock.recv(2048))
                except OSError:
                    break
        self.got += [parse(data) for data in self.raw]
        self.raw.clear()

    def audio(self) -> list[RtpPacket]:
        return [packet for packet in self.got if packet.payload_type == PT[self.law]]

    def pcm(self) -> np.ndarray:
        data = np.frombuffer(b"".join(p.payload for p in self.audio()), np.uint8)
        return g711.DECODE[self.law][data]

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()


class WorkerProcess:
    """A worker as it runs in production, on ports of its own."""

    def __init__(self, folder: Path, *options: str, pairs: int = 60, leases: int = 16) -> None:
        low = _next_port[0]
        _next_port[0] += 2 * pairs
        self.path = folder / "m0.sock"
        command = [sys.executable, "-m", "ccengine.media.main", "--name", "m0"]
        command += ["--socket", str(self.path), "--bind", HOST, "--leases", str(leases)]
        command += ["--quarantine-s", "0.3", "--rtcp-interval-s", "1"]
        command += ["--ports", f"{low}-{low + 2 * pairs - 1}", *options]
        self.command = command
        self.epoch = 0
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stderr=subprocess.PIPE)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()

    def close(self) -> None:
        """End the worker, if it has not ended, and look at what it has to say."""
        if self.process.stderr is None or self.process.stderr.closed:
            return
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=10)
        assert b"Traceback" not in errors, errors.decode()
        assert b"Warning" not in errors, errors.decode()
        assert self.process.returncode == 0


class Rig:
    """A worker, a link to it and the peers of a test."""

    def __init__(self, worker: WorkerProcess) -> None:
        self.worker = worker
        self.process = worker.process
        self.facts: list[Any] = []
        self.link = MediaLink(["m0"], self.facts)
        self.events: list[WorkerEvent] = []
        self.peers: list[Peer] = []
        self.closed: list[LinkClose] = []
        self.sock: socket.socket | None = None

    # --- control ---

    def connect(self, epoch: int = 0) -> None:
        self.worker.epoch = epoch = epoch or self.worker.epoch + 1
        deadline = time.monotonic() + 10
        while True:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                self.sock.connect(str(self.worker.path))
                break
            except OSError:
                self.sock.close()
                assert time.monotonic() < deadline, "the worker does not listen"
                assert self.process.poll() is None, "the worker is gone"
                time.sleep(0.02)
        self.sock.setblocking(False)
        self.link.attach("m0", epoch)
        self.until(lambda: bool(self.link.attached()) and self.link.free_ports() > 0)

    def disconnect(self) -> None:
        assert self.sock is not None
        self.sock.close()
        self.sock = None
        self.link.detach("m0")

    def pump(self, seconds: float = 0.0) -> None:
        end = time.monotonic() + seconds
        while True:
            self._exchange()
            for peer in self.peers:
                peer.read()
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.002))

    def _exchange(self) -> None:
        if self.sock is None:
            return
        for output in self.link.poll():
            if isinstance(output, LinkClose):
                self.closed.append(output)
            else:
                self.sock.send(output.data)
        while True:
            try:
                data = self.sock.recv(1 << 17)
            except BlockingIOError:
                return
            if not data:
                return
            self.events += self.link.receive("m0", data)

    def until(self, condition: Callable[[], bool], seconds: float = 5.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"did not happen; events: {self.events}"
            self.pump(0.005)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def garbage(self) -> int:
        loads = self.link.loads()
        return loads["m0"].garbage if loads else 0

    # --- objects ---

    def leg(self, key: str, unit: str = "u", **changes: Any) -> Peer:
        law = changes.pop("law", "PCMU")
        ptime = changes.pop("ptime_ms", 20)
        peer = Peer(law=law, ssrc=0x1000 + len(self.peers))
        self.peers.append(peer)
        port = self.link.lease(unit)
        peer.to = (HOST, port)
        fields: dict[str, Any] = {
            "event_pt": 101,
            "remote_host": peer.host,
            "remote_port": peer.port,
        } | changes
        codec = Codec(law, PT[law], 8000, ptime)
        self.link.want(LegWant(key, 0, unit, port, codec, **fields))
        self.pump(0.03)
        return peer

    def bridge(self, *legs: str, key: str = "bridge", unit: str = "u", gains: tuple = ()) -> None:
        self.link.want(BridgeWant(key, 0, unit, legs, gains))

    def play(self, key: str, leg: str, *files: Path, **options: Any) -> None:
        self.link.want(PlayWant(key, 0, leg, tuple(map(str, files)), **options))

    def record(self, key: str, left: str, right: str, folder: Path, unit: str = "u") -> None:
        self.link.want(RecordingWant(key, 0, unit, str(folder), left, right))

    def talk(self, frames: int, *speakers: tuple[Peer, Callable[[int], np.ndarray]]) -> None:
        """Let peers send one frame each 20 ms, each from its function of the frame number."""
        start = time.monotonic()
        for number in range(frames):
            self.pump(max(0.0, start + number * 0.02 - time.monotonic()))
            for peer, source in speakers:
                peer.send_pcm(source(number))
        self.pump(0.15)

    def close(self) -> None:
        if self.sock is not None:
            self.sock.close()
        for peer in self.peers:
            peer.close()


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    """Make a worker for this test alone."""
    rigs: list[Rig] = []

    def make(*options: str, attach: bool = True, **settings: Any) -> Rig:
        rig = Rig(WorkerProcess(tmp_path, *options, **settings))
        rigs.append(rig)
        if attach:
            rig.connect()
        return rig

    yield make
    for rig in rigs:
        rig.close()
        rig.worker.close()


@pytest.fixture(scope="session")
def shared_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    worker = WorkerProcess(tmp_path_factory.mktemp("worker"))
    yield worker
    worker.close()


@pytest.fixture
def rig(shared_worker: WorkerProcess) -> Iterator[Rig]:
    """Attach to the worker that tests share: a new epoch that wants nothing clears it."""
    rig = Rig(shared_worker)
    rig.connect()
    rig.pump(0.02)
    rig.until(lambda: rig.link.free_ports() >= 6)
    rig.pump(0.05)
    rig.events.clear()
    rig.facts.clear()
    yield rig
    rig.close()
