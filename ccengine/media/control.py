"""What signalling and media workers say to each other: versioned msgpack on SOCK_SEQPACKET.

Signalling never sends verbs.  It sends the *wanted state of one object* (leg, bridge, play,
digits, recording), replaced as a whole by its key, and the worker makes it so; sending the same
object twice changes nothing.  When either side is new, the worker lists what it has
(:class:`Have`), signalling sends the difference, and that is the whole of recovery.

The worker speaks in events, each with a ``seq``, kept until acknowledged, so that a new
signalling process hears what its predecessor did not.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

PROTOCOL_VERSION = 1
MAX_MESSAGE_BYTES = 60_000


class _Message(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Base of everything on the wire: the class name is its tag."""


class Codec(msgspec.Struct, frozen=True, array_like=True):
    """How one direction of a leg is encoded.

    ``name`` is the upper-case RTP name (``PCMU``, ``PCMA``); ``clock_rate`` counts RTP
    timestamps a second, ``ptime_ms`` is the time in one packet.
    """

    name: str
    payload_type: int
    clock_rate: int = 8000
    ptime_ms: int = 20


# --- wanted objects ------------------------------------------------------------------------


class LegWant(_Message, frozen=True):
    """A leg: one RTP/RTCP socket pair and what is spoken on it.

    ``unit`` is the mix unit (call or room) whose tick phase the leg shares.  ``port`` is the
    leased RTP port, RTCP is ``port + 1``.  ``remote_host`` is empty until the remote
    description is known; with ``latch`` the first valid source wins over the description
    (symmetric RTP).  ``send`` and ``receive`` follow the negotiated direction (hold).
    ``event_pt`` is the payload type of telephone-event (:rfc:`4733`), -1 for none.
    ``timeout_s`` raises :class:`RtpTimeout` after that long without RTP, 0 for never.
    """

    key: str
    rev: int
    unit: str
    port: int
    codec: Codec
    remote_host: str = ""
    remote_port: int = 0
    event_pt: int = -1
    send: bool = True
    receive: bool = True
    latch: bool = True
    timeout_s: float = 0.0


class BridgeWant(_Message, frozen=True):
    """Legs that hear each other: two make a plain bridge, more a room with mix-minus.

    ``gains`` are (listener, speaker, gain) exceptions to "everyone hears everyone else at
    1.0"; a gain of 0 silences that pair.
    """

    key: str
    rev: int
    unit: str
    legs: tuple[str, ...]
    gains: tuple[tuple[str, str, float], ...] = ()


class PlayWant(_Message, frozen=True):
    """Sound files for one leg to hear, one after the other, for ever when ``loop``.

    :class:`PlayDone` follows the last one, or a file that cannot be read.
    """

    key: str
    rev: int
    leg: str
    files: tuple[str, ...]
    loop: bool = False
    gain_db: float = 0.0


class DigitsWant(_Message, frozen=True):
    """Digits to be sent on one leg as telephone-events; :class:`DigitsSent` follows."""

    key: str
    rev: int
    leg: str
    digits: str
    duration_ms: int = 100
    gap_ms: int = 100


class RecordingWant(_Message, frozen=True):
    """What two legs say, as a stereo recording: ``left`` the caller, ``right`` the agent.

    The recording consists of segments in ``folder`` named ``<key>-<n>.wav`` and a file of
    marks ``<key>.json``; a side may be empty and may change (transfer).  While ``paused``
    silence is recorded.
    """

    key: str
    rev: int
    unit: str
    folder: str
    left: str = ""
    right: str = ""
    paused: bool = False


Want: TypeAlias = LegWant | BridgeWant | PlayWant | DigitsWant | RecordingWant


# --- signalling to worker --------------------------------------------------------------------


class Hello(_Message, frozen=True):
    """First message of a signalling process; a lower ``epoch`` than seen is refused."""

    version: int
    epoch: int


class Wants(_Message, frozen=True):
    """Objects to be created or replaced, in this order."""

    objects: tuple[Want, ...]


class Drops(_Message, frozen=True):
    """Objects that are wanted no longer; unknown keys are ignored."""

    keys: tuple[str, ...]


