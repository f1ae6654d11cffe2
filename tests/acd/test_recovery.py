"""Another process takes over: from the facts alone, on this boot or the next."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from ccengine.acd.engine import AcdEngine
from ccengine.acd.output import WithdrawOffer
from ccengine.acd.record import FACTS, AgentSet, EntryLeftFact, EntrySet, Requirement
from ccengine.acd.settings import AcdSettings, QueueSettings
from ccengine.ids import SeededIds
from ccengine.testing.acd import Desk, agent, left, make_desk, offer, offers


def take_over(
    desk: Desk,
    *,
    now: float | None = None,
    after_s: float = 0.0,
    boot_id: str = "boot-1",
    lost: tuple[str, ...] = (),
    settings: AcdSettings | None = None,
) -> tuple[Desk, list[Any]]:
    """Return the desk of a successor ``after_s`` later, and what it wants done first.

    Facts of the streams named in ``lost`` are quarantined.
    """
    successor = Desk(settings or desk.settings, boot_id=boot_id)
    successor.engine = AcdEngine(successor.settings, SeededIds(2), successor.facts)
    kinds = {kind.FACT: kind for kind in FACTS}
    for fact in desk.facts:
        if fact.stream not in lost:
            data = msgspec.msgpack.encode(fact)
            successor.engine.apply(msgspec.msgpack.decode(data, type=kinds[fact.FACT]))
    at: datetime = desk.clock.at() + timedelta(seconds=after_s)
    start = desk.clock.now() + after_s if now is None else now
    successor.clock = type(desk.clock)(start, at)
    successor.engine.resume(start, at, boot_id)
    return successor, list(successor.engine.poll())


def busy_desk() -> tuple[Desk, Any]:
    """ann talks to c1, bob's phone rings for c2, c3 waits, eve is away."""
    desk = make_desk(
        agent("ann"), agent("bob"), agent("eve"), wrapup_s=10, max_wait_s=120, ring_timeout_s=20
    )
    desk.sign_in("ann", "bob", "eve")
    desk.do("away", "eve", "会议")
    desk.answer(offer(desk.call("c1")))
    ringing = offer(desk.call("c2"))
    desk.do("offer_ringing", ringing.offer_id)
    desk.clock.advance(5)
    desk.call("c3")
    return desk, ringing


def test_conversations_go_on_and_places_are_kept() -> None:
    """Asterisk #66: statistics and waiting state were lost at a restart."""
    desk, ringing = busy_desk()
    after, outputs = take_over(desk)
    assert outputs[0] == WithdrawOffer(ringing.offer_id, "c2", "bob", "restart")
    again = offer(outputs)
    assert (again.entry_id, again.agent_id) == ("c2", "bob"), "offered again, same place"
    assert again.offer_id != ringing.offer_id
    assert (after.state("ann"), after.state("eve")) == ("Talking", "NotReady(会议)")
    assert after.engine.agent("ann").since == desk.engine.agent("ann").since
    assert after.engine.position("c3") == 2
    outputs = after.do("conversation_ended", "c1")
    assert left(outputs)[0].result == "answered"
    assert after.state("ann") == "WrapUp"


def test_deadlines_are_armed_again() -> None:
    desk, _ = busy_desk()
    desk.do("conversation_ended", "c1")
    after, _ = take_over(desk, after_s=4)
    assert offers(after.wait(5.9)) == []
    assert offer(after.wait(0.2)).entry_id == "c3", "ann's wrap-up ended when it was to end"


def test_on_another_boot_utc_holds() -> None:
    desk, _ = busy_desk()
    desk.do("conversation_ended", "c1")
    after, _ = take_over(desk, now=3.0, after_s=4, boot_id="boot-2")
    record = after.engine.agent("ann")
    assert record.boot_id == "boot-2"
    assert record.deadline is not None
    assert record.deadline.now == pytest.approx(3.0 + 6)
    assert after.engine.queue("sales", after.clock.now()).longest_wait_s == pytest.approx(9)
    assert after.engine.position("c3") == 2
    assert offer(after.wait(6.1)).entry_id == "c3"


