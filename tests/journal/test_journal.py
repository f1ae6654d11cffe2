"""Opening, appending, segments, epochs, and what happens when there is no room."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from ccengine.errors import JournalError, JournalFullError, JournalLockedError
from ccengine.journal import EpochStarted, coalesce, replay, verify
from ccengine.journal.segment import list_segments, provide_next
from ccengine.testing.faults import file_size_limit, kill9, tear


def facts(kit: Any, folder: Path | None = None) -> list[Any]:
    return [fact for frame in replay(folder or kit.folder, kit.registry) for fact in frame.facts]


def test_facts_come_back_as_they_were(kit: Any) -> None:
    journal = kit.open()
    kit.clock.advance(1.5)
    assert kit.append(journal, kit.Noted("a", "您好"), kit.Replaced("b", 7)) == 3
    frames = list(replay(kit.folder, kit.registry))
    assert frames[0].facts == (EpochStarted(1, "boot-1", os.getpid()),)
    assert frames[1].facts == (kit.Noted("a", "您好"), kit.Replaced("b", 7))
    assert (frames[1].first_seq, frames[1].next_seq) == (2, 4)
    assert (frames[1].now, frames[1].boot_id) == (kit.clock.now(), "boot-1")
    assert frames[1].at == kit.clock.at()


def test_replay_from_a_fact_in_the_middle_of_a_frame(kit: Any) -> None:
    journal = kit.open()
    kit.append(journal, *[kit.Noted(str(n)) for n in range(5)])  # facts 2 to 6
    kit.append(journal, kit.Noted("last"))
    found = replay(kit.folder, kit.registry, 4)
    frames = list(found)
    assert [fact.who for frame in frames for fact in frame.facts] == ["2", "3", "4", "last"]
    assert frames[0].first_seq == 4
    assert found.next_seq == journal.next_seq == 8


def test_nothing_to_append_writes_nothing(kit: Any) -> None:
    journal = kit.open()
    assert kit.append(journal) == 1
    assert journal.next_seq == 2


def test_each_holder_begins_an_epoch(kit: Any) -> None:
    for epoch in range(1, 4):
        with kit.open() as journal:
            assert journal.epoch == epoch
            kit.append(journal, kit.Noted("x" * 30_000), kit.Noted("y" * 30_000))
    assert [f.epoch for f in facts(kit) if isinstance(f, EpochStarted)] == [1, 2, 3]
    assert len(list_segments(kit.folder)) > 1


def test_the_journal_id_stays_and_differs_from_others(kit: Any, tmp_path: Path) -> None:
    with kit.open() as first, kit.open(tmp_path / "other") as other:
        assert first.journal_id != other.journal_id
        name = first.journal_id
    with kit.open() as again:
        assert again.journal_id == name


def test_a_second_holder_is_refused_with_the_pid_of_the_first(kit: Any) -> None:
    kit.open()
    with pytest.raises(JournalLockedError, match=f"held by process {os.getpid()}; stop that"):
        kit.open()


def test_a_holder_that_was_killed_leaves_the_lock_and_every_frame(kit: Any) -> None:
    code = """
    import sys, time
    from pathlib import Path
    from ccengine.clock import SystemClock
    from ccengine.journal import EpochStarted, Journal, Registry
    clock = SystemClock()
    journal = Journal.open(
        Path(sys.argv[1]), boot_id="b", clock=clock, registry=Registry(()), segment_bytes=1 << 16
    )
    for number in range(1, 5000):
        journal.append([EpochStarted(1, "x" * 50, number)], clock.now(), clock.at())
        print(journal.next_seq, flush=True)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(kit.folder)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = [int(process.stdout.readline()) for _ in range(500)]
    kill9(process.pid)
    said += [int(line) for line in process.stdout.read().split()]
    process.wait()
    process.stdout.close()
    with kit.open() as journal:
        # One more may have been written than was said.
        assert said[-1] < journal.next_seq <= said[-1] + 2
    assert verify(kit.folder).sound


def test_segments_follow_each_other_without_a_gap(kit: Any) -> None:
    journal = kit.open(segment_bytes=4096)
    for number in range(200):
        kit.append(journal, kit.Noted(str(number), "x" * 100))
    segments = list_segments(kit.folder)
    assert len(segments) > 8
    assert segments[0].path.name == "00000000000000000001.ccj"
    assert all(segment.path.stat().st_size == 4096 for segment in segments)
    assert [fact.who for fact in facts(kit)[1:]] == [str(number) for number in range(200)]
    report = verify(kit.folder)
    assert (report.sound, report.torn_tail) == (True, None)
    assert (report.segments, report.facts) == (len(segments), 201)


def test_a_frame_larger_than_a_segment_gets_one_of_its_own(kit: Any) -> None:
    journal = kit.open(segment_bytes=4096)
    kit.append(journal, kit.Noted("large", "x" * 10_000))
    kit.append(journal, kit.Noted("small"))
    assert [fact.who for fact in facts(kit)[1:]] == ["large", "small"]
    assert len(list_segments(kit.folder)) == 3


