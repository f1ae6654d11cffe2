"""Looking before the start: whether an engine runs already and the SIP ports are free."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

from ccengine.api.control import SOCKET_NAME, ControlClient
from ccengine.errors import CcengineError, CommandError

if TYPE_CHECKING:
    from ccengine.config.loader import Config

_KINDS = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}


class PortTakenError(CcengineError):
    """A SIP port cannot be listened on."""

    code = "CC8100"


def is_running(config: Config) -> bool:
    """Tell whether an engine answers on the configuration's control socket."""
    try:
        ControlClient(config.settings.run.folder / SOCKET_NAME).ask("status")
    except CommandError:
        return False
    return True


def refuse_second(config: Config) -> None:
    """Raise :class:`CommandError` when an engine runs on this configuration already."""
    if is_running(config):
        raise CommandError(
            f"an engine runs on {config.path} already",
            cure=f"`ccengine stop -c {config.path}` stops it",
        )


def listen_problem(transport: str, host: str, port: int) -> str:
    """Return why nobody can listen there now, empty when somebody can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, _KINDS[transport]) as probe:
        if transport == "tcp":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return "another program has it"
            if error.errno == errno.EADDRNOTAVAIL:
                return "this machine has no such address"
            return error.strerror or "it cannot be bound"
    return ""


def refuse_taken_ports(config: Config) -> None:
    """Raise :class:`PortTakenError` when a SIP listener cannot be opened."""
    for one in config.settings.sip.listeners:
        problem = listen_problem(one.transport, one.host, one.port)
        if problem:
            raise PortTakenError(
                f"SIP cannot be served on {one.transport} {one.host}:{one.port}: {problem}",
                cure="choose another port or address",
            )
