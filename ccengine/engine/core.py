"""The signalling core: every stateful machine, one drain, no input or output of its own.

Inputs change machines; :meth:`Core.drain` lets the machines talk until all are quiet, then
hands out one batch: the facts to be journalled first, then what leaves the process.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ccengine.acd import record as acd_record
from ccengine.acd.engine import AcdEngine
from ccengine.call import record as call_record
from ccengine.call.context import CallContext
from ccengine.call.switch import Switch
from ccengine.center import record as center_record
from ccengine.center.center import Center
from ccengine.center.flow_desk import Prompts
from ccengine.center.output import AgentStateTold, ResolveCustomer
from ccengine.config.schema import Settings
from ccengine.events import AgentChanged, Event, RegistrationChanged
from ccengine.media import link_record as media_link
from ccengine.media.control import BridgeWant, DigitsWant, LegWant, PlayWant, RecordingWant
from ccengine.media.link import MediaLink
from ccengine.media.link_record import LinkOutput
from ccengine.ports import CallEnded, FactData
from ccengine.sip import dialog as sip_dialog
from ccengine.sip import registrar as sip_registrar
from ccengine.sip.endpoint import SipEndpoint
from ccengine.sip.flow import Flow
from ccengine.sip.output import Transmit
from ccengine.sip.registrar import BindingsChanged, Registrar

FACTS: tuple[type[Any], ...] = (
    *sip_dialog.FACTS,
    *sip_registrar.FACTS,
    *media_link.FACTS,
    *call_record.FACTS,
    *acd_record.FACTS,
    *center_record.FACTS,
)
"""Every fact that the core states; the journal's registry is made of them."""

_logger = logging.getLogger(__name__)

WORKER_LIMIT_S = 1.0
"""How long queues and flows wait after a takeover for the media workers of their calls."""

MAX_ROUNDS = 10_000
"""More exchanges than this in one drain mean that machines talk in a circle."""


@dataclass(slots=True)
class Batch:
    """What one drain leaves: facts first, then everything that may leave the process."""

    facts: Sequence[FactData] = ()
    transmits: list[Transmit] = field(default_factory=list)
    media: Sequence[LinkOutput] = ()
    customers: list[ResolveCustomer] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Machines:
    """The machines of a core, wired to each other."""

    sip: SipEndpoint
    registrar: Registrar
    media: MediaLink
    context: CallContext
    switch: Switch
    acd: AcdEngine
    center: Center


