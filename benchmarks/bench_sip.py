"""What signalling costs: SIPp calls through the running engine, journal, CDR and workers on.

Run as ``python -m benchmarks.bench_sip [--long]``; one JSON object a line.  Every process of
the engine is tied to one core and SIPp to another; no RTP flows.  ``call_cpu_ms`` is the CPU
of the signalling process (user and system, from /proc) for one call from a number to an
extension, both legs, from INVITE to the answer to BYE; the CPU of the other processes stands
in the parameters.  Timers of finished transactions expire 32 s later: ``--long`` runs each
rate for longer than that, so that they are all paid.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.result import Result, Skipped, main
from benchmarks.sip_load import (
    ANSWERING,
    BenchEngine,
    Load,
    Outcome,
    agent_phones,
    bench_configuration,
    drive,
    password,
    uas,
)
from ccengine.journal.status import StatusPage
from ccengine.testing.waiting import wait_until

BENCH = "sip"
HOLD_MS = 500
RATES = (50, 100, 200)
QUEUED_RATE = 40
HELD, HELD_LONG = (400.0, 300.0, 200.0), (500.0, 450.0, 400.0, 350.0, 300.0, 250.0, 200.0)
"""Rates for ``max_cps``: SIPp, which shares its core with the benchmark, makes at most 500."""


def run(long: bool) -> Iterator[Result | Skipped]:
    """Yield every figure of signalling."""
    if (os.cpu_count() or 1) < 2:
        yield Skipped(BENCH, "the tie to cores of their own: this machine has one core")
    with tempfile.TemporaryDirectory(prefix="bench-sip-") as name:
        folder = Path(name)
        with BenchEngine(folder / "engine", bench_configuration()) as engine:
            yield from idle(engine, 10 if long else 2)
            yield from registrations(engine, folder, 10 if long else 1.5)
            with uas(engine, folder / "uas", "uas", [ANSWERING], 0):
                yield from direct_calls(engine, folder, 40 if long else 2.5, recorded=long)
                yield from max_cps(engine, folder, HELD_LONG if long else HELD, 30 if long else 10)
            with uas(engine, folder / "agents", "uas_ends", agent_phones(), HOLD_MS):
                yield from queued_calls(engine, folder, 40 if long else 2.5)
            yield from memory(engine)
    if not long:
        yield Skipped(
            BENCH, "recorded calls, timers that expire 32 s after a call, 30 s at the highest rate"
        )


def idle(engine: BenchEngine, seconds: float) -> Iterator[Result]:
    """Yield CPU and memory of every process while nothing happens."""
    wait_until(lambda: at_rest(engine), "rest after the start", 20, 0.02)
    before, begun = engine.parts.cpu_s(), time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - begun
    for role, spent in engine.parts.cpu_s().items():
        share = 100 * (spent - before[role]) / took
        yield Result(BENCH, "idle_cpu_percent", share, "%", {"process": role})
    for role, size in engine.parts.rss_mb().items():
        yield Result(BENCH, "idle_rss_mb", size, "MB", {"process": role})


def at_rest(engine: BenchEngine) -> bool:
    """Return whether the spare has imported everything."""
    before = engine.parts.cpu_s()
    time.sleep(0.3)
    return all(spent - before[role] < 0.03 for role, spent in engine.parts.cpu_s().items())


def registrations(engine: BenchEngine, folder: Path, seconds: float) -> Iterator[Result]:
    """Yield the cost of a REGISTER with digest, both messages."""
    users = folder / "users.csv"
    rows = [
        f"{one};[authentication username={one} password={password(one)}]" for one in agent_phones()
    ]
    users.write_text("SEQUENTIAL\n" + "\n".join(rows) + "\n", encoding="ascii")
    load = Load("register", "register", 200, seconds, extra=("-inf", str(users)))
    found = drive(engine, folder, load)
    params = {"rate": load.rate, "failed": found.failed, "cpu_ms": found.cpu_ms}
    yield Result(BENCH, "register_cpu_ms", found.cpu_ms["signalling"], "ms", params)


def direct_calls(
    engine: BenchEngine, folder: Path, seconds: float, *, recorded: bool
) -> Iterator[Result]:
    """Yield the cost of calls from a number to an extension at several rates."""
    load = Load("uac", ANSWERING, 50, 1, HOLD_MS)
    drive(engine, folder, load)  # what is done once in a lifetime is done now
    runs = [(rate, "off") for rate in RATES] + ([(100, "connect")] if recorded else [])
    for rate, recording in runs:
        if recording != "off":
            engine.record(recording)
        facts, size = engine.ask("status")["facts"], journal_bytes(engine)
        found = drive(engine, folder, replace(load, rate=rate, seconds=seconds))
        lag = writer_lag_s(engine)
        params = {
            "rate": rate,
            "recording": recording,
            **figures(found),
            "facts_per_call": round((engine.ask("status")["facts"] - facts) / found.calls, 1),
            "journal_bytes_per_call": round((journal_bytes(engine) - size) / found.calls),
            "writer_lag_s": round(lag, 2),
        }
        yield Result(BENCH, "call_cpu_ms", found.cpu_ms["signalling"], "ms", params)
    if recorded:
        engine.record("off")


def figures(found: Outcome) -> dict[str, Any]:
    """Return what became of a load, for the parameters of its result."""
    return {
        "calls": found.calls,
        "failed": found.failed,
        "retransmissions": found.retransmissions,
        "cpu_ms": found.cpu_ms,
    }


def journal_bytes(engine: BenchEngine) -> int:
    """Return how many bytes of the journal's segments are written."""
    total = 0
    for path in (engine.folder / "var" / "journal").glob("*.ccj"):
        with path.open("rb") as file:
            data = file.read()
        total += len(data.rstrip(b"\0"))
    return total


