"""Minutes of calls while signalling, media and writer are killed again and again."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from ccengine.errors import CallError, CommandError
from ccengine.phone import Answer, FarmSettings, Phone, PhoneFarm, Sound
from ccengine.testing.census import census, descendants
from ccengine.testing.engine import RunningEngine
from ccengine.testing.faults import kill9
from ccengine.testing.waiting import wait_until

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]

DURATION_S = 180
AGENTS, CALLERS = 12, 16
KILL_EVERY_S = 20
SEED = 20261122
COUNTS = ("calls", "legs", "dialogs", "transactions", "timers", "rtp_ports_leased")


def changes() -> dict[str, Any]:
    phones = {
        str(1100 + number): {"name": f"Desk {number}", "password": "secret"}
        for number in range(AGENTS + CALLERS)
    }
    agents = {
        str(3000 + number): {
            "name": f"Agent {number}",
            "phone": str(1100 + number),
            "queues": ["sales"],
        }
        for number in range(AGENTS)
    }
    return {
        "sip": {"timers": {"t1_ms": 100}},
        "extensions": phones,
        "agents": agents,
        "queues": {"sales": {"wrapup_s": 0.5, "ring_timeout_s": 5, "max_length": None}},
    }


async def calls_all_day(phone: Phone, dice: random.Random, end: float) -> dict[str, int]:
    """Call, talk, hang up, again and again; returns how the calls went."""
    clock = asyncio.get_running_loop().time
    fates = {"talked": 0, "failed": 0}
    while clock() < end:
        call = phone.dial("4002")
        try:
            await call.answered(8)
            await asyncio.sleep(dice.uniform(3, 9))
            call.hang_up()
            await call.ended(10)
            fates["talked"] += 1
        except CallError:
            # A caller who was not answered yet when signalling died is lost: so it is written.
            fates["failed"] += 1
            call.vanish()
        await asyncio.sleep(dice.uniform(0.1, 1))
    return fates


def pid_of(engine: RunningEngine, word: str) -> int:
    """Return the process of the engine whose command line holds ``word``."""
    for pid in descendants(engine.pid):
        if word in census(pid).name and "--spare" not in census(pid).name:
            return pid
    raise AssertionError(f"no process of the engine is {word}")


async def kills(engine: RunningEngine, end: float) -> list[str]:
    """Kill signalling, a media worker and the writer in turn, from the outside."""
    clock = asyncio.get_running_loop().time
    deeds = []
    turn = 0
    while clock() + KILL_EVERY_S < end:
        await asyncio.sleep(KILL_EVERY_S)
        what = ("signalling", "signalling", "media", "writer")[turn % 4]
        turn += 1
        if what == "signalling":
            pid = engine.ask("status")["pid"]
        else:
            words = {"media": "ccengine.media.main", "writer": "ccengine.store.writer"}
            pid = pid_of(engine, words[what])
        await asyncio.to_thread(kill9, pid)
        deeds.append(what)
    return deeds


async def test_a_long_day_with_many_deaths_leaves_nothing_behind(tmp_path: Path) -> None:
    with RunningEngine(tmp_path / "engine", changes()) as engine:
        settings = FarmSettings(engine.registrar, domain="ccengine", host=engine.address, t1_s=0.2)
        async with PhoneFarm(settings) as farm:
            agents = [
                farm.phone(
                    str(1100 + number),
                    "secret",
                    sound=Sound.tone(400 + 20 * number),
                    behaviour=Answer(after_s=0.3),
                )
                for number in range(AGENTS)
            ]
            callers = [
                farm.phone(str(1100 + AGENTS + number), "secret", sound=Sound.tone(1000))
                for number in range(CALLERS)
            ]
            for phone in agents:
                await phone.register()
                await (await phone.dial("*11").answered()).ended()
            for phone in callers:
                await phone.register()
            end = asyncio.get_running_loop().time() + DURATION_S
            *fates, deeds = await asyncio.gather(
                *(
                    calls_all_day(phone, random.Random(SEED + number), end)
                    for number, phone in enumerate(callers)
                ),
                kills(engine, end),
            )

            def quiet() -> bool:
                try:
                    status = engine.ask("status")
                except CommandError:
                    return False
                return not any(status[name] for name in COUNTS)

            await asyncio.to_thread(wait_until, quiet, "quiet engine", 60, 0.5)
            talked = sum(fate["talked"] for fate in fates)
            failed = sum(fate["failed"] for fate in fates)
            assert deeds.count("signalling") >= 3
            assert talked > DURATION_S
            # Only callers who were being set up in the instant of a death may be lost.
            assert failed <= 4 * len(deeds), f"{failed} of {talked + failed} after {deeds}"
            states = {one["state"] for one in engine.ask("agents") if one["phone"]}
            assert not states & {"Reserved", "Talking"}
            assert not any("Traceback" in line for line in engine.log)
            sizes = {census(pid).name[-40:]: census(pid).rss_kb for pid in descendants(engine.pid)}
            assert max(sizes.values()) < 400 << 10, sizes
        store = engine.records
        wait_until(lambda: len(store.recent_calls(100_000)) >= talked, "all records", 20, 0.5)
        ids = [call.call_id for call in store.recent_calls(100_000)]
        assert len(ids) == len(set(ids))
