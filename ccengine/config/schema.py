"""The schema of the daemon's configuration: one frozen model for each section.

Units stand in the names.  Each field is *hot* (taken over by ``ccengine reload``) or *cold*
(needs a restart), which the generated reference and :func:`changed_cold` read from here.
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, ValidationInfo, model_validator

from ccengine.dialplan.validation import Section, Text, as_text, one_or_more, reject

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86400)]
Name = Annotated[Text, Field(min_length=1)]
Secret = Annotated[SecretStr, BeforeValidator(as_text)]


def hot(default: Any, description: str, **more: Any) -> Any:
    """Return a field that a reload takes over."""
    return Field(default, description=description, json_schema_extra={"reload": "hot"}, **more)


def cold(default: Any, description: str, **more: Any) -> Any:
    """Return a field that needs a restart."""
    return Field(default, description=description, json_schema_extra={"reload": "cold"}, **more)


def _resolve(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str | Path):
        return value
    if not str(value):
        reject("the path is empty", "write the name of a file or folder")
    base = Path((info.context or {}).get("base", "."))
    return (base / Path(value).expanduser()).resolve()


ConfigPath = Annotated[Path, BeforeValidator(_resolve)]
"""A path; relative ones start at the folder of the configuration file."""


def _resolve_url(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    scheme, separator, path = value.partition(":///")
    if scheme != "sqlite" or not separator or not path:
        reject("this is no database that we know", "write sqlite:///PATH")
    return f"sqlite:///{_resolve(path, info)}"


def _network(value: Any) -> Any:
    try:
        return str(ip_network(str(value), strict=False))
    except ValueError:
        reject(f"{value!r} is no network", "write it like 192.0.2.0/24")


Network = Annotated[str, BeforeValidator(_network)]
"""An IP network in CIDR form."""


class Listener(Section):
    """A local address where SIP is received."""

    name: Name = cold(..., "Name in logs and listings.")
    transport: Literal["udp", "tcp"] = cold("udp", "Transport protocol.")
    host: Name = cold("0.0.0.0", "Local address to bind.")
    port: Port = cold(5060, "Local port to bind.")


class SipTimers(Section):
    """Base timers of SIP transactions (:rfc:`3261` table 4)."""

    t1_ms: Annotated[int, Field(ge=10, le=10_000)] = cold(500, "Estimated round trip.")
    t2_ms: Annotated[int, Field(ge=10, le=60_000)] = cold(4000, "Longest retransmission interval.")
    t4_ms: Annotated[int, Field(ge=10, le=60_000)] = cold(
        5000, "Longest time that a message stays in the network."
    )


class Registrar(Section):
    """How long phones may register (:rfc:`3261` section 10.3)."""

    min_expires_s: Annotated[int, Field(ge=1)] = hot(30, "Shorter wishes are refused with 423.")
    default_expires_s: Annotated[int, Field(ge=1)] = hot(300, "For phones that state no wish.")
    max_expires_s: Annotated[int, Field(ge=1)] = hot(3600, "Longer wishes are cut to this.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.min_expires_s <= self.default_expires_s <= self.max_expires_s:
            reject(
                "the three expiry times are out of order",
                "write min_expires_s ≤ default_expires_s ≤ max_expires_s",
            )
        return self


class TcpLimits(Section):
    """What one peer may keep us busy with over TCP."""

    max_connections: Annotated[int, Field(ge=1, le=1_000_000)] = cold(
        10_000, "Most connections at a time; further ones are closed at once."
    )
    message_timeout_s: Seconds = cold(
        15.0, "A connection that brings no whole message for so long is closed."
    )
    idle_timeout_s: Seconds = cold(3700.0, "A connection without a byte for so long is closed.")


def _default_listeners() -> tuple[Listener, ...]:
    return (Listener(name="udp", transport="udp"), Listener(name="tcp", transport="tcp"))


class Sip(Section):
    """Signalling."""

    listeners: Annotated[tuple[Listener, ...], Field(min_length=1)] = Field(
        default_factory=_default_listeners,
        description="Where SIP is received; by default UDP and TCP on port 5060.",
        json_schema_extra={"reload": "cold"},
    )
    domain: Name = cold("ccengine", "Domain of our addresses and realm of digest authentication.")
    advertise: Text = cold("", "Address that we tell others; empty: that of the socket.")
    user_agent: Name = cold("ccengine", "Server and User-Agent header fields.")
    digest_algorithms: Annotated[tuple[Literal["md5", "sha-256"], ...], Field(min_length=1)] = cold(
        ("md5",), "Offered digest algorithms, the preferred one first."
    )
    trusted: tuple[Network, ...] = cold(
        (), "Networks (CIDR) whose calls need no password: gateways, and nobody else."
    )
    timers: SipTimers = cold(SipTimers(), "Transaction timers.")
    tcp: TcpLimits = cold(TcpLimits(), "Limits of TCP connections.")
    registrar: Registrar = hot(Registrar(), "Registration times.")


class PortRange(Section):
    """An inclusive range of ports."""

    first: Annotated[int, Field(ge=1024, le=65534)] = cold(16384, "First RTP port, even.")
    last: Annotated[int, Field(ge=1025, le=65535)] = cold(32767, "Last RTCP port, odd.")

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if self.first % 2 or self.last % 2 == 0 or self.last <= self.first:
            reject(
                f"{self.first}-{self.last} holds no whole pairs of RTP and RTCP ports",
                "begin with an even port and end with a higher odd one",
            )
        return self

    @property
    def pairs(self) -> int:
        """Number of RTP/RTCP pairs in the range."""
        return (self.last - self.first + 1) // 2


class Media(Section):
    """Media workers and their ports."""

    workers: Annotated[int, Field(ge=1, le=64)] = cold(1, "Media processes.")
    host: Name = cold("0.0.0.0", "Local address of RTP sockets.")
    advertise: Text = cold("", "Address in our session descriptions; empty: that of the call.")
    ports: PortRange = cold(PortRange(), "RTP and RTCP ports of all workers together.")
    pin: bool = cold(False, "Tie each worker to a processor core of its own.")
    rtp_timeout_s: Seconds = hot(60.0, "Silence on the wire after which a call is given up.")


class Recording(Section):
    """Recording of calls."""

    mode: Literal["answer", "connect", "off"] = hot(
        "connect", "Record from our answer, from the connection with an agent, or not at all."
    )
    folder: ConfigPath = cold(
        Path("var/recordings"), "Where recordings are kept.", validate_default=True
    )


class Journal(Section):
    """The journal of facts."""

    folder: ConfigPath = cold(
        Path("var/journal"), "Where segments are kept.", validate_default=True
    )
    segment_mb: Annotated[int, Field(ge=1, le=4096)] = cold(64, "Size of one segment.")


class Store(Section):
    """The database of records."""

    url: Annotated[str, BeforeValidator(_resolve_url)] = cold(
        "sqlite:///var/ccengine.db",
        "SQLite database: sqlite:///relative/path or sqlite:////absolute/path.",
        validate_default=True,
    )


class Run(Section):
    """What a running engine needs."""

    folder: ConfigPath = cold(
        Path("var/run"), "Control sockets and process ids.", validate_default=True
    )
    drain_s: Annotated[float, Field(ge=0, le=86400)] = hot(
        10.0, "How long running calls may go on after a request to stop."
    )


class Extension(Section):
    """A phone's account; its number is the key."""

    name: Text = hot("", "Name on the displays of others.")
    password: Secret | None = hot(None, "Password in clear.")
    ha1: Secret | None = hot(None, "MD5 of user:domain:password, instead of the password.")

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        if (self.password is None) == (self.ha1 is None):
            reject("an extension needs one credential", "write either password or ha1")
        if self.ha1 and not re.fullmatch(r"[0-9a-fA-F]{32}", self.ha1.get_secret_value()):
            reject("ha1 is no MD5 sum", "write 32 hexadecimal digits")
        return self


