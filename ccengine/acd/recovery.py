"""After a replay: put records onto this boot's clock and mend what was in flight."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ccengine.acd.ledger import Ledger
from ccengine.acd.offering import Offering
from ccengine.acd.record import AgentRecord, EntryRecord, Offer
from ccengine.clock import Moment


def recover(ledger: Ledger, offering: Offering, alive: Collection[str] = frozenset()) -> None:
    """Make the replayed state whole: clocks, pairs of agent and entry, offers in flight.

    An offer goes on when it is ``alive``, else it is withdrawn and its caller offered again
    from the same place; conversations go on.  Streams that were quarantined leave pairs of
    which one half is missing: those agents become free instead of staying reserved for ever.
    """
    for agent in list(ledger.board.agents.values()):
        if agent.boot_id != ledger.boot_id:
            ledger.put_agent(_agent_on_clock(agent, ledger.moment, ledger.boot_id))
    for entry in list(ledger.board.entries.values()):
        if entry.boot_id != ledger.boot_id:
            ledger.put_entry(_entry_on_clock(entry, ledger.moment, ledger.boot_id))
    for entry in list(ledger.board.entries.values()):
        if entry.offer is None or entry.offer.offer_id not in alive:
            _mend_entry(ledger, offering, entry)
    for agent in list(ledger.board.agents.values()):
        _mend_agent(ledger, agent)
    ledger.seeking.extend(entry.entry_id for entry in ledger.board.waiting())
    ledger.free.extend(ledger.board.agents)


def _mend_entry(ledger: Ledger, offering: Offering, entry: EntryRecord) -> None:
    configured = not ledger.board.queue(entry.queue).closing
    if entry.state == "connected":
        agent = ledger.board.agents.get(entry.agent_id)
        if agent is None or agent.entry_id != entry.entry_id:
            ledger.drop_entry(entry, "answered")
        return
    if entry.offer is not None:
        offering.release(entry, "restart")
        offering.requeue(entry)
    # requeue() may have ended the wait; whoever still waits needs a queue that exists.
    current = ledger.board.entries.get(entry.entry_id)
    if current is not None and not configured:
        ledger.drop_entry(current, "refused", "closed")


def _mend_agent(ledger: Ledger, agent: AgentRecord) -> None:
    if agent.state not in {"Reserved", "Talking"}:
        return
    entry = ledger.board.entries.get(agent.entry_id)
    if agent.state == "Reserved":
        if entry is None or entry.offer is None or entry.offer.offer_id != agent.offer_id:
            ledger.move(agent, "release")
    elif entry is None or entry.agent_id != agent.agent_id:
        ledger.move(agent, "finish")


def _on_clock(moment: Moment | None, here: Moment) -> Moment | None:
    return None if moment is None else moment.on_clock(here)


def _agent_on_clock(agent: AgentRecord, here: Moment, boot_id: str) -> AgentRecord:
    return replace(
        agent,
        boot_id=boot_id,
        since=agent.since.on_clock(here),
        idle_since=_on_clock(agent.idle_since, here),
        deadline=_on_clock(agent.deadline, here),
    )


def _entry_on_clock(entry: EntryRecord, here: Moment, boot_id: str) -> EntryRecord:
    offer: Offer | None = entry.offer
    if offer is not None:
        offer = replace(offer, deadline=offer.deadline.on_clock(here))
    return replace(
        entry,
        boot_id=boot_id,
        enqueued=entry.enqueued.on_clock(here),
        relax=_on_clock(entry.relax, here),
        expires=_on_clock(entry.expires, here),
        offer=offer,
        tried=tuple(replace(item, until=item.until.on_clock(here)) for item in entry.tried),
        connected=_on_clock(entry.connected, here),
    )
