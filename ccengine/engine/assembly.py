"""Builds the core from the configuration: settings of each room, machines wired together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ccengine.acd.engine import AcdEngine
from ccengine.acd.settings import AcdSettings, Membership
from ccengine.acd.settings import AgentSettings as AcdAgent
from ccengine.acd.settings import QueueSettings as AcdQueue
from ccengine.call.context import CallContext, CallSettings, ExtensionSettings
from ccengine.call.route import Route
from ccengine.call.switch import Switch
from ccengine.center.center import Center
from ccengine.center.flow_desk import Prompts
from ccengine.center.settings import AgentSettings, CenterSettings, Destination, QueueSettings
from ccengine.config.number import NumberPlan
from ccengine.config.schema import NumberTarget, Settings
from ccengine.dialplan.plan import DialplanStore
from ccengine.engine.core import Core, Machines
from ccengine.ids import IdMaker
from ccengine.media.link import MediaLink
from ccengine.sip.binding import RegistrarSettings
from ccengine.sip.digest import DigestAuthenticator, make_ha1
from ccengine.sip.endpoint import SipEndpoint
from ccengine.sip.flow import Flow
from ccengine.sip.registrar import Registrar
from ccengine.sip.settings import EndpointSettings

ALGORITHM_NAMES = {"md5": "MD5", "sha-256": "SHA-256"}
METHODS = ("OPTIONS", "REGISTER", "INFO")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the core needs from the process that it lives in."""

    ids: IdMaker
    boot_id: str
    secret: bytes
    local_address: Callable[[Flow], tuple[str, int]]
    prompts: Prompts
    dialplans: DialplanStore
    workers: tuple[str, ...]
    resolves_customers: bool = False


class Credentials:
    """Digest credentials of the configured extensions."""

    def __init__(self, settings: Settings) -> None:
        self.take(settings)

    def take(self, settings: Settings) -> None:
        """Know the extensions of these settings and no others."""
        self._settings = settings
        self._made: dict[tuple[str, str], str] = {}

    def ha1(self, username: str, realm: str, algorithm: str) -> str | None:
        """Return H(username:realm:password), or nothing for an unknown user."""
        extension = self._settings.extensions.get(username)
        if extension is None:
            return None
        if extension.ha1 is not None:
            return extension.ha1.get_secret_value() if algorithm.upper() == "MD5" else None
        assert extension.password is not None, "the schema wants one credential"
        key = (username, algorithm)
        if key not in self._made:
            password = extension.password.get_secret_value()
            self._made[key] = make_ha1(username, realm, password, algorithm)
        return self._made[key]


class Numbers:
    """Looks called numbers up: for the switch a route, for the center a destination."""

    def __init__(self, settings: Settings) -> None:
        self._plan: NumberPlan[NumberTarget] = NumberPlan.build(settings.numbers)
        self._extensions = frozenset(settings.extensions)

    def route(self, number: str) -> Route | None:
        """Return where a called number leads, or nothing when it leads nowhere."""
        found = self._plan.match(number)
        if found is None:
            return None
        if found[1].extension:
            return Route("extension") if number in self._extensions else None
        return Route("flow")

    def destination(self, number: str) -> Destination | None:
        """Return the flow or queue of a called number."""
        found = self._plan.match(number)
        if found is None:
            return None
        target = found[1]
        if target.flow:
            return Destination("flow", target.flow)
        return Destination("queue", target.queue) if target.queue else None


def endpoint_settings(settings: Settings) -> EndpointSettings:
    """Return the SIP endpoint's part of the configuration."""
    timers = settings.sip.timers
    return EndpointSettings(
        t1_s=timers.t1_ms / 1000,
        t2_s=timers.t2_ms / 1000,
        t4_s=timers.t4_ms / 1000,
        user_agent=settings.sip.user_agent,
        allow=("INVITE", "ACK", "CANCEL", "BYE", *METHODS),
        methods=METHODS,
    )


def call_settings(settings: Settings) -> CallSettings:
    """Return the switch's part of the configuration."""
    udp = [one.name for one in settings.sip.listeners if one.transport == "udp"]
    return CallSettings(
        domain=settings.sip.domain,
        extensions={
            number: ExtensionSettings(number, one.name)
            for number, one in settings.extensions.items()
        },
        trusted=settings.sip.trusted,
        recording_mode=settings.recording.mode,
        recording_folder=str(settings.recording.folder),
        rtp_timeout_s=settings.media.rtp_timeout_s,
        media_host=settings.media.advertise,
        listener=udp[0] if udp else "",
    )


