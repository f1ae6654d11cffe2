"""The keeper's socket: requests of its processes, and what it says to them of its own accord."""

from __future__ import annotations

import logging
import os
import selectors
import socket
import struct
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ccengine.errors import KeeperError
from ccengine.keeper.deposit import Deposits
from ccengine.keeper.supervisor import Supervisor
from ccengine.keeper.wire import Message, close_all, new_socket, receive, send

_log = logging.getLogger("ccengine.keeper")

_CREDENTIALS = struct.Struct("3i")
_Reply = tuple[Message, list[int]]


class Server:
    """Listens on a Unix socket that only this user may open.

    A peer is told by its pid (SO_PEERCRED).  Each request gets one reply with the same
    ``re``, unless it is ``quiet``.  A peer that does not read is cut off.
    """

    def __init__(
        self, path: Path, selector: selectors.BaseSelector, supervisor: Supervisor
    ) -> None:
        self.deposits = Deposits()
        self._path = path
        self._selector = selector
        self._supervisor = supervisor
        self._pids: dict[socket.socket, int] = {}
        self._watchers: dict[int, socket.socket] = {}
        self._operations: Mapping[str, Callable[[int, Message, list[int]], _Reply]] = {
            "ready": self._ready,
            "heartbeat": self._heartbeat,
            "deposit": self._deposit,
            "collect": self._collect,
            "forget": self._forget,
            "status": self._status,
            "stop": self._stop,
        }
        self._listener = _listen(path)
        selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def push(self, pid: int, operation: str) -> None:
        """Tell a process something; one that does not watch is not told."""
        watcher = self._watchers.get(pid)
        if watcher is not None:
            self._send(watcher, {"op": operation}, [])

    def close(self) -> None:
        """Close every connection and descriptor and remove the socket."""
        for connection in tuple(self._pids):
            self._drop(connection)
        self._selector.unregister(self._listener)
        self._listener.close()
        self._path.unlink(missing_ok=True)
        self.deposits.close()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            _log.warning("no connection taken: %s", error.strerror)
            return
        connection.setblocking(False)
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        self._pids[connection] = _CREDENTIALS.unpack(raw)[0]
        self._selector.register(
            connection, selectors.EVENT_READ, lambda: self._readable(connection)
        )

    def _readable(self, connection: socket.socket) -> None:
        try:
            message, fds = receive(connection)
        except BlockingIOError:
            return
        except ConnectionResetError:
            message, fds = None, []  # a process that ended with words of ours unread
        except (KeeperError, OSError) as error:
            _log.warning("pid %d is cut off: %s", self._pids[connection], error)
            message, fds = None, []
        if message is None:
            self._drop(connection)
            return
        try:
            reply, attached = self._carry_out(connection, message, fds)
        except KeeperError as error:
            close_all(fds)
            reply, attached = {"error": str(error)}, []
        if not message.get("quiet"):
            self._send(connection, {"re": message.get("id"), **reply}, attached)

    def _carry_out(self, connection: socket.socket, message: Message, fds: list[int]) -> _Reply:
        pid = self._pids[connection]
        operation = message.get("op")
        if fds and operation != "deposit":
            raise KeeperError(f"{operation} takes no descriptors")
        if operation == "watch":
            self._watchers[pid] = connection
            return {}, []
        carry_out = self._operations.get(str(operation))
        if carry_out is None:
            raise KeeperError(f"unknown operation {operation!r}")
        if operation not in ("status", "stop") and self._supervisor.child(pid) is None:
            raise KeeperError(f"pid {pid} is no process of this keeper")
        return carry_out(pid, message, fds)

    def _ready(self, pid: int, _message: Message, _fds: list[int]) -> _Reply:
        child = self._supervisor.child(pid)
        assert child is not None
        self._supervisor.ready(child, time.monotonic())
        return {}, []

    def _heartbeat(self, pid: int, _message: Message, _fds: list[int]) -> _Reply:
        child = self._supervisor.child(pid)
        assert child is not None
        child.heard_at = time.monotonic()
        return {}, []

    def _deposit(self, _pid: int, message: Message, fds: list[int]) -> _Reply:
        names = message.get("names")
        if not isinstance(names, list):
            raise KeeperError("deposit needs 'names'")
        try:
            sizes = [(str(name), int(size)) for name, size in names]
        except (TypeError, ValueError) as error:
            raise KeeperError("deposit needs pairs of name and number") from error
        self.deposits.put(sizes, fds)
        return {}, []

    def _collect(self, _pid: int, message: Message, _fds: list[int]) -> _Reply:
        prefix, after = str(message.get("prefix", "")), str(message.get("after", ""))
        sizes, fds, more = self.deposits.page(prefix, after)
        return {"names": sizes, "more": more}, fds

    def _forget(self, _pid: int, message: Message, _fds: list[int]) -> _Reply:
        names = message.get("names")
        if not isinstance(names, list):
            raise KeeperError("forget needs 'names'")
        self.deposits.drop([str(name) for name in names])
        return {}, []

    def _status(self, _pid: int, _message: Message, _fds: list[int]) -> _Reply:
        names, fds = self.deposits.counts()
        processes = self._supervisor.status(time.monotonic())
        return {
            "pid": os.getpid(),
            "processes": processes,
            "deposits": names,
            "descriptors": fds,
        }, []

    def _stop(self, _pid: int, _message: Message, _fds: list[int]) -> _Reply:
        self._supervisor.stop(time.monotonic())
        return {}, []

    def _send(self, connection: socket.socket, message: dict[str, Any], fds: list[int]) -> None:
        try:
            send(connection, message, fds)
        except (OSError, KeeperError) as error:
            _log.warning("pid %d is cut off: %s", self._pids[connection], error)
            self._drop(connection)

    def _drop(self, connection: socket.socket) -> None:
        pid = self._pids.pop(connection, None)
        if pid is None:
            return
        if self._watchers.get(pid) is connection:
            del self._watchers[pid]
        self._selector.unregister(connection)
        connection.close()


def refuse_second(path: Path) -> None:
    """Raise :class:`KeeperError` when a keeper answers on ``path``."""
    with new_socket() as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return
    raise KeeperError(f"a keeper already runs on {path}", cure="stop it first")


def _listen(path: Path) -> socket.socket:
    listener = new_socket()
    try:
        path.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(mask)
        listener.listen(128)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise KeeperError(f"{path}: {error.strerror}", cure="check the folder") from error
    return listener
