"""The sides of a recording are in step: bursts that our timestamping phones sent at known times."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ccengine.phone import FarmSettings, PhoneCall, PhoneFarm, Sound
from ccengine.store.query import CallRecord
from ccengine.testing.engine import RunningEngine
from ccengine.testing.listening import both_sides, bursts, longest_silence_s

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("log_of_engine")]

RATE = 8000
CALLER_TONE, AGENT_TONE = 450, 1000
BEAT_PACKETS, PERIOD_PACKETS = 10, 25
STEP_S = 0.02


@pytest.fixture(scope="module")
def changes() -> dict[str, Any]:
    return {"queues": {"sales": {"wrapup_s": 0}}}


def beats(tone: int) -> Sound:
    """Return bursts of 0.2 s every 0.5 s."""
    wave = Sound.tone(tone).pcm[: 160 * PERIOD_PACKETS].copy()
    wave[160 * BEAT_PACKETS :] = 0
    return Sound(wave, loop=True)


class SendTimes:
    """Notes when each packet of a call's audio left, and which it was."""

    def __init__(self, call: PhoneCall) -> None:
        self.at: list[float] = []
        self._clock = call.phone.farm.clock
        self._send = call.audio.send_frame
        call.audio.send_frame = self._note  # type: ignore[method-assign]

    def _note(self) -> None:
        self.at.append(self._clock.now())
        self._send()

    def beats(self) -> np.ndarray:
        """Return when bursts began: every 25th packet of a sound that runs from the start."""
        return np.array(self.at[::PERIOD_PACKETS])


async def test_sides_are_in_step_within_20_ms(
    engine: RunningEngine,
    record_of: Callable[..., CallRecord],
    recording_of: Callable[[CallRecord], Path],
) -> None:
    settings = FarmSettings(engine.registrar, domain="ccengine", host=engine.address)
    apart_ms = []
    async with PhoneFarm(settings) as farm:
        agent = farm.phone("1001", "demo1001")
        visitor = farm.phone("1006", "demo1006")
        await agent.register()
        await visitor.register()
        await (await agent.dial("*11").answered()).ended()
        for turn in range(4):
            begun = farm.clock.at().timestamp()
            call = visitor.dial("4002")
            taken = await agent.next_call()
            await call.answered()
            await asyncio.gather(call.hears(10), taken.hears(10 + turn))
            sent = []
            for one, tone in ((call, CALLER_TONE), (taken, AGENT_TONE)):
                one.play(beats(tone))
                sent.append(SendTimes(one))
                await asyncio.sleep(0.037 * turn)  # any phase against each other
            await asyncio.sleep(2.2)
            call.hang_up()
            await taken.ended()
            record = await asyncio.to_thread(record_of, "4002", "1006", begun, recorded=True)
            apart_ms.append(sides_apart_ms(recording_of(record), sent))
        for one in (call, taken):
            assert one.audio.hearing.stats.lost == 0
    print("sides apart in ms:", [np.round(one, 1).tolist() for one in apart_ms])
    # One late round of our own pacer is not the engine's: the median counts.
    assert max(abs(float(np.median(one))) for one in apart_ms) <= 20.0


def sides_apart_ms(path: Path, sent: list[SendTimes]) -> list[float]:
    """Return for each beat how much earlier the caller stands than it was sent."""
    left, right, rate = both_sides(path)
    begins = []
    for pcm, tone, times in ((left, CALLER_TONE, sent[0]), (right, AGENT_TONE, sent[1])):
        found = np.array([one.begin for one in bursts(pcm, rate, tone)])
        assert np.diff(found) == pytest.approx(np.diff(times.beats()[: found.size]), abs=0.021)
        begins.append(found - times.beats()[: found.size])
        assert longest_silence_s(pcm[int(found[0] * rate) :][: 2 * rate], rate) < 0.32
    count = min(one.size for one in begins)
    assert count >= 4
    return list((begins[0][:count] - begins[1][:count]) * 1000)
