"""The lenient reader of session descriptions (:rfc:`8866`).

Phones write bare LF, leave out lines that the grammar wants, and put lines in any order.
Whatever can be understood is; an error is raised only where guessing would send media to a
wrong place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from ccengine.errors import SdpError
from ccengine.sdp.description import (
    Attribute,
    Connection,
    Line,
    MediaSection,
    Origin,
    SessionDescription,
)

MAX_BYTES = 65_536
MAX_LINES = 2_000
MAX_MEDIA = 64
_HOST_CHARACTERS = frozenset(
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_:%",
)


@dataclass(slots=True)
class _Section:
    """A media section while it is being read."""

    kind: str
    port: int
    port_count: int
    protocol: str
    formats: tuple[str, ...]
    connection: Connection | None = None
    attributes: list[Attribute] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    def freeze(self) -> MediaSection:
        return MediaSection(
            self.kind,
            self.port,
            self.protocol,
            self.formats,
            self.port_count,
            self.connection,
            tuple(self.attributes),
            tuple(self.lines),
        )


@lru_cache(maxsize=32)
def parse(data: bytes) -> SessionDescription:
    """Return the description in ``data``.

    Raises:
        SdpError: there is no description in it, a line that decides where media goes cannot
            be read, or it is larger than anybody needs.

    """
    if len(data) > MAX_BYTES:
        raise SdpError(f"session description of {len(data)} bytes; at most {MAX_BYTES} are read")
    text = data.decode("utf-8", "surrogateescape").replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    if len(lines) > MAX_LINES:
        raise SdpError(f"session description of {len(lines)} lines; at most {MAX_LINES} are read")
    reader = _Reader()
    for number, line in enumerate(lines, 1):
        if not line or line.isspace():
            continue
        if len(line) < 2 or line[1] != "=":
            raise SdpError(f"SDP line {number} is {line[:40]!r}, not <letter>=<value>")
        reader.read(line[0], line[2:], number)
    if not reader.seen:
        raise SdpError("the session description is empty")
    return reader.result()


class _Reader:
    """Collects lines; ``section`` is ``None`` at the session level."""

    __slots__ = (
        "attributes", "connection", "lines", "name", "origin", "section", "sections", "seen",
        "timing",
    )  # fmt: skip

    def __init__(self) -> None:
        self.seen = False
        self.origin = Origin()
        self.name = "-"
        self.connection: Connection | None = None
        self.timing = ""
        self.attributes: list[Attribute] = []
        self.lines: list[Line] = []
        self.section: _Section | None = None
        self.sections: list[_Section] = []

    def read(self, letter: str, value: str, number: int) -> None:
        self.seen = True
        section = self.section
        if letter == "a":
            name, colon, rest = value.partition(":")
            target = self.attributes if section is None else section.attributes
            target.append((name.strip(), rest if colon else None))
        elif letter == "m":
            if len(self.sections) == MAX_MEDIA:
                raise SdpError(f"more than {MAX_MEDIA} media lines in one session description")
            self.section = _media(value, number)
            self.sections.append(self.section)
        elif letter == "c":
            connection = _connection(value, number)
            if section is None:
                self.connection = connection
            elif section.connection is None:  # further ones are layers of a multicast
                section.connection = connection
        elif section is not None:
            section.lines.append((letter, value))
        else:
            self._session_line(letter, value, number)

    def _session_line(self, letter: str, value: str, number: int) -> None:
        if letter == "v":
            if value.strip() != "0":
                raise SdpError(f"SDP line {number}: version {value.strip()[:20]!r} is not 0")
        elif letter == "o":
            self.origin = _origin(value)
        elif letter == "s":
            self.name = value
        elif letter == "t" and not self.timing:
            self.timing = value
        else:
            self.lines.append((letter, value))

    def result(self) -> SessionDescription:
        return SessionDescription(
            self.origin,
            self.name,
            self.connection,
            self.timing or "0 0",
            tuple(self.attributes),
            tuple(section.freeze() for section in self.sections),
            tuple(self.lines),
        )


def _number(text: str, limit: int) -> int:
    """Return the number in ``text``, or -1 when there is none up to ``limit``."""
    if not (text.isascii() and text.isdigit()) or len(text) > 20:
        return -1
    number = int(text)
    return number if number <= limit else -1


def _origin(value: str) -> Origin:
    # Only the version means anything to us, so a crippled line is no reason to refuse a call.
    words = value.split()
    username = words[0] if words else "-"
    session_id = _number(words[1], 2**64 - 1) if len(words) > 1 else 0
    version = _number(words[2], 2**64 - 1) if len(words) > 2 else 0
    host = words[5] if len(words) > 5 else "0.0.0.0"
    return Origin(username, max(session_id, 0), max(version, 0), host)


def _connection(value: str, number: int) -> Connection:
    words = value.split()
    if len(words) != 3 or words[0].upper() != "IN" or words[1].upper() not in {"IP4", "IP6"}:
        raise SdpError(f"SDP line {number}: c={value[:60]!r} is not 'IN IP4 <address>'")
    host, slash, suffix = words[2].partition("/")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not _HOST_CHARACTERS.issuperset(host):
        raise SdpError(f"SDP line {number}: {words[2][:60]!r} is no address")
    return Connection(host, slash + suffix)


def _media(value: str, number: int) -> _Section:
    words = value.split()
    if len(words) < 3:
        raise SdpError(f"SDP line {number}: m={value[:60]!r} lacks port or protocol")
    port_text, slash, count_text = words[1].partition("/")
    port = _number(port_text, 65_535)
    count = _number(count_text, 1_000) if slash else 1
    if port < 0 or count < 0:
        raise SdpError(f"SDP line {number}: {words[1][:20]!r} is no port")
    return _Section(words[0].lower(), port, count, words[2], tuple(words[3:]))
