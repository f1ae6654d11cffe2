"""Signalling or the writer is killed in the middle of calls: nobody hears it, nothing is lost."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ccengine.clock import SystemClock
from ccengine.dsp.measure import hears
from ccengine.errors import CommandError
from ccengine.phone import FarmSettings, Manual, Phone, PhoneCall, PhoneFarm, Sound
from ccengine.store.query import CallRecord
from ccengine.testing.engine import RunningEngine
from ccengine.testing.listening import both_sides, longest_silence_s
from ccengine.testing.waiting import wait_until, wait_until_async

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("log_of_engine")]

RATE = 8000
CALLER_TONE, AGENT_TONE = 450, 1000
TAKEOVER_S = 3.0
Records = Callable[..., CallRecord]


@pytest.fixture(scope="module")
def changes() -> dict[str, Any]:
    return {"queues": {"sales": {"wrapup_s": 0.5, "retry_s": 0}}}


class Centre:
    """The phones of one test: an agent's, and callers at other extensions."""

    def __init__(self, engine: RunningEngine, farm: PhoneFarm) -> None:
        self.engine = engine
        self.farm = farm

    async def phone(self, number: str, tone: int) -> Phone:
        phone = self.farm.phone(number, f"demo{number}", sound=Sound.tone(tone), keep_audio=True)
        await phone.register()
        return phone

    async def agent(self) -> Phone:
        """Return the phone of agent 2001, who is ready."""
        agent = await self.phone("1001", AGENT_TONE)
        await (await agent.dial("*11").answered()).ended()
        await agent_is(self.engine, "Ready")
        return agent

    def at(self) -> float:
        return self.farm.clock.at().timestamp()


@pytest.fixture
async def centre(engine: RunningEngine):
    settings = FarmSettings(engine.registrar, domain="ccengine", host=engine.address)
    async with PhoneFarm(settings) as farm:
        yield Centre(engine, farm)
        for phone in farm.phones.values():
            for call in list(phone.calls):
                call.hang_up()
            await phone.unregister()
    await wait_until_async(engine.idle, "end of everything", 10)


async def agent_is(engine: RunningEngine, state: str) -> None:
    await wait_until_async(lambda: engine.agent_state("2001") == state, f"agent {state}", 5)


async def kill_signalling(engine: RunningEngine) -> float:
    """Kill the signalling process as a crash would; return when another one served."""

    def deed() -> float:
        engine.wait_for_spare()
        dead = engine.ask("status")["pid"]
        begun = SystemClock().now()
        os.kill(dead, signal.SIGKILL)
        wait_until(lambda: serves_anew(engine, dead), "new signalling", TAKEOVER_S, 0.02)
        return SystemClock().now() - begun

    # In a thread: questions must not hold up our own phones.
    return await asyncio.to_thread(deed)


def serves_anew(engine: RunningEngine, dead: int) -> bool:
    try:
        return bool(engine.ask("status")["pid"] != dead)
    except CommandError:
        return False


def assert_nothing_missing(*calls: PhoneCall) -> None:
    """Check the packets of a call from first to last."""
    for call in calls:
        stats = call.audio.hearing.stats
        assert (stats.lost, stats.late, stats.repeated, stats.restarts) == (0, 0, 0, 0), str(call)
        assert stats.timestamp_jumps == 0, str(call)


def gap_after(call: PhoneCall, packets: int) -> float:
    """Return the longest time between two packets from the given one on."""
    arrivals = [packet.at for packet in call.audio.hearing.packets[packets:]]
    return float(np.diff(arrivals).max())


