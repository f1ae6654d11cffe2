"""A whole exchange in virtual time: a system, paper phones and paper media workers on one clock.

What leaves one side arrives at the other at once; time moves only by :meth:`Rig.advance`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from ccengine.clock import VirtualClock
from ccengine.media.link_record import LinkOutput, LinkSend
from ccengine.ports import FactData
from ccengine.sip.flow import Flow
from ccengine.sip.output import Transmit
from ccengine.testing.phone import PaperPhone
from ccengine.testing.worker import PaperWorker

SERVER = ("192.0.2.1", 5060)


class Leavings(Protocol):
    """What a drain leaves."""

    @property
    def facts(self) -> Sequence[FactData]:
        """Return the facts for the journal."""

    @property
    def transmits(self) -> list[Transmit]:
        """Return the SIP messages to be sent."""

    @property
    def media(self) -> Sequence[LinkOutput]:
        """Return the packets for media workers."""


class System(Protocol):
    """What is tried out: the signalling core, or a part of it."""

    def sip_message(self, data: bytes, flow: Flow, now: float) -> None:
        """Take a SIP message."""

    def media_packet(self, worker: str, data: bytes, now: float, at: datetime) -> None:
        """Take a packet of a media worker."""

    def handle_timeout(self, now: float, at: datetime) -> None:
        """Do what is due."""

    def next_timeout(self) -> float | None:
        """Return when something is due."""

    def drain(self, now: float, at: datetime) -> Leavings:
        """Return what is to be done."""


class Rig:
    """Joins a system with phones and workers; see the module's text."""

    def __init__(self, system: System, workers: Sequence[PaperWorker] = ()) -> None:
        self.system = system
        self.clock = VirtualClock()
        self.workers = {worker.name: worker for worker in workers}
        self.phones: dict[str, PaperPhone] = {}
        self.facts: list[FactData] = []
        self.lost: list[Transmit] = []
        self._connections = 0
        self.batches: list[Any] = []

    @property
    def now(self) -> float:
        """Return the virtual monotonic time."""
        return self.clock.now()

    def phone(self, user: str, **options: Any) -> PaperPhone:
        """Return a new phone at an address of its own."""
        number = len(self.phones) + 10
        host = f"192.0.2.{number}"
        flow = Flow("UDP", "wire", SERVER)
        phone = PaperPhone(user, host, flow, seed=number, **options)
        self.phones[host] = phone
        return phone

    def settle(self) -> None:
        """Let everything that is under way arrive, until nothing moves."""
        for _ in range(10_000):
            moved = self._from_phones() + self._from_workers() + self._from_system()
            if not moved:
                return
        raise AssertionError("the rig never settles")

    def _flow_of(self, phone: PaperPhone) -> Flow:
        if phone.connection:
            return Flow("TCP", "tcp", (phone.host, 40000 + phone.connection), phone.connection)
        return Flow("UDP", "udp", (phone.host, 5060))

    def connect(self, phone: PaperPhone) -> Flow | None:
        """Let a phone open a stream, in place of the one before, which is returned as dead."""
        before = self._flow_of(phone) if phone.connection else None
        self._connections += 1
        phone.connection = self._connections
        return before

    def _reaches(self, transmit: Transmit, phone: PaperPhone) -> bool:
        """Whether a message finds its phone: by its stream, or by a new one to its Contact."""
        flow = transmit.flow
        if flow.transport == "UDP":
            return True
        return flow.connection == phone.connection or (
            not flow.connection and flow.remote[1] == 5060
        )

    def _from_phones(self) -> int:
        moved = 0
        for phone in self.phones.values():
            sent, phone.outbox = phone.outbox, []
            for transmit in sent:
                self.system.sip_message(transmit.data, self._flow_of(phone), self.now)
                moved += 1
        return moved

    def _from_workers(self) -> int:
        moved = 0
        for worker in self.workers.values():
            said, worker.outbox = worker.outbox, []
            for data in said:
                self.system.media_packet(worker.name, data, self.now, self.clock.at())
                moved += 1
        return moved

    def _from_system(self) -> int:
        batch = self.system.drain(self.now, self.clock.at())
        self.batches.append(batch)
        self.facts.extend(batch.facts)
        for transmit in batch.transmits:
            phone = self.phones.get(transmit.flow.remote[0])
            if phone is None or not self._reaches(transmit, phone):
                self.lost.append(transmit)
            else:
                phone.receive(transmit.data, self.now)
        for output in batch.media:
            if isinstance(output, LinkSend):
                self.workers[output.worker].receive(output.data)
        return len(batch.transmits) + len(batch.media)

    def advance(self, seconds: float) -> None:
        """Let time pass, doing on the way what becomes due."""
        end = self.now + seconds
        self.settle()
        while True:
            due = [
                one
                for one in (
                    self.system.next_timeout(),
                    *(phone.sip.next_timeout() for phone in self.phones.values()),
                )
                if one is not None and one <= end
            ]
            if not due:
                break
            self.clock.advance_to(min(due))
            self.system.handle_timeout(self.now, self.clock.at())
            for phone in self.phones.values():
                phone.handle_timeout(self.now)
            self.settle()
        self.clock.advance_to(end)
        self.settle()
