"""Messages between the keeper and its children: small JSON objects with descriptors attached.

They travel on Unix sockets of type SOCK_SEQPACKET, so message borders are kept; descriptors
ride as SCM_RIGHTS (unix(7)), of which the kernel takes 253 in one message.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Sequence
from typing import Any

from ccengine.errors import KeeperError

MAX_FDS = 253
MAX_MESSAGE_BYTES = 64 << 10
_INT_BYTES = 4

Message = dict[str, Any]


def new_socket() -> socket.socket:
    """Return an unconnected socket of the right kind."""
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(sock: socket.socket, message: Message, fds: Sequence[int] = ()) -> None:
    """Send one message; raises OSError, BlockingIOError where a socket must not wait."""
    data = json.dumps(message, separators=(",", ":")).encode("utf-8")
    if len(data) > MAX_MESSAGE_BYTES or len(fds) > MAX_FDS:
        raise KeeperError(
            f"a message of {len(data)} bytes and {len(fds)} descriptors is too large",
            cure=f"send at most {MAX_MESSAGE_BYTES} bytes and {MAX_FDS} descriptors at once",
        )
    if fds:
        socket.send_fds(sock, [data], list(fds))
    else:
        sock.send(data)


def receive(sock: socket.socket) -> tuple[Message | None, list[int]]:
    """Return the next message and its descriptors; None when the peer is gone.

    Descriptors are close-on-exec.  Raises :class:`KeeperError` for what is no message (its
    descriptors are closed then) and OSError.
    """
    # Not socket.recv_fds, which drops the flags that it is given.
    data, ancillary, flags, _ = sock.recvmsg(
        MAX_MESSAGE_BYTES, socket.CMSG_LEN(MAX_FDS * _INT_BYTES), socket.MSG_CMSG_CLOEXEC
    )
    fds: list[int] = []
    for level, kind, raw in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds += memoryview(raw[: len(raw) - len(raw) % _INT_BYTES]).cast("i")
    if not data:
        close_all(fds)
        return None, []
    try:
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            raise KeeperError("a message was cut short", cure="raise the open-file limit")
        message = json.loads(data)
        if not isinstance(message, dict):
            raise KeeperError("a message is no JSON object")
    except (KeeperError, ValueError) as error:
        close_all(fds)
        raise KeeperError(f"unreadable message: {error}") from error
    return message, fds


def close_all(fds: Iterable[int]) -> None:
    """Close descriptors."""
    for fd in fds:
        os.close(fd)