def acd_settings(settings: Settings) -> AcdSettings:
    """Return the queue engine's part of the configuration."""
    return AcdSettings(
        queues=tuple(
            AcdQueue(
                name=name,
                strategy=queue.strategy,
                alert_timeout_s=queue.alert_timeout_s,
                ring_timeout_s=queue.ring_timeout_s,
                retry_s=queue.retry_s,
                join_empty=queue.join_empty,
                wrapup_s=queue.wrapup_s,
                max_wait_s=queue.max_wait_s,
                max_length=queue.max_length,
            )
            for name, queue in settings.queues.items()
        ),
        agents=tuple(
            AcdAgent(
                id=agent_id,
                name=agent.name,
                queues=tuple(Membership(one.queue, one.order) for one in agent.queues),
                skills=dict(agent.skills),
            )
            for agent_id, agent in settings.agents.items()
        ),
    )


def center_settings(settings: Settings) -> CenterSettings:
    """Return the center's part of the configuration."""
    return CenterSettings(
        agents={
            agent_id: AgentSettings(
                agent_id=agent_id,
                name=agent.name,
                pin=agent.pin.get_secret_value() if agent.pin is not None else "",
                phone=agent.phone,
            )
            for agent_id, agent in settings.agents.items()
        },
        queues={
            name: QueueSettings(
                name=name,
                music=queue.music,
                wait_flow=queue.wait_flow,
                skills=tuple(queue.skills.items()),
            )
            for name, queue in settings.queues.items()
        },
        language=settings.prompts.language,
    )


def registrar_settings(settings: Settings) -> RegistrarSettings:
    """Return the registrar's part of the configuration."""
    times = settings.sip.registrar
    return RegistrarSettings(
        default_expires_s=times.default_expires_s,
        min_expires_s=times.min_expires_s,
        max_expires_s=times.max_expires_s,
    )


def assemble(settings: Settings, around: Surroundings) -> Core:
    """Return a core with every machine of signalling, empty and ready for replay."""
    facts: list[Any] = []
    numbers = Numbers(settings)
    credentials = Credentials(settings)
    sip = SipEndpoint(
        settings=endpoint_settings(settings),
        ids=around.ids,
        facts=facts,
        local_address=around.local_address,
    )
    registrar = Registrar(registrar_settings(settings), facts, boot_id=around.boot_id)
    media = MediaLink(around.workers, facts)
    context = CallContext(
        settings=call_settings(settings),
        sip=sip,
        media=media,
        locations=registrar,
        router=numbers,
        ids=around.ids,
        facts=facts,
        local_address=around.local_address,
    )
    switch = Switch(
        context,
        registrar,
        authenticator=DigestAuthenticator(
            settings.sip.domain,
            algorithms=tuple(ALGORITHM_NAMES[one] for one in settings.sip.digest_algorithms),
            secret=around.secret,
        ),
        credentials=credentials,
    )
    acd = AcdEngine(acd_settings(settings), around.ids, facts, boot_id=around.boot_id)
    domain = settings.sip.domain
    center = Center(
        settings=center_settings(settings),
        destination=numbers.destination,
        port=switch,
        acd=acd,
        dialplans=around.dialplans,
        prompts=around.prompts,
        is_registered=lambda extension: bool(registrar.lookup(f"{extension}@{domain}")),
        is_in_use=switch.is_in_use,
        ids=around.ids,
        facts=facts,
        resolves_customers=around.resolves_customers,
    )

    def reload(new: Settings, prompts: Prompts, now: float, at: datetime) -> None:
        fresh = Numbers(new)
        credentials.take(new)
        registrar.settings = registrar_settings(new)
        switch.reconfigure(call_settings(new), fresh)
        acd.reconfigure(acd_settings(new), now, at)
        center.reconfigure(center_settings(new), fresh.destination, prompts)

    machines = Machines(
        sip=sip,
        registrar=registrar,
        media=media,
        context=context,
        switch=switch,
        acd=acd,
        center=center,
    )
    return Core(machines, facts, domain=domain, reload=reload)
