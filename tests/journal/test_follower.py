"""Following a journal while it is written."""

from __future__ import annotations

import random
from typing import Any

from ccengine.journal import Follower
from ccengine.journal.frame import FrameEncoder
from ccengine.journal.segment import list_segments


def names(frames: list[Any]) -> list[str]:
    return [fact.who for frame in frames for fact in frame.facts if hasattr(fact, "who")]


def test_it_sees_each_fact_once_across_segments(kit: Any) -> None:
    journal = kit.open(segment_bytes=4096)
    follower = Follower(kit.folder, kit.registry)
    rng = random.Random(3)
    seen: list[str] = []
    for number in range(500):
        kit.append(journal, kit.Noted(str(number), "x" * rng.randrange(1500)))
        if rng.random() < 0.3:
            seen += names(follower.poll(rng.randrange(1, 20)))
    while frames := follower.poll():
        seen += names(frames)
    assert seen == [str(number) for number in range(500)]
    assert follower.next_seq == journal.next_seq
    assert not follower.damages
    assert len(list_segments(kit.folder)) > 50
    follower.sync()
    follower.close()


def test_it_begins_in_the_middle(kit: Any) -> None:
    journal = kit.open(segment_bytes=4096)
    for number in range(100):
        kit.append(journal, kit.Noted(str(number), "x" * 200))
    follower = Follower(kit.folder, kit.registry, 50)  # fact 2 is number 0
    assert follower.next_seq == 50
    frames = follower.poll(10_000)
    assert names(frames)[0] == "48"
    assert len(names(frames)) == 52
    follower.close()


def test_it_waits_for_a_journal_that_does_not_exist_yet(kit: Any) -> None:
    follower = Follower(kit.folder, kit.registry)
    assert follower.poll() == []
    kit.append(kit.open(), kit.Noted("a"))
    assert names(follower.poll()) == ["a"]
    follower.close()


def test_it_stops_at_the_frame_that_reaches_the_limit(kit: Any) -> None:
    journal = kit.open()
    for number in range(4):
        kit.append(journal, *[kit.Noted(str(number))] * 3)
    follower = Follower(kit.folder, kit.registry, 2)
    assert names(follower.poll(4)) == ["0"] * 3 + ["1"] * 3
    assert names(follower.poll(1)) == ["2"] * 3
    follower.close()


def test_a_frame_larger_than_one_read_is_read(kit: Any) -> None:
    journal = kit.open(segment_bytes=4 << 20)
    kit.append(journal, kit.Noted("a", "x" * 1_500_000))
    kit.append(journal, kit.Noted("b"))
    follower = Follower(kit.folder, kit.registry)
    assert names(follower.poll()) == ["a", "b"]
    follower.close()


def test_a_frame_in_the_middle_of_being_written_is_waited_for(kit: Any) -> None:
    journal = kit.open()
    follower = Follower(kit.folder, kit.registry)
    follower.poll()
    frame = FrameEncoder("boot-1", kit.registry).encode([kit.Noted("slow")], 2, 1.0, 1.0)
    (segment,) = list_segments(kit.folder)
    with segment.path.open("r+b", buffering=0) as file:
        for size in (3, 8, 20, len(frame) - 1):
            file.seek(journal._offset)
            file.write(frame[:size])
            assert follower.poll() == []
            assert follower.poll() == []
        file.seek(journal._offset)
        file.write(frame)
    assert names(follower.poll()) == ["slow"]
    assert not follower.damages
    follower.close()


def test_a_torn_tail_that_the_next_holder_replaces_is_no_damage(kit: Any) -> None:
    journal = kit.open()
    follower = Follower(kit.folder, kit.registry)
    follower.poll()
    frame = FrameEncoder("boot-1", kit.registry).encode([kit.Noted("x" * 300)], 2, 1.0, 1.0)
    (segment,) = list_segments(kit.folder)
    with segment.path.open("r+b", buffering=0) as file:
        file.seek(journal._offset)
        file.write(frame[:200])
    assert follower.poll() == []
    assert follower.poll() == []
    journal.close()
    kit.append(kit.open(), kit.Noted("after"))
    assert names(follower.poll()) == ["after"]
    assert not follower.damages
    follower.close()
