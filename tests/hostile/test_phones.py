"""Phones that vanish, refuse or never answer: calls end with the right cause, agents go on."""

from __future__ import annotations

import asyncio
import time

import pytest

from ccengine.journal.cdr import CdrCall, CdrLeg
from ccengine.phone import Answer, Manual, Phone, PhoneCall, PhoneFarm, Reject, Ring, Vanish
from ccengine.testing.hostile import TriedEngine
from ccengine.testing.waiting import wait_until, wait_until_async

pytestmark = pytest.mark.e2e


async def agent_ready(engine: TriedEngine, agent: str, timeout_s: float = 8.0) -> None:
    await wait_until_async(
        lambda: engine.agent_state(agent) == "Ready", f"readiness of {agent}", timeout_s, 0.05
    )


async def agents_at(engine: TriedEngine, farm: PhoneFarm, **behaviours: object) -> dict[str, Phone]:
    """Sign agents 2001… in at their phones 1001…, in this order."""
    phones = {}
    for name, behaviour in behaviours.items():
        number = name.removeprefix("a")
        phones[number] = await engine.phone(farm, number.replace("2", "1", 1), behaviour)
        engine.ask("agent", agent=number, action="sign_in")
        await agent_ready(engine, number)
        await asyncio.sleep(0.02)  # longest idle first: the order of signing in counts
    return phones


def sign_out(engine: TriedEngine, phones: dict[str, Phone]) -> None:
    for agent in phones:
        engine.ask("agent", agent=agent, action="sign_out")


def record(engine: TriedEngine, before: set[str]) -> tuple[CdrCall, tuple[CdrLeg, ...]]:
    """The one call that is new in the records, with its legs."""
    engine.settled()
    (call_id,) = known(engine) - before
    found = engine.records.call(call_id)
    assert found is not None
    return found.call, found.legs


def known(engine: TriedEngine) -> set[str]:
    """The calls in the records, once every call that has ended is there."""
    ended = engine.count("switch", "ended")
    wait_until(lambda: len(engine.recorded()) >= ended, "all records", 8, 0.05)
    return {one.call_id for one in engine.recorded()}


async def queued(engine: TriedEngine, farm: PhoneFarm) -> PhoneCall:
    caller = await engine.phone(farm, "1006")
    return await caller.dial("4002").answered()


# --- vanishing --------------------------------------------------------------------------------


def test_a_caller_who_vanishes_while_talking(engine: TriedEngine) -> None:
    """No BYE ever comes: silence on the wire ends the call, and the agent goes on."""
    before, counters = known(engine), engine.counts("switch")

    async def run() -> float:
        async with engine.farm() as farm:
            phones = await agents_at(engine, farm, a2001=Answer())
            call = await queued(engine, farm)
            agent_side = await phones["2001"].next_call()
            await agent_side.hears(10)
            begun = time.monotonic()
            call.phone.vanish()
            await agent_side.ended(10)
            took = time.monotonic() - begun
            await agent_ready(engine, "2001")
            assert engine.agent_state("2001") == "Ready"
            sign_out(engine, phones)
            return took

    took = asyncio.run(run())
    assert 1.9 < took < 6, took
    call, legs = record(engine, before)
    assert (call.cause, call.ended_by, call.agent_id) == ("media_lost", "system", "2001")
    assert call.talk_s == pytest.approx(took, abs=1.0)
    assert {leg.role: leg.cause for leg in legs} == {"caller": "media_lost", "callee": "media_lost"}
    assert engine.count("switch", "media_lost") == counters["media_lost"] + 1


def test_an_agent_who_vanishes_while_talking(engine: TriedEngine) -> None:
    """The caller is told: the stay in the queue is over, the call ends or the flow goes on."""
    before = known(engine)

    async def run() -> None:
        async with engine.farm() as farm:
            phones = await agents_at(engine, farm, a2001=Answer())
            call = await queued(engine, farm)
            agent_side = await phones["2001"].next_call()
            await agent_side.hears(10)
            phones["2001"].vanish()
            await call.ended(10)
            await agent_ready(engine, "2001")
            sign_out(engine, phones)

    asyncio.run(run())
    call, legs = record(engine, before)
    assert call.agent_id == "2001"
    assert call.talk_s > 1.5
    assert {leg.role: leg.cause for leg in legs}["callee"] == "media_lost"


def test_a_caller_who_vanishes_in_the_menu(engine: TriedEngine) -> None:
    before = known(engine)

    async def run() -> None:
        async with engine.farm() as farm:
            caller = await engine.phone(farm, "1006")
            call = await caller.dial("4001").answered()
            await call.hears(10)
            caller.vanish()
            await wait_until_async(engine.idle, "end of the call", 10, 0.05)

    asyncio.run(run())
    call, _ = record(engine, before)
    assert (call.cause, call.ended_by) == ("media_lost", "system")


