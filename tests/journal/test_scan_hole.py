"""A segment is allocated ahead: what was never written is not read."""

from __future__ import annotations

import os

import pytest

from ccengine.errors import JournalError
from ccengine.journal.scan import read_segment


def test_a_hole_at_the_end_changes_nothing(tmp_path):
    path = tmp_path / "segment"
    path.write_bytes(b"header" + bytes(5000) + b"frame")
    os.truncate(path, 8 << 20)
    data = read_segment(path)
    assert bytes(data[:5011]) == b"header" + bytes(5000) + b"frame"
    assert not any(data[5011:])


@pytest.mark.parametrize("size", [0, 1 << 20])
def test_a_file_without_anything(tmp_path, size):
    path = tmp_path / "segment"
    path.touch()
    os.truncate(path, size)
    assert not any(read_segment(path))


def test_what_cannot_be_read_is_an_error_of_ours(tmp_path):
    with pytest.raises(JournalError, match="No such file"):
        read_segment(tmp_path / "nothing")
