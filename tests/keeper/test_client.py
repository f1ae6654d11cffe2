"""The client without a keeper, and against one that misbehaves."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ccengine.errors import KeeperError
from ccengine.keeper.client import KeeperClient
from ccengine.keeper.wire import MAX_FDS, Message, new_socket, receive, send


class Fake:
    """The other end of a client, played by the test."""

    def __init__(self, path: Path) -> None:
        with new_socket() as listener:
            listener.bind(str(path))
            listener.listen(4)
            self.client = KeeperClient(path)
            self.requests = listener.accept()[0]
            self.watch = listener.accept()[0]
        assert receive(self.watch)[0] == {"op": "watch", "quiet": True}

    def answer(self, message: Message, fds: tuple[int, ...] = ()) -> None:
        send(self.requests, message, fds)

    def close(self) -> None:
        self.client.close()
        self.requests.close()
        self.watch.close()


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Fake]:
    made = Fake(tmp_path / "k")
    yield made
    made.close()


def test_no_keeper_is_none() -> None:
    assert KeeperClient.from_env({}) is None


def test_a_keeper_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KeeperError, match=r"no keeper answers on .*; is it running\?"):
        KeeperClient.from_env({"CCENGINE_KEEPER": str(tmp_path / "nothing")})


def test_a_refusal_names_the_reason(fake: Fake) -> None:
    fake.answer({"re": 1, "error": "no such thing"})
    with pytest.raises(KeeperError, match="the keeper refuses: no such thing"):
        fake.client.ready()


def test_an_answer_to_an_older_request_is_passed_over(fake: Fake) -> None:
    fake.answer({"re": 0, "error": "late"})
    fake.answer({"re": 1})
    fake.client.ready()


def test_descriptors_that_do_not_add_up_are_closed(fake: Fake) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    fake.answer({"re": 1, "names": [["a", 1]], "more": False}, (0, 0))
    with pytest.raises(KeeperError, match="do not add up"):
        fake.client.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_pushes_make_it_readable_and_come_in_order(fake: Fake) -> None:
    assert fake.client.receive() == []
    assert fake.client.wait(0.001) == []
    send(fake.watch, {"op": "activate"})
    send(fake.watch, {"op": "news from the future"})
    send(fake.watch, {"op": "stop"})
    assert fake.client.wait(1) == ["activate", "stop"]
    fake.watch.close()
    assert fake.client.wait(1) == ["lost"]
    assert fake.client.receive() == []


def test_a_lost_keeper_is_an_error_when_it_is_needed(fake: Fake) -> None:
    fake.requests.close()
    with pytest.raises(KeeperError, match="keeper"):
        fake.client.ready()


def test_what_never_waits_does_not(fake: Fake) -> None:
    fake.watch.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    sent = 0
    while fake.client.heartbeat():
        sent += 1
        assert sent < 10_000
    assert fake.client.deposit("a", [0], wait=False) is False
    assert fake.client.forget("a", wait=False) is False


def test_too_many_descriptors_are_refused_before_they_are_sent(fake: Fake) -> None:
    with pytest.raises(KeeperError, match=f"at most .* {MAX_FDS} descriptors"):
        fake.client.deposit("a", [0] * (MAX_FDS + 1))


def test_garbage_is_named_and_its_descriptors_closed() -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with one, other:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for garbage in (b"{", b"[]", b"\xff"):
            socket.send_fds(one, [garbage], [0, 0])
            with pytest.raises(KeeperError, match="unreadable message"):
                receive(other)
        assert len(list(Path("/proc/self/fd").iterdir())) == before
        send(one, {"a": 1}, [0])
        message, (fd,) = receive(other)
        assert message == {"a": 1}
        assert not os.get_inheritable(fd)
        os.close(fd)
