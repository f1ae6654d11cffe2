"""The control socket with real unix sockets: one line in, one line out."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ccengine.api import control
from ccengine.api.control import ControlClient, ControlServer
from ccengine.api.registry import CommandRegistry
from ccengine.errors import CommandError


async def echo(actor, arguments):
    return dict(arguments)


async def slow(actor, arguments):
    await asyncio.sleep(0.05)
    return "done"


async def flawed(actor, arguments):
    raise KeyError("a flaw")


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="cce-") as folder:  # unix sockets want short paths
        yield Path(folder) / "control.sock"


@pytest.fixture
def registry():
    commands = CommandRegistry()
    commands.add("echo", echo, right="look", help_text="echo", arguments=("text",))
    commands.add("slow", slow, right="look", help_text="slow")
    commands.add("flawed", flawed, right="look", help_text="flawed")
    return commands


def served(path, registry, *deeds):
    """Run blocking deeds, all at once, against a server; return their results."""

    async def main():
        server = ControlServer(path, registry)
        await server.start()
        try:
            return await asyncio.gather(*(asyncio.to_thread(deed) for deed in deeds))
        finally:
            await server.close()

    return asyncio.run(main())


def say(path: Path, *lines: bytes) -> list[dict]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(path))
        file = connection.makefile("rwb")
        answers = []
        for line in lines:
            file.write(line)
            file.flush()
            answers.append(json.loads(file.readline()))
        return answers


def test_a_client_asks_and_is_answered(path, registry):
    (answer,) = served(path, registry, lambda: ControlClient(path).ask("echo", text="王芳"))
    assert answer == {"text": "王芳"}


def test_only_the_owner_may_open_it_and_it_is_gone_afterwards(path, registry):
    (mode,) = served(path, registry, lambda: stat.S_IMODE(path.stat().st_mode))
    assert mode == 0o600
    assert not path.exists()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{not json\n", "no JSON"),
        (b"\xff\xfe\n", "no JSON"),
        (b"[1, 2]\n", "no command"),
        (b'{"command": 7}\n', "no command"),
        (b'{"command": "nothing"}\n', "there is no command"),
        (b'{"command": "echo", "arguments": {"x": 1}}\n', "unknown argument"),
        (b'{"command": "echo", "arguments": [1]}\n', "arguments"),
        (b'{"command": "echo", "arguments": "text"}\n', "arguments"),
    ],
)
def test_nonsense_is_answered_and_the_connection_goes_on(path, registry, line, words):
    good = b'{"command": "echo", "arguments": {"text": "a"}}\n'
    ((bad, then),) = served(path, registry, lambda: say(path, line, good))
    assert words in bad["error"]["message"]
    assert bad["error"]["code"] == "CC8000"
    assert then == {"ok": {"text": "a"}}


def test_a_flaw_in_a_command_is_logged_and_answered(path, registry, caplog):
    good = b'{"command": "echo", "arguments": {"text": "a"}}\n'
    ((bad, then),) = served(path, registry, lambda: say(path, b'{"command": "flawed"}\n', good))
    assert "flawed" in bad["error"]["message"]
    assert "a flaw" in caplog.text
    assert then == {"ok": {"text": "a"}}


def test_a_line_without_end_closes_that_connection_alone(path, registry, monkeypatch):
    monkeypatch.setattr(control, "MAX_LINE_BYTES", 1000)

    def endless():
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(path))
            try:
                connection.sendall(b"x" * 1_000_000)
                return connection.recv(100)
            except ConnectionError:
                return b""

    def other():
        return ControlClient(path).ask("slow")

    assert served(path, registry, endless, other) == [b"", "done"]


def test_several_clients_at_once(path, registry):
    deeds = [lambda: ControlClient(path).ask("slow") for _ in range(8)]
    assert served(path, registry, *deeds) == ["done"] * 8


def test_a_client_that_leaves_in_the_middle_disturbs_nobody(path, registry):
    def leave():
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(b'{"command": "slow"}\n{"comm')

    assert served(path, registry, leave, lambda: ControlClient(path).ask("slow"))[1] == "done"


def test_a_socket_left_behind_by_a_dead_process_is_replaced(path, registry):
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    (answer,) = served(path, registry, lambda: ControlClient(path).ask("echo", text="a"))
    assert answer == {"text": "a"}


def test_closing_ends_connections_that_are_open(path, registry):
    async def main():
        server = ControlServer(path, registry)
        await server.start()
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b'{"command": "echo"}\n')
        assert await reader.readline()
        await asyncio.wait_for(server.close(), 5)
        assert await reader.read() == b""
        writer.close()

    asyncio.run(main())


class TestClient:
    def test_nobody_there(self, path):
        with pytest.raises(CommandError, match="no engine answers") as caught:
            ControlClient(path).ask("echo")
        assert "ccengine run" in caught.value.cure

    def test_an_error_keeps_its_words(self, path, registry):
        def deed():
            with pytest.raises(CommandError) as caught:
                ControlClient(path).ask("ecko")
            return caught.value

        (error,) = served(path, registry, deed)
        assert "'echo'" in error.cure
