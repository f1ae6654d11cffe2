"""How many bridged and recorded calls one media worker carries on one core.

``python -m benchmarks.bench_media [--calls 250,500,1000] [--seconds 5] [--limit 50] [--long]``
prints one JSON object a line.  The worker is pinned to core 0 (SCHED_FIFO where allowed), the
generator to core 1, the recording writer goes where the system puts it.  ``late_p99_ms`` is
the median over the measured seconds of each second's p99, because other work on the machine
stalls single seconds; the worst second stands beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ccengine.media.control import BridgeWant, Codec, LegStats, LegWant, Load, RecordingWant
from ccengine.media.link import MediaLink
from ccengine.media.link_record import LinkSend

HOST = "127.0.0.1"
WORKER = os.environ.get("CCENGINE_MEDIA_MAIN", "-m ccengine.media.main").split()
GENERATOR = Path(__file__).with_name("media_load.py")


def emit(metric: str, value: float, unit: str, **params: Any) -> None:
    line = {"bench": "media", "metric": metric, "value": value, "unit": unit, "params": params}
    print(json.dumps(line), flush=True)


def resident_kb(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0])


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Bench:
    """A worker and the link to it."""

    def __init__(self, folder: Path, calls: int) -> None:
        self.folder = folder
        path = folder / "media.sock"
        command = [sys.executable, *WORKER, "--name", "bench"]
        command += ["--socket", str(path), "--ports", f"10000-{10000 + 4 * calls + 199}"]
        command += ["--core", "0", "--leases", str(2 * calls), "--recordings", str(calls + 8)]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        self.link = MediaLink(["bench"], [])
        self.loads: list[Load] = []
        self.stats: list[LegStats] = []
        self.sock = self._connect(path)
        self.link.attach("bench", 1)

    def _connect(self, path: Path) -> socket.socket:
        for _ in range(200):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                sock.connect(str(path))
            except OSError:
                sock.close()
                time.sleep(0.02)
                continue
            sock.settimeout(0.02)
            return sock
        raise SystemExit("the media worker does not start")

    def pump(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while True:
            for output in self.link.poll():
                if isinstance(output, LinkSend):
                    self._send(output.data)
            if time.monotonic() >= end:
                return
            try:
                data = self.sock.recv(1 << 17)
            except TimeoutError:
                continue
            before = self.link.loads().get("bench")
            for event in self.link.receive("bench", data):
                if isinstance(event, LegStats):
                    self.stats.append(event)
            load = self.link.loads().get("bench")
            if load is not None and load is not before:
                self.loads.append(load)

    def _send(self, data: bytes) -> None:
        for _ in range(500):
            try:
                self.sock.send(data)
            except TimeoutError:
                continue
            return
        raise SystemExit("the media worker does not listen")

    def set_up(self, calls: int, *, recorded: bool) -> list[int]:
        while self.link.free_ports() < 2 * calls:
            self.pump(0.05)
        ports = []
        codec = Codec("PCMU", 0)
        for call in range(calls):
            unit = f"call{call}"
            legs = (f"{unit}/a", f"{unit}/b")
            for leg in legs:
                port = self.link.lease(unit)
                ports.append(port)
                self.link.want(LegWant(leg, 0, unit, port, codec, event_pt=101))
            self.link.want(BridgeWant(f"{unit}/bridge", 0, unit, legs))
            if recorded:
                folder = str(self.folder / "recordings")
                self.link.want(RecordingWant(f"{unit}-rec", 0, unit, folder, *legs))
            if call % 25 == 0:
                self.pump(0.01)
        while not self.loads or self.loads[-1].legs < 2 * calls:
            self.pump(0.1)
        return ports

    def children(self) -> list[int]:
        text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in text.split()]

    def close(self) -> None:
        self.sock.close()
        self.process.terminate()
        self.process.wait(30)


def run(calls: int, seconds: float, *, recorded: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "recordings").mkdir()
        bench = Bench(folder, calls)
        try:
            bench.pump(0.5)
            empty_kb = resident_kb(bench.process.pid)
            ports = bench.set_up(calls, recorded=recorded)
            command = [sys.executable, str(GENERATOR), str(seconds + 2.5), *map(str, ports)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as generator:
                # The first seconds latch every leg and open every recording.
                bench.pump(2.5)
                bench.loads.clear()
                helpers = {pid: cpu_s(pid) for pid in bench.children()}
                start, cpu = time.monotonic(), cpu_s(bench.process.pid)
                bench.pump(seconds)
                took = time.monotonic() - start
                cpu = (cpu_s(bench.process.pid) - cpu) / took
                helper_cpu = sum(cpu_s(pid) - was for pid, was in helpers.items()) / took
                loads = list(bench.loads)
                full_kb = resident_kb(bench.process.pid)
                while generator.poll() is None:
                    bench.pump(0.1)
                assert generator.stdout is not None
                peer = json.loads(generator.stdout.read())
            keys = [want.key for want in bench.link.wants()]
            bench.link.drop(*[key for key in keys if not key.endswith("-rec")])
            bench.link.drop(*keys)
            deadline = time.monotonic() + 10
            while len(bench.stats) < 2 * calls and time.monotonic() < deadline:
                bench.pump(0.1)
        finally:
            bench.close()
    if not loads:
        raise SystemExit(f"{calls} calls: the worker is too late to report")
    received = sum(stats.received for stats in bench.stats)
    seconds_p99 = [load.late_p99_ms for load in loads]
    packets = statistics.mean(load.packets_out for load in loads)
    return {
        "calls": calls,
        "recorded": recorded,
        "late_p50_ms": statistics.median(load.late_p50_ms for load in loads),
        "late_p99_ms": statistics.median(seconds_p99),
        "late_p99_worst_second_ms": max(seconds_p99),
        "late_max_ms": max(load.late_max_ms for load in loads),
        "done_p99_ms": statistics.median(load.done_p99_ms for load in loads),
        "cpu": cpu,
        "writer_cpu": helper_cpu,
        "packet_cpu_us": 1e6 * cpu / packets if packets else 0.0,
        "lost": peer["sent"] - received,
        "not_passed_on": sum(load.packets_in - load.packets_out for load in loads),
        "watched_gaps": peer["gaps"],
        "generator_late_max_ms": peer["late_max_ms"],
        "rss_kb_per_leg": (full_kb - empty_kb) / (2 * calls),
        "rss_kb": full_kb,
    }


def clean(result: dict[str, Any], limit_ms: float) -> bool:
    # Ticks of two groups may fall on either side of a second: a few packets are under way.
    passed = result["not_passed_on"] <= result["calls"] // 10
    lossless = not (result["lost"] or result["watched_gaps"]) and passed
    return lossless and result["late_p99_ms"] <= limit_ms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", default="500,1000,1300", help="numbers of calls, rising")
    parser.add_argument("--seconds", type=float, default=4.0, help="measured time of each")
    parser.add_argument("--limit", type=float, default=50.0, help="seconds for everything")
    parser.add_argument("--long", action="store_true", help="take the time that it takes")
    parser.add_argument("--plain", action="store_true", help="bridged only, not recorded")
    parser.add_argument("--json", action="store_true", help="one JSON object a line (always)")
    given = parser.parse_args()
    started, took = time.monotonic(), 0.0
    best = 0
    for calls in map(int, given.calls.split(",")):
        left = given.limit - (time.monotonic() - started)
        if not given.long and left < took:
            emit("skipped", calls, "calls", reason="time limit")
            continue
        before = time.monotonic()
        result = run(calls, given.seconds, recorded=not given.plain)
        took = (time.monotonic() - before) * 1.2
        emit("late_p99_ms", result["late_p99_ms"], "ms", **result)
        if clean(result, 1.0):
            best = max(best, calls)
        if calls == 500 and not given.plain:
            emit("holds_500_recorded_at_2_ms", float(clean(result, 2.0)), "bool")
    name = "bridged_calls_per_core" if given.plain else "recorded_calls_per_core"
    emit(name, best, "calls", limit="no loss, late_p99 <= 1 ms", pinned="core 0, FIFO if allowed")


if __name__ == "__main__":
    main()
