"""CPU of the signalling core for one call, in memory: what remains of a call without sockets.

Paper phones and a paper media worker in virtual time talk to the whole core; what the core
costs is measured alone, with the encoding of its journal frames and the timers of 32 s of
calls waiting as in production.  Run as ``python -m benchmarks.bench_core [--long]``.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from time import process_time_ns
from typing import Any

from benchmarks.result import Result, Skipped, main
from ccengine.config.loader import load_config
from ccengine.dialplan.plan import DialplanStore
from ccengine.engine.assembly import Surroundings, assemble
from ccengine.engine.core import FACTS, Batch, Core
from ccengine.ids import RandomIds
from ccengine.journal.coalesce import coalesce
from ccengine.journal.frame import FrameEncoder
from ccengine.journal.registry import Registry
from ccengine.media.control import PlayWant
from ccengine.sip.flow import Flow
from ccengine.testing.rig import SERVER, Rig
from ccengine.testing.worker import PaperWorker

BENCH = "core"
RATE = 200.0
CONFIGURATION = """
sip:
  domain: ccengine
  trusted: [192.0.2.0/24]
  listeners: [{name: udp, transport: udp, host: 192.0.2.1, port: 5060}]
recording: {mode: "off"}
extensions:
  "1001": {name: Caller, password: secret1}
  "1002": {name: Called, password: secret2}
agents:
  "2002": {name: Agent, pin: "1002", phone: 1002, queues: [bench]}
queues:
  bench: {music: music_on_hold, ring_timeout_s: 20, wrapup_s: 0}
dialplan: [queued.yaml]
numbers:
  "1xxx": {extension: true}
  "4900": queued
prompts: {language: en}
"""
FLOW = Path(__file__).parent / "scenarios" / "queued.yaml"


class Prompts:
    """Every prompt is there."""

    def find(self, key: str, language: str) -> Path | None:
        return Path(language, key)


class MeteredCore:
    """The core with its journal frames, and the CPU time spent in it."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.spent = 0
        self.facts = self.bytes = self.frames = 0
        self._encoder = FrameEncoder("bench", Registry(FACTS))

    def _metered(self, work: Callable[[], None]) -> None:
        begun = process_time_ns()
        work()
        self.spent += process_time_ns() - begun

    def sip_message(self, data: bytes, flow: Flow, now: float) -> None:
        self._metered(lambda: self.core.sip_message(data, flow, now))

    def media_packet(self, worker: str, data: bytes, now: float, at: datetime) -> None:
        self._metered(lambda: self.core.media_packet(worker, data, now, at))

    def handle_timeout(self, now: float, at: datetime) -> None:
        self._metered(lambda: self.core.handle_timeout(now, at))

    def next_timeout(self) -> float | None:
        begun = process_time_ns()
        due = self.core.next_timeout()
        self.spent += process_time_ns() - begun
        return due

    def drain(self, now: float, at: datetime) -> Batch:
        begun = process_time_ns()
        batch = self.core.drain(now, at)
        if batch.facts:
            facts: Sequence[Any] = coalesce(batch.facts)
            frame = self._encoder.encode(facts, self.facts + 1, now, 0.0)
            self.facts += len(facts)
            self.bytes += len(frame)
            self.frames += 1
        self.spent += process_time_ns() - begun
        return batch


class Floor(Rig):
    """A caller, a called phone that answers at once, and the core between them."""

    def __init__(self, folder: Path) -> None:
        (folder / "queued.yaml").write_text(FLOW.read_text(encoding="utf-8"), encoding="utf-8")
        path = folder / "ccengine.yaml"
        path.write_text(CONFIGURATION, encoding="utf-8")
        config = load_config(path)
        core = assemble(
            config.settings,
            Surroundings(
                ids=RandomIds(),
                boot_id="bench",
                secret=b"for the benchmark alone",
                local_address=lambda _flow: SERVER,
                prompts=Prompts(),
                dialplans=DialplanStore(config.dialplan),
                workers=("m0",),
            ),
        )
        self.metered = MeteredCore(core)
        self.paper = PaperWorker("m0", tuple(range(20000, 30000, 2)))
        super().__init__(self.metered, [self.paper])
        core.machines.media.attach("m0", 1)
        self.settle()
        self.caller = self.phone("1001", password="secret1")
        self.called = self.phone("1002", password="secret2", policy="answer")
        self.called.register(self.now)
        self.settle()

    def forget(self) -> None:
        """Keep nothing of the past: a rig remembers everything."""
        self.facts.clear()
        self.batches.clear()
        self.caller.calls.clear()
        self.called.calls.clear()

    def direct(self) -> None:
        """Let the caller dial the extension, talk, and hang up."""
        call = self.caller.dial("1002", self.now)
        self.settle()
        assert call.state == "talking", call
        self.caller.hang_up(self.now)
        self.settle()

    def queued(self) -> None:
        """Let the caller go through flow and queue to the agent, who hangs up."""
        call = self.caller.dial("4900", self.now)
        self.settle()
        for key, want in tuple(self.paper.wants.items()):
            if isinstance(want, PlayWant):
                self.paper.finish_play(key)
        self.settle()
        assert self.called.last.state == "talking", self.called.last
        self.called.hang_up(self.now)
        self.settle()
        assert call.state == "ended", call


def measure(floor: Floor, deed: Callable[[], None], calls: int) -> tuple[float, float, float]:
    """Return microseconds, facts and journal bytes of one call, over ``calls`` of them."""
    metered = floor.metered
    before = metered.spent, metered.facts, metered.bytes
    for _ in range(calls):
        deed()
        floor.forget()
        floor.advance(1 / RATE)
    after = metered.spent, metered.facts, metered.bytes
    spent, facts, size = (b - a for a, b in zip(before, after, strict=True))
    return spent / calls / 1000, facts / calls, size / calls


def run(long: bool) -> Iterator[Result | Skipped]:
    """Yield the core's CPU for direct and queued calls: the quietest of several rounds."""
    rounds, calls = (20, 1000) if long else (5, 400)
    with tempfile.TemporaryDirectory(prefix="bench-core-") as name:
        floor = Floor(Path(name))
        core = floor.metered.core
        for kind, deed in (("direct", floor.direct), ("queued", floor.queued)):
            if kind == "queued":
                sign_in(core, floor)
            measure(floor, deed, 200)
            found = min(measure(floor, deed, calls) for _ in range(rounds))
            params = {
                "kind": kind,
                "calls": calls,
                "rounds": rounds,
                "facts_per_call": round(found[1], 1),
                "journal_bytes_per_call": round(found[2]),
            }
            yield Result(BENCH, "core_call_us", found[0], "us", params)


def sign_in(core: Core, floor: Floor) -> None:
    """Let the agent take calls at the called phone."""
    core.machines.acd.sign_in("2002", "1002", floor.now, floor.clock.at())
    floor.settle()


if __name__ == "__main__":
    if "--profile" in sys.argv:
        import cProfile
        import pstats

        with tempfile.TemporaryDirectory() as name:
            place = Floor(Path(name))
            sign_in(place.metered.core, place)
            chosen = place.queued if "queued" in sys.argv else place.direct
            measure(place, chosen, 300)
            profile = cProfile.Profile()
            profile.runcall(measure, place, chosen, 1000)
            pstats.Stats(profile).sort_stats("tottime").print_stats(60)
    else:
        main(run, __doc__)
