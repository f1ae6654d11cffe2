"""A control server with canned answers, and a runner of commands."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ccengine.api.control import SOCKET_NAME, ControlServer
from ccengine.api.registry import Actor, Arguments, CommandRegistry
from ccengine.cli.main import cli
from ccengine.errors import CommandError

STATES = {"Ready": 1, "Talking": 1, "LoggedOut": 3}
LOAD = {"legs": 2, "cpu": 0.034, "late_p99_ms": 0.21, "late_max_ms": 0.8}

ANSWERS: dict[str, Any] = {
    "status": {
        "version": "0.1.0", "pid": 4711, "up_s": 61.0, "epoch": 3, "accepting": True,
        "calls": 2, "legs": 3, "waiting": 1, "agents_signed_in": 2, "registrations": 4,
        "rtp_ports_free": 64, "rtp_ports_leased": 1, "facts": 99, "journal_full": False,
        "workers": {"media-0": LOAD},
        "sip": {
            "requests_in": 7, "responses_in": 5, "messages_out": 11, "malformed": 0,
            "retransmissions_in": 1, "retransmissions_out": 2,
        },
        "net": {"connections": 0, "send_failures": 0},
        "problems": ["the journal's disk is full; new calls get 503; make room"],
    },
    "queues": [
        {"queue": "sales", "waiting": 1, "offered": 0, "talking": 1, "longest_wait_s": 65.2,
         "agents": STATES},
    ],
    "agents": [
        {"agent": "2001", "name": "Zhang Wei", "state": "NotReady", "reason": "lunch",
         "for_s": 3600.0, "phone": "1001", "registered": True, "call": ""},
        {"agent": "2002", "name": "[bold]张伟", "state": "Talking", "reason": "", "for_s": 5.0,
         "phone": "1002", "registered": True, "call": "c4d5653aff19b9cbbb3c2"},
        {"agent": "2003", "name": "Li Na", "state": "LoggedOut", "reason": "", "for_s": 0.0,
         "phone": "", "registered": False, "call": ""},
    ],
    "calls": [
        {"call": "c4d5653aff19b9cbbb3c2", "from": "13800138001", "name": "王磊", "to": "4001",
         "for_s": 12.0, "state": "talking", "queue": "sales", "agent": "2002",
         "recording": "c4d5653aff19b9cbbb3c2"},
        {"call": "c4aaaaaaaaaaaaaaaaaaa", "from": "13800138002",
         "name": "An Extraordinarily Long Name", "to": "4001", "for_s": 2.0, "state": "in flow",
         "queue": "", "agent": "", "recording": ""},
    ],
    "registrations": [
        {"aor": "1001@ccengine", "contact": "sip:1001@127.0.0.1:40000", "transport": "UDP",
         "from": "127.0.0.1:40000", "expires_s": 287, "user_agent": "baresip v1.0.0"},
    ],
    "reload": {"reloaded": True, "needs_restart": ["media.workers"]},
    "drain": {"accepting": False, "calls": 2},
}  # fmt: skip

ARGUMENTS = {"agent": ("action", "agent", "phone", "reason"), "hangup": ("call",)}


class FakeEngine:
    """A control server in a thread; ``asked`` holds every request."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._loop = asyncio.new_event_loop()
        self._server = ControlServer(config.parent / "run" / SOCKET_NAME, self._registry())
        self._thread = threading.Thread(target=self._loop.run_forever)

    def _registry(self) -> CommandRegistry:
        registry = CommandRegistry()
        for name in (*ANSWERS, *ARGUMENTS):
            registry.add(
                name,
                self._handler(name),
                right="look",
                help_text=name,
                arguments=ARGUMENTS.get(name, ()),
            )
        return registry

    def _handler(self, name: str) -> Callable[[Actor, Arguments], Any]:
        async def handle(actor: Actor, arguments: Arguments) -> Any:
            del actor
            self.asked.append((name, dict(arguments)))
            if name == "agent":
                if arguments["agent"] == "9999":
                    raise CommandError("there is no agent '9999'", cure="`ccengine agents`")
                reason = str(arguments.get("reason", ""))
                return {"agent": arguments["agent"], "state": "NotReady", "reason": reason}
            if name == "hangup":
                return {"call": arguments["call"], "ended": True}
            return ANSWERS[name]

        return handle

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._server.start(), self._loop).result(5)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._server.close(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder with a name short enough for unix sockets."""
    with tempfile.TemporaryDirectory(prefix="cce-") as name:
        yield Path(name)


@pytest.fixture
def fake_engine(short_path: Path) -> Iterator[FakeEngine]:
    (short_path / "run").mkdir()
    config = short_path / "ccengine.yaml"
    config.write_text("run: {folder: run}\n")
    engine = FakeEngine(config)
    engine.start()
    yield engine
    engine.stop()


Invoke = Callable[..., Result]


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Invoke:
    """Run a command as a shell in an empty folder of 80 columns would."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("CCENGINE_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Result:
        result = CliRunner().invoke(cli, [*words], prog_name="ccengine")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def ask_engine(invoke: Invoke, fake_engine: FakeEngine) -> Invoke:
    """Run a command about the fake engine."""
    return lambda *words: invoke(*words, "-c", str(fake_engine.config))
