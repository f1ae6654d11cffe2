"""Signalling's tie to the keeper: signs of life, the deposit of SIP sockets, and its loss."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping

from ccengine.errors import KeeperError
from ccengine.keeper.client import KeeperClient

HEARTBEAT_S = 0.5
DEPOSIT = "sip/"

_log = logging.getLogger(__name__)


class KeeperWatch:
    """The keeper while there is one; an engine without a keeper runs all the same.

    ``on_beat`` is called with every sign of life.
    """

    def __init__(self, keeper: KeeperClient | None, on_beat: Callable[[], None]) -> None:
        self._keeper = keeper
        self._on_beat = on_beat

    def start(self) -> None:
        """Begin to give signs of life and to listen."""
        if self._keeper is not None:
            asyncio.get_running_loop().add_reader(self._keeper.fileno(), self._spoke)
            self._beat()

    def _beat(self) -> None:
        if self._keeper is None:
            return
        try:
            self._keeper.heartbeat()
        except KeeperError as error:
            _log.warning("%s; running on without it", error)
            self._lose()
            return
        self._on_beat()
        asyncio.get_running_loop().call_later(HEARTBEAT_S, self._beat)

    def _spoke(self) -> None:
        if self._keeper is None:
            return
        for word in self._keeper.receive():
            # "stop" comes beside SIGTERM: heeding both would be asking twice, which hurries.
            if word == "lost":
                _log.warning("the keeper is gone; running on without it")
                self._lose()
                return

    def _lose(self) -> None:
        if self._keeper is not None:
            asyncio.get_running_loop().remove_reader(self._keeper.fileno())
            self._keeper = None

    def collect(self, wanted: set[str]) -> dict[str, socket.socket]:
        """Return the sockets that a predecessor left for the wanted listeners."""
        if self._keeper is None:
            return {}
        held = self._keeper.collect(DEPOSIT)
        sockets = {
            name.removeprefix(DEPOSIT): socket.socket(fileno=fds[0]) for name, fds in held.items()
        }
        for name in set(sockets) - wanted:
            sockets.pop(name).close()
        return sockets

    def deposit(self, sockets: Mapping[str, socket.socket]) -> None:
        """Leave duplicates of our sockets for a successor."""
        if self._keeper is not None:
            self._keeper.deposit_many(
                {DEPOSIT + name: [one.fileno()] for name, one in sockets.items()}
            )

    async def stop_all(self) -> bool:
        """Ask the keeper to stop every process; return whether there is one to ask."""
        if self._keeper is None:
            return False
        await asyncio.to_thread(self._keeper.stop)
        return True
