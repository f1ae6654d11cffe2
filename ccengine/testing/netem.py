"""A seeded network between sans-IO SIP machines in virtual time.

Datagrams are delayed, lost, doubled and overtaken as a seed says; streams keep their order and
lose nothing.  A minute of retransmissions runs in milliseconds and is the same every time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any, Protocol, TypeAlias

from ccengine.clock import VirtualClock
from ccengine.sip.flow import Flow
from ccengine.sip.output import Transmit

Address: TypeAlias = tuple[str, int]


class SipMachine(Protocol):
    """What the emulator needs of a machine that speaks SIP."""

    def receive(self, data: bytes, flow: Flow, now: float) -> None:
        """Take one message."""

    def handle_timeout(self, now: float) -> None:
        """Do what is due."""

    def next_timeout(self) -> float | None:
        """Return when something is due."""

    def poll(self) -> Sequence[Any]:
        """Return and forget the outputs; those that are Transmit go to the network."""


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """How the network treats datagrams; shares are between 0 and 1.

    ``jitter_s`` is added evenly distributed, so datagrams closer together than that may
    overtake each other; a share of ``reorder`` is delayed by another ``reorder_s``.
    """

    delay_s: float = 0.01
    jitter_s: float = 0.0
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    reorder_s: float = 0.05


@dataclass(slots=True)
class LinkCounters:
    """What happened to the messages of one emulator."""

    sent: int = 0
    delivered: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    unroutable: int = 0


@dataclass(frozen=True, slots=True)
class Packet:
    """One message on its way, for those who watch."""

    at: float
    source: Address
    target: Address
    data: bytes


OutputHandler: TypeAlias = Callable[[Any, float], None]


@dataclass(slots=True)
class _Node:
    address: Address
    machine: SipMachine
    on_output: OutputHandler


class NetworkEmulator:
    """Joins machines by address; all time is that of ``clock``.

    ``drop`` may be set to a function that is asked for every datagram and returns True for
    one that must be lost, so a test can lose exactly one message.
    """

    def __init__(
        self, clock: VirtualClock, *, seed: int = 1, link: LinkSettings | None = None
    ) -> None:
        self.clock = clock
        self.link = link if link is not None else LinkSettings()
        self.counters = LinkCounters()
        self.packets: list[Packet] = []
        self.drop: Callable[[Packet], bool] | None = None
        self._random = random.Random(seed)
        self._nodes: dict[Address, _Node] = {}
        self._queue: list[tuple[float, int, Address, Flow, bytes]] = []
        self._serial = 0
        self._connections: dict[frozenset[Address], int] = {}
        self._connection_serial = 0
        self._stream_clear: dict[tuple[Address, Address], float] = {}

    def attach(self, address: Address, machine: SipMachine, on_output: OutputHandler) -> None:
        """Join a machine; ``on_output`` gets every output but Transmit, and ``now``.

        A machine attached at an address in use takes it over, with what is on its way.
        """
        self._nodes[address] = _Node(address, machine, on_output)

    def detach(self, address: Address) -> None:
        """Take a machine from the network, as if its process were killed."""
        self._nodes.pop(address, None)

    def flow(self, source: Address, target: Address, transport: Any = "UDP") -> Flow:
        """Return the flow by which the machine at ``source`` reaches ``target``."""
        connection = 0 if transport == "UDP" else self._connection(source, target)
        return Flow(transport, "net", target, connection)

    def break_stream(self, one: Address, other: Address) -> None:
        """Break the connection between two addresses; the next message opens a new one."""
        self._connections.pop(frozenset((one, other)), None)

    # --- running ----------------------------------------------------------------------------

    def flush(self) -> None:
        """Take up the outputs of all machines, until none says anything more."""
        busy = True
        while busy:
            busy = False
            for node in tuple(self._nodes.values()):
                for output in node.machine.poll():
                    busy = True
                    if isinstance(output, Transmit):
                        self._send(node.address, output)
                    else:
                        node.on_output(output, self.clock.now())

    def next_event(self) -> float | None:
        """Return when the next message arrives or the next timer is due."""
        times = [node.machine.next_timeout() for node in self._nodes.values()]
        if self._queue:
            times.append(self._queue[0][0])
        return min((time for time in times if time is not None), default=None)

    def step(self) -> bool:
        """Move to the next event and let it happen; False when there is none."""
        self.flush()
        due = self.next_event()
        if due is None:
            return False
        now = self.clock.advance_to(due)
        while self._queue and self._queue[0][0] <= now:
            _, _, target, flow, data = heappop(self._queue)
            node = self._nodes.get(target)
            if node is None:
                self.counters.unroutable += 1
                continue
            self.counters.delivered += 1
            node.machine.receive(data, flow, now)
            self.flush()
        for node in tuple(self._nodes.values()):
            timeout = node.machine.next_timeout()
            if timeout is not None and timeout <= now:
                node.machine.handle_timeout(now)
        self.flush()
        return True

    def run_for(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        self.run_until(self.clock.now() + seconds)

    def run_until(self, now: float) -> None:
        """Let time pass until ``now``."""
        self.flush()
        while (due := self.next_event()) is not None and due <= now:
            self.step()
        self.clock.advance_to(now)

    def run_until_idle(self, limit_s: float = 3600.0) -> None:
        """Run until nothing is on its way and no timer waits; AssertionError after ``limit_s``."""
        end = self.clock.now() + limit_s
        while self.step():
            assert self.clock.now() <= end, f"still busy after {limit_s} s"

    # --- the wire -----------------------------------------------------------------------------

    def _connection(self, one: Address, other: Address) -> int:
        pair = frozenset((one, other))
        if pair not in self._connections:
            self._connection_serial += 1
            self._connections[pair] = self._connection_serial
        return self._connections[pair]

    def _send(self, source: Address, output: Transmit) -> None:
        target, transport = output.flow.remote, output.flow.transport
        packet = Packet(self.clock.now(), source, target, output.data)
        self.packets.append(packet)
        self.counters.sent += 1
        if transport != "UDP":
            self._send_stream(source, output)
            return
        flow = Flow(transport, "net", source)
        if self.drop is not None and self.drop(packet):
            self.counters.lost += 1
            return
        copies = 1
        if self._random.random() < self.link.duplicate:
            self.counters.duplicated += 1
            copies = 2
        for _ in range(copies):
            if self._random.random() < self.link.loss:
                self.counters.lost += 1
                continue
            delay = self.link.delay_s + self._random.random() * self.link.jitter_s
            if self._random.random() < self.link.reorder:
                self.counters.reordered += 1
                delay += self.link.reorder_s
            self._enqueue(self.clock.now() + delay, target, flow, output.data)

    def _send_stream(self, source: Address, output: Transmit) -> None:
        target = output.flow.remote
        asked = output.flow.connection
        current = self._connections.get(frozenset((source, target)))
        if asked and asked != current:
            self.counters.lost += 1  # a dead connection
            return
        flow = Flow(output.flow.transport, "net", source, self._connection(source, target))
        due = self.clock.now() + self.link.delay_s + self._random.random() * self.link.jitter_s
        due = max(due, self._stream_clear.get((source, target), 0.0))
        self._stream_clear[source, target] = due
        self._enqueue(due, target, flow, output.data)

    def _enqueue(self, due: float, target: Address, flow: Flow, data: bytes) -> None:
        self._serial += 1
        heappush(self._queue, (due, self._serial, target, flow, data))
