"""What the journal costs: writing frames, replaying them, following them.

Run as ``python -m benchmarks.bench_journal [--seconds 5] [--folder DIR] [--long]``; one JSON
object a line.  A frame holds five facts of about 500 bytes, as a drain of a call does.  The
journal lies in a folder of its own on the disk of ``--folder``; the writer's share (fsync every
250 ms, next segment ahead) is done by a thread, as its own process does it beside signalling.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from ccengine.clock import SystemClock, boot_id
from ccengine.journal import Follower, Journal, Registry, replay
from ccengine.journal.cdr import FACTS, CdrLeg
from ccengine.journal.frame import FrameEncoder
from ccengine.store.caretaker import Caretaker

FACTS_PER_FRAME = 5
SEGMENT_BYTES = 64 << 20


def emit(metric: str, value: float, unit: str, **params: object) -> None:
    line = {"bench": "journal", "metric": metric, "value": round(value, 3), "unit": unit}
    print(json.dumps({**line, "params": params}), flush=True)


def sample(clock: SystemClock) -> list[CdrLeg]:
    """Return the facts of one frame: records of legs with every field filled."""
    at = clock.at()
    leg = CdrLeg(
        leg_id="0123456789abcdef0123",
        call_id="c0123456789abcdef012",
        role="callee",
        number="13800138000",
        name="张伟",
        started_at=at,
        ringing_at=at + timedelta(seconds=1),
        answered_at=at + timedelta(seconds=5),
        ended_at=at + timedelta(seconds=65),
        cause="normal",
        status=200,
        agent_id="1001",
        dial_id="d0123456789abcdef012",
        codec="PCMA",
        packets_sent=3000,
        packets_received=2998,
        packets_lost=2,
        jitter_ms=1.25,
        loss_remote=0.001,
        round_trip_ms=23.5,
    )
    return [replace(leg, leg_id=f"{leg.leg_id}{'x' * 60}{n}") for n in range(FACTS_PER_FRAME)]


def write(journal: Journal, clock: SystemClock, seconds: float) -> list[int]:
    """Append frames for ``seconds`` as fast as they go; return each one's nanoseconds."""
    facts = sample(clock)
    times: list[int] = []
    now = time.perf_counter_ns
    end = now() + int(seconds * 1e9)
    while True:
        begin = now()
        journal.append(facts, clock.now(), clock.at())
        done = now()
        times.append(done - begin)
        if done > end:
            return times


def paced(journal: Journal, clock: SystemClock, seconds: float, rate: int) -> list[int]:
    """Append ``rate`` frames a second, as a loaded engine does; return each one's time."""
    facts = sample(clock)
    times: list[int] = []
    now = time.perf_counter_ns
    begin = now()
    while (elapsed := now() - begin) < seconds * 1e9:
        if len(times) > elapsed * rate / 1e9:
            time.sleep(0.0005)
            continue
        start = now()
        journal.append(facts, clock.now(), clock.at())
        times.append(now() - start)
    return times


def report_times(metric: str, times: list[int], **params: object) -> None:
    times.sort()
    for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999)):
        emit(f"{metric}_{name}_us", times[int(len(times) * share)] / 1000, "us", **params)
    emit(f"{metric}_max_us", times[-1] / 1000, "us", **params)


def bench_write(folder: Path, clock: SystemClock, registry: Registry, seconds: float) -> None:
    caretaker = Caretaker(folder, SEGMENT_BYTES, clock)
    stopping = threading.Event()

    def look_after() -> None:
        while not stopping.wait(0.25):
            caretaker.step(store_down=False, projected_seq=0)

    with Journal.open(
        folder, boot_id=boot_id(), clock=clock, registry=registry, segment_bytes=SEGMENT_BYTES
    ) as journal:
        caretaker.step(store_down=False, projected_seq=0)
        thread = threading.Thread(target=look_after)
        thread.start()
        try:
            rate = 1000
            report_times("write", paced(journal, clock, seconds / 2, rate), frames_per_s=rate)
            begin = time.perf_counter()
            times = write(journal, clock, seconds / 2)
            spent = time.perf_counter() - begin
            size = len(FrameEncoder("x" * 36, registry).encode(sample(clock), 1, 1.0, 1.0))
        finally:
            stopping.set()
            thread.join()
            caretaker.close()
    frame = {"facts_per_frame": FACTS_PER_FRAME, "frame_bytes": size}
    emit("facts_per_s", len(times) * FACTS_PER_FRAME / spent, "1/s", **frame)
    report_times("burst_write", times, **frame)


def bench_read(folder: Path, registry: Registry) -> None:
    begin = time.perf_counter()
    count = sum(len(frame.facts) for frame in replay(folder, registry))
    emit("replay_facts_per_s", count / (time.perf_counter() - begin), "1/s", facts=count)
    follower = Follower(folder, registry)
    begin = time.perf_counter()
    count = 0
    while frames := follower.poll():
        count += sum(len(frame.facts) for frame in frames)
    emit("follow_facts_per_s", count / (time.perf_counter() - begin), "1/s", facts=count)
    follower.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="time to write")
    parser.add_argument("--folder", type=Path, help="on which disk; default: the temporary one")
    parser.add_argument("--long", action="store_true", help="six times as long")
    options = parser.parse_args()
    clock = SystemClock()
    registry = Registry(FACTS)
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="bench-journal-") as folder:
        seconds = options.seconds * (6 if options.long else 1)
        bench_write(Path(folder), clock, registry, seconds)
        bench_read(Path(folder), registry)


if __name__ == "__main__":
    main()