class Membership(Section):
    """An agent's place in a queue."""

    SHORT: ClassVar[str] = "queue"

    queue: Name = hot(..., "Name of the queue.")
    order: Annotated[int, Field(ge=0, le=999)] = hot(1, "Queues of lower order are served first.")


class Agent(Section):
    """A person who takes calls; the agent's number is the key."""

    name: Name = hot(..., "Name in listings and records.")
    pin: Secret | None = hot(None, "Needed to sign in at somebody else's phone.")
    phone: Text = hot("", "Extension that the agent uses unless signed in elsewhere.")
    queues: tuple[Membership, ...] = hot((), "Queues that the agent serves.")
    skills: dict[Text, Annotated[int, Field(ge=1, le=10)]] = hot({}, "Skills with levels, 10 best.")


class Queue(Section):
    """A queue of callers; its name is the key."""

    strategy: Literal["longest_idle"] = hot("longest_idle", "Which ready agent is offered a call.")
    music: Text = hot("music_on_hold", "Prompt key of the music while waiting.")
    wait_flow: Text = hot("", "Flow that waiting callers hear instead of the music alone.")
    alert_timeout_s: Seconds = hot(8.0, "How long a phone may take to start ringing.")
    ring_timeout_s: Seconds = hot(20.0, "How long an agent's phone rings.")
    retry_s: Annotated[float, Field(ge=0, le=86400)] = hot(
        30.0, "How long a call is not offered again to an agent who did not answer it."
    )
    wrapup_s: Annotated[float, Field(ge=0, le=86400)] = hot(10.0, "Rest after each call.")
    max_wait_s: Seconds | None = hot(None, "Longest wait, then result timeout.")
    max_length: Annotated[int, Field(ge=0)] | None = hot(
        None, "Most callers waiting; further ones get the result refused."
    )
    skills: dict[Text, Annotated[int, Field(ge=1, le=10)]] = hot(
        {}, "Skills that every call of this queue asks for, with least levels."
    )
    join_empty: Literal["always", "signed_in", "available"] = hot(
        "always", "Who must be there for a caller to join: nobody, or such an agent."
    )


