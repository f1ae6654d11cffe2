"""SIP endpoints on an emulated network, with scripts for what their owners do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from ccengine.clock import VirtualClock
from ccengine.ids import SeededIds
from ccengine.sip.endpoint import SipEndpoint
from ccengine.sip.flow import Flow
from ccengine.sip.output import OutgoingInvite, OutgoingRequest
from ccengine.sip.settings import EndpointSettings
from ccengine.testing.netem import Address, LinkSettings, NetworkEmulator

OFFER = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n"
ANSWER = b"v=0\r\no=- 2 2 IN IP4 192.0.2.2\r\ns=-\r\n"

Output = TypeVar("Output")


class SipNode:
    """One endpoint, everything that it told its owner, and a script that reacts to it."""

    def __init__(
        self, rig: SipRig, name: str, address: Address, settings: EndpointSettings, seed: int
    ) -> None:
        self.rig = rig
        self.name = name
        self.address = address
        self.settings = settings
        self.facts: list[Any] = []
        self.outputs: list[Any] = []
        self.script: Callable[[SipNode, Any, float], None] | None = None
        self.endpoint = self._make(seed)
        rig.network.attach(address, self.endpoint, self._on_output)

    def _make(self, seed: int) -> SipEndpoint:
        return SipEndpoint(
            settings=self.settings,
            ids=SeededIds(seed),
            facts=self.facts,
            local_address=lambda _flow: self.address,
        )

    def _on_output(self, output: Any, now: float) -> None:
        self.outputs.append(output)
        if self.script is not None:
            self.script(self, output, now)

    def seen(self, kind: type[Output]) -> list[Output]:
        """Return the outputs of one type, in order."""
        return [output for output in self.outputs if isinstance(output, kind)]

    def last(self, kind: type[Output]) -> Output:
        """Return the last output of one type."""
        return self.seen(kind)[-1]

    def kill_and_replay(self, seed: int = 77) -> None:
        """Replace the endpoint by one that knows only the encoded facts of the old one."""
        facts = [(type(fact), msgspec.msgpack.encode(fact)) for fact in self.facts]
        self.facts = []
        self.endpoint = self._make(seed)
        for kind, data in facts:
            fact = msgspec.msgpack.decode(data, type=kind)
            self.endpoint.apply(fact)
            self.facts.append(fact)
        self.rig.network.attach(self.address, self.endpoint, self._on_output)
        self.endpoint.resume(self.rig.now)

    @property
    def residue(self) -> dict[str, int]:
        """What the endpoint still holds; all zero when everything is over."""
        endpoint = self.endpoint
        return {
            "transactions": endpoint.transaction_count,
            "sessions": endpoint.session_count,
            "dialogs": len(endpoint.dialogs),
            "early": endpoint.early_dialog_count,
            "timers": endpoint.timer_count,
        }


class SipRig:
    """A network with SIP endpoints in virtual time; ``alice`` and ``bob`` are there already."""

    def __init__(
        self,
        *,
        seed: int = 1,
        link: LinkSettings | None = None,
        transport: Any = "UDP",
        settings: EndpointSettings | None = None,
    ) -> None:
        self.clock = VirtualClock()
        self.network = NetworkEmulator(self.clock, seed=seed, link=link)
        self.transport = transport
        self.settings = settings if settings is not None else EndpointSettings()
        self.nodes: dict[str, SipNode] = {}
        self.alice = self.add("alice", ("10.0.0.1", 5060))
        self.bob = self.add("bob", ("10.0.0.2", 5060))

    @property
    def now(self) -> float:
        """The virtual monotonic time."""
        return self.clock.now()

    def add(self, name: str, address: Address, settings: EndpointSettings | None = None) -> SipNode:
        """Add an endpoint."""
        node = SipNode(self, name, address, settings or self.settings, len(self.nodes) + 1)
        self.nodes[name] = node
        return node

    def flow(self, source: SipNode, target: SipNode) -> Flow:
        """Return the flow between two endpoints."""
        return self.network.flow(source.address, target.address, self.transport)

    def invite(self, session: str = "call", *, body: bytes = OFFER, **more: Any) -> None:
        """Let alice call bob."""
        command = OutgoingInvite(
            uri="sip:bob@10.0.0.2",
            flow=self.flow(self.alice, self.bob),
            from_='"Alice" <sip:alice@10.0.0.1>',
            to="<sip:bob@10.0.0.2>",
            body=body,
            contact_user="alice",
            **more,
        )
        self.alice.endpoint.invite(session, command, self.now)

    def request(self, tx: str, method: str, **more: Any) -> None:
        """Let alice send bob a request outside a dialog."""
        command = OutgoingRequest(
            method=method,
            uri="sip:bob@10.0.0.2",
            flow=self.flow(self.alice, self.bob),
            from_="<sip:alice@10.0.0.1>",
            to="<sip:bob@10.0.0.2>",
            **more,
        )
        self.alice.endpoint.request(tx, command, self.now)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.network.run_for(seconds)

    def finish(self) -> None:
        """Run until nothing is left to do and assert that nobody holds anything."""
        self.network.run_until_idle()
        for node in self.nodes.values():
            assert not any(node.residue.values()), (node.name, node.residue)

    def methods(self, source: SipNode | None = None) -> list[str]:
        """Return the first words of all messages sent: methods and status codes."""
        words = []
        for packet in self.network.packets:
            if source is None or packet.source == source.address:
                first, second, _ = packet.data.decode("utf-8", "replace").split(" ", 2)
                words.append(second if first.startswith("SIP/") else first)
        return words