class Core:
    """All machines of signalling behind one face.

    ``facts`` is the list that every machine appends to.  ``reload`` hands the hot
    part of new settings to every machine.
    """

    def __init__(
        self,
        machines: Machines,
        facts: list[Any],
        *,
        domain: str,
        reload: Callable[[Settings, Prompts, float, datetime], None],
    ) -> None:
        self.machines = machines
        self.reload = reload
        self._facts = facts
        self._domain = domain
        self._registered: set[str] = set()
        self.quarantined: set[str] = set()
        self._resuming = ""
        self._resume_by = 0.0
        self.flaws = 0
        self._appliers: dict[type[Any], Callable[[Any], None]] = {}
        for classes, apply in (
            (sip_dialog.FACTS, machines.sip.apply),
            (sip_registrar.FACTS, machines.registrar.apply),
            (media_link.FACTS, machines.media.apply),
            (call_record.FACTS, machines.switch.apply),
            (acd_record.FACTS, machines.acd.apply),
            (center_record.FACTS, machines.center.apply),
        ):
            self._appliers.update(dict.fromkeys(classes, apply))

    # --- replay --------------------------------------------------------------------------------

    def apply(self, fact: object) -> bool:
        """Apply one fact of the journal; return whether a machine knows its kind.

        A fact that cannot be applied quarantines its stream: what follows of it is passed
        over, everything else is replayed.
        """
        apply = self._appliers.get(type(fact))
        if apply is None:
            return False
        stream = getattr(fact, "stream", "")
        if stream in self.quarantined:
            return True
        try:
            apply(fact)
        except Exception:
            _logger.exception("fact %s of %s cannot be applied: quarantined", type(fact), stream)
            self.quarantined.add(stream)
        return True

    def resume(self, now: float, at: datetime, boot_id: str, *, rebooted: bool = False) -> None:
        """After a replay: arm timers again and deal with what died with the predecessor.

        ``rebooted`` says that the facts are of another boot of the machine.
        """
        machines = self.machines
        machines.registrar.resume(now, at, boot_id)
        for flow in machines.registrar.connections:
            machines.registrar.flow_closed(flow)  # streams died with our predecessor
        self._registered = {fact.aor.partition("@")[0] for fact in machines.registrar}
        machines.sip.resume(now)
        machines.media.resume(now)
        machines.switch.resume(now, at, rebooted=rebooted)
        self._resume_by = now + WORKER_LIMIT_S
        if not machines.media.awaited():
            self._resume_center(now, at, boot_id)
        else:
            self._resuming = boot_id

    def _resume_center(self, now: float, at: datetime, boot_id: str) -> None:
        """Let queues and flows go on, once their media workers listen again."""
        machines = self.machines
        self._resuming = ""
        machines.acd.resume(now, at, boot_id, machines.switch.ringing_dials())
        for agent in machines.acd.agents():
            in_use = machines.switch.is_in_use(agent.phone)
            machines.center.phone_in_use(agent.phone, in_use, now, at)
        machines.center.resume(now, at)
        self._end_orphans(now, at)

    def _resume_when_due(self, now: float, at: datetime) -> None:
        media = self.machines.media
        if now >= self._resume_by or (not media.awaited() and media.free_ports()):
            self._resume_center(now, at, self._resuming)

    def _end_orphans(self, now: float, at: datetime) -> None:
        """Take away what belongs to no call: facts of it were unreadable or quarantined."""
        machines = self.machines
        state = machines.switch.state
        for call_id in tuple(machines.center.state.sessions):
            if call_id not in state.calls:
                machines.center.receive(CallEnded(call_id, "failure", "system"), now, at)
        for leg in tuple(state.legs.values()):
            if leg.call_id not in state.calls:
                machines.switch.release_orphan(leg.leg_id, now, at)
        for record in machines.sip.dialogs:
            if record.session not in state.legs and record.state != "ending":
                machines.sip.bye(record.session, now)
        for want in machines.media.wants():
            known = state.legs if isinstance(want, LegWant | PlayWant | DigitsWant) else state.calls
            owner = want.leg if isinstance(want, PlayWant | DigitsWant) else want.key
            if isinstance(want, BridgeWant | RecordingWant):
                owner = want.unit
            if owner not in known:
                machines.media.drop(want.key)

    # --- inputs --------------------------------------------------------------------------------

    def sip_message(self, data: bytes, flow: Flow, now: float) -> None:
        """Take a datagram, or one message of a stream."""
        self._guarded(self.machines.sip.receive, data, flow, now)

    def _guarded(self, deed: Callable[..., object], *arguments: Any) -> None:
        """Do something that belongs to no call we know: a flaw in it is logged and counted."""
        try:
            deed(*arguments)
        except Exception:
            self.flaws += 1
            _logger.exception("a flaw of ours; what was in hand is dropped")

    def flow_failed(self, flow: Flow, now: float) -> None:
        """Hear that a connection is gone or that a datagram came back."""
        self._guarded(self.machines.sip.flow_failed, flow, now)
        if flow.connection:
            self.machines.registrar.flow_closed(flow)
            self._guarded(self.machines.switch.flow_failed, flow)

    def media_packet(self, worker: str, data: bytes, now: float, at: datetime) -> None:
        """Take a packet of a media worker."""
        self._guarded(self._media_packet, worker, data, now, at)

    def _media_packet(self, worker: str, data: bytes, now: float, at: datetime) -> None:
        for event in self.machines.media.receive(worker, data):
            self.machines.switch.media_event(event, now, at)

    def handle_timeout(self, now: float, at: datetime) -> None:
        """Let every machine do what is due."""
        machines = self.machines
        self._guarded(machines.sip.handle_timeout, now)
        self._guarded(machines.registrar.handle_timeout, now)
        self._guarded(machines.switch.handle_timeout, now, at)
        if not self._resuming:
            self._guarded(machines.center.handle_timeout, now, at)

    def next_timeout(self) -> float | None:
        """Return when the first machine wants to be woken."""
        machines = self.machines
        due = (
            machines.sip.next_timeout(),
            machines.registrar.next_timeout(),
            machines.switch.next_timeout(),
            self._resume_by if self._resuming else machines.center.next_timeout(),
        )
        return min((one for one in due if one is not None), default=None)

    def is_registered(self, extension: str) -> bool:
        """Return whether an extension has a phone."""
        return self._has_phone(f"{extension}@{self._domain}")

    def _has_phone(self, aor: str) -> bool:
        return bool(self.machines.registrar.lookup(aor))

    # --- the drain -----------------------------------------------------------------------------

    def drain(self, now: float, at: datetime) -> Batch:
        """Let the machines talk until all are quiet, and return what is to be done."""
        batch = Batch()
        machines = self.machines
        if self._resuming:
            self._resume_when_due(now, at)
        for _ in range(MAX_ROUNDS):
            outputs = machines.sip.poll()
            # Until queues and flows have resumed, what is meant for them waits.
            waits = bool(self._resuming)
            events = () if waits else machines.switch.poll()
            changes = () if waits else machines.registrar.poll()
            phones = () if waits else machines.switch.phones()
            if not (outputs or events or changes or phones):
                break
            for output in outputs:
                if isinstance(output, Transmit):
                    batch.transmits.append(output)
                else:
                    machines.switch.sip_output(output, now, at)
            for phone, in_use in phones:
                self._guarded(machines.center.phone_in_use, phone, in_use, now, at)
            for event in events:
                machines.switch.isolated(
                    event.call_id, now, at, machines.center.receive, event, now, at
                )
            for change in changes:
                self._guarded(self._bindings_changed, change, batch, now, at)
        else:
            # What is left over is dealt with in the next drain: nobody else must wait for it.
            self.flaws += 1
            _logger.error("the machines of signalling talk in a circle")
        for told in machines.center.poll():
            if isinstance(told, AgentStateTold):
                batch.events.append(AgentChanged(told.agent_id, told.at, told.state, told.reason))
            else:
                batch.customers.append(told)
        batch.events.extend(machines.switch.notices())
        batch.media = machines.media.poll()
        batch.facts = tuple(self._facts)
        self._facts.clear()
        return batch

    def _bindings_changed(
        self, change: BindingsChanged, batch: Batch, now: float, at: datetime
    ) -> None:
        batch.events.append(RegistrationChanged(change.aor, at, change.count))
        extension = change.aor.partition("@")[0]
        registered = change.count > 0
        if registered != (extension in self._registered):
            if registered:
                self._registered.add(extension)
            else:
                self._registered.discard(extension)
            self.machines.center.phone_registered(extension, registered, now, at)
