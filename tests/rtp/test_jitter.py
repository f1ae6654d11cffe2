from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccengine.rtp.jitter import JitterBuffer

FRAME = 160


def frame_of(number, size=FRAME):
    return np.full((1, size), number % 251 + 1, np.uint8)


class Line:
    """One row of a buffer, driven by frames."""

    def __init__(self, start=0, size=FRAME, capacity=4, row=2):
        self.buffer = JitterBuffer(capacity)
        self.row = np.array([row])
        self.start = start
        self.size = size
        self.heard = []

    def put(self, number, shift=0):
        stamp = np.array([(self.start + number * self.size + shift) & 0xFFFFFFFF], np.uint32)
        self.buffer.put(self.row, stamp, frame_of(number, self.size))

    def get(self, size=FRAME):
        out, have = np.zeros((1, size), np.uint8), np.zeros(1, np.bool_)
        self.buffer.get(self.row, out, have)
        self.heard.append(int(out[0, 0]) - 1 if have[0] else None)


@pytest.mark.parametrize("start", [0, 0xFFFFFFFF - 1000, 80, 12345])
def test_frames_come_out_in_order_forty_ms_later(start):
    line = Line(start)
    for number in range(300):
        line.put(number)
        line.get()
    assert line.heard[:2] == [None, None]
    assert line.heard[2:] == [n % 251 for n in range(298)]
    assert line.buffer.late[2] == 0


@settings(max_examples=60)
@given(st.permutations(range(4)), st.integers(0, 3))
def test_disorder_within_the_delay_is_put_right(order, lost):
    line = Line(0xFFFFFF00)
    for number in range(8):
        line.put(number)
        line.get()
    arrivals = {8 + at: 8 + number for at, number in enumerate(order) if number - at <= 1}
    for at in range(8, 20):
        if at in arrivals and arrivals[at] - at <= 1 and at - arrivals[at] <= 2:
            line.put(arrivals[at])
        elif at not in arrivals:
            line.put(at)
        line.get()
    known = [number for number in line.heard if number is not None]
    assert known == sorted(known)
    assert line.heard[-1] == 17


def test_a_lost_frame_is_a_hole_and_nothing_moves():
    line = Line()
    for number in range(10):
        if number != 4:
            line.put(number)
        line.get()
    assert line.heard == [None, None, 0, 1, 2, 3, None, 5, 6, 7]


def test_a_late_packet_is_counted_and_three_start_the_line_afresh():
    line = Line()
    for number in range(10):
        line.put(number)
        line.get()
    for _ in range(4):
        line.get()
    for number in range(10, 20):
        line.put(number)
        line.get()
    assert line.buffer.late[2] == 3
    assert line.buffer.resyncs[2] == 1
    assert line.heard[-3:] == [15, 16, 17]


def test_a_clock_that_jumps_is_followed():
    line = Line()
    for number in range(10):
        line.put(number)
        line.get()
    line.start = 7_000_000
    for number in range(10, 20):
        line.put(number)
        line.get()
    assert [n for n in line.heard if n is not None] == list(range(18))


def test_silence_suppression_keeps_its_gap():
    line = Line()
    for number in range(30):
        if not 5 <= number < 20:
            line.put(number)
        line.get()
    assert line.heard[7:22] == [None] * 15
    assert line.heard[22:] == list(range(20, 28))
    assert line.buffer.resyncs[2] == 0


@pytest.mark.parametrize("size", [80, 320, 480])
def test_packets_of_any_multiple_of_ten_ms_are_the_same(size):
    line = Line(size=size)
    sent = 0
    for tick in range(60):
        while sent * size <= tick * FRAME:
            line.put(sent)
            sent += 1
        line.get()
    # Each packet's value lasts for its own length, whatever the frame of the reader.
    assert None not in line.heard[6:50]
    assert line.buffer.late[2] == 0


def test_rows_are_independent_and_move_with_their_state():
    buffer = JitterBuffer(4)
    rows = np.array([0, 3])
    stamps = np.array([1000, 999_999], np.uint32)
    payload = np.stack([np.full(FRAME, 7, np.uint8), np.full(FRAME, 9, np.uint8)])
    buffer.put(rows, stamps, payload)
    other = JitterBuffer(2)
    other.move(buffer, 3, 1)
    buffer.reset(3)
    out, have = np.zeros((1, FRAME), np.uint8), np.zeros(1, np.bool_)
    for _ in range(3):
        other.get(np.array([1]), out, have)
    assert have[0]
    assert (out == 9).all()
    assert buffer.depth(0) == 2
    assert buffer.depth(3) == 0


@pytest.mark.parametrize("waiting", [2, 4, 5])
def test_packets_that_waited_at_the_start_delay_nothing_for_long(waiting):
    """A phone talks before its leg is there: what had waited comes at once, then all is even."""
    line = Line()
    for number in range(waiting):
        line.put(number)
    line.get()
    for number in range(waiting, 100):
        line.put(number)
        line.get()
    assert line.heard[-1] == 97  # 40 ms behind the last one, as ever
    assert line.heard[20:] == list(range(line.heard[20], 98))
    assert line.buffer.late[2] == line.buffer.resyncs[2] == 0


def test_early_packets_later_on_move_nothing():
    line = Line()
    for number in range(60):
        line.put(number)
        line.get()
    line.put(60)
    for number in range(61, 90):  # the source's clock has gained a frame
        line.put(number)
        line.get()
    assert [line.heard[-1], None in line.heard[2:]] == [86, False]