def test_on_another_boot_relaxing_goes_on_in_time() -> None:
    desk = make_desk(agent("ann", zh=1))
    desk.sign_in("ann")
    stages = (Requirement((("zh", 3),)), Requirement((("zh", 1),), after_s=30))
    desk.call("c1", requirements=stages)
    after, outputs = take_over(desk, now=7.0, after_s=20, boot_id="boot-2")
    assert offers(outputs) == []
    assert offers(after.wait(9.9)) == []
    assert offer(after.wait(0.2)).entry_id == "c1"


def test_a_wait_that_ended_while_nobody_was_there() -> None:
    desk = make_desk(max_wait_s=60)
    desk.call("c1")
    after, _ = take_over(desk, after_s=100)
    assert [item.result for item in left(after.wait(0))] == ["timeout"]


def test_resuming_twice_changes_nothing_more() -> None:
    desk, _ = busy_desk()
    after, _ = take_over(desk, now=3.0, boot_id="boot-2")
    third = Desk(desk.settings)
    third.facts += [*desk.facts, *after.facts]
    third.clock = after.clock
    last, outputs = take_over(third, boot_id="boot-2")
    assert [type(item).__name__ for item in outputs if isinstance(item, WithdrawOffer)]
    kept = [fact for fact in last.facts if isinstance(fact, AgentSet)]
    assert {fact.agent.agent_id for fact in kept} == {"bob"}, "clocks are right already"


@pytest.mark.parametrize(
    ("lost", "ann", "bob"),
    [("entry/c1", "Reserved", "Reserved"), ("agent/ann", "LoggedOut", "Reserved"),
     ("entry/c2", "Talking", "Reserved"), ("agent/bob", "Talking", "LoggedOut")],
)  # fmt: skip
def test_a_quarantined_stream_leaves_nobody_stuck(lost: str, ann: str, bob: str) -> None:
    desk, _ = busy_desk()
    after, _ = take_over(desk, lost=(lost,))
    assert (after.state("ann"), after.state("bob")) == (ann, bob)
    for record in after.engine.agents():
        if record.entry_id:
            assert after.engine.entry(record.entry_id) is not None
    for name in ("c1", "c2", "c3"):
        after.do("leave", name, "hangup")
    after.wait(60)
    shot = after.engine.queue("sales", after.clock.now())
    assert (shot.waiting, shot.offered, shot.connected) == (0, 0, 0)
    assert shot.agents.get("Reserved", 0) == shot.agents.get("Talking", 0) == 0


def test_a_queue_that_is_no_longer_configured_refuses_those_who_waited() -> None:
    desk = make_desk()
    desk.call("c1")
    after, outputs = take_over(desk, settings=AcdSettings((QueueSettings("help"),)))
    assert [(item.result, item.detail) for item in left(outputs)] == [("refused", "closed")]
    assert [shot.name for shot in after.engine.queues(0)] == ["help"]


def test_facts_are_whole_records_for_the_statistics() -> None:
    desk = make_desk()
    desk.sign_in("ann")
    desk.clock.advance(1)
    desk.call("c1")
    entry = desk.engine.entry("c1")
    assert entry is not None
    assert entry.offer is not None
    desk.clock.advance(7)
    desk.do("offer_accepted", entry.offer.offer_id)
    desk.clock.advance(60)
    desk.do("conversation_ended", "c1")
    fact = next(fact for fact in desk.facts if isinstance(fact, EntryLeftFact))
    assert fact.stream == "entry/c1"
    assert fact.entry.agent_id == "ann"
    assert fact.entry.connected is not None
    assert fact.entry.connected.now - fact.entry.enqueued.now == pytest.approx(7)
    assert fact.left.now - fact.entry.connected.now == pytest.approx(60)
    assert fact.entry.offers == 1
    assert {type(item) for item in desk.facts} == {EntrySet, AgentSet, EntryLeftFact}
