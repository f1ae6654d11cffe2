"""Session descriptions as values, and how they are written (:rfc:`8866`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias, cast

from ccengine.sdp.codec import STATIC, CodecOffer

Direction: TypeAlias = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
DIRECTIONS: frozenset[str] = frozenset({"sendrecv", "sendonly", "recvonly", "inactive"})
Attribute: TypeAlias = tuple[str, str | None]
"""Name and value of an ``a=`` line; ``None`` for a property attribute (``a=sendonly``)."""

Line: TypeAlias = tuple[str, str]
"""Type letter and value of a line that is kept as it came."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The ``o=`` line: who made the description; ``version`` tells its revisions apart."""

    username: str = "-"
    session_id: int = 0
    version: int = 0
    host: str = "0.0.0.0"

    def line(self) -> str:
        """Return the value of the line."""
        return (
            f"{self.username} {self.session_id} {self.version} IN {family(self.host)} {self.host}"
        )


@dataclass(frozen=True, slots=True)
class Connection:
    """A ``c=`` line: where media is wanted; ``suffix`` is TTL and count of a multicast."""

    host: str
    suffix: str = ""

    @property
    def is_null(self) -> bool:
        """Whether it means "send me nothing" (:rfc:`3264` section 8.4)."""
        return self.host in {"0.0.0.0", "::"}

    def line(self) -> str:
        """Return the value of the line."""
        return f"IN {family(self.host)} {self.host}{self.suffix}"


def family(host: str) -> str:
    """Return the address type of a host: ``IP6`` for what holds a colon, else ``IP4``."""
    return "IP6" if ":" in host else "IP4"


@dataclass(frozen=True, slots=True)
class MediaSection:
    """One ``m=`` line with everything up to the next one.

    ``port`` 0 means that the stream is refused.  ``lines`` are the lines other than ``c=``
    and ``a=``, kept as they came.
    """

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    port_count: int = 1
    connection: Connection | None = None
    attributes: tuple[Attribute, ...] = ()
    lines: tuple[Line, ...] = ()

    def attribute(self, name: str) -> str | None:
        """Return the first value of an attribute, ``""`` for a property, ``None`` if absent."""
        return _first(self.attributes, name)

    def attributes_of(self, name: str) -> tuple[str, ...]:
        """Return every value of an attribute, in order."""
        return tuple(value or "" for key, value in self.attributes if key == name)

    def codecs(self) -> tuple[CodecOffer, ...]:
        """Return the RTP codecs in order of preference; formats that say nothing are left out.

        A static payload type needs no ``a=rtpmap``, but one that is there wins.
        """
        return _codecs(self.formats, self.attributes)

    @property
    def ptime_ms(self) -> int | None:
        """Return the packet time that the describer wants to receive (:rfc:`8866` 6.4)."""
        return _milliseconds(self.attribute("ptime"))

    @property
    def maxptime_ms(self) -> int | None:
        """Return the longest packet time that the describer can receive."""
        return _milliseconds(self.attribute("maxptime"))

    @property
    def rtcp(self) -> tuple[int, str] | None:
        """Return port and host (may be empty) of ``a=rtcp`` (:rfc:`3605`)."""
        words = (self.attribute("rtcp") or "").split()
        if not words or not (words[0].isascii() and words[0].isdigit()) or int(words[0]) > 65535:
            return None
        return int(words[0]), words[3] if len(words) > 3 else ""

    @property
    def has_rtcp_mux(self) -> bool:
        """Whether RTP and RTCP may share a port (:rfc:`5761`)."""
        return self.attribute("rtcp-mux") is not None

    @property
    def crypto(self) -> tuple[str, ...]:
        """Return the ``a=crypto`` values as they came (:rfc:`4568`)."""
        return self.attributes_of("crypto")


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A whole description: session level, then media sections in order.

    ``lines`` are the session's lines other than ``v= o= s= c= t= a= m=``, kept as they came.
    """

    origin: Origin = Origin()
    name: str = "-"
    connection: Connection | None = None
    timing: str = "0 0"
    attributes: tuple[Attribute, ...] = ()
    media: tuple[MediaSection, ...] = ()
    lines: tuple[Line, ...] = ()

    @classmethod
    def parse(cls, data: bytes) -> SessionDescription:
        """Read a description leniently; see :func:`ccengine.sdp.parse.parse`."""
        from ccengine.sdp.parse import parse

        return parse(data)

    def connection_of(self, section: MediaSection) -> Connection | None:
        """Return the ``c=`` line that holds for a section: its own or the session's."""
        return section.connection or self.connection

    def direction_of(self, section: MediaSection) -> Direction:
        """Return the direction of a section from the describer's point of view.

        Its own attribute, else the session's, else ``sendrecv`` (:rfc:`8866` 6.7).
        """
        for attributes in (section.attributes, self.attributes):
            for name, _ in attributes:
                if name in DIRECTIONS:
                    return cast("Direction", name)
        return "sendrecv"

    def encode(self) -> bytes:
        """Return the description as it goes on the wire, with CRLF line ends."""
        out = [f"v=0\r\no={self.origin.line()}\r\ns={self.name}"]
        before = {"i", "u", "e", "p"}
        out += [f"{letter}={value}" for letter, value in self.lines if letter in before]
        if self.connection is not None:
            out.append(f"c={self.connection.line()}")
        out += [f"{letter}={value}" for letter, value in self.lines if letter == "b"]
        out.append(f"t={self.timing}")
        before.add("b")
        out += [f"{letter}={value}" for letter, value in self.lines if letter not in before]
        out += [_attribute_line(attribute) for attribute in self.attributes]
        for section in self.media:
            _write_section(section, out)
        out.append("")
        return "\r\n".join(out).encode("utf-8", "surrogateescape")


