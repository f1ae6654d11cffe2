"""A call centre in virtual time: the whole signalling core with a configuration, on the rig."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from ccengine.config.loader import Config
from ccengine.dialplan.plan import DialplanStore
from ccengine.engine.assembly import Surroundings, assemble
from ccengine.engine.core import Core
from ccengine.ids import SeededIds
from ccengine.testing.phone import PaperCall, PaperPhone
from ccengine.testing.rig import Rig
from ccengine.testing.worker import PaperWorker


class PaperPrompts:
    """Every prompt exists, but those that a test takes away."""

    def __init__(self) -> None:
        self.missing: set[str] = set()

    def find(self, key: str, language: str) -> Path | None:
        """Return where a prompt would be."""
        return None if key in self.missing else Path(f"/prompts/{language}/{key}.wav")


class CallCentre(Rig):
    """The sample configuration at work."""

    system: Core

    def __init__(self, config: Config, *, facts: Any = (), seed: int = 5) -> None:
        self.seed = seed  # a successor draws ids of its own
        self.config = config
        self.prompts = PaperPrompts()
        self.customers: dict[str, tuple[str, str]] = {}  # number → (id, name)
        self.plugin_is_slow = False
        self.core = assemble(
            config.settings,
            Surroundings(
                ids=SeededIds(seed),
                boot_id="boot",
                secret=b"sixteen octets!!",
                local_address=lambda _flow: ("192.0.2.1", 5060),
                prompts=self.prompts,
                dialplans=DialplanStore(config.dialplan),
                workers=("m0",),
                resolves_customers=True,
            ),
        )
        self.worker = PaperWorker("m0")
        super().__init__(self.core, [self.worker])
        for fact in facts:
            assert self.core.apply(fact)

    def _from_system(self) -> int:
        moved = super()._from_system()
        for question in self.batches[-1].customers:
            if not self.plugin_is_slow:
                customer_id, name = self.customers.get(question.number, ("", ""))
                self.core.machines.center.customer_resolved(
                    question.call_id, customer_id, name, self.now, self.clock.at()
                )
                moved += 1
        return moved

    def open(self) -> CallCentre:
        """Attach the media worker."""
        self.core.machines.media.attach("m0", 1)
        self.settle()
        return self

    def registered(self, user: str, **options: Any) -> PaperPhone:
        """Return a new phone of an extension, registered."""
        password = self.config.settings.extensions[user].password
        assert password is not None, f"{user} has no password"
        phone = self.phone(user, password=password.get_secret_value(), **options)
        phone.register(self.now)
        self.settle()
        assert phone.registered == 200
        return phone

    def agent_signs_in(self, user: str, code: str = "*11") -> PaperPhone:
        """Register a phone and dial the feature code; returns the phone."""
        phone = self.registered(user)
        self.feature_code(phone, code)
        return phone

    def feature_code(self, phone: PaperPhone, code: str) -> None:
        """Dial a feature code and listen to its end."""
        call = phone.dial(code, self.now)
        self.settle()
        self.finish_plays()
        assert call.state == "ended", call

    @property
    def playing(self) -> list[str]:
        """What all callers hear now, as ``language/key``."""
        return [
            f"{Path(file).parent.name}/{Path(file).stem}"
            for play in self.worker.plays.values()
            for file in play.files
        ]

    def finish_plays(self) -> None:
        """Let every play that ends by itself come to its end."""
        for key, play in tuple(self.worker.plays.items()):
            if not play.loop and key in self.worker.wants:
                self.worker.finish_play(key)
        self.settle()

    def press(self, phone: PaperPhone, digits: str) -> None:
        """Press keys on a phone that called."""
        calls = self.core.machines.switch.state
        leg = next(
            leg
            for leg in calls.legs.values()
            if leg.role == "caller" and leg.flow.remote[0] == phone.host
        )
        self.worker.press(leg.leg_id, digits)
        self.settle()

    def to_queue(self, user: str, key: str = "1") -> tuple[PaperPhone, PaperCall]:
        """Let a registered phone call the hotline and choose a queue."""
        phone = self.phones_of(user) or self.registered(user)
        call = phone.dial("4001", self.now)
        self.advance(1)
        self.finish_plays()
        self.press(phone, key)
        self.finish_plays()
        return phone, call

    def phones_of(self, user: str) -> PaperPhone | None:
        """Return the first phone of an extension."""
        return next((phone for phone in self.phones.values() if phone.user == user), None)

    def agent_state(self, agent: str) -> tuple[str, str]:
        """Return state and reason of an agent."""
        record = self.core.machines.acd.agent(agent)
        return record.state, record.reason

    def facts_of(self, kind: type) -> list[Any]:
        """Return the facts of one kind that were stated so far."""
        return [fact for fact in self.facts if type(fact) is kind]

    def replayed(self) -> CallCentre:
        """A successor made of the journal alone, on the same phones, worker and clock."""
        facts = [
            msgspec.msgpack.decode(msgspec.msgpack.encode(fact), type=type(fact))
            for fact in self.facts
        ]
        other = CallCentre(self.config, facts=facts, seed=self.seed + 1000)
        other.clock, other.phones = self.clock, self.phones
        other.worker, other.workers = self.worker, self.workers
        return other

    def take_over(self) -> CallCentre:
        """Return the successor at work, after the death of this one."""
        other = self.replayed()
        other.core.resume(self.now, self.clock.at(), "boot")
        return other.open()

    def assert_nothing_left(self) -> None:
        """Check, after the last timer, that no trace of any call remains."""
        self.advance(40)
        machines = self.core.machines
        assert not machines.switch.state.calls
        assert not machines.switch.state.legs
        assert not machines.switch.state.closing
        assert not machines.center.state.sessions
        assert not machines.media.wants()
        assert machines.media.leased_ports() == 0
        assert machines.media.free_ports() == len(self.worker.ports)
        assert machines.sip.session_count == 0
        assert machines.sip.transaction_count == 0
        assert machines.sip.timer_count == 0
        for agent in machines.acd.agents():
            assert agent.state not in {"Reserved", "Talking"}, agent
