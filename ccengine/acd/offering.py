"""Offers: reserve an agent, alert the phone, connect; or give it to somebody else."""

from __future__ import annotations

from ccengine.acd.ledger import Ledger
from ccengine.acd.output import Connect, OfferCall, WithdrawOffer
from ccengine.acd.record import AgentRecord, EntryRecord, Offer, Requirement, Tried
from ccengine.clock import Moment
from ccengine.ids import IdMaker
from ccengine.revision import replace

OFFER_FAILED = "offer_failed"
"""Reason of ``NotReady`` for the short rest after a failure that was not the agent's."""

_AGENT_REASONS = {
    "busy": "busy",
    "rejected": "rejected",
    "unreachable": "unreachable",
    "not_found": "unreachable",
}


class Offering:
    """Brings waiting entries and idle agents together, each with one offer at most."""

    __slots__ = ("_ids", "_ledger")

    def __init__(self, ledger: Ledger, ids: IdMaker) -> None:
        self._ledger = ledger
        self._ids = ids

    def match(self) -> None:
        """Offer calls until no agent who became free suits anybody who waits.

        Free agents choose first, longest idle first; then entries that came or came back
        choose by their key.  Nobody else needs a look: they did not suit each other before.
        """
        ledger = self._ledger
        if not (ledger.free or ledger.seeking):
            return
        free, ledger.free = ledger.free, []
        seeking, ledger.seeking = ledger.seeking, []
        for agent in self._ready(free):
            barred = ledger.board.tried_by.get(agent.agent_id, ())
            entry_id = ledger.board.index.best_entry(agent.agent_id, barred)
            if entry_id is not None:
                self._reserve(ledger.board.entries[entry_id], agent)
        for entry in self._waiting(seeking):
            tried = {item.agent_id for item in entry.tried}
            agent_id = ledger.board.index.best_agent(entry.entry_id, tried)
            if agent_id is not None:
                self._reserve(entry, ledger.board.agents[agent_id])

    def _ready(self, agent_ids: list[str]) -> list[AgentRecord]:
        agents = self._ledger.board.agents
        found = [agents[name] for name in dict.fromkeys(agent_ids)]
        found = [agent for agent in found if agent.state == "Ready"]
        if len(found) > 1:
            found.sort(key=_idle_key)
        return found

    def _waiting(self, entry_ids: list[str]) -> list[EntryRecord]:
        entries = self._ledger.board.entries
        found = [entries[name] for name in dict.fromkeys(entry_ids) if name in entries]
        found = [entry for entry in found if entry.state == "waiting"]
        if len(found) > 1:
            found.sort(key=lambda entry: entry.key)
        return found

    def _reserve(self, entry: EntryRecord, agent: AgentRecord) -> None:
        ledger = self._ledger
        settings = ledger.board.queue(entry.queue).settings
        offer_id = self._ids.make("offer-")
        deadline = ledger.moment.after(settings.alert_timeout_s)
        offer = Offer(offer_id, agent.agent_id, agent.phone, "reserved", deadline)
        ledger.put_entry(replace(entry, state="offered", offer=offer, offers=entry.offers + 1))
        ledger.move(agent, "reserve", entry_id=entry.entry_id, offer_id=offer_id)
        ledger.counters.offers += 1
        ledger.outputs.append(
            OfferCall(
                offer_id,
                entry.entry_id,
                entry.queue,
                agent.agent_id,
                agent.phone,
                settings.ring_timeout_s,
            )
        )

    def find(self, offer_id: str) -> tuple[EntryRecord, Offer] | None:
        """Return an offer that nobody has answered yet with its entry."""
        board = self._ledger.board
        entry_id = board.offers.get(offer_id)
        entry = board.entries[entry_id] if entry_id is not None else None
        if entry is None or entry.offer is None or entry.state != "offered":
            self._ledger.counters.stale_answers += 1
            return None
        return entry, entry.offer

    def ringing(self, offer_id: str) -> None:
        """Give the phone its time to ring, counted from the first word of ringing."""
        found = self.find(offer_id)
        if found is None or found[1].state == "alerting":
            return
        entry, offer = found
        seconds = self._ledger.board.queue(entry.queue).settings.ring_timeout_s
        deadline = self._ledger.moment.after(seconds)
        offer = replace(offer, state="alerting", deadline=deadline)
        self._ledger.put_entry(replace(entry, offer=offer))

    def accepted(self, offer_id: str) -> None:
        """Connect, or have a phone that answered too late hung up."""
        ledger = self._ledger
        found = self.find(offer_id)
        if found is None:
            # An answer that is repeated while the two talk must not hang them up.
            if offer_id not in ledger.board.offers:
                ledger.outputs.append(WithdrawOffer(offer_id, "", "", "stale"))
            return
        entry, offer = found
        agent = ledger.board.agents[offer.agent_id]
        connected = replace(
            entry,
            state="connected",
            offer=replace(offer, state="accepted"),
            tried=(),
            relax=None,
            expires=None,
            agent_id=offer.agent_id,
            connected=ledger.moment,
        )
        ledger.put_entry(connected)
        ledger.move(agent, "connect", entry_id=entry.entry_id)
        ledger.counters.connects += 1
        ledger.outputs.append(Connect(offer_id, entry.entry_id, offer.agent_id))

    def failed(self, offer_id: str, reason: str) -> None:
        """Let the agent be away for a reason of his own and the entry go to another."""
        found = self.find(offer_id)
        if found is not None:
            self._fail(*found, reason)

    def timed_out(self, entry: EntryRecord, offer: Offer) -> None:
        """Give up an offer whose deadline passed: nobody answered, or it never rang."""
        self._withdraw_output(entry, offer, "timeout")
        self._fail(entry, offer, "no_answer" if offer.state == "alerting" else "unreachable")

    def _fail(self, entry: EntryRecord, offer: Offer, reason: str) -> None:
        ledger = self._ledger
        settings = ledger.board.queue(entry.queue).settings
        ledger.counters.failures += 1
        agent = ledger.board.agents[offer.agent_id]
        if reason == "no_answer":
            ledger.move(agent, "fail", reason=settings.rona_reason)
        elif reason in _AGENT_REASONS:
            ledger.move(agent, "fail", reason=_AGENT_REASONS[reason])
        else:
            rest = ledger.moment.after(ledger.settings.cooldown_s)
            ledger.move(agent, "fail", reason=OFFER_FAILED, deadline=rest)
        tried = Tried(agent.agent_id, reason, ledger.moment.after(settings.retry_s))
        others = tuple(item for item in entry.tried if item.agent_id != agent.agent_id)
        self.requeue(replace(entry, tried=(*others, tried)))

    def withdraw(self, entry: EntryRecord, reason: str) -> None:
        """Take back an offer from an agent who leaves; the entry keeps its place."""
        if entry.offer is not None:
            self._withdraw_output(entry, entry.offer, reason)
            self.requeue(entry)

    def release(self, entry: EntryRecord, reason: str) -> None:
        """Take back an offer because the caller is gone; the agent's idle time goes on."""
        if entry.offer is None:
            return
        self._withdraw_output(entry, entry.offer, reason)
        agent = self._ledger.board.agents.get(entry.offer.agent_id)
        if agent is not None and agent.offer_id == entry.offer.offer_id:
            self._ledger.move(agent, "release")

    def _withdraw_output(self, entry: EntryRecord, offer: Offer, reason: str) -> None:
        self._ledger.counters.withdrawals += 1
        self._ledger.outputs.append(
            WithdrawOffer(offer.offer_id, entry.entry_id, offer.agent_id, reason)
        )

    def requeue(self, entry: EntryRecord) -> None:
        """Let an entry wait (again) at its place, or end a wait that lasted too long.

        Requirements that were due in the meantime are relaxed and back-offs that are over
        are forgotten.
        """
        moment = self._ledger.moment
        if entry.expires is not None and entry.expires.now <= moment.now:
            self._ledger.drop_entry(replace(entry, state="waiting", offer=None), "timeout")
            return
        stage = entry.stage
        relax = relax_moment(entry.requirements, stage + 1, entry.enqueued)
        while relax is not None and relax.now <= moment.now:
            stage += 1
            relax = relax_moment(entry.requirements, stage + 1, entry.enqueued)
        tried = tuple(item for item in entry.tried if item.until.now > moment.now)
        self._ledger.put_entry(
            replace(entry, state="waiting", offer=None, stage=stage, relax=relax, tried=tried)
        )


def relax_moment(
    requirements: tuple[Requirement, ...], stage: int, enqueued: Moment
) -> Moment | None:
    """Return when the requirement of a stage comes into force; None when there is none."""
    return enqueued.after(requirements[stage].after_s) if stage < len(requirements) else None


def _idle_key(agent: AgentRecord) -> tuple[float, str]:
    return (agent.idle_since.now if agent.idle_since else 0.0, agent.agent_id)
