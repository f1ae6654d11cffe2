"""The local control socket: one line of JSON for a request, one for its answer.

Request ``{"command": "queues", "arguments": {}}``; answer ``{"ok": …}`` or
``{"error": {"code": "CC8000", "message": "…", "cure": "…"}}``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from pathlib import Path
from typing import Any

from ccengine.api.registry import LOCAL_OPERATOR, CommandRegistry
from ccengine.errors import CcengineError, CommandError

MAX_LINE_BYTES = 8 << 20
ANSWER_LIMIT_S = 15.0
SOCKET_NAME = "control.sock"

_logger = logging.getLogger(__name__)


class ControlServer:
    """Serves a registry on a unix socket that only its owner may open."""

    def __init__(self, path: Path, registry: CommandRegistry) -> None:
        self._path = path
        self._registry = registry
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listen; a socket that a dead process left behind is replaced."""
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(
            self._serve, path=str(self._path), limit=MAX_LINE_BYTES
        )
        self._path.chmod(0o600)

    async def close(self) -> None:
        """Stop listening and close every connection."""
        if self._server is not None:
            self._server.close()
            for writer in tuple(self._connections):
                writer.close()
            await self._server.wait_closed()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while line := await reader.readline():
                answer = await self._answer(line)
                writer.write(json.dumps(answer, ensure_ascii=False, default=str).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError) as error:
            _logger.debug("control connection ended: %s", error)
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        name = ""
        try:
            name, arguments = _read(line)
            return {"ok": await self._registry.run(name, arguments, LOCAL_OPERATOR)}
        except CcengineError as error:
            return _error(error)
        except Exception as error:
            _logger.exception("command %s failed", name)
            cure = "the engine goes on; its log says more"
            return _error(CommandError(f"{name} failed: {error!r}", cure=cure))


def _read(line: bytes) -> tuple[str, dict[str, Any]]:
    """Return command and arguments of a request; raises :class:`CommandError`."""
    try:
        request = json.loads(line)
    except ValueError as error:
        raise CommandError("the request is no JSON") from error
    if not isinstance(request, dict) or not isinstance(request.get("command"), str):
        raise CommandError("no command in the request")
    arguments = request.get("arguments") or {}
    if not isinstance(arguments, dict):
        raise CommandError("the arguments are no object", cure='write {"name": "value"}')
    return request["command"], arguments


def _error(error: CcengineError) -> dict[str, Any]:
    return {"error": {"code": error.code, "message": error.message, "cure": error.cure}}


class ControlClient:
    """Asks a running engine; blocking, for the command line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def ask(self, command: str, **arguments: Any) -> Any:
        """Return the answer; :class:`CommandError` for a refusal or when nobody answers."""
        request = json.dumps({"command": command, "arguments": arguments}).encode() + b"\n"
        answer = json.loads(self._exchange(request))
        if "error" in answer:
            error = answer["error"]
            raise CommandError(error["message"], cure=error["cure"])
        return answer["ok"]

    def _exchange(self, request: bytes) -> bytes:
        received = bytearray()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(ANSWER_LIMIT_S)
            try:
                connection.connect(os.fspath(self._path))
                connection.sendall(request)
                while not received.endswith(b"\n"):
                    chunk = connection.recv(1 << 16)
                    if not chunk:
                        raise CommandError("the engine closed the connection")
                    received += chunk
            except (FileNotFoundError, ConnectionRefusedError) as error:
                raise CommandError(
                    f"no engine answers on {self._path}",
                    cure="start one with `ccengine run`, or name its configuration with -c",
                ) from error
            except OSError as error:
                raise CommandError(f"the engine does not answer: {error}") from error
        return bytes(received)