class DialplanFiles(Section):
    """Which dialplans are loaded."""

    SHORT: ClassVar[str] = "files"

    files: Annotated[tuple[ConfigPath, ...], one_or_more(ConfigPath)] = hot((), "Dialplan files.")


class NumberTarget(Section):
    """What happens with a called number: exactly one of the three."""

    SHORT: ClassVar[str] = "flow"

    flow: Text = hot("", "Run this flow.")
    queue: Text = hot("", "Put the caller into this queue.")
    extension: bool = hot(False, "Ring the extension that was dialled.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum((bool(self.flow), bool(self.queue), self.extension)) != 1:
            reject(
                "a number needs one destination",
                "write {flow: NAME}, {queue: NAME} or {extension: true}",
            )
        return self


class Prompts(Section):
    """Recorded prompts."""

    folders: Annotated[tuple[ConfigPath, ...], one_or_more(ConfigPath)] = hot(
        (), "Folders of prompts, looked through in this order before those that we ship."
    )
    language: Name = hot("zh", "Language of flows that set none.")


class Log(Section):
    """Logging."""

    level: Literal["debug", "info", "warning", "error"] = hot("info", "Least severity written.")
    format: Literal["text", "json"] = hot("text", "One line of text or of JSON for each record.")


def _nothing(value: Any) -> Any:
    return {} if value is None else value


def section(description: str) -> Any:
    """Return a field for a section of its own; left out, it has its defaults."""
    # The default is validated so that relative paths in it are resolved as well.
    return Field({}, validate_default=True, description=description)


class Settings(Section):
    """Everything that a configuration file may say."""

    sip: Sip = section("Signalling.")
    media: Media = section("Media workers and their ports.")
    recording: Recording = section("Recording of calls.")
    journal: Journal = section("The journal of facts.")
    store: Store = section("The database of records.")
    run: Run = section("What a running engine needs.")
    extensions: dict[Name, Extension] = hot({}, "Phones' accounts by number.")
    agents: dict[Name, Agent] = hot({}, "People who take calls, by agent number.")
    queues: dict[Name, Queue] = hot({}, "Queues by name.")
    dialplan: DialplanFiles = section("Which dialplans are loaded.")
    numbers: dict[Name, NumberTarget] = hot({}, "Called numbers by pattern.")
    prompts: Prompts = section("Recorded prompts.")
    plugins: dict[Name, Annotated[dict[str, Any], BeforeValidator(_nothing)]] = cold(
        {}, "Plugins with their own settings."
    )
    log: Log = section("Logging.")
