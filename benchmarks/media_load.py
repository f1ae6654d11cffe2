"""The generator of bench_media: RTP for many legs from a process of its own.

Run as ``python media_load.py SECONDS PORT PORT …``.  Packets of all legs are spread over
20 ms and sent by ``sendmmsg``.  The sockets of one leg in eight are read and checked; those of the
others drop what comes in the kernel, so that the generator is not what is measured.
Prints one JSON object: sent, expected and seen at the sockets that are read, gaps.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import sys
import time
from contextlib import suppress

import numpy as np

HOST = "127.0.0.1"
SOCKETS = 16
READ = 2
SLOTS = 20
RAMP = 75
PACKET = 172
_SO_ATTACH_FILTER = 26
_libc = ctypes.CDLL(None, use_errno=True)


class IoVec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


class MsgHdr(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_size", ctypes.c_uint),
        ("iov", ctypes.POINTER(IoVec)),
        ("iov_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_size", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class MmsgHdr(ctypes.Structure):
    _fields_ = (("header", MsgHdr), ("size", ctypes.c_uint))


def drop_everything(sock: socket.socket) -> None:
    """Attach a filter that returns 0: no packet is queued."""
    code = np.array([(0x06, 0, 0, 0)], dtype=[("c", "u2"), ("t", "u1"), ("f", "u1"), ("k", "u4")])
    program = np.array([1, code.ctypes.data], np.uint64).tobytes()
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


class Batch:
    """The legs of one socket in one slot: one sendmmsg."""

    def __init__(self, sock: socket.socket, ports: list[int], ids: list[int], legs: int) -> None:
        n = len(ports)
        self.fd, self.n = sock.fileno(), n
        self.rows = np.full((n, PACKET), 0xFF, np.uint8)
        self.rows[:, 12:] = np.random.default_rng(1).integers(0, 255, (n, PACKET - 12))
        self.rows[:, 0] = 0x80
        self.rows[:, 1] = 0
        self.seq = np.ndarray((n,), ">u2", self.rows.data, 2, (PACKET,))
        self.stamp = np.ndarray((n,), ">u4", self.rows.data, 4, (PACKET,))
        np.ndarray((n,), ">u4", self.rows.data, 8, (PACKET,))[:] = np.array(ids) + 1
        self.begins = np.array(ids) * RAMP // legs
        self.names = np.zeros((n, 16), np.uint8)
        for row, port in enumerate(ports):
            address = socket.AF_INET.to_bytes(2, sys.byteorder) + port.to_bytes(2)
            self.names[row, :8] = np.frombuffer(address + socket.inet_aton(HOST), np.uint8)
        self.iovs = (IoVec * n)()
        self.messages = (MmsgHdr * n)()
        for row in range(n):
            self.iovs[row] = IoVec(self.rows.ctypes.data + row * PACKET, PACKET)
            header = self.messages[row].header
            header.name = self.names.ctypes.data + 16 * row
            header.name_size = 16
            header.iov = ctypes.pointer(self.iovs[row])
            header.iov_count = 1

    def send(self, number: int) -> int:
        # People do not all begin to talk in the same packet time.
        active = self.n if number >= RAMP else int(np.searchsorted(self.begins, number, "right"))
        self.seq[:] = number & 0xFFFF
        self.stamp[:] = number * 160
        sent: int = _libc.sendmmsg(self.fd, self.messages, active, 0)
        return max(0, sent)


def make_sockets() -> list[socket.socket]:
    sockets = []
    for index in range(SOCKETS):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.bind((HOST, 0))
        sock.setblocking(False)
        if index >= READ:
            drop_everything(sock)
        sockets.append(sock)
    return sockets


def drain(sockets: list[socket.socket], buffer: bytearray, seen: dict[bytes, list[int]]) -> None:
    for sock in sockets:
        with suppress(BlockingIOError, ConnectionRefusedError):
            while True:
                sock.recv_into(buffer)
                run = seen.setdefault(bytes(buffer[8:12]), [0, -1, 0])
                sequence = buffer[2] << 8 | buffer[3]
                if run[1] >= 0 and sequence != (run[1] + 1) & 0xFFFF:
                    run[2] += 1
                run[0] += 1
                run[1] = sequence


def main() -> None:
    seconds = float(sys.argv[1])
    ports = [int(port) for port in sys.argv[2:]]
    with suppress(OSError):
        os.sched_setaffinity(0, {1})
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(5))
    sockets = make_sockets()
    slots: list[list[Batch]] = []
    for slot in range(SLOTS):
        batches = []
        for index, sock in enumerate(sockets):
            # The two legs of a call arrive apart, as they would from two people.
            mine = [leg for leg in range(len(ports)) if leg * 7 % SLOTS == slot]
            mine = [leg for leg in mine if leg // SLOTS % SOCKETS == index]
            if mine:
                batches.append(Batch(sock, [ports[leg] for leg in mine], mine, len(ports)))
        slots.append(batches)
    watched = sum(
        b.n for slot in slots for b in slot if b.fd in {s.fileno() for s in sockets[:READ]}
    )
    buffer = bytearray(2048)
    seen: dict[bytes, list[int]] = {}
    start, sent, worst = time.monotonic() + 0.1, 0, 0.0
    rounds = int(seconds * 50)
    for number in range(rounds):
        for slot in range(SLOTS):
            due = start + number * 0.02 + slot * 0.001
            now = time.monotonic()
            if now < due:
                time.sleep(due - now)
            else:
                worst = max(worst, now - due)
            for batch in slots[slot]:
                sent += batch.send(number)
        drain(sockets[:READ], buffer, seen)
    time.sleep(0.2)
    drain(sockets[:READ], buffer, seen)
    report = {
        "sent": sent,
        "expected": len(ports) * rounds,
        "watched_legs": watched,
        "rounds": rounds,
        "seen": sum(run[0] for run in seen.values()),
        "gaps": sum(run[2] for run in seen.values()),
        "late_max_ms": worst * 1000,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
