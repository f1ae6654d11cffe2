"""The codecs that a session can be negotiated with, as one table (:rfc:`3551`, :rfc:`4733`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ccengine.errors import SdpError

EVENT_NAME = "telephone-event"
FIRST_DYNAMIC, LAST_DYNAMIC = 96, 127


@dataclass(frozen=True, slots=True)
class CodecOffer:
    """One codec as we offer it: RTP name, payload type, clock rate in Hz, channels, fmtp.

    ``clock_rate`` counts RTP timestamps a second, which for G.722 is not the sample rate.
    """

    name: str
    payload_type: int
    clock_rate: int = 8000
    channels: int = 1
    fmtp: str = ""

    @property
    def key(self) -> tuple[str, int, int]:
        """Return what makes two codecs equal: upper-case name, clock rate, channels."""
        return self.name.upper(), self.clock_rate, self.channels

    @property
    def rtpmap(self) -> str:
        """Return the value of ``a=rtpmap`` without the payload type (:rfc:`8866` 6.6)."""
        tail = f"/{self.channels}" if self.channels > 1 else ""
        return f"{self.name}/{self.clock_rate}{tail}"


PCMU = CodecOffer("PCMU", 0)
PCMA = CodecOffer("PCMA", 8)
G722 = CodecOffer("G722", 9)
OPUS = CodecOffer("opus", 107, 48000, 2)
EVENT = CodecOffer(EVENT_NAME, 101, fmtp="0-16")

CODECS: dict[str, CodecOffer] = {codec.name.upper(): codec for codec in (PCMU, PCMA, G722, OPUS)}
"""Every codec that has a name here can be negotiated; what can be spoken is media's to say."""

STATIC: dict[int, CodecOffer] = {
    codec.payload_type: codec
    for codec in (
        PCMU,
        CodecOffer("GSM", 3),
        CodecOffer("G723", 4),
        CodecOffer("DVI4", 5),
        CodecOffer("DVI4", 6, 16000),
        CodecOffer("LPC", 7),
        PCMA,
        G722,
        CodecOffer("L16", 10, 44100, 2),
        CodecOffer("L16", 11, 44100),
        CodecOffer("QCELP", 12),
        CodecOffer("CN", 13),
        CodecOffer("MPA", 14, 90000),
        CodecOffer("G728", 15),
        CodecOffer("DVI4", 16, 11025),
        CodecOffer("DVI4", 17, 22050),
        CodecOffer("G729", 18),
        CodecOffer("CelB", 25, 90000),
        CodecOffer("JPEG", 26, 90000),
        CodecOffer("nv", 28, 90000),
        CodecOffer("H261", 31, 90000),
        CodecOffer("MPV", 32, 90000),
        CodecOffer("MP2T", 33, 90000),
        CodecOffer("H263", 34, 90000),
    )
}
"""Payload types that mean something without ``a=rtpmap`` (:rfc:`3551` section 6)."""


def codecs_by_name(names: Iterable[str]) -> tuple[CodecOffer, ...]:
    """Return the codecs of these names in the same order.

    Raises:
        SdpError: a name is not in :data:`CODECS`.

    """
    found = []
    for name in names:
        codec = CODECS.get(name.upper())
        if codec is None:
            raise SdpError(f"unknown codec {name!r}", cure=f"use one of {', '.join(CODECS)}")
        found.append(codec)
    return tuple(found)
