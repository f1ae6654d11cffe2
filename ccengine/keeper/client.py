"""The keeper as its children see it.

Two connections: one for requests that wait for their reply, one on which nothing ever waits,
for what the keeper says of its own accord and for signs of life.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

from ccengine.errors import KeeperError
from ccengine.keeper.child import ENV_SOCKET
from ccengine.keeper.wire import MAX_FDS, Message, close_all, new_socket, receive, send

Push: TypeAlias = Literal["activate", "stop", "lost"]
"""``activate``: the spare takes over.  ``stop``: drain and end, as after SIGTERM, which comes
too.  ``lost``: the keeper is gone; the process runs on as an orphan."""

_REPLY_LIMIT_S = 10.0


class KeeperClient:
    """Talks to the keeper; raises :class:`KeeperError` when it refuses or is gone.

    Methods that take ``wait`` return at once when it is False: True when the message is on its
    way, False when the keeper is too busy to take it now.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._number = 0
        self._lost = False
        self._requests = self._connect()
        self._watch = self._connect()
        self._requests.settimeout(_REPLY_LIMIT_S)
        self._watch.setblocking(False)
        self._post({"op": "watch"})

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self | None:
        """Return the client of the keeper that started this process, None without one."""
        path = environ.get(ENV_SOCKET)
        return cls(Path(path)) if path else None

    def deposit(self, name: str, fds: Sequence[int], *, wait: bool = True) -> bool:
        """Leave duplicates of ``fds`` (1 to 253) under ``name``, replacing what it held."""
        return self.deposit_many({name: fds}, wait=wait)

    def deposit_many(self, held: Mapping[str, Sequence[int]], *, wait: bool = True) -> bool:
        """Leave duplicates under several names, 253 descriptors together, in one message."""
        names = [(name, len(fds)) for name, fds in held.items()]
        fds = [fd for each in held.values() for fd in each]
        return self._say({"op": "deposit", "names": names}, fds, wait=wait)

    def collect(self, prefix: str = "") -> dict[str, list[int]]:
        """Return duplicates of everything deposited under names with this prefix.

        The descriptors belong to the caller, are close-on-exec and share their open file with
        the depositor: whatever has queued in a socket is still there.
        """
        held: dict[str, list[int]] = {}
        after = ""
        while True:
            message = {"op": "collect", "prefix": prefix, "after": after}
            reply, fds = self._request(message, ())
            start = 0
            for name, size in reply["names"]:
                held[name] = fds[start : start + size]
                start += size
                after = name
            if start != len(fds):
                close_all(fds)
                raise KeeperError("the keeper's descriptors do not add up")
            if not reply["more"]:
                return held

    def forget(self, *names: str, wait: bool = True) -> bool:
        """Let the keeper close what the names hold; unknown names are ignored."""
        return self._say({"op": "forget", "names": names}, (), wait=wait)

    def ready(self) -> None:
        """Say that this process serves, or, as a spare, that it could take over."""
        self._request({"op": "ready"}, ())

    def heartbeat(self) -> bool:
        """Give a sign of life; never waits."""
        return self._post({"op": "heartbeat"})

    def status(self) -> Mapping[str, Any]:
        """Return ``processes`` (name, role, pid, state, up_s, deaths) and ``deposits``."""
        return self._request({"op": "status"}, ())[0]

    def stop(self) -> None:
        """Ask the keeper to stop everything in order and end."""
        self._request({"op": "stop"}, ())

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when :meth:`receive` has something."""
        return self._watch.fileno()

    def receive(self) -> list[Push]:
        """Return what the keeper has said since the last time; never waits.

        After ``lost`` nothing more will come: stop watching :meth:`fileno`.
        """
        said: list[Push] = []
        while not self._lost:
            try:
                message, fds = receive(self._watch)
            except BlockingIOError:
                break
            except OSError:
                message, fds = None, []
            close_all(fds)
            if message is None:
                self._lost = True
                said.append("lost")
            elif message.get("op") in ("activate", "stop"):
                said.append(message["op"])
        return said

    def wait(self, timeout_s: float | None = None) -> list[Push]:
        """Wait until the keeper says something; empty when the time is over."""
        if not self._lost:
            select.select([self._watch], [], [], timeout_s)
        return self.receive()

    def close(self) -> None:
        """Close both connections."""
        self._requests.close()
        self._watch.close()

    def _connect(self) -> socket.socket:
        connection = new_socket()
        try:
            connection.connect(str(self._path))
        except OSError as error:
            connection.close()
            raise KeeperError(
                f"no keeper answers on {self._path}: {error.strerror}", cure="is it running?"
            ) from error
        return connection

    def _say(self, message: Message, fds: Sequence[int], *, wait: bool) -> bool:
        if not wait:
            return self._post(message, fds)
        self._request(message, fds)
        return True

    def _post(self, message: Message, fds: Sequence[int] = ()) -> bool:
        try:
            send(self._watch, {**message, "quiet": True}, fds)
        except BlockingIOError:
            return False
        except OSError as error:
            raise KeeperError(f"the keeper is gone: {error.strerror}") from error
        return True

    def _request(self, message: Message, fds: Sequence[int]) -> tuple[Message, list[int]]:
        self._number += 1
        try:
            send(self._requests, {**message, "id": self._number}, fds)
            while True:
                reply, received = receive(self._requests)
                if reply is None:
                    raise KeeperError("the keeper is gone")
                if reply.get("re") == self._number:
                    break
                close_all(received)  # the answer to a request whose time was over
        except OSError as error:
            raise KeeperError(f"the keeper does not answer: {error}") from error
        if "error" in reply:
            close_all(received)
            raise KeeperError(f"the keeper refuses: {reply['error']}")
        return reply, received


__all__ = ["MAX_FDS", "KeeperClient", "Push"]
