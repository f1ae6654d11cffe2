"""Signalling's side of the media workers: what is wanted of whom, as a sans-IO machine.

The wanted objects are the journalled state; everything else (who is attached, which ports
are free) is learnt again on each attach.  One code path serves a new signalling process, a
new worker and a broken connection: the worker lists what it has, the difference is sent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ccengine.errors import MediaError, PortsExhaustedError
from ccengine.media import control
from ccengine.media.control import (
    Ack,
    BridgeWant,
    DigitsSent,
    DigitsWant,
    Drain,
    Have,
    Hello,
    Leases,
    LegWant,
    Load,
    PlayDone,
    PlayWant,
    RecordingDone,
    RecordingWant,
    Refused,
    Want,
    Welcome,
    WorkerEvent,
)
from ccengine.media.link_page import pages
from ccengine.media.link_record import (
    EventsTaken,
    LinkClose,
    LinkOutput,
    LinkSend,
    MediaFact,
    WantDropped,
    WantSet,
)

_RANK: dict[type, int] = {
    LegWant: 0,
    BridgeWant: 1,
    RecordingWant: 2,
    PlayWant: 3,
    DigitsWant: 4,
}


@dataclass(slots=True)
class _Worker:
    """What is known of one worker; nothing of it is journalled but ``pid`` and ``seen``."""

    name: str
    pid: int = 0
    seen: int = 0
    attached_pid: int = 0
    greeted: bool = False
    listed: bool = False
    free: deque[int] = field(default_factory=deque)
    known: set[int] = field(default_factory=set)  # the same ports, to be looked up
    have: dict[str, int] = field(default_factory=dict)
    load: Load | None = None
    legs: int = 0
    leased: int = 0
    acked: int = 0
    queue: list[Want | str] = field(default_factory=list)


class MediaLink:
    """Holds what is wanted of the media workers and keeps them in step with it.

    ``workers`` are the names of all workers.  Facts are appended to ``facts``.  Objects get
    their ``rev`` here: callers leave it 0.
    """

    def __init__(self, workers: Iterable[str], facts: list[Any]) -> None:
        self._workers = {name: _Worker(name) for name in workers}
        if not self._workers:
            raise MediaError("no media worker is configured", cure="set media.workers to 1 or more")
        self._facts = facts
        self._wants: dict[str, tuple[str, Want]] = {}
        self._rev = 0
        self._unit_workers: dict[str, str] = {}
        self._unit_objects: dict[str, int] = {}
        self._on_leg: dict[str, dict[str, None]] = {}
        self._leases: dict[int, tuple[str, str]] = {}
        self._used: dict[int, str] = {}
        self._finishing: set[str] = set()
        self._outputs: list[LinkOutput] = []
        self.garbage = 0

    # --- state ---------------------------------------------------------------------------

    def apply(self, fact: MediaFact) -> None:
        """Change the state by one fact."""
        if isinstance(fact, WantSet):
            self._forget(fact.object.key)
            self._remember(fact.worker, fact.object)
        elif isinstance(fact, WantDropped):
            self._forget(fact.key)
        else:
            worker = self._worker(fact.worker)
            worker.pid, worker.seen = fact.pid, fact.seq

    def _decide(self, fact: MediaFact) -> None:
        self.apply(fact)
        self._facts.append(fact)

    def _worker(self, name: str) -> _Worker:
        # A fact may name a worker that the configuration no longer has.
        return self._workers.setdefault(name, _Worker(name))

    def _remember(self, name: str, want: Want) -> None:
        self._wants[want.key] = (name, want)
        self._rev = max(self._rev, want.rev)
        worker = self._worker(name)
        if isinstance(want, LegWant):
            worker.legs += 1
            self._used[want.port] = want.key
            if self._leases.pop(want.port, None) is not None:
                worker.leased -= 1
        if isinstance(want, PlayWant | DigitsWant):
            self._on_leg.setdefault(want.leg, {})[want.key] = None
        else:
            self._unit_workers[want.unit] = name
            self._unit_objects[want.unit] = self._unit_objects.get(want.unit, 0) + 1

    def _forget(self, key: str) -> None:
        entry = self._wants.pop(key, None)
        if entry is None:
            return
        name, want = entry
        if isinstance(want, LegWant):
            self._worker(name).legs -= 1
            if self._used.get(want.port) == key:
                del self._used[want.port]
        if isinstance(want, PlayWant | DigitsWant):
            on_leg = self._on_leg.get(want.leg, {})
            on_leg.pop(key, None)
            if not on_leg:
                self._on_leg.pop(want.leg, None)
        else:
            self._leave_unit(want.unit)

    def _leave_unit(self, unit: str) -> None:
        left = self._unit_objects.get(unit, 1) - 1
        if left > 0:
            self._unit_objects[unit] = left
            return
        self._unit_objects.pop(unit, None)
        self._unit_workers.pop(unit, None)

    # --- commands --------------------------------------------------------------------------

    def lease(self, unit: str) -> int:
        """Return an RTP port that is bound already, on the worker of ``unit``.

        The first lease of a unit places it on the least loaded worker.
        :class:`PortsExhaustedError` when no port is free; :class:`MediaError` when no
        worker is attached.
        """
        worker = self._place(unit)
        if not worker.free:
            raise PortsExhaustedError(
                f"media worker {worker.name} has no free RTP port",
                cure="widen media.ports or end calls",
            )
        port = worker.free.popleft()
        worker.known.discard(port)
        self._leases[port] = (worker.name, unit)
        worker.leased += 1
        # The lease itself keeps the unit on its worker until it is used or given back.
        self._unit_workers[unit] = worker.name
        return port

    def hold(self, port: int, unit: str) -> None:
        """Take a lease up again that a predecessor had; :class:`MediaError` when it cannot be."""
        name = self._unit_workers.get(unit)
        if name is None or port in self._leases or port in self._used:
            raise MediaError(f"port {port} of unit {unit} cannot be held any more")
        worker = self._worker(name)
        self._leases[port] = (name, unit)
        worker.leased += 1
        if port in worker.free:
            worker.free.remove(port)

    def _place(self, unit: str) -> _Worker:
        name = self._unit_workers.get(unit)
        if name is not None:
            return self._worker(name)
        ready = [worker for worker in self._workers.values() if worker.listed]
        if not ready:
            raise MediaError("no media worker is attached", cure="look at the log of the workers")
        # A full worker is no place for a call while another has ports.
        return min(ready, key=lambda worker: (not worker.free, worker.legs + worker.leased))

    def free(self, port: int) -> None:
        """Give back a lease that no leg was ever wanted on; others are ignored."""
        lease = self._leases.pop(port, None)
        if lease is None:
            return
        name, unit = lease
        worker = self._worker(name)
        worker.leased -= 1
        worker.free.append(port)
        worker.known.add(port)
        if unit not in self._unit_objects and unit not in {u for _, u in self._leases.values()}:
            self._unit_workers.pop(unit, None)

    def want(self, wanted: Want) -> None:
        """Want an object as described; the same description again changes nothing.

        :class:`MediaError` when it names a leg or unit that lives on no worker.
        """
        key = wanted.key
        entry = self._wants.get(key)
        if entry is not None and msgspec.structs.replace(wanted, rev=entry[1].rev) == entry[1]:
            return
        name = self._home(wanted)
        wanted = msgspec.structs.replace(wanted, rev=self._rev + 1)
        self._decide(WantSet(name, wanted))
        worker = self._worker(name)
        if worker.listed:
            worker.queue.append(wanted)

    def _home(self, wanted: Want) -> str:
        if isinstance(wanted, PlayWant | DigitsWant):
            entry = self._wants.get(wanted.leg)
            if entry is None:
                raise MediaError(
                    f"{wanted.key}: there is no leg {wanted.leg}",
                    cure="want the leg first",
                )
            return entry[0]
        name = self._unit_workers.get(wanted.unit)
        if name is None and not isinstance(wanted, LegWant):
            name = self._place(wanted.unit).name
        if name is None:
            raise MediaError(
                f"{wanted.key}: port {wanted.port if isinstance(wanted, LegWant) else 0} of unit "
                f"{wanted.unit} is not leased",
                cure="take it from lease()",
            )
        return name

    def drop(self, *keys: str) -> None:
        """Want objects no longer; unknown keys are ignored.

        Plays and digits of a dropped leg are dropped with it.
        """
        for key in keys:
            entry = self._wants.get(key)
            if entry is None:
                continue
            if isinstance(entry[1], LegWant):
                self.drop(*tuple(self._on_leg.get(key, ())))
            self._drop(entry[0], key)

    def _drop(self, name: str, key: str) -> None:
        if isinstance(self.wanted(key), RecordingWant):
            self._finishing.add(key)
        self._decide(WantDropped(name, key))
        worker = self._worker(name)
        if worker.listed:
            worker.queue.append(key)

    # --- queries ----------------------------------------------------------------------------

    def wanted(self, key: str) -> Want | None:
        """Return what is wanted under ``key``."""
        entry = self._wants.get(key)
        return entry[1] if entry is not None else None

    def wants(self) -> tuple[Want, ...]:
        """Return every wanted object."""
        return tuple(want for _, want in self._wants.values())

    def free_ports(self) -> int:
        """Return how many ports can be leased now, over all attached workers."""
        return sum(len(worker.free) for worker in self._workers.values())

    def leased_ports(self) -> int:
        """Return how many ports are leased and on no leg yet."""
        return len(self._leases)

    def finishing(self) -> frozenset[str]:
        """Return the recordings that are wanted no longer and not yet reported as done."""
        return frozenset(self._finishing)

    def loads(self) -> dict[str, Load]:
        """Return the last :class:`Load` of each attached worker."""
        return {w.name: w.load for w in self._workers.values() if w.load is not None}

    def attached(self) -> tuple[str, ...]:
        """Return the names of the workers that have listed what they have."""
        return tuple(worker.name for worker in self._workers.values() if worker.listed)

    def awaited(self) -> bool:
        """Return whether a worker that holds objects of ours has not listed them yet."""
        homes = {name for name, _ in self._wants.values()}
        return any(not self._worker(name).listed for name in homes)

    # --- connection ----------------------------------------------------------------------------

    def attach(self, worker: str, epoch: int) -> None:
        """Greet a worker on a connection that has just been made."""
        self.detach(worker)
        state = self._worker(worker)
        state.greeted = True
        self._send(worker, Hello(control.PROTOCOL_VERSION, epoch))

    def detach(self, worker: str) -> None:
        """Forget what was known of a worker whose connection is gone."""
        state = self._worker(worker)
        state.greeted = state.listed = False
        state.attached_pid = 0
        state.free.clear()
        state.known.clear()
        state.have.clear()
        state.queue.clear()
        state.load = None

    def drain(self) -> None:
        """Ask every attached worker to end after its last leg."""
        for worker in self._workers.values():
            if worker.listed:
                self._send(worker.name, Drain())

    def receive(self, worker: str, data: bytes) -> tuple[WorkerEvent, ...]:
        """Take one packet of a worker and return the events in it that are new.

        A packet that cannot be read is counted in ``garbage`` and otherwise ignored.
        """
        state = self._worker(worker)
        try:
            message = control.decode_from_worker(data)
        except msgspec.DecodeError:
            self.garbage += 1
            return ()
        if isinstance(message, Welcome):
            self._welcome(state, message)
        elif isinstance(message, Have):
            self._have(state, message)
        elif isinstance(message, Leases):
            self._add_ports(state, message.ports)
        elif isinstance(message, Load):
            state.load = message
        else:
            return self._event(state, message)
        return ()

    def _welcome(self, state: _Worker, message: Welcome) -> None:
        if message.refused:
            self._outputs.append(LinkClose(state.name, message.refused))
            self.detach(state.name)
            return
        state.attached_pid = message.pid

    def _have(self, state: _Worker, page: Have) -> None:
        if not state.greeted:
            return
        state.have.update(page.objects)
        if page.last:
            state.listed = True
            self._reconcile(state)

    def _reconcile(self, state: _Worker) -> None:
        """Queue the difference between what a worker has and what is wanted of it."""
        mine = {key: want for key, (name, want) in self._wants.items() if name == state.name}
        state.queue.extend(key for key in state.have if key not in mine)
        missing = [want for key, want in mine.items() if state.have.get(key) != want.rev]
        state.queue.extend(sorted(missing, key=lambda want: _RANK[type(want)]))
        state.have.clear()

    def _add_ports(self, state: _Worker, ports: Iterable[int]) -> None:
        for port in ports:
            if not (port in state.known or port in self._leases or port in self._used):
                state.free.append(port)
                state.known.add(port)

    def _event(self, state: _Worker, event: WorkerEvent) -> tuple[WorkerEvent, ...]:
        pid = state.attached_pid
        seen = state.seen if state.pid == pid else 0
        state.acked = max(state.acked, event.seq)
        if event.seq <= seen:
            return ()
        self._decide(EventsTaken(state.name, pid, event.seq))
        if isinstance(event, PlayDone | DigitsSent | Refused):
            entry = self._wants.get(event.key)
            if entry is not None and entry[0] == state.name:
                self._drop(state.name, event.key)
        if isinstance(event, RecordingDone | Refused):
            self._finishing.discard(event.key)
        return (event,)

    # --- outputs ---------------------------------------------------------------------------

    def poll(self) -> list[LinkOutput]:
        """Return and forget what is to be sent and closed."""
        for state in self._workers.values():
            if state.queue:
                self._flush(state)
            if state.acked:
                self._send(state.name, Ack(state.acked))
                state.acked = 0
        outputs, self._outputs = self._outputs, []
        return outputs

    def next_timeout(self) -> float | None:
        """Return None: the link keeps no timers."""
        return None

    def handle_timeout(self, now: float) -> None:
        """Do nothing: the link keeps no timers."""

    def resume(self, now: float) -> None:
        """Do nothing: what the workers lack is found out on attach."""

    def _send(self, worker: str, message: control.ToWorker) -> None:
        self._outputs.append(LinkSend(worker, control.encode(message)))

    def _flush(self, state: _Worker) -> None:
        queue, state.queue = state.queue, []
        for message in pages(queue):
            self._send(state.name, message)
