"""Cut anywhere, flip any byte: what is whole is replayed, what is not is reported."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccengine.errors import JournalError
from ccengine.journal import Follower, replay, verify
from ccengine.journal.segment import HEADER_BYTES, list_segments
from ccengine.testing.faults import flip_byte, tear

FRAMES = 5


@pytest.fixture(scope="module")
def sample(make_kit: Callable[[], Any]) -> Any:
    """A journal of one segment with known ends of frames; ``kit.ends`` lists them."""
    kit = make_kit()
    ends = [HEADER_BYTES]
    with kit.open(segment_bytes=8192) as journal:
        ends.append(journal._offset)
        for number in range(FRAMES - 1):
            facts = [kit.Noted(f"{number}-{n}", "文" * n) for n in range(number + 1)]
            kit.append(journal, *facts)
            ends.append(journal._offset)
    kit.ends = ends
    (kit.segment,) = list_segments(kit.folder)
    kit.frames = list(replay(kit.folder, kit.registry))
    assert len(kit.frames) == FRAMES
    return kit


def copy(kit: Any, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    shutil.copy(kit.segment.path, target)
    return target / kit.segment.path.name


def whole(kit: Any, size: int) -> int:
    return sum(1 for end in kit.ends[1:] if end <= size)


def test_cut_at_every_byte_gives_exactly_the_whole_frames_before(
    sample: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "cut"
    for size in range(HEADER_BYTES, sample.ends[-1] + 1):
        path = copy(sample, folder)
        tear(path, size)
        found = replay(folder, sample.registry)
        assert list(found) == sample.frames[: whole(sample, size)], size
        assert bool(found.damages) == (size not in sample.ends), size


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_journal_cut_anywhere_goes_on(
    sample: Any, tmp_path_factory: Any, data: st.DataObject
) -> None:
    size = data.draw(st.integers(0, sample.ends[-1]))
    folder = tmp_path_factory.mktemp("cut")
    tear(copy(sample, folder), size)
    kept = sample.frames[: whole(sample, size)] if size >= HEADER_BYTES else []
    with sample.open(folder, segment_bytes=8192) as journal:
        assert journal.next_seq == sum(len(frame.facts) for frame in kept) + 2
        sample.append(journal, sample.Noted("after"))
    found = list(replay(folder, sample.registry))
    assert found[: len(kept)] == kept
    assert found[-1].facts == (sample.Noted("after"),)
    assert verify(folder).sound


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_a_flipped_byte_is_detected_and_stops_the_replay_there(
    sample: Any, tmp_path_factory: Any, data: st.DataObject
) -> None:
    offset = data.draw(st.integers(0, sample.ends[-1] - 1))
    mask = data.draw(st.integers(1, 255))
    folder = tmp_path_factory.mktemp("flip")
    flip_byte(copy(sample, folder), offset, mask)
    found = replay(folder, sample.registry)
    frames = list(found)
    if offset < HEADER_BYTES:
        # The two unused bytes of the header mean nothing.
        assert frames == ([] if found.damages else sample.frames)
        assert found.damages or offset in (10, 11)
        return
    hit = whole(sample, offset)
    assert frames == sample.frames[:hit]
    (damage,) = found.damages
    assert damage.offset == sample.ends[hit]
    assert damage.seq == sample.frames[hit].first_seq
    if hit < FRAMES - 1:
        # The next frame is found again, so the loss is known to the fact.
        assert damage.next_seq == sample.frames[hit].next_seq
        lost = f"facts {damage.seq} to {damage.next_seq - 1} are lost"
    else:
        lost = f"nothing after fact {damage.seq - 1} is readable"
    assert f"{sample.segment.path.name} at byte {damage.offset}: " in str(damage)
    assert lost in str(damage)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_behind_a_damage_nothing_is_lost_if_wanted(
    sample: Any, tmp_path_factory: Any, data: st.DataObject
) -> None:
    offset = data.draw(st.integers(HEADER_BYTES, sample.ends[-1] - 1))
    folder = tmp_path_factory.mktemp("skip")
    flip_byte(copy(sample, folder), offset)
    hit = whole(sample, offset)
    rest = sample.frames[:hit] + sample.frames[hit + 1 :]
    assert list(replay(folder, sample.registry, skip_damage=True)) == rest
    follower = Follower(folder, sample.registry)
    followed = [frame for _ in range(3) for frame in follower.poll()]
    follower.close()
    assert followed == rest
    # The next holder goes on behind the last readable frame and cuts nothing readable off.
    with sample.open(folder, segment_bytes=8192):
        pass
    assert list(replay(folder, sample.registry, skip_damage=True))[:-1] == rest


def test_a_missing_segment_is_reported_with_what_is_lost(kit: Any) -> None:
    journal = kit.open(segment_bytes=4096)
    for number in range(60):
        kit.append(journal, kit.Noted(str(number), "x" * 200))
    segments = list_segments(kit.folder)
    segments[1].path.unlink()
    found = replay(kit.folder, kit.registry, skip_damage=True)
    assert len([fact for frame in found for fact in frame.facts]) < 61
    lost = f"facts {segments[1].first_seq} to {segments[2].first_seq - 1} are lost"
    assert lost in str(found.damages[0])
    report = verify(kit.folder)
    assert not report.sound
    assert lost in str(report.damages[0])
    assert report.torn_tail is None


def test_verify_tells_a_torn_tail_from_a_damage(kit: Any) -> None:
    with kit.open() as journal:
        kit.append(journal, kit.Noted("a"))
        end = journal._offset
    (segment,) = list_segments(kit.folder)
    with segment.path.open("r+b") as file:
        file.seek(end)
        file.write(b"\x40\x00\x00\x00half of a frame")
    report = verify(kit.folder)
    assert report.sound
    assert report.torn_tail is not None
    assert report.torn_tail.offset == end
    assert (report.frames, report.facts, report.next_seq) == (2, 2, 3)


def test_verify_of_no_folder(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be read"):
        verify(tmp_path / "nothing")
