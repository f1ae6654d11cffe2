"""The switch alone, without queues, flows and center, on the rig of virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from ccengine.call import record as call_record
from ccengine.call.context import CallContext, CallSettings, ExtensionSettings
from ccengine.call.route import Route, StaticRouter
from ccengine.call.switch import Switch
from ccengine.ids import SeededIds
from ccengine.media.link import MediaLink
from ccengine.ports import CallEvent, FactData
from ccengine.sip.binding import RegistrarSettings
from ccengine.sip.digest import DigestAuthenticator, make_ha1
from ccengine.sip.endpoint import SipEndpoint
from ccengine.sip.output import Transmit
from ccengine.sip.registrar import Registrar
from ccengine.sip.settings import EndpointSettings
from ccengine.testing.rig import Rig
from ccengine.testing.worker import PaperWorker

DOMAIN = "ccengine"
EXTENSIONS = {
    "1001": ExtensionSettings("1001", "张伟"),
    "1002": ExtensionSettings("1002", "Li Na"),
    "1003": ExtensionSettings("1003"),
}


@dataclass
class Leavings:
    facts: Sequence[FactData] = ()
    transmits: list[Transmit] = field(default_factory=list)
    media: Sequence[Any] = ()


class PasswordIsNumber:
    def ha1(self, username: str, realm: str, algorithm: str) -> str | None:
        if username not in EXTENSIONS:
            return None
        return make_ha1(username, realm, f"pw{username}", algorithm)


class Exchange:
    """A switch with its neighbours below; events of flows collect in ``events``."""

    def __init__(self, settings: CallSettings) -> None:
        self.facts: list[Any] = []
        address = lambda _flow: ("192.0.2.1", 5060)  # noqa: E731
        ids = SeededIds(7)
        self.sip = SipEndpoint(
            settings=EndpointSettings(), ids=ids, facts=self.facts, local_address=address
        )
        self.registrar = Registrar(RegistrarSettings(), self.facts, boot_id="boot")
        self.media = MediaLink(("m0",), self.facts)
        routes = [(number, Route("extension")) for number in EXTENSIONS]
        self.context = CallContext(
            settings=settings,
            sip=self.sip,
            media=self.media,
            locations=self.registrar,
            router=StaticRouter([*routes, ("4001", Route("flow"))]),
            ids=ids,
            facts=self.facts,
            local_address=address,
        )
        self.switch = Switch(
            self.context,
            self.registrar,
            authenticator=DigestAuthenticator(DOMAIN, secret=b"sixteen octets!!"),
            credentials=PasswordIsNumber(),
        )
        self.events: list[CallEvent] = []

    def apply(self, fact: Any) -> None:
        if type(fact) in call_record.FACTS:
            self.switch.apply(fact)
        elif type(fact).__module__.startswith("ccengine.media"):
            self.media.apply(fact)
        elif type(fact).__name__ == "BindingsSet":
            self.registrar.apply(fact)
        else:
            self.sip.apply(fact)

    def sip_message(self, data: bytes, flow: Any, now: float) -> None:
        self.sip.receive(data, flow, now)

    def media_packet(self, worker: str, data: bytes, now: float, at: datetime) -> None:
        for event in self.media.receive(worker, data):
            self.switch.media_event(event, now, at)

    def handle_timeout(self, now: float, at: datetime) -> None:
        self.sip.handle_timeout(now)
        self.registrar.handle_timeout(now)
        self.switch.handle_timeout(now, at)

    def next_timeout(self) -> float | None:
        due = (
            self.sip.next_timeout(),
            self.registrar.next_timeout(),
            self.switch.next_timeout(),
        )
        return min((one for one in due if one is not None), default=None)

    def drain(self, now: float, at: datetime) -> Leavings:
        leavings = Leavings()
        while True:
            outputs = self.sip.poll()
            self.events.extend(self.switch.poll())
            self.registrar.poll()
            if not outputs:
                break
            for output in outputs:
                if isinstance(output, Transmit):
                    leavings.transmits.append(output)
                else:
                    self.switch.sip_output(output, now, at)
        leavings.media = self.media.poll()
        leavings.facts = tuple(self.facts)
        self.facts.clear()
        return leavings


class Office(Rig):
    """The rig with a switch, one worker, and phones that are registered."""

    system: Exchange

    def __init__(self, settings: CallSettings, ports: int = 100) -> None:
        self.exchange = Exchange(settings)
        self.worker = PaperWorker("m0", tuple(range(20000, 20000 + 2 * ports, 2)))
        super().__init__(self.exchange, [self.worker])
        self.exchange.media.attach("m0", 1)
        self.settle()

    def registered(self, user: str, **options: Any) -> Any:
        phone = self.phone(user, password=f"pw{user}", **options)
        phone.register(self.now)
        self.settle()
        assert phone.registered == 200, phone.registered
        return phone

    def command(self, command: Any) -> None:
        self.exchange.switch.command(command, self.now, self.clock.at())
        self.settle()

    def take_events(self) -> list[CallEvent]:
        events, self.exchange.events = self.exchange.events, []
        return events

    def cdrs(self, kind: type) -> list[Any]:
        return [fact for fact in self.facts if type(fact) is kind]

    def assert_nothing_left(self) -> None:
        """After everything: no call, leg, want, dialog, transaction or timer remains."""
        self.advance(40)
        exchange = self.exchange
        assert not exchange.switch.state.calls
        assert not exchange.switch.state.legs
        assert not exchange.switch.state.closing
        assert not exchange.media.wants()
        assert exchange.media.leased_ports() == 0
        assert exchange.media.free_ports() == len(self.worker.ports)
        assert exchange.sip.session_count == 0
        assert exchange.sip.transaction_count == 0
        assert exchange.sip.timer_count == 0
        assert not self.worker.wants


@pytest.fixture
def make_office():
    def make(ports: int = 100, **changes: Any) -> Office:
        settings = CallSettings(domain=DOMAIN, extensions=EXTENSIONS, **changes)
        return Office(settings, ports)

    return make


@pytest.fixture
def office(make_office) -> Office:
    return make_office()
