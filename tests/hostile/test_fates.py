"""500 calls of mixed fates over real sockets leave every count where it began."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ccengine.errors import CallError, CommandError
from ccengine.phone import Manual, Phone, PhoneCall
from ccengine.testing.census import Census, census, descendants
from ccengine.testing.hostile import TriedEngine, tried_engine
from ccengine.testing.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

CALLS = 500
WARM_UP = 60
AT_ONCE = 24
SEED = 20260719
RTP_TIMEOUT_S = 1.5
CHANGES: dict[str, Any] = {
    "sip": {"timers": {"t1_ms": 60, "t2_ms": 400, "t4_ms": 300}},
    "media": {"rtp_timeout_s": RTP_TIMEOUT_S},
    "queues": {
        "sales": {"ring_timeout_s": 0.8, "wrapup_s": 0.1, "retry_s": 0.5, "max_wait_s": 4},
        "service": {"ring_timeout_s": 0.8, "wrapup_s": 0.1, "retry_s": 0.5, "max_wait_s": 4},
    },
}
SAME = (
    "calls",
    "legs",
    "dialogs",
    "transactions",
    "timers",
    "tasks",
    "registrations",
    "waiting",
    "rtp_ports_leased",
    "rtp_ports_free",
    "agents_signed_in",
)
GROWTH_KB = 24 << 10
"""How much a process may grow over 500 calls: allocators and caches, not calls."""


@dataclass
class Scene:
    """The dice, the phones, and what has been done so far."""

    engine: TriedEngine
    dice: random.Random
    caller: Phone
    seen: Counter[str]

    async def pause(self, most_s: float) -> None:
        await asyncio.sleep(self.dice.uniform(0, most_s))


# --- what callers do ----------------------------------------------------------------------------


async def hangs_up_at_once(scene: Scene) -> PhoneCall:
    call = scene.caller.dial(scene.dice.choice(("4001", "4002", "1003")))
    await scene.pause(0.04)  # before the challenge, before the 100, after the 200: CANCEL races
    call.hang_up()
    return call


async def leaves_the_menu(scene: Scene) -> PhoneCall:
    call = await scene.caller.dial("4001").answered()
    await scene.pause(1.5)
    call.hang_up()
    return call


async def presses_wrong_keys(scene: Scene) -> PhoneCall:
    call = await scene.caller.dial("4001").answered()
    await call.hears(15)
    call.send_digits(scene.dice.choice(("7", "#", "78", "A")), 60, 40)
    await scene.pause(1.5)
    call.hang_up()
    return call


async def enters_an_order(scene: Scene) -> PhoneCall:
    call = await scene.caller.dial("4001").answered()
    await call.hears(15)
    call.send_digits(scene.dice.choice(("320260042#", "3123#", "99", "93")), 60, 40)
    await scene.pause(3)
    call.hang_up()
    return call


async def waits_in_a_queue(scene: Scene) -> PhoneCall:
    call = await scene.caller.dial("4002").answered()
    await scene.pause(2.5)
    call.hang_up()
    return call


async def waits_to_the_end(scene: Scene) -> PhoneCall:
    """Talks as long as the agent likes, or until the queue gives up."""
    call = await scene.caller.dial("4002").answered()
    await call.ended(30)
    return call


async def goes_through_the_menu(scene: Scene) -> PhoneCall:
    call = await scene.caller.dial("4001").answered()
    await call.hears(15)
    call.send_digits(scene.dice.choice("12"), 60, 40)
    await scene.pause(6)
    call.hang_up()
    return call


async def vanishes(scene: Scene) -> PhoneCall:
    call = await scene.caller.dial(scene.dice.choice(("4001", "4002", "4002"))).answered()
    await scene.pause(1.5)
    call.vanish()
    return call


async def holds(scene: Scene) -> PhoneCall:
    call = await scene.caller.dial(scene.dice.choice(("4002", "4001"))).answered()
    await scene.pause(1)
    for deed in (call.hold, call.resume):
        if call.state == "established":
            deed()
            await scene.pause(0.3)
            answered = lambda: not call.is_offering or call.state == "ended"  # noqa: E731
            await call.until(answered, "answer to the re-INVITE", 10)
    call.hang_up()
    return call


async def hangs_up_within_a_reinvite(scene: Scene) -> PhoneCall:
    call = await scene.caller.dial("4002").answered()
    await scene.pause(1)
    if call.state == "established":
        call.hold()
        await scene.pause(0.003)
        call.hang_up()
    return call


async def calls_a_colleague(scene: Scene) -> PhoneCall:
    call = scene.caller.dial(f"100{scene.dice.randint(1, 5)}")
    try:
        await call.answered(5)
        await scene.pause(1)
    except CallError:
        pass  # busy, rejected, not answered: all the same to us
    call.hang_up()
    return call


async def dials_a_wrong_number(scene: Scene) -> PhoneCall:
    call = scene.caller.dial("888")
    await call.ended()
    assert call.status == 404
    return call


FATES: dict[Callable[[Scene], Awaitable[PhoneCall]], int] = {
    hangs_up_at_once: 12,
    leaves_the_menu: 10,
    presses_wrong_keys: 8,
    enters_an_order: 8,
    waits_in_a_queue: 12,
    waits_to_the_end: 14,
    goes_through_the_menu: 10,
    vanishes: 8,
    holds: 8,
    hangs_up_within_a_reinvite: 6,
    calls_a_colleague: 8,
    dials_a_wrong_number: 4,
}


async def one_call(scene: Scene, fate: Callable[[Scene], Awaitable[PhoneCall]]) -> None:
    try:
        call = await fate(scene)
    except CallError as error:  # the agent, or the end of the wait, was faster
        scene.seen[f"{fate.__name__}: {str(error).partition(': ')[2][:40]}"] += 1
        return
    await call.ended(30)
    scene.seen[f"{fate.__name__}: {call.cause}"] += 1


async def many_calls(scene: Scene, number: int) -> None:
    minder = asyncio.get_running_loop().create_task(agents_come_back(scene.engine))
    gate = asyncio.Semaphore(AT_ONCE)
    fates, weights = list(FATES), list(FATES.values())

    async def gated(fate: Callable[[Scene], Awaitable[PhoneCall]]) -> None:
        async with gate:
            await one_call(scene, fate)

    chosen = scene.dice.choices(fates, weights, k=number)
    await asyncio.gather(*(gated(fate) for fate in chosen))
    minder.cancel()  # it asks over the control socket, which counts as an open file


# --- what agents do -----------------------------------------------------------------------------


async def agent_works(phone: Phone, dice: random.Random) -> None:
    """Take calls until cancelled: answer, talk, hang up, refuse, let ring, vanish, hold."""
    calls: set[asyncio.Task[None]] = set()
    while True:
        call = await phone.next_call(3600)
        task = asyncio.get_running_loop().create_task(agent_takes(call, dice))
        calls.add(task)
        task.add_done_callback(calls.discard)


async def agent_takes(call: PhoneCall, dice: random.Random) -> None:
    if len(call.phone.calls) > 1:
        call.reject(486)
        return
    deed = dice.choices(
        ("talk", "leave", "hold", "refuse", "ring", "vanish", "vanish_ringing", "cross"),
        (30, 30, 10, 8, 8, 4, 4, 6),
    )[0]
    if deed == "refuse":
        call.reject(dice.choice((486, 603, 480, 500)))
        return
    call.ring()
    await asyncio.sleep(dice.uniform(0, 0.2))
    if deed == "ring":
        return
    if deed == "vanish_ringing":
        call.vanish()
        return
    call.answer()
    if deed == "cross":
        call.hang_up()  # BYE right behind the 200
        return
    await asyncio.sleep(dice.uniform(0.1, 1.5))
    if call.state != "established":
        return
    if deed == "hold":
        call.hold()
        await asyncio.sleep(dice.uniform(0, 0.2))
    if deed == "vanish":
        call.vanish()
    elif deed != "talk" or dice.random() < 0.5:
        call.hang_up()
    else:
        await asyncio.sleep(2)
        call.hang_up()


async def agents_come_back(engine: TriedEngine) -> None:
    """Make everybody ready again who was taken out for not answering."""
    while True:
        await asyncio.sleep(0.5)
        for row in await asyncio.to_thread(engine.ask, "agents"):
            if row["state"] == "NotReady" and row["phone"]:
                try:
                    await asyncio.to_thread(engine.ask, "agent", agent=row["agent"], action="ready")
                except CommandError:
                    continue


# --- the test -----------------------------------------------------------------------------------


def quiet(engine: TriedEngine) -> dict[str, Any]:
    """Wait until nothing is going on and return the counts."""
    names = ("calls", "legs", "dialogs", "transactions", "rtp_ports_leased", "waiting")

    def is_quiet() -> bool:
        status = engine.ask("status")
        return not any(status[name] for name in names)

    wait_until(is_quiet, f"quiet: {engine.ask('status')}", 40, 0.1)
    ahead = 256
    wait_until(lambda: engine.ask("status")["rtp_ports_free"] == ahead, "free ports", 15, 0.1)
    return dict(engine.ask("status"))


def processes(engine: TriedEngine) -> dict[int, Census]:
    return {pid: census(pid) for pid in (engine.pid, *descendants(engine.pid))}


def test_500_calls_of_mixed_fates(tmp_path: Path) -> None:
    with tried_engine(tmp_path, CHANGES) as engine:
        seen = asyncio.run(mixed_fates(engine))
        assert sum(seen.values()) == CALLS + WARM_UP, seen
        assert not [line for line in engine.log if " ERROR " in line], engine.told(" ERROR ")
        check_books(engine)
        engine.takes_a_call()


async def mixed_fates(engine: TriedEngine) -> Counter[str]:
    dice = random.Random(SEED)
    async with engine.farm(t1_s=0.06) as farm:
        agents = [await engine.phone(farm, f"100{number}", Manual()) for number in range(1, 6)]
        scene = Scene(engine, dice, await engine.phone(farm, "1006"), Counter())
        for number in range(1, 6):
            engine.ask("agent", agent=f"200{number}", action="sign_in")
        for phone in agents:
            farm.spawn(agent_works(phone, random.Random(dice.random())))
        await many_calls(scene, WARM_UP)
        before = await asyncio.to_thread(quiet, engine)
        held = await asyncio.to_thread(processes, engine)
        await many_calls(scene, CALLS)
        after = await asyncio.to_thread(quiet, engine)
        kept = await asyncio.to_thread(processes, engine)
        assert {name: after[name] for name in SAME} == {name: before[name] for name in SAME}
        check_processes(held, kept)
        states = {row["agent"]: row["state"] for row in engine.ask("agents")}
        assert not {"Reserved", "Talking"} & set(states.values()), states
        for row in engine.ask("queues"):
            assert (row["waiting"], row["offered"], row["talking"]) == (0, 0, 0), row
        return scene.seen


def check_processes(before: dict[int, Census], after: dict[int, Census]) -> None:
    assert set(after) == set(before), (before, after)
    for pid, now in after.items():
        then = before[pid]
        assert now.files == then.files, (then, now)
        assert now.threads == then.threads, (then, now)
        assert now.rss_kb - then.rss_kb < GROWTH_KB, (then, now)


def check_books(engine: TriedEngine) -> None:
    """One record for each call; what came in is what was answered, abandoned or refused."""
    counts = engine.counts("switch")
    created = counts["arrived"] - counts["refused"] - counts["unauthorized"]
    assert counts["ended"] == created
    records = engine.records
    wait_until(lambda: len(records.recent_calls(5000)) >= created, "all records", 20, 0.1)
    calls = records.recent_calls(5000)
    assert len(calls) == len({call.call_id for call in calls}) == created
    queued = [call for call in calls if call.queue]
    answered = [call for call in queued if call.agent_id]
    abandoned = [call for call in queued if not call.agent_id]
    assert len(answered) > 60
    assert len(abandoned) > 30
    assert all(call.talk_s == 0 for call in abandoned)
    assert all(call.recording for call in answered)
    for call in calls:
        assert call.ended_at >= call.started_at
        assert call.talk_s <= call.duration_s + 0.001
    for call in answered:
        found = records.call(call.call_id)
        assert found is not None
        assert [one.error for one in found.recordings] == [""], found.recordings
        assert sum(leg.role == "caller" for leg in found.legs) == 1
        assert [leg.agent_id for leg in found.legs if leg.dial_id and leg.answered_at]
