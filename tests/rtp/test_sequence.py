from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ccengine.rtp.sequence import (
    ExtendedSequence,
    sequence_step,
    sequence_steps,
    timestamp_step,
    timestamp_steps,
)


@given(st.integers(0, 0xFFFF), st.integers(-0x8000, 0x7FFF))
def test_a_step_survives_the_wrap(old, step):
    new = (old + step) & 0xFFFF
    assert sequence_step(new, old) == step
    assert sequence_steps(np.array([new], np.uint16), np.array([old], np.uint16))[0] == step


@given(st.integers(0, 0xFFFFFFFF), st.integers(-(1 << 31), (1 << 31) - 1))
def test_a_timestamp_step_survives_the_wrap(old, step):
    new = (old + step) & 0xFFFFFFFF
    assert timestamp_step(new, old) == step
    assert timestamp_steps(np.array([new], np.uint32), np.array([old], np.uint32))[0] == step


@given(st.integers(0, 0xFFFF), st.integers(1, 200_000))
def test_the_extended_sequence_counts_on_over_wraps(first, count):
    run = ExtendedSequence(first)
    for number in range(0, count, 1000):
        assert run.update((first + number) & 0xFFFF)
    assert run.highest == first + (count - 1) // 1000 * 1000


def test_loss_is_expected_minus_received():
    """:rfc:`3550` appendix A.3."""
    run = ExtendedSequence(65534)
    for sequence in (65534, 65535, 2, 1):
        assert run.update(sequence)
    assert (run.expected, run.received, run.lost) == (5, 4, 1)


def test_a_jump_is_no_part_of_the_run():
    run = ExtendedSequence(100)
    assert not run.update(100 + 3000)
    assert not run.update((100 - 100) & 0xFFFF)
    assert run.highest == 100