def test_the_prepared_file_becomes_the_next_segment(kit: Any) -> None:
    journal = kit.open(segment_bytes=4096)
    assert provide_next(kit.folder, 4096)
    assert not provide_next(kit.folder, 4096)
    inode = (kit.folder / ".next").stat().st_ino
    for number in range(30):
        kit.append(journal, kit.Noted(str(number), "x" * 100))
    assert list_segments(kit.folder)[1].path.stat().st_ino == inode
    assert not (kit.folder / ".next").exists()
    assert not list(kit.folder.glob(".draft*"))


def test_a_torn_tail_is_cut_off_and_kept(kit: Any) -> None:
    with kit.open() as journal:
        kit.append(journal, kit.Noted("whole"))
        kit.append(journal, kit.Noted("torn", "x" * 100))
    (segment,) = list_segments(kit.folder)
    data = segment.path.read_bytes().rstrip(b"\0")
    tear(segment.path, len(data) - 10)
    with kit.open() as journal:
        assert journal.next_seq == 4  # the epoch, "whole", the next epoch
        kit.append(journal, kit.Noted("after"))
    assert [getattr(fact, "who", "epoch") for fact in facts(kit)] == [
        "epoch",
        "whole",
        "epoch",
        "after",
    ]
    (torn,) = kit.folder.glob("*.torn")
    assert torn.read_bytes() in data
    assert verify(kit.folder).sound


def test_a_segment_that_never_got_its_header_is_put_aside(kit: Any) -> None:
    with kit.open() as journal:
        kit.append(journal, kit.Noted("a"))
        name = journal.journal_id
    (kit.folder / f"{3:020d}.ccj").write_bytes(bytes(1000))
    with kit.open() as journal:
        assert (journal.next_seq, journal.epoch, journal.journal_id) == (4, 2, name)


def test_a_fact_that_no_replay_could_read_is_refused(kit: Any) -> None:
    class Stranger:
        FACT = ("test.stranger", 1)
        stream = "x"

    journal = kit.open()
    with pytest.raises(JournalError, match="Stranger is no fact of this journal"):
        kit.append(journal, kit.Noted("a"), Stranger())
    kit.append(journal, kit.Noted("b"))
    assert [fact.who for fact in facts(kit)[1:]] == ["b"]


def test_a_full_disk_refuses_the_frame_and_keeps_the_journal_whole(kit: Any) -> None:
    journal = kit.open(segment_bytes=16 << 10)
    written = 0

    def write_on() -> None:
        nonlocal written
        for number in range(100):
            kit.append(journal, kit.Noted(str(number), "x" * 500))
            written += 1

    with file_size_limit(16 << 10):
        journal._segment_bytes = 32 << 10  # the next segment would be larger than any may be
        with pytest.raises(JournalFullError, match="make room on its disk"):
            write_on()
        assert 20 < written < 32
        seq = journal.next_seq
        with pytest.raises(JournalFullError):
            kit.append(journal, kit.Noted("still", "x" * 500))
        assert journal.next_seq == seq
    kit.append(journal, kit.Noted("again", "x" * 500))
    assert [fact.who for fact in facts(kit)[1:]] == [*map(str, range(written)), "again"]
    assert verify(kit.folder).sound


def test_full_says_when_no_next_segment_can_be_made(kit: Any) -> None:
    journal = kit.open(segment_bytes=16 << 10)
    journal._segment_bytes = 8 << 10
    kit.append(journal, kit.Noted("a", "x" * 4000))
    journal._segment_bytes = 6 << 10
    (kit.folder / ".next").mkdir()  # opening it as a file fails
    kit.append(journal, kit.Noted("b", "x" * 4000))
    assert journal.full()
    (kit.folder / ".next").rmdir()
    kit.append(journal, kit.Noted("c", "x" * 4000))
    assert journal.full()  # it is not tried again with each frame
    kit.clock.advance(1)
    kit.append(journal, kit.Noted("d", "x" * 4000))
    assert not journal.full()
    assert [fact.who for fact in facts(kit)[1:]] == ["a", "b", "c", "d"]


def test_a_folder_that_cannot_be_made_is_a_clear_error(kit: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="check the path"):
        kit.open(tmp_path / "file" / "journal")


@pytest.mark.parametrize("name", ["00000000000000000001.ccj", "00000000000000000009.ccj"])
def test_foreign_and_renamed_segments_are_refused(kit: Any, name: str) -> None:
    with kit.open():
        pass
    if name.endswith("9.ccj"):
        (kit.folder / "00000000000000000001.ccj").rename(kit.folder / name)
        with pytest.raises(JournalError, match="was renamed"):
            kit.open()
    else:
        (kit.folder / name).write_bytes(b"#!/bin/sh\n" * 100)
        with pytest.raises(JournalError, match="no segment of a journal"):
            kit.open()


def test_coalesce_keeps_the_last_whole_record_of_each_stream(kit: Any) -> None:
    a, b = kit.Noted("a"), kit.Noted("a")
    facts = [kit.Replaced("x", 1), a, kit.Replaced("y", 1), kit.Replaced("x", 2), b]
    assert coalesce(facts) == [a, kit.Replaced("y", 1), kit.Replaced("x", 2), b]
    assert coalesce([a, b]) == [a, b]
