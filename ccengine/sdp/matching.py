"""Choosing among what is offered: addresses, codecs, packet times, directions (:rfc:`3264`)."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address

from ccengine.errors import SdpError
from ccengine.sdp.codec import EVENT_NAME, CodecOffer
from ccengine.sdp.description import Direction, MediaSection, SessionDescription
from ccengine.sdp.media import LocalMedia

PROTOCOLS = frozenset({"RTP/AVP", "RTP/AVPF"})
"""What we can answer; AVPF differs by feedback that nobody is obliged to send (:rfc:`4585`)."""

PTIMES_MS = (10, 20, 30, 40, 60)
_FLAGS: dict[str, tuple[bool, bool]] = {
    "sendrecv": (True, True),
    "sendonly": (True, False),
    "recvonly": (False, True),
    "inactive": (False, False),
}


def is_event(codec: CodecOffer) -> bool:
    """Whether this is telephone-event rather than a codec."""
    return codec.name.lower() == EVENT_NAME


def flags(direction: Direction) -> tuple[bool, bool]:
    """Return (sends, receives) of who states ``direction``."""
    return _FLAGS[direction]


def direction_of(send: bool, receive: bool) -> Direction:
    """Return the attribute that says so."""
    if send:
        return "sendrecv" if receive else "sendonly"
    return "recvonly" if receive else "inactive"


def remote_flags(description: SessionDescription, section: MediaSection) -> tuple[bool, bool]:
    """Return (peer sends, peer receives), with the old hold of ``c=0.0.0.0`` understood."""
    sends, receives = flags(description.direction_of(section))
    connection = description.connection_of(section)
    if connection is not None and connection.is_null:
        receives = False
    return sends and section.port != 0, receives and section.port != 0


def remote_address(description: SessionDescription, section: MediaSection) -> str:
    """Return the peer's address for a section, an IPv4-mapped one as IPv4 (:rfc:`5118` 4.10).

    Raises:
        SdpError: there is none, it is a name or a multicast group.

    """
    connection = description.connection_of(section)
    if connection is None:
        raise SdpError("no c= line says where the peer wants its audio")
    return _unicast(connection.host)


@lru_cache(maxsize=1024)
def _unicast(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        raise SdpError(
            f"c= names {host[:80]!r}", cure="the peer must write a numeric address"
        ) from None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_multicast:
        raise SdpError(f"c= is the multicast group {address}; a call needs one peer's address")
    return str(address)


def remote_rtcp_port(section: MediaSection) -> int:
    """Return the peer's RTCP port: ``a=rtcp`` or the one after RTP."""
    rtcp = section.rtcp
    return rtcp[0] if rtcp is not None else section.port + 1


def is_usable(section: MediaSection) -> bool:
    """Whether a section is audio over RTP that is not refused."""
    return section.kind == "audio" and section.port != 0 and section.protocol in PROTOCOLS


def common_codecs(
    theirs: tuple[CodecOffer, ...], ours: tuple[CodecOffer, ...]
) -> tuple[CodecOffer, ...]:
    """Return their codecs that we speak too, with their numbers, in their order."""
    keys = {codec.key for codec in ours}
    return tuple(codec for codec in theirs if not is_event(codec) and codec.key in keys)


def preferred(codecs: tuple[CodecOffer, ...], prefer: tuple[str, ...]) -> tuple[CodecOffer, ...]:
    """Return the codecs with those named in ``prefer`` first, in that order."""
    if not prefer:
        return codecs
    rank = {name.upper(): place for place, name in enumerate(prefer)}
    return tuple(sorted(codecs, key=lambda codec: rank.get(codec.name.upper(), len(rank))))


def event_for(theirs: tuple[CodecOffer, ...], clock_rate: int) -> CodecOffer | None:
    """Return the telephone-event that shares the clock of the audio (:rfc:`4733` 2.1)."""
    for codec in theirs:
        if is_event(codec) and codec.clock_rate == clock_rate:
            return codec
    return None


def send_ptime_ms(section: MediaSection, local: LocalMedia) -> int:
    """Return how long our packets shall be: the peer's wish if we can, else ours."""
    wish = section.ptime_ms
    ptime = wish if wish in PTIMES_MS else local.ptime_ms
    longest = section.maxptime_ms
    if longest is not None and ptime > longest:
        fitting = [candidate for candidate in PTIMES_MS if candidate <= longest]
        ptime = fitting[-1] if fitting else PTIMES_MS[0]
    return ptime