def writer_lag_s(engine: BenchEngine, limit_s: float = 20.0) -> float:
    """Return how long the writer takes to have every call of the journal in the database."""
    begun = time.monotonic()
    wait_until(engine.idle, "end of the last call", limit_s, 0.02)
    facts = engine.ask("status")["facts"]
    wait_until(lambda: projected(engine) > facts, "records in the database", limit_s, 0.02)
    return time.monotonic() - begun


def projected(engine: BenchEngine) -> int:
    """Return the number of the first fact that the database does not have."""
    page = StatusPage(engine.folder / "var" / "journal")
    try:
        return page.read().projected_seq
    finally:
        page.close()


def max_cps(
    engine: BenchEngine, folder: Path, rates: Sequence[float], seconds: float
) -> Iterator[Result]:
    """Yield the highest of falling ``rates`` that is held without failure or retransmission."""
    load = Load("uac", ANSWERING, rates[0], seconds, HOLD_MS)
    tried: list[dict[str, object]] = []
    value = 0.0
    for rate in rates:
        found = drive(engine, folder, replace(load, rate=rate))
        tried.append({"rate": rate, **figures(found)})
        if found.clean:
            value = rate
            break
    yield Result(BENCH, "max_cps", value, "1/s", {"held_s": seconds, "tried": tried})


def queued_calls(engine: BenchEngine, folder: Path, seconds: float) -> Iterator[Result]:
    """Yield the cost of calls through flow and queue to an agent."""
    for number in agent_phones():
        engine.ask("agent", agent=f"9{number}", action="sign_in", phone=number)
    load = Load("uac_waits", "4900", QUEUED_RATE, seconds)
    found = drive(engine, folder, load)
    params = {
        "rate": QUEUED_RATE,
        "agents": len(agent_phones()),
        **figures(found),
    }
    yield Result(BENCH, "queued_call_cpu_ms", found.cpu_ms["signalling"], "ms", params)


def memory(engine: BenchEngine) -> Iterator[Result]:
    """Yield what the processes hold after all that."""
    for role, size in engine.parts.rss_mb().items():
        yield Result(BENCH, "loaded_rss_mb", size, "MB", {"process": role})


if __name__ == "__main__":
    main(run, __doc__)
