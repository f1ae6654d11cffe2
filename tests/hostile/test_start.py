"""Starts that cannot succeed: every mistake at once, in plain words, exit 1, nothing left."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ccengine.testing.census import command_line
from ccengine.testing.faults import port_taken
from ccengine.testing.hostile import TriedEngine, tried_engine

pytestmark = pytest.mark.e2e


@pytest.fixture
def prepare() -> Iterator[Callable[..., TriedEngine]]:
    """Engines with their configuration written, yet to be started."""
    made: list[TriedEngine] = []

    def make(folder: Path, changes: dict[str, Any] | None = None) -> TriedEngine:
        engine = TriedEngine(folder, changes)
        made.append(engine)
        engine.write_configuration()
        return engine

    yield make
    for engine in made:
        engine.stop()


def run(configuration: Path, timeout_s: float = 30.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ccengine", "run", "-c", str(configuration)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def left_of(configuration: Path) -> list[str]:
    """Processes that were started for a configuration and still run."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    lines = [command_line(pid) for pid in pids if pid != os.getpid()]
    return [line for line in lines if str(configuration.parent) in line and "pytest" not in line]


def problems(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What was said on stderr but warnings."""
    return [line for line in done.stderr.splitlines() if not line.startswith("warning:")]


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["udp", "tcp"])
def test_the_sip_port_is_in_use(
    tmp_path: Path, prepare: Callable[..., TriedEngine], kind: socket.SocketKind
) -> None:
    engine = prepare(tmp_path)
    with port_taken(engine.address, 5060, kind):
        done = run(engine.configuration)
    assert done.returncode == 1
    (line,) = problems(done)
    assert f"{engine.address}:5060" in line
    assert "Traceback" not in done.stderr
    assert not left_of(engine.configuration)
    # With the port free again the same folder starts.
    with engine:
        engine.takes_a_call()


def test_a_second_engine_on_the_same_journal(
    tmp_path: Path, prepare: Callable[..., TriedEngine]
) -> None:
    with tried_engine(tmp_path / "one") as engine:
        journal = {"journal": {"folder": str(tmp_path / "one" / "var" / "journal")}}
        other = prepare(tmp_path / "two", journal)
        done = run(other.configuration)
        assert done.returncode == 1
        (line,) = problems(done)
        assert "journal" in line
        assert str(engine.ask("status")["pid"]) in line
        assert not left_of(other.configuration)
        # And once more with its own configuration.
        again = run(engine.configuration)
        assert again.returncode == 1
        assert len(problems(again)) == 1
        engine.takes_a_call()


def test_a_journal_that_cannot_be_written(
    tmp_path: Path, prepare: Callable[..., TriedEngine]
) -> None:
    engine = prepare(tmp_path, {"journal": {"folder": "/proc/nowhere"}})
    done = run(engine.configuration)
    assert done.returncode == 1
    assert len(problems(done)) == 1, done.stderr
    assert "/proc" in problems(done)[0]
    assert not left_of(engine.configuration)


def test_every_mistake_of_a_configuration_at_once(
    tmp_path: Path, prepare: Callable[..., TriedEngine]
) -> None:
    engine = prepare(
        tmp_path,
        {
            "queues": {"sales": {"rng_timeout_s": 5, "wrapup_s": -1}},
            "media": {"workers": "many"},
            "agents": {"2001": {"phone": "4711"}},
            "numbers": {"4009": "nosuchflow"},
        },
    )
    done = run(engine.configuration)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    lines = problems(done)
    words = (
        "unknown key 'rng_timeout_s'; did you mean 'ring_timeout_s'?",
        "out of range",
        "a whole number",
        "no extension '4711'",
        "no flow 'nosuchflow'",
    )
    assert len(lines) == len(words), done.stderr
    for word in words:
        (line,) = [one for one in lines if word in one]
        path, row, column, _ = line.split(":", 3)
        assert path == str(engine.configuration)
        assert row.isdigit()
        assert column.isdigit()
    assert not left_of(engine.configuration)


def test_every_mistake_of_a_dialplan_at_once(
    tmp_path: Path, prepare: Callable[..., TriedEngine]
) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        "version: 1\nflows:\n  main:\n    states:\n      start:\n"
        "        - anser\n        - go: nowhere\n        - queue: {queu: sales}\n",
        encoding="utf-8",
    )
    engine = prepare(tmp_path, {"dialplan": [str(plan)], "numbers": {"4001": "main"}})
    done = run(engine.configuration)
    assert done.returncode == 1
    found = [line for line in problems(done) if line.startswith(f"{plan}:")]
    assert {line.split(":")[1] for line in found} >= {"6", "8"}, done.stderr
    assert "answer" in "\n".join(found)
    assert not left_of(engine.configuration)


@pytest.mark.parametrize("text", ["", "sip: [", "- a\n- b\n", "\x00\x01", "a: *b"])
def test_a_file_that_is_no_configuration(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ccengine.yaml"
    path.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "ccengine", "check", "-c", str(path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "Traceback" not in done.stderr
    if text:
        assert done.returncode == 1
        assert str(path) in done.stderr


def test_no_file_at_all(tmp_path: Path) -> None:
    done = run(tmp_path / "nothing.yaml")
    assert done.returncode == 1
    assert len(problems(done)) == 1
    assert "nothing.yaml" in done.stderr
