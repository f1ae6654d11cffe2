"""A keeper as a real process with small real children."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ccengine.errors import KeeperError
from ccengine.keeper.client import KeeperClient
from ccengine.testing.waiting import wait_until

PRELUDE = """
import os, select, signal, socket, sys, time
from ccengine.keeper.client import KeeperClient
client = KeeperClient.from_env()
spare = "--spare" in sys.argv
folder = os.environ["FOLDER"]
def note(*words):
    with open(folder + "/log", "a") as file:
        file.write(" ".join([*words, repr(time.monotonic()), str(os.getpid())]) + "\\n")
def end(*_):
    note("end", os.environ["CCENGINE_PROCESS"])
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
"""


class Keeper:
    """A keeper, its folder, and what its children noted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "keeper.sock"
        self.errors = folder / "stderr"
        self.popen: subprocess.Popen[bytes] | None = None

    def process(self, name: str, role: str, code: str, **more: Any) -> dict[str, Any]:
        source = PRELUDE + textwrap.dedent(code)
        return {"name": name, "role": role, "argv": [sys.executable, "-c", source], **more}

    def start(self, *processes: dict[str, Any], **more: Any) -> None:
        spec = self.folder / "spec.json"
        spec.write_text(json.dumps({"socket": str(self.socket), "processes": processes, **more}))
        with self.errors.open("a") as errors:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "ccengine.keeper.main", str(spec)],
                env={**os.environ, "FOLDER": str(self.folder)},
                stderr=errors,
            )

    def notes(self, *words: str) -> list[list[str]]:
        """Lines that begin with these words: [..., monotonic time, pid]."""
        try:
            lines = (self.folder / "log").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [line.split() for line in lines if line.split()[: len(words)] == list(words)]

    def client(self) -> KeeperClient:
        found: list[KeeperClient] = []

        def connected() -> bool:
            try:
                found.append(KeeperClient(self.socket))
            except KeeperError:
                return False
            return True

        wait_until(connected, "the keeper listens")
        return found[0]

    def status(self) -> dict[str, Any]:
        client = self.client()
        try:
            return dict(client.status())
        finally:
            client.close()

    def lines(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.status()["processes"] if line["name"] == name]

    def wait_states(self, name: str, *states: str) -> list[dict[str, Any]]:
        """Wait until the processes of a slot, the active first, are in these states."""
        wait_until(
            lambda: tuple(line["state"] for line in self.lines(name)) == states,
            f"{name}: {states}",
        )
        return self.lines(name)

    def pid(self, name: str, state: str = "ready") -> int:
        return next(int(line["pid"]) for line in self.lines(name) if line["state"] == state)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Stop it; return exit status and what it logged."""
        assert self.popen is not None
        self.popen.send_signal(number)
        status = self.popen.wait(timeout=20)
        return status, self.errors.read_text()


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    running = Keeper(tmp_path)
    yield running
    if running.popen is not None:
        if running.popen.poll() is None:
            running.popen.send_signal(signal.SIGTERM)
            running.popen.send_signal(signal.SIGTERM)
        running.popen.wait(timeout=20)
