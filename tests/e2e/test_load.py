"""Twenty calls a second for half a minute through menu, queue and agents leave nothing behind."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ccengine.center.prompts import shipped_prompts
from ccengine.dsp.measure import hears
from ccengine.dsp.wav import read_wav
from ccengine.journal.cdr import CdrCall
from ccengine.phone import FarmSettings, Phone, PhoneCall, PhoneFarm, Sound
from ccengine.store.query import CallRecord
from ccengine.testing.census import Census, census, descendants
from ccengine.testing.engine import RunningEngine
from ccengine.testing.listening import cut, longest_burst, place_of
from ccengine.testing.peers.scenario import CallerScenario
from ccengine.testing.peers.sipp import Sipp, SippSettings
from ccengine.testing.waiting import loopback_address, wait_until, wait_until_async

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.usefixtures("log_of_engine"),
    pytest.mark.timeout(200),
]

CALLER = loopback_address()
RATE = 8000
AGENTS = 150
CALLS, CALLS_A_SECOND = 600, 20
CHECKED = 20
KEY_AFTER_MS, TALK_MS = 1000, 7500
COUNTS = ("calls", "legs", "dialogs", "transactions", "timers", "rtp_ports_leased")


def phone_of(number: int) -> str:
    return str(1100 + number)


def agent_of(number: int) -> str:
    return str(3000 + number)


def tone_of(agent: str) -> int:
    return 300 + 10 * (int(agent) - 3000)


@pytest.fixture(scope="module")
def changes() -> dict[str, Any]:
    return {
        # Everything that SIP remembers after a call is forgotten after 64 * T1.
        "sip": {"trusted": [f"{CALLER}/32"], "timers": {"t1_ms": 100}},
        "extensions": {
            phone_of(number): {"name": f"Desk {number}", "password": "secret"}
            for number in range(AGENTS)
        },
        "agents": {
            agent_of(number): {
                "name": f"Agent {number}",
                "phone": phone_of(number),
                "queues": ["sales"],
            }
            for number in range(AGENTS)
        },
        "queues": {"sales": {"wrapup_s": 0.5, "max_length": None}},
    }


async def sign_in(phone: Phone) -> None:
    await phone.register()
    call = await phone.dial("*11").answered()
    await call.ended()


def held(engine: RunningEngine) -> dict[str, Census]:
    """Return what each process of the engine holds, by name."""
    found: dict[str, Census] = {}
    for pid in (engine.pid, *descendants(engine.pid)):
        one = census(pid)
        found[f"{pid} {one.name[-60:]}"] = one
    return found


def counts(engine: RunningEngine) -> dict[str, int]:
    status = engine.ask("status")
    return {name: status[name] for name in COUNTS}


async def checked_call(phone: Phone, delay_s: float) -> PhoneCall:
    """Call, press 1, talk two seconds with whoever answers, hang up."""
    await asyncio.sleep(delay_s)
    call = await phone.dial("4001").answered()
    await asyncio.sleep(1.0)
    call.send_digits("1")
    await asyncio.sleep(7.5)
    call.hang_up()
    return call


def check_what_was_heard(call: PhoneCall, record: CdrCall) -> None:
    """Continuous packets, the right prompt, and the tone of the agent in the books."""
    stats = call.audio.hearing.stats
    assert (stats.lost, stats.late, stats.repeated, stats.garbage) == (0, 0, 0, 0)
    assert (stats.restarts, stats.timestamp_jumps) == (0, 0)
    sequences = np.array([packet.sequence for packet in call.audio.hearing.packets])
    assert set((np.diff(sequences) % 65536).tolist()) == {1}
    heard = call.audio.hearing.audio()
    notice = read_wav(shipped_prompts() / "zh" / "recorded_notice.wav", RATE)
    assert place_of(notice, heard)[1] > 0.98
    tone = tone_of(record.agent_id)
    talk = cut(heard, RATE, longest_burst(heard, RATE, tone), margin_s=0.1)
    assert talk.size > RATE, f"{talk.size / RATE:.2f} s of {tone} Hz"
    assert hears(talk, RATE, tone)


async def test_calls_under_load_are_whole_and_leave_nothing_behind(
    engine: RunningEngine, tmp_path: Path
) -> None:
    settings = FarmSettings(engine.registrar, domain="ccengine", host=engine.address, t1_s=0.2)
    async with PhoneFarm(settings) as farm:
        phones = [
            farm.phone(phone_of(number), "secret", sound=Sound.tone(tone_of(agent_of(number))))
            for number in range(AGENTS)
        ]
        for first in range(0, AGENTS, 25):
            await asyncio.gather(*(sign_in(phone) for phone in phones[first : first + 25]))
        visitor = farm.phone("1006", "demo1006", keep_audio=True)
        await visitor.register()

        def settled() -> bool:
            return not any(counts(engine).values())

        await asyncio.to_thread(wait_until, settled, "quiet engine", 20, 0.2)
        assert engine.ask("status")["agents_signed_in"] == AGENTS
        before, ports_before = held(engine), engine.ask("status")["rtp_ports_free"]
        own_files = census(os.getpid()).files

        calls = await drive(engine, visitor, tmp_path)

        await wait_until_async(lambda: farm.call_count == 0, "end of the agents' calls", 10)
        await asyncio.to_thread(wait_until, settled, "counts where they began", 20, 0.2)
        await asyncio.to_thread(wait_until, lambda: all_ready(engine), "ready agents", 5, 0.2)
        assert census(os.getpid()).files <= own_files + 2

    records = await asyncio.to_thread(books, engine)
    for call, record in zip(calls, sorted(records["1006"], key=_start), strict=True):
        check_what_was_heard(call, record)
    await asyncio.to_thread(check_nothing_is_left, engine, before, ports_before)


def _start(record: CdrCall) -> float:
    return record.started_at.timestamp()


async def drive(engine: RunningEngine, visitor: Phone, folder: Path) -> list[PhoneCall]:
    """Let SIPp call at its rate, and our own visitor in between; all calls must succeed."""
    scenario = CallerScenario(key="1", key_after_ms=KEY_AFTER_MS, talk_ms=TALK_MS)
    sipp_settings = SippSettings(
        folder,
        str(scenario.write(folder)),
        f"{engine.address}:5060",
        calls=CALLS,
        rate=CALLS_A_SECOND,
        limit=400,
        service="4001",
        address=CALLER,
        timeout_s=90,
        extra=("-deadcall_wait", "0"),
    )
    with Sipp(sipp_settings) as sipp:
        pause = CALLS / CALLS_A_SECOND / CHECKED
        calls = await asyncio.gather(
            *(checked_call(visitor, 0.3 + pause * number) for number in range(CHECKED))
        )
        stats = await asyncio.to_thread(sipp.finish)
    assert (stats.created, stats.successful, stats.failed) == (CALLS, CALLS, 0)
    assert stats.unexpected == 0
    print(stats, engine.ask("status")["workers"])
    return calls


def all_ready(engine: RunningEngine) -> bool:
    agents = [agent for agent in engine.ask("agents") if agent["agent"].startswith("3")]
    return {agent["state"] for agent in agents} == {"Ready"}


def books(engine: RunningEngine) -> dict[str, list[CdrCall]]:
    """Return the records by caller; one for each call, each answered by an agent."""
    records = engine.records
    try:
        rows: list[CdrCall] = []

        def written() -> bool:
            rows[:] = records.recent_calls(5000, number="4001")
            return len(rows) >= CALLS + CHECKED

        wait_until(written, "records of all calls", 20, 0.2)
        for row in rows:
            check_legs_and_recording(records.call(row.call_id))
    finally:
        records.close()
    assert len(rows) == len({row.call_id for row in rows}) == CALLS + CHECKED
    by_caller: dict[str, list[CdrCall]] = {}
    for row in rows:
        by_caller.setdefault(row.caller_number, []).append(row)
        assert (row.queue, row.cause, row.ended_by) == ("sales", "normal", "caller"), row
        assert row.agent_id, row
        assert row.talk_s > 0.5, row
    assert len(by_caller.pop("1006")) == CHECKED
    assert [len(of_one) for of_one in by_caller.values()] == [1] * CALLS
    return {"1006": [row for row in rows if row.caller_number == "1006"]}


def check_legs_and_recording(record: CallRecord | None) -> None:
    """Two legs, both answered, and one recording without error."""
    assert record is not None
    assert [leg.role for leg in record.legs] == ["caller", "callee"], record
    assert all(leg.answered_at is not None for leg in record.legs)
    (recording,) = record.recordings
    assert (recording.error, len(recording.files)) == ("", 1)
    assert recording.duration_s == pytest.approx(record.call.talk_s, abs=0.15)


def check_nothing_is_left(
    engine: RunningEngine, before: dict[str, Census], ports_before: int
) -> None:
    """Compare what the processes hold with what they held before the load."""

    def as_before() -> bool:
        after = held(engine)
        return after.keys() == before.keys() and all(
            after[name].files <= before[name].files for name in after
        )

    try:
        wait_until(as_before, "open files where they began", 15, 0.5)
    except AssertionError:
        after = held(engine)
        changed = {
            name: (before[name].files if name in before else None, one.files)
            for name, one in after.items()
            if name not in before or before[name].files < one.files
        }
        raise AssertionError(f"open files before and after: {changed}") from None
    assert engine.ask("status")["rtp_ports_free"] == ports_before
