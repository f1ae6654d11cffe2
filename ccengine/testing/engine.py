"""A whole engine as a child: the sample configuration with a test's changes, on its own address."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ccengine.api.control import SOCKET_NAME, ControlClient
from ccengine.config.data import data_folder
from ccengine.dialplan.source import read_document
from ccengine.errors import CommandError
from ccengine.keeper.client import KeeperClient
from ccengine.store.query import Records
from ccengine.testing.peers.process import PeerError, PeerProcess
from ccengine.testing.waiting import loopback_address, wait_until

SIP_PORT = 5060
START_S = 30.0


def merged(base: Any, changes: Any) -> Any:
    """Return ``base`` with ``changes`` laid over it, mapping by mapping; None takes away."""
    if not isinstance(base, Mapping) or not isinstance(changes, Mapping):
        return changes
    result = dict(base)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


class RunningEngine(PeerProcess):
    """An engine that runs for the length of a ``with`` block.

    ``changes`` are laid over the sample configuration.  SIP is served on port 5060 of
    ``address`` by UDP and TCP.
    """

    def __init__(self, folder: Path, changes: Mapping[str, Any] | None = None) -> None:
        super().__init__("engine")
        self.folder = folder
        self.address = loopback_address()
        self._run = tempfile.TemporaryDirectory(prefix="cce-")  # unix sockets want short paths
        self._changes = dict(changes or {})
        self.log: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)

    def line_read(self, line: str) -> None:
        """Keep what the engine logs."""
        self.log.append(line)

    # --- life ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Write the configuration, start, and wait until the engine serves."""
        self.write_configuration()
        self.spawn([sys.executable, "-m", "ccengine", "run", "-c", str(self.configuration)])
        try:
            wait_until(self._serves, "sign of life of the engine", START_S, 0.05)
        except AssertionError as error:
            raise PeerError("\n".join((str(error), *self.log[-30:]))) from error

    def write_configuration(self) -> None:
        """Write the sample configuration with the changes of this test."""
        source = data_folder("dialplans")
        data = read_document(source / "ccengine.yaml").data
        data["dialplan"] = [str(source / name) for name in data["dialplan"]]
        listeners = [
            {"name": kind, "transport": kind, "host": self.address, "port": SIP_PORT}
            for kind in ("udp", "tcp")
        ]
        own = {
            "sip": {"listeners": listeners},
            "media": {"host": self.address, "ports": {"first": 20000, "last": 29999}},
            "run": {"folder": self._run.name, "drain_s": 1},
        }
        text = json.dumps(merged(merged(data, own), self._changes), ensure_ascii=False, indent=1)
        self.configuration.write_text(text, encoding="utf-8")

    def _serves(self) -> bool:
        if not self.is_running:
            raise PeerError("the engine ended while it started:\n" + "\n".join(self.log[-30:]))
        try:
            status = self.ask("status")
        except CommandError:
            return False
        return bool(status["rtp_ports_free"])

    def stop(self) -> None:
        """Stop the engine and forget its sockets."""
        super().stop()
        self._run.cleanup()

    # --- what a test looks at --------------------------------------------------------------------

    @property
    def configuration(self) -> Path:
        """Return the path of the configuration."""
        return self.folder / "ccengine.yaml"

    @property
    def registrar(self) -> tuple[str, int]:
        """Return where phones register."""
        return self.address, SIP_PORT

    def ask(self, command: str, **arguments: Any) -> Any:
        """Ask the engine over its control socket."""
        return ControlClient(Path(self._run.name) / SOCKET_NAME).ask(command, **arguments)

    def processes(self) -> list[dict[str, Any]]:
        """Return what the keeper knows of its processes: name, role, pid, state."""
        keeper = KeeperClient(Path(self._run.name) / "keeper.sock")
        try:
            return list(keeper.status()["processes"])
        finally:
            keeper.close()

    def wait_for_spare(self, timeout_s: float = 20.0) -> None:
        """Wait until another signalling process is ready to take over."""
        wait_until(
            lambda: any(one["state"] == "idle" for one in self.processes()),
            "idle spare",
            timeout_s,
            0.1,
        )

    @property
    def records(self) -> Records:
        """Return the records of calls."""
        return Records(f"sqlite:///{self.folder / 'var' / 'ccengine.db'}")

    def agent_state(self, agent: str) -> str:
        """Return the state of an agent."""
        return next(str(one["state"]) for one in self.ask("agents") if one["agent"] == agent)

    def idle(self) -> bool:
        """Return whether nothing is going on: no call, no leg, no dialog, no transaction."""
        status = self.ask("status")
        return not any(status[key] for key in ("calls", "legs", "dialogs", "rtp_ports_leased"))
