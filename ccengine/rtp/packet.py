"""RTP packets (:rfc:`3550` section 5.1): one at a time, and vectorised over rows of bytes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ccengine.errors import RtpError

HEADER_BYTES: Final = 12
VERSION: Final = 2
_FIRST = VERSION << 6
_PADDING = 0x20
_EXTENSION = 0x10
_CSRC_COUNT = 0x0F
_MARKER = 0x80
_HEADER = struct.Struct("!BBHII")

Rows: TypeAlias = NDArray[np.uint8]
Selection: TypeAlias = slice | NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """One RTP packet without its header extension."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes = b""
    marker: bool = False


def parse(data: bytes | memoryview) -> RtpPacket:
    """Return the packet in a datagram; :class:`RtpError` when there is none.

    CSRCs, header extension and padding are skipped (:rfc:`3550` sections 5.1, 5.3.1).
    """
    if len(data) < HEADER_BYTES:
        raise RtpError(f"RTP packet of {len(data)} bytes is shorter than its header")
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    if first >> 6 != VERSION:
        raise RtpError(f"RTP version {first >> 6}, not {VERSION}")
    start = HEADER_BYTES + 4 * (first & _CSRC_COUNT)
    if first & _EXTENSION:
        if len(data) < start + 4:
            raise RtpError("RTP header extension is cut off")
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4])
    end = len(data)
    if first & _PADDING:
        if data[-1] == 0:
            raise RtpError("RTP padding of length 0")
        end -= data[-1]
    if start > end:
        raise RtpError("RTP header and padding are longer than the packet")
    return RtpPacket(
        second & 0x7F, sequence, timestamp, ssrc, bytes(data[start:end]), second >= _MARKER
    )


def pack(packet: RtpPacket) -> bytes:
    """Return the packet as a datagram; numbers are taken modulo their width."""
    header = _HEADER.pack(
        _FIRST,
        (packet.payload_type & 0x7F) | (_MARKER if packet.marker else 0),
        packet.sequence & 0xFFFF,
        packet.timestamp & 0xFFFFFFFF,
        packet.ssrc & 0xFFFFFFFF,
    )
    return header + packet.payload


_HEADER_FIELDS: Final = np.dtype(
    [("first", "u1"), ("second", "u1"), ("sequence", ">u2"), ("timestamp", ">u4"), ("ssrc", ">u4")]
)


def header_view(rows: Rows) -> NDArray[np.void]:
    """Return the fixed headers of ``rows`` u8[N, W] as a structured view of N records.

    Fields: ``first``, ``second`` (marker and payload type), ``sequence``, ``timestamp``,
    ``ssrc``; reading and assigning converts from and to network order.
    """
    return np.ndarray(
        shape=(rows.shape[0],), dtype=_HEADER_FIELDS, buffer=rows.data, strides=(rows.strides[0],)
    )


def payload_view(rows: Rows, width: int, offset: int = HEADER_BYTES) -> NDArray[np.void]:
    """Return ``width`` bytes at ``offset`` of each of ``rows`` u8[N, W] as N opaque items.

    Copying one item is one memcpy: this is how whole payloads move between arrays.
    """
    return np.ndarray(
        shape=(rows.shape[0],),
        dtype=np.dtype((np.void, width)),
        buffer=rows.data,
        offset=offset,
        strides=(rows.strides[0],),
    )


class HeaderBatch:
    """The headers of up to N received rows, parsed column by column.

    After :meth:`parse`, ``sequence``, ``timestamp``, ``ssrc``, ``payload_type``, ``marker``,
    ``offset`` and ``size`` (of the payload) hold M values each, in the order of the
    selection; ``valid`` tells which of them are packets at all.
    """

    __slots__ = (
        "_first",
        "_headers",
        "_rows",
        "_second",
        "marker",
        "offset",
        "payload_type",
        "sequence",
        "size",
        "ssrc",
        "timestamp",
        "valid",
    )

    def __init__(self, rows: Rows) -> None:
        capacity = rows.shape[0]
        self._rows = rows
        self._headers = header_view(rows)
        self._first = np.zeros(capacity, np.uint8)
        self._second = np.zeros(capacity, np.uint8)
        self.sequence = np.zeros(capacity, np.uint16)
        self.timestamp = np.zeros(capacity, np.uint32)
        self.ssrc = np.zeros(capacity, np.uint32)
        self.payload_type = np.zeros(capacity, np.uint8)
        self.marker = np.zeros(capacity, np.bool_)
        self.valid = np.zeros(capacity, np.bool_)
        self.offset = np.zeros(capacity, np.int32)
        self.size = np.zeros(capacity, np.int32)

    def parse(self, select: Selection, lengths: NDArray[np.int32]) -> int:
        """Parse the selected rows, whose datagrams are ``lengths`` i4[M] bytes long.

        A length of 0 means that nothing came: such a row is neither valid nor invalid.
        Return how many rows hold something that is no RTP packet.
        """
        m = lengths.shape[0]
        head = self._headers[select]
        first, second, valid = self._first[:m], self._second[:m], self.valid[:m]
        first[...] = head["first"]
        second[...] = head["second"]
        self.sequence[:m] = head["sequence"]
        self.timestamp[:m] = head["timestamp"]
        self.ssrc[:m] = head["ssrc"]
        np.bitwise_and(second, 0x7F, out=self.payload_type[:m])
        np.greater_equal(second, _MARKER, out=self.marker[:m])
        np.greater_equal(lengths, HEADER_BYTES, out=valid)
        self.offset[:m] = HEADER_BYTES
        np.subtract(lengths, HEADER_BYTES, out=self.size[:m])
        plain = first == _FIRST
        plain |= ~valid
        if not plain.all():
            self._uncommon(select, np.flatnonzero(~plain), lengths)
        return int(np.count_nonzero(lengths)) - int(np.count_nonzero(valid))

    def _uncommon(
        self, select: Selection, index: NDArray[np.intp], lengths: NDArray[np.int32]
    ) -> None:
        """Parse what the rows at ``index`` have beyond the fixed header."""
        rows = index if isinstance(select, slice) else select[index]
        if isinstance(select, slice):
            rows = rows + (select.start or 0)
        width = self._rows.shape[1]
        first = self._first[index]
        length = lengths[index]
        start = HEADER_BYTES + 4 * (first & _CSRC_COUNT).astype(np.int32)
        extended = (first & _EXTENSION) != 0
        at = np.minimum(start + 2, width - 2)
        words = (self._rows[rows, at].astype(np.int32) << 8) | self._rows[rows, at + 1]
        cut = extended & (length < start + 4)
        start = start + np.where(extended, 4 + 4 * words, 0)
        padded = (first & _PADDING) != 0
        last = self._rows[rows, np.clip(length - 1, 0, width - 1)].astype(np.int32)
        end = length - np.where(padded, last, 0)
        bad = (first >> 6 != VERSION) | cut | (padded & (last == 0)) | (start > end)
        self.valid[index] = ~bad
        self.offset[index] = np.where(bad, HEADER_BYTES, start)
        self.size[index] = np.where(bad, 0, end - start)