def test_an_agents_phone_that_vanishes_while_ringing(engine: TriedEngine) -> None:
    """Nobody answers: the offer times out, the next agent gets the call."""
    before = known(engine)

    async def run() -> None:
        async with engine.farm() as farm:
            phones = await agents_at(engine, farm, a2001=Vanish(0.2), a2002=Answer())
            call = await queued(engine, farm)
            agent_side = await phones["2002"].next_call()
            await agent_side.hears(5)
            state = {one["agent"]: one for one in engine.ask("agents")}["2001"]
            assert state["state"] == "NotReady", state
            call.hang_up()
            await agent_side.ended()
            sign_out(engine, phones)

    asyncio.run(run())
    call, legs = record(engine, before)
    assert call.agent_id == "2002"
    assert len(legs) == 3


def test_a_phone_that_is_gone_before_it_rings(engine: TriedEngine) -> None:
    """No answer at all to the INVITE: the next agent, long before Timer B."""
    before = known(engine)

    async def run() -> None:
        async with engine.farm() as farm:
            phones = await agents_at(engine, farm, a2001=Vanish(), a2002=Answer())
            call = await queued(engine, farm)
            agent_side = await phones["2002"].next_call(12)
            await agent_side.hears(5)
            call.hang_up()
            await agent_side.ended()
            sign_out(engine, phones)

    asyncio.run(run())
    call, _ = record(engine, before)
    assert call.agent_id == "2002"


# --- not answering -------------------------------------------------------------------------------


def test_an_agent_who_never_answers(engine: TriedEngine) -> None:
    """Ring timeout: not ready any more, with the reason; the caller goes to the next agent."""
    before = known(engine)

    async def run() -> None:
        async with engine.farm() as farm:
            phones = await agents_at(engine, farm, a2001=Ring(), a2002=Answer())
            call = await queued(engine, farm)
            ringing = await phones["2001"].next_call()
            assert engine.agent_state("2001") == "Reserved"
            agent_side = await phones["2002"].next_call(8)
            await agent_side.hears(5)
            assert await ringing.ended() == "cancelled"
            state = {one["agent"]: one for one in engine.ask("agents")}["2001"]
            assert state["state"] == "NotReady"
            assert state["reason"], state
            call.hang_up()
            await agent_side.ended()
            sign_out(engine, phones)

    asyncio.run(run())
    call, legs = record(engine, before)
    assert (call.cause, call.agent_id) == ("normal", "2002")
    assert {leg.agent_id: leg.cause for leg in legs if leg.role == "callee"} == {
        "2001": "no_answer",
        "2002": "normal",
    }


@pytest.mark.parametrize("status", [486, 603, 480, 404, 500])
def test_an_agents_phone_that_refuses(engine: TriedEngine, status: int) -> None:
    before = known(engine)

    async def run() -> None:
        async with engine.farm() as farm:
            phones = await agents_at(engine, farm, a2001=Reject(status), a2002=Answer())
            call = await queued(engine, farm)
            agent_side = await phones["2002"].next_call(8)
            await agent_side.hears(5)
            assert engine.agent_state("2001") in {"NotReady", "Ready"}
            call.hang_up()
            await agent_side.ended()
            sign_out(engine, phones)

    asyncio.run(run())
    call, legs = record(engine, before)
    assert call.agent_id == "2002"
    assert status in {leg.status for leg in legs}


def test_the_caller_gives_up_while_the_agent_rings(engine: TriedEngine) -> None:
    before = known(engine)

    async def run() -> None:
        async with engine.farm() as farm:
            phones = await agents_at(engine, farm, a2001=Ring())
            call = await queued(engine, farm)
            ringing = await phones["2001"].next_call()
            call.hang_up()
            assert await ringing.ended() == "cancelled"
            await agent_ready(engine, "2001")  # it was not his fault
            sign_out(engine, phones)

    asyncio.run(run())
    call, _ = record(engine, before)
    assert (call.cause, call.ended_by, call.agent_id) == ("normal", "caller", "")


def test_answer_and_cancel_cross(engine: TriedEngine) -> None:
    """RFC 3261 9.1: a 2xx that crosses our CANCEL is acknowledged and ended by BYE."""
    before = known(engine)

    async def run() -> None:
        async with engine.farm() as farm:
            callee = await engine.phone(farm, "1005", Manual())
            caller = await engine.phone(farm, "1006")
            for _ in range(10):
                call = caller.dial("1005")
                ringing = await callee.next_call()
                ringing.ring()
                await call.ringing()
                call.hang_up()
                ringing.answer()  # in the same turn of the loop
                await call.ended()
                await ringing.ended()

    asyncio.run(run())
    engine.settled()
    wait_until(lambda: len(known(engine) - before) == 10, "ten records", 8)
