"""What recording costs the media tick: time inside ``put`` and stalls of the whole loop.

Run: ``python benchmarks/bench_recording.py [--seconds 10]``; one JSON object a line.

A loop like a media worker's runs in real time: four phase groups, every 5 ms one of them,
and in each for every leg one send on a UDP socket and one receive (which give up the interpreter
lock, as in the worker).  It runs without recording, and with the writer as a process and as a
thread.  ``stall`` is how late a group's work begins.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from ccengine.clock import SystemClock
from ccengine.media.recording import LEFT, RIGHT, RecordingSettings, RecordingWriter

GROUPS = 4
TICK_S = 0.02
FRAME = 160


def report(metric: str, value: float, unit: str, **params: object) -> None:
    """Print one measurement."""
    line = {"bench": "recording", "metric": metric, "value": round(value, 4), "unit": unit}
    print(json.dumps({**line, "params": params}), flush=True)


class Traffic:
    """The socket work of a group: one send and one receive for each leg."""

    def __init__(self) -> None:
        self._in = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._in.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._in.bind(("127.0.0.1", 0))
        self._in.setblocking(False)
        self._out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._out.connect(self._in.getsockname())
        self._buffer = bytearray(2048)

    def run(self, legs: int) -> None:
        packet = bytes(172)
        for _ in range(legs):
            self._out.send(packet)
            self._in.recv_into(self._buffer)

    def close(self) -> None:
        self._in.close()
        self._out.close()


def ticks(seconds: float) -> Iterator[tuple[int, float]]:
    """Yield (group, lateness in seconds) at the right times."""
    begin = time.monotonic() + 0.05
    for number in range(round(seconds / TICK_S * GROUPS)):
        due = begin + number * TICK_S / GROUPS
        wait = due - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        yield number % GROUPS, time.monotonic() - due


def percentile(values: list[float], share: float) -> float:
    return float(np.percentile(values, share)) if values else 0.0


def measure(
    calls: int, mode: Literal["process", "thread", "none"], seconds: float, folder: str
) -> None:
    """Record ``calls`` calls in real time and report what the loop saw."""
    calls -= calls % GROUPS
    writer = None
    groups: list[np.ndarray] = []
    rows = np.random.default_rng(1).integers(0, 256, (2 * calls // GROUPS, FRAME), dtype=np.uint8)
    if mode != "none":
        writer = RecordingWriter(RecordingSettings(capacity=calls, mode=mode), SystemClock())
        writer.start()
        for group in range(GROUPS):
            channels = []
            for number in range(calls // GROUPS):
                slot = writer.open(f"{mode}-{group}-{number}", folder, "PCMU")
                channels += [writer.attach(slot, side, "x", "PCMU") for side in (LEFT, RIGHT)]
            groups.append(np.array(channels, np.intp))
        settle = time.monotonic() + 10
        while writer.poll() or (time.monotonic() < settle and not _opened(folder, mode, calls)):
            time.sleep(0.01)
    traffic = Traffic()
    late: list[float] = []
    put: list[float] = []
    cpu = time.process_time()
    for group, lateness in ticks(seconds):
        late.append(lateness)
        traffic.run(2 * calls // GROUPS)
        if writer is not None:
            start = time.perf_counter()
            writer.put(groups[group], rows)
            put.append(time.perf_counter() - start)
            if group == 0:
                writer.poll()
    cpu = time.process_time() - cpu
    traffic.close()
    params: dict[str, object] = {"calls": calls, "writer": mode, "seconds": seconds}
    for share in (50, 99, 100):
        report(f"stall_p{share}", percentile(late, share) * 1e3, "ms", **params)
    report("tick_process_cpu", 100 * cpu / seconds, "%", **params)
    if writer is not None:
        for share in (50, 99, 100):
            report(f"put_p{share}", percentile(put, share) * 1e6, "us", **params)
        report("put_per_leg", percentile(put, 50) * 1e6 / len(rows), "us", **params)
        report("dropped_blocks", writer.dropped_blocks, "blocks", **params)
        results = writer.stop(30.0)
        short = sum(abs(one.duration_s - seconds) > TICK_S or bool(one.error) for one in results)
        report("closed", len(results), "recordings", **params)
        report("short_or_failed", short, "recordings", **params)


def _opened(folder: str, mode: str, calls: int) -> bool:
    return len(list(Path(folder).glob(f"{mode}-*.wav"))) == calls


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--calls", type=int, nargs="*", default=[500, 1000])
    parser.add_argument("--folder", default=None, help="on the disk to be measured")
    parser.add_argument("--long", action="store_true", help="three times as long")
    arguments = parser.parse_args()
    seconds = arguments.seconds * (3 if arguments.long else 1)
    for calls in arguments.calls:
        for mode in ("none", "process", "thread"):
            folder = tempfile.mkdtemp(prefix="bench-recording-", dir=arguments.folder)
            try:
                measure(calls, mode, seconds, folder)
            finally:
                shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
