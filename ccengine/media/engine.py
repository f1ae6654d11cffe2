"""How packets get from sockets into rows of bytes and back.

The media core sees rows only: ``rx`` fills received datagrams into rows, ``tx`` sends rows.
An engine that batches system calls may put off sending until the next ``rx`` or ``flush``.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ccengine.media.udp import Address

Rows = NDArray[np.uint8]
Lengths = NDArray[np.int32]


class Batch(Protocol):
    """The sockets of one group's legs, in the order of its rows."""

    def rows(self, rx_rows: Rows, tx_rows: Rows, packet: int) -> None:
        """Use these arrays u8[N, W] from now on; most packets sent are ``packet`` bytes."""

    def append(self) -> None:
        """Add a row; it neither receives nor sends yet."""

    def remove(self, row: int) -> None:
        """Forget a row's socket; the last row takes its place."""

    def connected(self, row: int, sock: socket.socket) -> None:
        """Receive and send on a socket that is connected to its peer."""

    def target(self, row: int, sock: socket.socket, remote: Address | None) -> None:
        """Only send, to ``remote``, on a socket that is open to any source."""

    def rx(self, rows: Iterable[int] | None, lengths: Lengths) -> int:
        """Receive at most one datagram for each of ``rows`` (None: all connected ones).

        ``lengths`` i4[N] gets the size of each, 0 where nothing came, for the rows asked.
        Return how many came.
        """

    def tx(self, rows: Iterable[int]) -> None:
        """Send the usual ``packet`` bytes of each of ``rows``; what fails is dropped."""

    def tx_size(self, row: int, size: int) -> None:
        """Send ``size`` bytes of one row."""

    def flush(self) -> None:
        """Hand everything to the kernel that still waits."""


class Engine(Protocol):
    """Makes batches; one engine serves all groups of a worker."""

    name: str

    def batch(self) -> Batch:
        """Return an empty batch."""

    def close(self) -> None:
        """Release what the engine holds."""


_Receive = Callable[[memoryview], int]
_Send = Callable[[memoryview], int]


def _nowhere(data: memoryview) -> int:
    return len(data)


class BaseBatch:
    """One ``recv_into`` and one ``send`` for each leg: works everywhere, needs no privilege."""

    __slots__ = ("_pairs", "_receive", "_receiving", "_rx_views", "_send", "_tx", "_tx_views")

    def __init__(self) -> None:
        self._receive: list[_Receive | None] = []
        self._send: list[_Send] = []
        self._rx_views: list[memoryview] = []
        self._tx_views: list[memoryview] = []
        self._tx: Rows | None = None
        self._pairs: list[tuple[_Receive, memoryview]] | None = None
        self._receiving: NDArray[np.intp] | None = None

    def rows(self, rx_rows: Rows, tx_rows: Rows, packet: int) -> None:
        """Use these arrays from now on."""
        self._rx_views = [memoryview(row) for row in rx_rows]
        self._tx_views = [memoryview(row)[:packet] for row in tx_rows]
        self._tx = tx_rows
        self._pairs = None

    def append(self) -> None:
        """Add a row."""
        self._receive.append(None)
        self._send.append(_nowhere)
        self._pairs = None

    def remove(self, row: int) -> None:
        """Forget a row's socket; the last row takes its place."""
        receive, send = self._receive.pop(), self._send.pop()
        if row < len(self._receive):
            self._receive[row], self._send[row] = receive, send
        self._pairs = None

    def connected(self, row: int, sock: socket.socket) -> None:
        """Receive and send on a connected socket."""
        self._receive[row] = sock.recv_into
        self._send[row] = sock.send
        self._pairs = None

    def target(self, row: int, sock: socket.socket, remote: Address | None) -> None:
        """Only send, to ``remote``."""
        self._receive[row] = None
        self._pairs = None
        if remote is None:
            self._send[row] = _nowhere
            return
        sendto = sock.sendto

        def send(data: memoryview) -> int:
            return sendto(data, remote)

        self._send[row] = send

    def _index(self) -> list[tuple[_Receive, memoryview]]:
        """Collect the rows that receive; done once after each change."""
        pairs, receiving = [], []
        for row, receive in enumerate(self._receive):
            if receive is not None:
                pairs.append((receive, self._rx_views[row]))
                receiving.append(row)
        self._pairs = pairs
        whole = len(receiving) == len(self._receive)
        self._receiving = None if whole else np.array(receiving, np.intp)
        return pairs

    def rx(self, rows: Iterable[int] | None, lengths: Lengths) -> int:
        """Receive at most one datagram for each row."""
        if rows is not None:
            return self._rx_some(rows, lengths)
        pairs = self._pairs
        if pairs is None:
            pairs = self._index()
        got = _drain_once(pairs)
        if self._receiving is None:
            lengths[: len(got)] = got
        else:
            lengths[: len(self._receive)] = 0
            lengths[self._receiving] = got
        return len(got) - got.count(0)

    def _rx_some(self, rows: Iterable[int], lengths: Lengths) -> int:
        asked = [row for row in rows if self._receive[row] is not None]
        pairs = []
        for row in asked:
            receive = self._receive[row]
            if receive is not None:
                pairs.append((receive, self._rx_views[row]))
        got = _drain_once(pairs)
        for row, size in zip(asked, got, strict=True):
            lengths[row] = size
        return len(got) - got.count(0)

    def tx(self, rows: Iterable[int]) -> None:
        """Send the usual packet of each row."""
        send, views = self._send, self._tx_views
        waiting = iter(rows)
        while True:
            try:
                for row in waiting:
                    send[row](views[row])
            except OSError:
                # A peer that refuses (ICMP) or a full queue: this packet is lost, not the leg.
                continue
            return

    def tx_size(self, row: int, size: int) -> None:
        """Send ``size`` bytes of one row."""
        assert self._tx is not None
        try:
            self._send[row](memoryview(self._tx[row])[:size])
        except OSError:
            return

    def flush(self) -> None:
        """Do nothing: every packet has gone."""


def _drain_once(pairs: list[tuple[_Receive, memoryview]]) -> list[int]:
    got: list[int] = []
    push = got.append
    waiting = iter(pairs)
    while True:
        try:
            for receive, view in waiting:
                push(receive(view))
        except OSError:
            # Nothing there, or an ICMP error of an earlier packet: both mean "no datagram".
            push(0)
            continue
        return got


class BaseEngine:
    """The engine that is always there."""

    name = "base"

    def batch(self) -> BaseBatch:
        """Return an empty batch."""
        return BaseBatch()

    def close(self) -> None:
        """Do nothing: the sockets belong to the legs."""
