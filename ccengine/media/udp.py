"""UDP sockets of a leg: an even RTP port and the odd RTCP port above it."""

from __future__ import annotations

import ctypes
import os
import socket
from ipaddress import ip_address
from typing import Final, TypeAlias

Address: TypeAlias = tuple[str, int]

_IP_MTU_DISCOVER: Final = 10
_IP_PMTUDISC_DO: Final = 2
_RTCP_BUFFER_BYTES: Final = 16384
_libc = ctypes.CDLL(None, use_errno=True)


def family_of(host: str) -> socket.AddressFamily:
    """Return the address family of a literal address; ValueError when it is none."""
    return socket.AF_INET if ip_address(host).version == 4 else socket.AF_INET6


def bind_udp(host: str, port: int) -> socket.socket:
    """Return a non-blocking UDP socket bound to an explicit port; OSError when it is taken."""
    family = family_of(host)
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if family is socket.AF_INET:
            # Spares the kernel an IP identification for each unconnected packet.
            sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DO)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def bind_pair(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """Return the RTP socket on ``port`` and the RTCP socket on ``port + 1``."""
    rtp = bind_udp(host, port)
    try:
        rtcp = bind_udp(host, port + 1)
    except OSError:
        rtp.close()
        raise
    rtcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RTCP_BUFFER_BYTES)
    return rtp, rtcp


def disconnect(sock: socket.socket) -> None:
    """Take any source again; the port is kept because it was bound explicitly."""
    unspecified = bytes(16)  # struct sockaddr with sa_family AF_UNSPEC
    if _libc.connect(sock.fileno(), unspecified, len(unspecified)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