def assert_recorded_without_gap(record: CallRecord) -> None:
    (recording,) = record.recordings
    assert (recording.error, len(recording.files)) == ("", 1)
    left, right, rate = both_sides(Path(recording.files[0]))
    assert left.size / rate == pytest.approx(record.call.talk_s, abs=0.15)
    for pcm, own, other in ((left, CALLER_TONE, AGENT_TONE), (right, AGENT_TONE, CALLER_TONE)):
        assert longest_silence_s(pcm[rate // 5 : -rate // 5], rate) <= 0.02
        assert hears(pcm, rate, own)
        assert not hears(pcm, rate, other)


@pytest.mark.parametrize("who", ["caller", "agent"])
async def test_calls_outlive_signalling(centre: Centre, record_of: Records, who: str) -> None:
    engine = centre.engine
    agent = await centre.agent()
    visitor = await centre.phone("1006", CALLER_TONE)
    patient = await centre.phone("1005", CALLER_TONE)
    chooser = await centre.phone("1004", CALLER_TONE)

    begun = centre.at()
    call = visitor.dial("4002")
    taken = await agent.next_call()
    await call.answered()
    waiting = await patient.dial("4002").answered()
    choosing = await chooser.dial("4001").answered()
    await asyncio.gather(call.hears(50), taken.hears(50), waiting.hears(50), choosing.hears(50))
    await asyncio.to_thread(engine.wait_for_spare)
    heard = [len(one.audio.hearing.packets) for one in (call, taken)]

    took_s = await kill_signalling(engine)
    print(f"taken over in {took_s:.2f} s")
    assert engine.ask("status")["calls"] == 3
    await asyncio.gather(call.hears(25), taken.hears(25))
    for one, packets in zip((call, taken), heard, strict=True):
        # Our own phones share two processors with the successor's start; audio that waited
        # for signalling would be silent for longer than any take-over takes.
        assert gap_after(one, packets) < 0.15
    assert_nothing_missing(call, taken)

    # The running call ends as if nothing had been.
    one, other = (call, taken) if who == "caller" else (taken, call)
    one.hang_up()
    assert await other.ended() == "bye"
    record = await asyncio.to_thread(record_of, "4002", "1006", begun, recorded=True)
    assert record.call.ended_by == ("caller" if who == "caller" else "callee")
    assert [leg.role for leg in record.legs] == ["caller", "callee"]
    assert_recorded_without_gap(record)

    # Who waited is served next, who chose goes on choosing.
    taken = await agent.next_call()
    await waiting.until(lambda: engine.agent_state("2001") == "Talking", "agent", 5)
    mark = len(waiting.audio.hearing.packets)
    await waiting.hears(50)
    assert_hears_agent(waiting, mark)
    assert_nothing_missing(waiting)
    waiting.hang_up()
    assert await taken.ended() == "bye"
    choosing.send_digits("1")
    taken = await agent.next_call()
    mark = len(choosing.audio.hearing.packets)
    await choosing.hears(60)
    assert_hears_agent(choosing, mark + 10)
    choosing.hang_up()
    assert await taken.ended() == "bye"
    for number, caller in (("4002", "1005"), ("4001", "1004")):
        record = await asyncio.to_thread(record_of, number, caller, begun, recorded=True)
        assert (record.call.agent_id, record.call.cause) == ("2001", "normal")
        assert [leg.role for leg in record.legs] == ["caller", "callee"]
    await agent_is(engine, "Ready")


def assert_hears_agent(call: PhoneCall, first_packet: int) -> None:
    """Check the sound from a packet on."""
    pcm = call.audio.hearing.audio()
    late = pcm[-(len(call.audio.hearing.packets) - first_packet) * 160 :]
    assert hears(late, RATE, AGENT_TONE)
    assert not hears(late, RATE, CALLER_TONE)


async def test_a_phone_that_rings_rings_on_and_can_be_answered(
    centre: Centre, record_of: Records
) -> None:
    agent = await centre.agent()
    agent.behaviour = Manual()
    visitor = await centre.phone("1006", CALLER_TONE)
    begun = centre.at()
    call = visitor.dial("4002")
    first = await agent.next_call()
    first.ring()
    await first.until(lambda: centre.engine.agent_state("2001") == "Reserved", "offer", 2)
    await kill_signalling(centre.engine)
    assert first.state == "ringing"
    first.answer()
    await asyncio.gather(call.hears(50), first.hears(50))
    assert_hears_agent(call, len(call.audio.hearing.packets) - 25)
    first.hang_up()
    assert await call.ended() == "bye"
    record = await asyncio.to_thread(record_of, "4002", "1006", begun, recorded=True)
    assert (record.call.agent_id, record.call.cause) == ("2001", "normal")
    await agent_is(centre.engine, "Ready")


async def test_records_are_complete_after_the_writer_was_killed(
    centre: Centre, record_of: Records
) -> None:
    agent = await centre.agent()
    visitor = await centre.phone("1006", CALLER_TONE)
    begun = centre.at()
    call = await visitor.dial("4002").answered()
    taken = await agent.next_call()
    await call.hears(25)
    (writer,) = [one["pid"] for one in centre.engine.processes() if one["role"] == "writer"]
    os.kill(writer, signal.SIGKILL)
    call.hang_up()
    await taken.ended()
    await agent_is(centre.engine, "Ready")
    record = await asyncio.to_thread(record_of, "4002", "1006", begun, recorded=True)
    assert (record.call.agent_id, record.call.cause) == ("2001", "normal")
    assert [leg.role for leg in record.legs] == ["caller", "callee"]

    def another_writer() -> bool:
        found = [one for one in centre.engine.processes() if one["role"] == "writer"]
        return [one["state"] for one in found] == ["ready"] and found[0]["pid"] != writer

    await asyncio.to_thread(wait_until, another_writer, "another writer", 5)


async def test_a_call_goes_on_after_the_media_worker_was_killed(
    centre: Centre, record_of: Records
) -> None:
    agent = await centre.agent()
    visitor = await centre.phone("1006", CALLER_TONE)
    begun = centre.at()
    call = await visitor.dial("4002").answered()
    taken = await agent.next_call()
    await asyncio.gather(call.hears(100), taken.hears(100))
    before = len(call.audio.hearing.packets)
    (worker,) = [one["pid"] for one in centre.engine.processes() if one["role"] == "media"]
    os.kill(worker, signal.SIGKILL)
    await asyncio.gather(call.hears(before + 150, 8), taken.hears(before + 150, 8))
    # Under a second of silence, then the same people on the same ports (a new SSRC each).
    assert gap_after(call, before - 10) < 1.0
    assert_hears_agent(call, len(call.audio.hearing.packets) - 50)
    assert (call.audio.hearing.stats.restarts, taken.audio.hearing.stats.restarts) == (1, 1)
    call.hang_up()
    await taken.ended()
    await agent_is(centre.engine, "Ready")
    record = await asyncio.to_thread(record_of, "4002", "1006", begun, recorded=True)
    assert (record.call.agent_id, record.call.cause) == ("2001", "normal")
    (recording,) = record.recordings
    assert len(recording.files) == 2
