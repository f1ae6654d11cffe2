"""A registrar that stands alone, for tests of phones without an engine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from ccengine.clock import SystemClock
from ccengine.ids import RandomIds
from ccengine.net import ListenerSettings, NetLayer, NetSettings
from ccengine.sip.binding import RegistrarSettings
from ccengine.sip.digest import DigestAuthenticator
from ccengine.sip.digest_scheme import make_ha1
from ccengine.sip.endpoint import SipEndpoint
from ccengine.sip.flow import Flow
from ccengine.sip.output import RequestReceived, Transmit
from ccengine.sip.registrar import Registrar
from ccengine.sip.settings import EndpointSettings
from ccengine.testing.waiting import free_sip_port


class _Users:
    """Passwords of one realm."""

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self._passwords = passwords

    def ha1(self, username: str, realm: str, algorithm: str) -> str | None:
        password = self._passwords.get(username)
        return None if password is None else make_ha1(username, realm, password, algorithm)


class LoneRegistrar:
    """Registers users by digest on UDP and TCP in a thread of its own; a context manager.

    ``requests`` counts REGISTERs with right credentials; :meth:`contacts` tells who is here.
    """

    def __init__(self, passwords: Mapping[str, str], host: str = "127.0.0.1") -> None:
        self.host = host
        self.port = free_sip_port(host)
        self.requests = 0
        self._users = _Users(passwords)
        self._clock = SystemClock()
        self._facts: list[Any] = []
        self._registrar = Registrar(RegistrarSettings(min_expires_s=1), self._facts)
        self._digest = DigestAuthenticator(host, secret=b"for tests alone, no secret")
        listeners = (
            ListenerSettings("udp", "UDP", host, self.port),
            ListenerSettings("tcp", "TCP", host, self.port),
        )
        self._net = NetLayer(NetSettings(listeners), self._message, self._flow_failed)
        self._endpoint = SipEndpoint(
            settings=EndpointSettings(),
            ids=RandomIds(),
            facts=self._facts,
            local_address=self._net.local_address,
        )
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lone-registrar", daemon=True)

    @property
    def domain(self) -> str:
        """Return ``host:port`` as phones are configured with it."""
        return f"{self.host}:{self.port}"

    def contacts(self, user: str) -> tuple[str, ...]:
        """Return the Contact URIs of a user."""
        return tuple(binding.contact for binding in self._registrar.lookup(self._aor(user)))

    def _aor(self, user: str) -> str:
        return f"sip:{user}@{self.host}"

    def __enter__(self) -> Self:
        """Start and wait until the sockets are open."""
        self._thread.start()
        if not self._started.wait(5.0):
            raise RuntimeError("the registrar did not start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5.0)

    def _run(self) -> None:
        loop = self._loop
        asyncio.set_event_loop(loop)
        loop.run_until_complete(self._net.start())
        loop.call_soon(self._started.set)
        loop.run_forever()
        loop.run_until_complete(self._net.close())
        loop.close()

    def _message(self, data: bytes, flow: Flow) -> None:
        now = self._clock.now()
        self._endpoint.handle_timeout(now)
        self._endpoint.receive(data, flow, now)
        self._drain()

    def _flow_failed(self, flow: Flow, reason: str) -> None:
        del reason
        self._registrar.flow_closed(flow)
        self._endpoint.flow_failed(flow, self._clock.now())

    def _drain(self) -> None:
        while outputs := self._endpoint.poll():
            for output in outputs:
                if isinstance(output, Transmit):
                    self._net.send(output.data, output.flow)
                elif isinstance(output, RequestReceived):
                    self._answer(output)
        self._facts.clear()

    def _answer(self, received: RequestReceived) -> None:
        request, now = received.request, self._clock.now()
        if request.method != "REGISTER":
            self._endpoint.respond(received.tx, 200, now)
            return
        verdict = self._digest.verify(request, self._users, now)
        if verdict.is_wrong:
            self._endpoint.respond(received.tx, 403, now)
        elif not verdict.is_ok:
            headers = self._digest.challenge(request, now, stale=verdict.is_stale)
            self._endpoint.respond(received.tx, 401, now, headers=headers)
        else:
            self.requests += 1
            response = self._registrar.register(
                request, self._aor(verdict.username), received.flow, now, self._clock.at()
            )
            self._endpoint.respond_with(received.tx, response, now)
