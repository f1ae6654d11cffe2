from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccengine.errors import RtpError
from ccengine.rtp.packet import HeaderBatch, RtpPacket, pack, parse, payload_view

WIDTH = 256
packets = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 127),
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    ssrc=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=160),
    marker=st.booleans(),
)


@st.composite
def datagrams(draw):
    """Packets with everything that :rfc:`3550` section 5.1 allows, and noise."""
    if draw(st.booleans()):
        return draw(st.binary(max_size=WIDTH))
    data = bytearray(pack(draw(packets)))
    csrcs = draw(st.integers(0, 15))
    head, body = data[:12], bytes(data[12:])
    head[0] |= csrcs
    head += bytes(4 * csrcs)
    if draw(st.booleans()):
        head[0] |= 0x10
        words = draw(st.integers(0, 3))
        head += b"\xbe\xde" + words.to_bytes(2) + bytes(4 * words)
    if draw(st.booleans()):
        size = draw(st.integers(1, 8))
        head[0] |= 0x20
        body += bytes(size - 1) + bytes([size])
    return (bytes(head) + body)[: draw(st.sampled_from((WIDTH, WIDTH, 14, 20)))]


@given(packets)
def test_what_is_packed_is_parsed(packet):
    assert parse(pack(packet)) == packet


@given(st.lists(datagrams(), min_size=1, max_size=12), st.booleans())
def test_rows_are_parsed_like_single_packets(data, whole):
    rows = np.full((16, WIDTH), 0xA5, np.uint8)
    lengths = np.zeros(16, np.int32)
    for row, datagram in enumerate(data):
        rows[row, : len(datagram)] = np.frombuffer(datagram, np.uint8)
        lengths[row] = len(datagram)
    batch = HeaderBatch(rows)
    count = len(data)
    select = slice(0, count) if whole else np.arange(count)[::-1].copy()
    order = range(count) if whole else range(count)[::-1]
    bad = batch.parse(select, lengths[:count] if whole else lengths[:count][::-1].copy())
    wrong = 0
    for at, row in enumerate(order):
        try:
            packet = parse(data[row])
        except RtpError:
            assert not batch.valid[at]
            wrong += len(data[row]) > 0
            continue
        assert batch.valid[at]
        start, size = int(batch.offset[at]), int(batch.size[at])
        assert rows[row, start : start + size].tobytes() == packet.payload
        assert batch.sequence[at] == packet.sequence
        assert batch.timestamp[at] == packet.timestamp
        assert batch.ssrc[at] == packet.ssrc
        assert batch.payload_type[at] == packet.payload_type
        assert batch.marker[at] == packet.marker
    assert bad == wrong


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80" * 11,
        b"\x40" + bytes(11),
        b"\x81" + bytes(11),
        b"\x90" + bytes(13),
        b"\x90" + bytes(13) + b"\xff\xff",
        b"\xa0" + bytes(12),
        b"\xa0" + bytes(12) + b"\x09",
    ],
    ids=["empty", "short", "version", "csrc", "ext-cut", "ext-long", "pad-0", "pad-long"],
)
def test_what_is_no_packet_is_refused(data):
    with pytest.raises(RtpError):
        parse(data)


def test_payload_items_copy_whole_frames():
    rows = np.arange(4 * 64, dtype=np.uint8).reshape(4, 64)
    other = np.zeros((4, 64), np.uint8)
    payload_view(other, 16)[[0, 2]] = payload_view(rows, 16)[[3, 1]]
    assert (other[0, 12:28] == rows[3, 12:28]).all()
    assert (other[2, 12:28] == rows[1, 12:28]).all()
    assert not other[1].any()
    assert not other[0, 28:].any()
