"""The control socket to a media worker: reconnection, order, and a worker that does not read."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ccengine.engine.worker_socket import WorkerSocket


class FakeWorker:
    """A SOCK_SEQPACKET server that takes one connection at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(path))
        self.listener.listen(1)
        self.listener.setblocking(False)

    async def accept(self) -> socket.socket:
        connection, _ = await asyncio.get_running_loop().sock_accept(self.listener)
        connection.setblocking(False)
        return connection

    def close(self) -> None:
        self.listener.close()
        self.path.unlink(missing_ok=True)


class Told:
    """What the socket told of itself."""

    def __init__(self, path: Path) -> None:
        self.words: list[str] = []
        self.packets: list[bytes] = []
        self.news = asyncio.Event()
        self.socket = WorkerSocket(
            "m0",
            path,
            on_open=lambda name: self._hear(self.words, "open"),
            on_close=lambda name: self._hear(self.words, "close"),
            on_packet=lambda name, data: self._hear(self.packets, data),
        )

    async def until(self, condition, limit_s: float = 5.0) -> None:
        async with asyncio.timeout(limit_s):
            while not condition():
                self.news.clear()
                await self.news.wait()

    def _hear(self, words: list[Any], word: Any) -> None:
        words.append(word)
        self.news.set()


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="cce-") as folder:
        yield Path(folder) / "m0.sock"


def test_packets_go_both_ways_in_order(path):
    async def main():
        worker, told = FakeWorker(path), Told(path)
        told.socket.start()
        connection = await worker.accept()
        assert told.words == ["open"]
        for number in range(5):
            told.socket.send(b"%d" % number)
        loop = asyncio.get_running_loop()
        assert [await loop.sock_recv(connection, 100) for _ in range(5)] == [
            b"0", b"1", b"2", b"3", b"4",
        ]  # fmt: skip
        connection.send(b"a")
        connection.send(b"b")
        await told.until(lambda: told.packets == [b"a", b"b"])
        told.socket.close()
        connection.close()
        worker.close()
        assert told.words == ["open"], "closing for good is no loss"

    asyncio.run(main())


def test_it_connects_as_soon_as_the_worker_listens(path):
    async def main():
        told = Told(path)
        told.socket.start()
        told.socket.send(b"nobody hears this")
        await asyncio.sleep(0.05)
        assert told.words == []
        worker = FakeWorker(path)
        connection = await worker.accept()
        await told.until(lambda: told.words == ["open"])
        told.socket.close()
        connection.close()
        worker.close()

    asyncio.run(main())


def test_a_worker_that_dies_is_found_again(path, caplog):
    async def main():
        worker, told = FakeWorker(path), Told(path)
        told.socket.start()
        connection = await worker.accept()
        connection.close()
        worker.close()
        await told.until(lambda: told.words == ["open", "close"])
        told.socket.send(b"lost: the attach tells everything anew")
        worker = FakeWorker(path)
        connection = await worker.accept()
        await told.until(lambda: told.words == ["open", "close", "open"])
        told.socket.send(b"new")
        assert await asyncio.get_running_loop().sock_recv(connection, 100) == b"new"
        told.socket.close()
        connection.close()
        worker.close()

    asyncio.run(main())
    assert "the worker closed it" in caplog.text


def test_a_worker_that_does_not_read_blocks_nobody_and_loses_nothing(path):
    async def main():
        worker, told = FakeWorker(path), Told(path)
        told.socket.start()
        connection = await worker.accept()
        packets = [b"%06d" % number + bytes(20_000) for number in range(200)]
        for packet in packets:
            told.socket.send(packet)  # far more than the socket takes; returns at once
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(10):
            received = [await loop.sock_recv(connection, 1 << 17) for _ in packets]
        assert received == packets
        told.socket.send(b"last")
        assert await loop.sock_recv(connection, 100) == b"last"
        told.socket.close()
        connection.close()
        worker.close()

    asyncio.run(main())


def test_a_connection_that_we_drop_is_made_again(path):
    async def main():
        worker, told = FakeWorker(path), Told(path)
        told.socket.start()
        first = await worker.accept()
        told.socket.drop("it refused us")
        second = await worker.accept()
        await told.until(lambda: told.words == ["open", "close", "open"])
        told.socket.close()
        for connection in (first, second):
            connection.close()
        worker.close()

    asyncio.run(main())