def _write_section(section: MediaSection, out: list[str]) -> None:
    port = f"{section.port}/{section.port_count}" if section.port_count != 1 else str(section.port)
    out.append(f"m={section.kind} {port} {section.protocol} {' '.join(section.formats)}")
    out += [f"{letter}={value}" for letter, value in section.lines if letter == "i"]
    if section.connection is not None:
        out.append(f"c={section.connection.line()}")
    out += [f"{letter}={value}" for letter, value in section.lines if letter != "i"]
    out += [_attribute_line(attribute) for attribute in section.attributes]


def _attribute_line(attribute: Attribute) -> str:
    name, value = attribute
    return f"a={name}" if value is None else f"a={name}:{value}"


def _first(attributes: tuple[Attribute, ...], name: str) -> str | None:
    for key, value in attributes:
        if key == name:
            return value or ""
    return None


def _milliseconds(text: str | None) -> int | None:
    # Some phones write "20.0"; fractions of a millisecond exist for no codec of ours.
    whole = (text or "").strip().partition(".")[0]
    if not (whole.isascii() and whole.isdigit()) or len(whole) > 5:
        return None
    return int(whole) or None


def _by_payload_type(attributes: tuple[Attribute, ...], name: str) -> dict[int, str]:
    found: dict[int, str] = {}
    for key, value in attributes:
        if key != name or not value:
            continue
        number, _, rest = value.strip().partition(" ")
        if number.isascii() and number.isdigit() and len(number) <= 3:
            found.setdefault(int(number), rest.strip())
    return found


# Phones of one make describe their codecs with the same words in every call.
@lru_cache(maxsize=512)
def _codecs(formats: tuple[str, ...], attributes: tuple[Attribute, ...]) -> tuple[CodecOffer, ...]:
    rtpmaps = _by_payload_type(attributes, "rtpmap")
    fmtps = _by_payload_type(attributes, "fmtp")
    found = []
    for text in formats:
        if not (text.isascii() and text.isdigit()) or len(text) > 3 or int(text) > 127:
            continue
        payload_type = int(text)
        codec = _codec(payload_type, rtpmaps.get(payload_type), fmtps.get(payload_type, ""))
        if codec is not None:
            found.append(codec)
    return tuple(found)


def _codec(payload_type: int, rtpmap: str | None, fmtp: str) -> CodecOffer | None:
    if not rtpmap:
        static = STATIC.get(payload_type)
        if static is None or not fmtp:
            return static
        return CodecOffer(static.name, payload_type, static.clock_rate, static.channels, fmtp)
    name, *numbers = rtpmap.split("/")
    if len(numbers) > 2 or not all(n.isascii() and n.isdigit() and len(n) <= 6 for n in numbers):
        return None
    rate = int(numbers[0]) if numbers else 8000
    channels = int(numbers[1]) if len(numbers) > 1 else 1
    if not name or not rate or not channels:
        return None
    return CodecOffer(name, payload_type, rate, channels, fmtp)
