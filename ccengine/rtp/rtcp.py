"""RTCP reports (:rfc:`3550` sections 6.4 to 6.6): built, parsed and reckoned."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

from ccengine.errors import RtpError

SR: Final = 200
RR: Final = 201
SDES: Final = 202
BYE: Final = 203
APP: Final = 204
_CNAME = 1
_NTP_EPOCH = 2_208_988_800
_HEADER = struct.Struct("!BBH")
_SENDER = struct.Struct("!IIIII")
_BLOCK = struct.Struct("!IIIIII")
_MAX_LOST = 0x7FFFFF


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What a receiver tells of one source.

    ``fraction_lost`` is in 1/256 since the last report, ``jitter`` in timestamp units,
    ``last_sr`` the middle 32 bits of the last SR's NTP time, ``delay`` since then in 1/65536 s.
    """

    ssrc: int
    fraction_lost: int
    lost: int
    highest_sequence: int
    jitter: int
    last_sr: int = 0
    delay: int = 0


@dataclass(frozen=True, slots=True)
class SenderInfo:
    """What a sender tells of itself: ``ntp`` is 64 bits, seconds since 1900 times 2**32."""

    ntp: int
    timestamp: int
    packets: int
    octets: int


@dataclass(frozen=True, slots=True)
class RtcpReport:
    """A compound packet as far as it matters here."""

    ssrc: int
    sender: SenderInfo | None = None
    blocks: tuple[ReportBlock, ...] = ()
    cname: str = ""
    bye: tuple[int, ...] = field(default=())