class Ack(_Message, frozen=True):
    """Every event up to ``seq`` has been dealt with."""

    seq: int


class Drain(_Message, frozen=True):
    """End after the last leg is gone."""


ToWorker: TypeAlias = Hello | Wants | Drops | Ack | Drain


# --- worker to signalling ----------------------------------------------------------------------


class Welcome(_Message, frozen=True):
    """Answer to :class:`Hello`; ``refused`` says why the worker does not listen."""

    version: int
    worker: str
    pid: int
    refused: str = ""


class Have(_Message, frozen=True):
    """A page of what the worker has: (key, rev) of each object; ``last`` ends the list."""

    objects: tuple[tuple[str, int], ...]
    last: bool


class Leases(_Message, frozen=True):
    """RTP ports that are bound and free for new legs; each attach lists all free ones."""

    ports: tuple[int, ...]


class PlayDone(_Message, frozen=True):
    """A play ended by itself; ``error`` names the file that could not be played."""

    seq: int
    key: str
    leg: str
    error: str = ""


class DigitsSent(_Message, frozen=True):
    """The last digit is out."""

    seq: int
    key: str
    leg: str


class Digit(_Message, frozen=True):
    """A telephone-event ended on a leg, once for each key press."""

    seq: int
    leg: str
    digit: str
    duration_ms: int


class RtpTimeout(_Message, frozen=True):
    """Nothing came for ``timeout_s`` although the leg receives; raised once until RTP comes."""

    seq: int
    leg: str


class Latched(_Message, frozen=True):
    """The source of a leg's RTP is known and locked."""

    seq: int
    leg: str
    host: str
    port: int


class LegStats(_Message, frozen=True):
    """The books of a leg, sent when it is dropped; counts are packets, times are ms.

    ``loss_remote`` is the fraction lost that the peer's last report told (0 to 1), -1 when
    none came; ``round_trip_ms`` likewise.
    """

    seq: int
    leg: str
    sent: int
    received: int
    lost: int
    late: int
    rejected: int
    jitter_ms: float
    loss_remote: float
    round_trip_ms: float


class RecordingDone(_Message, frozen=True):
    """A recording is closed; ``error`` is empty when everything is on disk.

    ``files`` are the segments in order, ``duration_s`` their length together.
    """

    seq: int
    key: str
    files: tuple[str, ...]
    duration_s: float
    error: str = ""


class Refused(_Message, frozen=True):
    """An object cannot be made (unknown codec, port not leased); nothing of it exists."""

    seq: int
    key: str
    error: str


class Load(_Message, frozen=True):
    """Once a second: how the worker is doing; not acknowledged.

    ``late_p50_ms``, ``late_p99_ms`` and ``late_max_ms`` are tick lateness over the last
    second, ``done_p99_ms`` the end of a tick's work after its schedule; ``cpu`` is the share
    of one core.
    """

    legs: int
    free_ports: int
    cpu: float
    late_p99_ms: float
    late_max_ms: float
    packets_in: int
    packets_out: int
    garbage: int
    recording_backlog: int
    late_p50_ms: float = 0.0
    done_p99_ms: float = 0.0


WorkerEvent: TypeAlias = (
    PlayDone | DigitsSent | Digit | RtpTimeout | Latched | LegStats | RecordingDone | Refused
)
FromWorker: TypeAlias = Welcome | Have | Leases | Load | WorkerEvent

_encoder = msgspec.msgpack.Encoder()
_to_worker: msgspec.msgpack.Decoder[ToWorker] = msgspec.msgpack.Decoder(ToWorker)
_from_worker: msgspec.msgpack.Decoder[FromWorker] = msgspec.msgpack.Decoder(FromWorker)


def encode(message: ToWorker | FromWorker) -> bytes:
    """Return one message as bytes for one packet of the control socket."""
    return _encoder.encode(message)


def decode_to_worker(data: bytes) -> ToWorker:
    """Return a message of signalling; :class:`msgspec.ValidationError` when it is none."""
    return _to_worker.decode(data)


def decode_from_worker(data: bytes) -> FromWorker:
    """Return a message of a worker; :class:`msgspec.ValidationError` when it is none."""
    return _from_worker.decode(data)
