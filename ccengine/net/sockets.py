"""Sockets as SIP wants them, and which address of ours a peer sees."""

from __future__ import annotations

import socket
from functools import lru_cache
from ipaddress import ip_address

from ccengine.errors import CcengineError
from ccengine.net.settings import ListenerSettings

WILDCARDS = frozenset({"", "0.0.0.0", "::"})
_BACKLOG = 1024


class ListenError(CcengineError):
    """A listener cannot be opened."""

    code = "CC2200"


def is_address(host: str) -> bool:
    """Whether ``host`` is a numeric address, so that nothing needs to be looked up."""
    return _is_address(host)


@lru_cache(maxsize=4096)
def _is_address(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def address_family(host: str) -> socket.AddressFamily:
    """Return ``AF_INET6`` for what holds a colon, else ``AF_INET``."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def open_listener(settings: ListenerSettings, receive_buffer_bytes: int) -> socket.socket:
    """Return a bound, non-blocking socket for a listener; a TCP one listens already.

    Raises:
        ListenError: the address is no number, not ours, or in use.

    """
    where = f"{settings.transport} {settings.host}:{settings.port} (listener {settings.name})"
    if not is_address(settings.host):
        raise ListenError(f"{where}: the host is no address", cure="write it as a number")
    family = address_family(settings.host)
    is_udp = settings.transport == "UDP"
    sock = socket.socket(family, socket.SOCK_DGRAM if is_udp else socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if not is_udp:  # on UDP it would let two engines share the port unnoticed
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((settings.host, settings.port))
        if is_udp:
            enlarge_receive_buffer(sock, receive_buffer_bytes)
        else:
            sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise ListenError(
            f"{where}: {error.strerror}", cure="free the port or configure another address"
        ) from error
    return sock


def enlarge_receive_buffer(sock: socket.socket, size: int) -> int:
    """Make room for bursts as far as the system allows; return the bytes obtained."""
    for option in (getattr(socket, "SO_RCVBUFFORCE", 33), socket.SO_RCVBUF):
        try:
            sock.setsockopt(socket.SOL_SOCKET, option, size)
        except OSError:
            continue
        break
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2


def source_address(remote: tuple[str, int]) -> str:
    """Return the address of ours that packets to ``remote`` carry, by the routing table.

    A connected UDP socket sends nothing and knows it.  Loopback when there is no route.
    """
    family = address_family(remote[0])
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((remote[0], remote[1] or 9))
            return str(probe.getsockname()[0])
    except OSError:
        return "::1" if family == socket.AF_INET6 else "127.0.0.1"