def ntp_time(unix_seconds: float) -> int:
    """Return a 64-bit NTP timestamp (:rfc:`3550` section 4) of seconds since 1970."""
    return int((unix_seconds + _NTP_EPOCH) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF


def middle_ntp(ntp: int) -> int:
    """Return the middle 32 bits of an NTP timestamp: seconds in 1/65536."""
    return (ntp >> 16) & 0xFFFFFFFF


def round_trip_s(arrival_ntp: int, block: ReportBlock) -> float | None:
    """Return the round trip that a report block tells (:rfc:`3550` section 6.4.1, DLSR).

    None when the peer has seen no SR of ours yet, or when its clock makes nonsense of it.
    """
    if not block.last_sr:
        return None
    trip = (middle_ntp(arrival_ntp) - block.last_sr - block.delay) & 0xFFFFFFFF
    # Clocks of different rates make short trips slightly negative.
    return None if trip >= 1 << 31 else trip / 65536


def fraction_lost(expected: int, received: int) -> int:
    """Return the share lost of ``expected`` packets in 1/256 (:rfc:`3550` appendix A.3)."""
    lost = expected - received
    if expected <= 0 or lost <= 0:
        return 0
    return min(255, (lost << 8) // expected)


def next_jitter(jitter: float, transit_change: float) -> float:
    """Return the estimate after one more packet (:rfc:`3550` appendix A.8).

    ``transit_change`` is the change of (arrival - timestamp) since the packet before.
    """
    return jitter + (abs(transit_change) - jitter) / 16


def _packet(count: int, kind: int, body: bytes) -> bytes:
    return _HEADER.pack(0x80 | count, kind, len(body) // 4) + body


def _block(block: ReportBlock) -> bytes:
    lost = max(-_MAX_LOST - 1, min(_MAX_LOST, block.lost)) & 0xFFFFFF
    return _BLOCK.pack(
        block.ssrc,
        (block.fraction_lost & 0xFF) << 24 | lost,
        block.highest_sequence & 0xFFFFFFFF,
        block.jitter & 0xFFFFFFFF,
        block.last_sr,
        block.delay & 0xFFFFFFFF,
    )


def build(report: RtcpReport) -> bytes:
    """Return a compound packet: SR or RR first, then SDES with CNAME, then BYE if any.

    :rfc:`3550` section 6.1: every compound packet begins with a report and carries a CNAME.
    """
    blocks = b"".join(_block(block) for block in report.blocks[:31])
    count = min(len(report.blocks), 31)
    if report.sender is None:
        head = _packet(count, RR, report.ssrc.to_bytes(4) + blocks)
    else:
        info = report.sender
        body = report.ssrc.to_bytes(4) + _SENDER.pack(
            info.ntp >> 32,
            info.ntp & 0xFFFFFFFF,
            info.timestamp & 0xFFFFFFFF,
            info.packets & 0xFFFFFFFF,
            info.octets & 0xFFFFFFFF,
        )
        head = _packet(count, SR, body + blocks)
    name = report.cname.encode()[:255]
    item = report.ssrc.to_bytes(4) + bytes((_CNAME, len(name))) + name
    # The list of items ends with a null octet and is padded to a word (section 6.5).
    item += bytes(4 - len(item) % 4)
    compound = head + _packet(1, SDES, item)
    if report.bye:
        body = b"".join(ssrc.to_bytes(4) for ssrc in report.bye)
        compound += _packet(len(report.bye), BYE, body)
    return compound


def _parse_blocks(body: memoryview, count: int) -> tuple[ReportBlock, ...]:
    if len(body) < count * _BLOCK.size:
        raise RtpError(f"RTCP report of {count} blocks is cut off")
    blocks = []
    for index in range(count):
        ssrc, loss, highest, jitter, last_sr, delay = _BLOCK.unpack_from(body, index * _BLOCK.size)
        lost = loss & 0xFFFFFF
        if lost > _MAX_LOST:
            lost -= 1 << 24
        blocks.append(ReportBlock(ssrc, loss >> 24, lost, highest, jitter, last_sr, delay))
    return tuple(blocks)


def _parse_cname(body: memoryview) -> str:
    at = 4
    while at + 2 <= len(body) and body[at]:
        kind, size = body[at], body[at + 1]
        if kind == _CNAME:
            return bytes(body[at + 2 : at + 2 + size]).decode("utf-8", "replace")
        at += 2 + size
    return ""


def _packets(data: bytes) -> list[tuple[int, int, memoryview]]:
    """Return (count, type, body) of each packet of a compound (:rfc:`3550` appendix A.2)."""
    view = memoryview(data)
    found = []
    while view:
        if len(view) < 8:
            raise RtpError("RTCP packet is cut off")
        first, kind, words = _HEADER.unpack_from(view)
        size = 4 + 4 * words
        if first >> 6 != 2 or size > len(view) or size < 8:
            raise RtpError("RTCP packet of a wrong version or length")
        end = size
        if first & 0x20:
            end -= view[size - 1]
            if end < 8 or size != len(view):
                raise RtpError("RTCP padding is wrong")
        found.append((first & 0x1F, kind, view[4:end]))
        view = view[size:]
    if not found or found[0][1] not in (SR, RR):
        raise RtpError("RTCP compound does not begin with a report")
    return found


def parse(data: bytes) -> RtcpReport:
    """Return what a compound packet tells; :class:`RtpError` when it is none.

    Packets of other types than SR, RR, SDES and BYE are skipped.
    """
    sender: SenderInfo | None = None
    blocks: tuple[ReportBlock, ...] = ()
    cname = ""
    bye: tuple[int, ...] = ()
    packets = _packets(data)
    ssrc = int.from_bytes(packets[0][2][:4])
    for count, kind, body in packets:
        if kind == SR:
            if len(body) < 24:
                raise RtpError("RTCP sender report is cut off")
            high, low, timestamp, sent, octets = _SENDER.unpack_from(body, 4)
            sender = SenderInfo(high << 32 | low, timestamp, sent, octets)
            blocks += _parse_blocks(body[24:], count)
        elif kind == RR:
            blocks += _parse_blocks(body[4:], count)
        elif kind == SDES and count:
            cname = cname or _parse_cname(body)
        elif kind == BYE:
            if len(body) < 4 * count:
                raise RtpError("RTCP goodbye is cut off")
            bye += tuple(int.from_bytes(body[4 * i : 4 * i + 4]) for i in range(count))
    return RtcpReport(ssrc, sender, blocks, cname, bye)
