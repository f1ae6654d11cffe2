from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from ccengine.bus import Bus
from ccengine.events import AgentChanged, RegistrationChanged

AT = datetime(2026, 1, 5, tzinfo=UTC)


def agent(name: str) -> AgentChanged:
    return AgentChanged(name, AT, "Ready")


PHONE = RegistrationChanged("sip:1001@example.com", AT, 1)


async def test_events_reach_the_subscriptions_of_their_type_in_order() -> None:
    bus = Bus()
    agents = bus.subscribe(AgentChanged)
    both = bus.subscribe(AgentChanged, RegistrationChanged)
    for event in (agent("a"), PHONE, agent("b")):
        bus.publish(event)
    assert agents.take() == [agent("a"), agent("b")]
    assert both.take() == [agent("a"), PHONE, agent("b")]
    assert bus.published == 3
    assert bus.wanted(AgentChanged)
    assert not bus.wanted(int)


async def test_a_reader_waits_and_ends_with_the_subscription() -> None:
    bus = Bus()
    subscription = bus.subscribe(AgentChanged)
    seen = []

    async def read() -> None:
        async for event in subscription:
            seen.append(event.agent_id)

    reader = asyncio.create_task(read())
    await asyncio.sleep(0)
    bus.publish(agent("a"))
    await asyncio.sleep(0.001)
    bus.publish(agent("b"))
    subscription.close()
    bus.publish(agent("c"))
    await asyncio.wait_for(reader, 1)
    assert seen == ["a", "b"], "what was queued is still read, what came later is not"


async def test_a_slow_subscriber_loses_the_oldest_and_nobody_waits() -> None:
    bus = Bus()
    slow, quick = bus.subscribe(AgentChanged, limit=2), bus.subscribe(AgentChanged)
    for name in "abcde":
        bus.publish(agent(name))
    assert [event.agent_id for event in slow.take()] == ["d", "e"]
    assert len(quick.take()) == 5
    assert (slow.dropped, quick.dropped, bus.dropped) == (3, 0, 3)
    slow.close()
    assert bus.dropped == 3, "losses are still counted when the loser is gone"


async def test_leaving_is_complete_and_may_be_repeated() -> None:
    bus = Bus()
    with bus.subscribe(AgentChanged, RegistrationChanged) as subscription:
        pass
    subscription.close()
    assert not bus.wanted(AgentChanged)
    assert [event async for event in subscription] == []


async def test_a_cancelled_reader_leaves_the_subscription_usable() -> None:
    bus = Bus()
    subscription = bus.subscribe(AgentChanged)
    reader = asyncio.create_task(anext(subscription))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="one reader"):
        await anext(subscription)
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    bus.publish(agent("a"))
    assert (await anext(subscription)).agent_id == "a"


def test_a_subscription_needs_a_type_and_room() -> None:
    with pytest.raises(ValueError, match="needs a type"):
        Bus().subscribe()
    with pytest.raises(ValueError, match="needs a type"):
        Bus().subscribe(AgentChanged, limit=0)
