"""Recordings end on disk as they were heard, whatever dies or fills up meanwhile."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from ccengine.clock import SystemClock
from ccengine.dsp import g711
from ccengine.dsp.wav import open_wav
from ccengine.errors import MediaError
from ccengine.media.recording import (
    LEFT,
    RIGHT,
    RecordingResult,
    RecordingSettings,
    RecordingWriter,
)
from ccengine.media.recording_file import SegmentFile
from ccengine.media.recording_ring import BLOCK

FRAME = 160


@pytest.fixture(params=["process", "thread"])
def writer(request: pytest.FixtureRequest) -> Iterator[RecordingWriter]:
    made = RecordingWriter(RecordingSettings(capacity=64, mode=request.param), SystemClock())
    made.start()
    yield made
    made.stop()


@pytest.fixture
def process_writer() -> Iterator[RecordingWriter]:
    made = RecordingWriter(RecordingSettings(capacity=8), SystemClock())
    made.start()
    yield made
    made.stop()


def results_of(
    writer: RecordingWriter, count: int = 1, limit_s: float = 10.0
) -> list[RecordingResult]:
    found: list[RecordingResult] = []
    give_up = time.monotonic() + limit_s
    while len(found) < count:
        assert time.monotonic() < give_up, found
        found += writer.poll()
        time.sleep(0.002)
    return found


def wait_for(writer: RecordingWriter, condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < give_up
        writer.poll()
        time.sleep(0.002)


def speech(frames: int, seed: int, size: int = FRAME) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (frames, size), dtype=np.uint8)


def feed(writer: RecordingWriter, channels: list[int], *sides: np.ndarray) -> None:
    rows = np.array(channels, np.intp)
    for frame in zip(*sides, strict=True):
        writer.put(rows, np.stack(frame))
        if writer.backlog > 1:  # faster than real time: let the writer follow
            wait_for(writer, lambda: writer.backlog <= 1)


def marks_of(folder: Path, key: str) -> dict:
    return json.loads((folder / f"{key}.json").read_text())


def both(writer: RecordingWriter, folder: Path, key: str = "r1", law: str = "PCMU"):
    slot = writer.open(key, str(folder), law)
    left = writer.attach(slot, LEFT, "caller", law)
    right = writer.attach(slot, RIGHT, "agent", law)
    return slot, left, right


@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
def test_caller_left_agent_right_byte_for_byte(
    writer: RecordingWriter, tmp_path: Path, law: str
) -> None:
    slot, left, right = both(writer, tmp_path / "deep" / "folder", law=law)
    caller, agent = speech(337, 1), speech(337, 2)
    feed(writer, [left, right], caller, agent)
    writer.close(slot)
    (done,) = results_of(writer)
    assert done == RecordingResult(
        "r1", (str(tmp_path / "deep" / "folder" / "r1-1.wav"),), 337 * 0.02
    )
    sound = open_wav(Path(done.files[0])).raw()
    np.testing.assert_array_equal(sound[:, 0], caller.reshape(-1))
    np.testing.assert_array_equal(sound[:, 1], agent.reshape(-1))
    book = marks_of(tmp_path / "deep" / "folder", "r1")
    assert [mark["reason"] for mark in book["marks"]] == ["start", "join", "join", "end"]
    assert book["segments"][0]["left"] == "caller"
    assert book["segments"][0]["right"] == "agent"
    assert book["segments"][0]["duration_s"] == pytest.approx(337 * 0.02)
    assert writer.open_count == 0
    assert writer.dropped_blocks == 0


def test_sox_plays_it(process_writer: RecordingWriter, tmp_path: Path) -> None:
    slot, left, right = both(process_writer, tmp_path)
    feed(process_writer, [left, right], speech(100, 1), speech(100, 2))
    process_writer.close(slot)
    (done,) = results_of(process_writer)
    info = subprocess.run(["soxi", done.files[0]], check=True, capture_output=True, text=True)
    assert "Channels       : 2" in info.stdout
    assert "16000 samples" in info.stdout
    assert "u-law" in info.stdout


def test_an_agent_in_the_other_law_is_converted(writer: RecordingWriter, tmp_path: Path) -> None:
    slot = writer.open("mixed", str(tmp_path), "PCMA")
    left = writer.attach(slot, LEFT, "caller", "PCMA")
    right = writer.attach(slot, RIGHT, "agent", "PCMU")
    caller, agent = speech(60, 3), speech(60, 4)
    feed(writer, [left, right], caller, agent)
    writer.close(slot)
    (done,) = results_of(writer)
    sound = open_wav(Path(done.files[0])).raw()
    np.testing.assert_array_equal(sound[:, 0], caller.reshape(-1))
    np.testing.assert_array_equal(sound[:, 1], g711.ULAW_TO_ALAW[agent.reshape(-1)])


def test_lost_frames_and_a_side_that_is_not_there_are_silence(
    writer: RecordingWriter, tmp_path: Path
) -> None:
    slot = writer.open("gaps", str(tmp_path), "PCMU")
    left = writer.attach(slot, LEFT, "caller", "PCMU")
    caller = speech(50, 5)
    for index, frame in enumerate(caller):
        writer.put(np.array([left]), frame[np.newaxis], np.array([index % 3 != 0]))
    writer.close(slot)
    (done,) = results_of(writer)
    sound = open_wav(Path(done.files[0])).raw()
    assert set(sound[:, 1].tolist()) == {0xFF}
    expected = caller.copy()
    expected[::3] = 0xFF
    np.testing.assert_array_equal(sound[:, 0], expected.reshape(-1))


def test_packet_times_may_differ_and_the_sides_stay_in_sync(
    writer: RecordingWriter, tmp_path: Path
) -> None:
    """20 ms against 30 ms and 25 ms (which divides no block): same length, same place."""
    for key, size in (("p30", 240), ("p25", 200)):
        slot = writer.open(key, str(tmp_path), "PCMU")
        left = writer.attach(slot, LEFT, "caller", "PCMU", 160)
        right = writer.attach(slot, RIGHT, "agent", "PCMU", size)
        caller, agent = speech(size * 3, 6), speech(160 * 3, 7, size)
        at = 0
        for frame in caller:
            writer.put(np.array([left]), frame[np.newaxis])
            while at < len(agent) and (at + 1) * size <= writer._cursor[left] - writer_start(slot):
                writer.put(np.array([right]), agent[at][np.newaxis])
                at += 1
            wait_for(writer, lambda: writer.backlog <= 1)
        writer.close(slot)
        (done,) = results_of(writer)
        sound = open_wav(Path(done.files[0])).raw()
        np.testing.assert_array_equal(sound[:, 0], caller.reshape(-1))
        np.testing.assert_array_equal(sound[:, 1], agent.reshape(-1))


def writer_start(slot: int) -> int:
    return slot * 7 % 16 * 480


def test_a_transfer_begins_a_segment_and_loses_nothing(
    writer: RecordingWriter, tmp_path: Path
) -> None:
    slot, left, right = both(writer, tmp_path)
    caller, agent = speech(200, 8), speech(200, 9)
    feed(writer, [left, right], caller[:75], agent[:75])
    writer.detach(slot, RIGHT)
    feed(writer, [left], caller[75:100])
    assert writer.attach(slot, RIGHT, "expert", "PCMU") == right
    feed(writer, [left, right], caller[100:], agent[100:])
    writer.close(slot)
    (done,) = results_of(writer)
    assert [Path(name).name for name in done.files] == ["r1-1.wav", "r1-2.wav"]
    assert done.duration_s == pytest.approx(4.0)
    sound = np.concatenate([open_wav(Path(name)).raw() for name in done.files])
    np.testing.assert_array_equal(sound[:, 0], caller.reshape(-1))
    agent[75:100] = 0xFF
    np.testing.assert_array_equal(sound[:, 1], agent.reshape(-1))
    book = marks_of(tmp_path, "r1")
    assert [one["right"] for one in book["segments"]] == ["agent", "expert"]
    assert book["segments"][1]["reason"] == "transfer"
    assert book["segments"][1]["offset_s"] == pytest.approx(2.0)
    reasons = [mark["reason"] for mark in book["marks"]]
    assert reasons == ["start", "join", "join", "leave", "cut", "transfer", "end"]


def test_a_pause_leaves_no_trace_of_what_was_said(writer: RecordingWriter, tmp_path: Path) -> None:
    slot, left, right = both(writer, tmp_path)
    caller, agent = speech(150, 10), speech(150, 11)
    feed(writer, [left, right], caller[:50], agent[:50])
    writer.pause(slot)
    feed(writer, [left, right], caller[50:100], agent[50:100])
    said = {row.tobytes() for row in caller[50:100]}
    assert not said & {row.tobytes() for row in writer._ring.reshape(-1, FRAME)}
    writer.resume(slot)
    feed(writer, [left, right], caller[100:], agent[100:])
    writer.close(slot)
    (done,) = results_of(writer)
    sound = open_wav(Path(done.files[0])).raw().reshape(150, FRAME, 2)
    assert np.all(sound[50:100] == 0xFF)
    np.testing.assert_array_equal(sound[100:, :, 0], caller[100:])
    marks = {mark["reason"]: mark["offset_s"] for mark in marks_of(tmp_path, "r1")["marks"]}
    assert marks["pause"] == pytest.approx(1.0)
    assert marks["resume"] == pytest.approx(2.0)


def test_slots_are_reused_and_forget(writer: RecordingWriter, tmp_path: Path) -> None:
    for round_ in range(3):
        slots = [both(writer, tmp_path, f"r{round_}-{index}") for index in range(64)]
        with pytest.raises(MediaError, match="64 recordings are open"):
            writer.open("more", str(tmp_path), "PCMU")
        channels = [channel for _, *pair in slots for channel in pair]
        feed(writer, channels, *[speech(5, index) for index in range(128)])
        for slot, *_ in slots:
            writer.close(slot)
        done = results_of(writer, 64)
        assert all(not one.error and one.duration_s == pytest.approx(0.1) for one in done)
    assert writer.backlog == 0


def test_bad_names_and_laws_are_refused(writer: RecordingWriter, tmp_path: Path) -> None:
    for key in ("../up", "", "a/b", ".hidden"):
        with pytest.raises(MediaError, match="no file name"):
            writer.open(key, str(tmp_path), "PCMU")
    with pytest.raises(MediaError, match=r"not G\.711"):
        writer.open("ok", str(tmp_path), "opus")


def test_a_folder_that_cannot_be_written_is_one_error_and_one_log_line(
    writer: RecordingWriter, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "wall").write_text("a file where a folder should be")
    with caplog.at_level(logging.ERROR):
        slot, left, right = both(writer, tmp_path / "wall")
        feed(writer, [left, right], speech(700, 1), speech(700, 2))
        writer.close(slot)
        (done,) = results_of(writer)
    assert "wall" in done.error
    assert done.files == ()
    assert len(caplog.records) == 1
    assert writer.dropped_blocks == 0  # the ring is emptied even when nobody takes it


def test_a_folder_that_comes_back_gets_the_rest(writer: RecordingWriter, tmp_path: Path) -> None:
    folder = tmp_path / "wall"
    folder.write_text("in the way")
    slot, left, right = both(writer, folder)
    feed(writer, [left, right], speech(100, 1), speech(100, 2))
    wait_for(writer, lambda: writer.backlog == 0)
    folder.unlink()
    feed(writer, [left, right], speech(400, 3), speech(400, 4))
    writer.close(slot)
    (done,) = results_of(writer)
    assert "wall" in done.error
    (segment,) = marks_of(folder, "r1")["segments"]
    assert segment["reason"] == "error"
    assert 4.0 <= segment["offset_s"] <= 7.0
    assert segment["offset_s"] + segment["duration_s"] == pytest.approx(10.0)


def test_a_deleted_file_is_noticed(writer: RecordingWriter, tmp_path: Path) -> None:
    slot, left, right = both(writer, tmp_path)
    feed(writer, [left, right], speech(100, 1), speech(100, 2))
    wait_for(writer, lambda: writer.backlog == 0)
    (tmp_path / "r1-1.wav").unlink()
    feed(writer, [left, right], speech(100, 3), speech(100, 4))
    writer.close(slot)
    (done,) = results_of(writer)
    assert "deleted" in done.error


def test_a_full_disk_leaves_what_was_written_playable(tmp_path: Path) -> None:
    """ENOSPC in the middle of an append: the file is as it was before that append."""
    file = SegmentFile(tmp_path, "full", "PCMU")
    first = speech(48, 1).tobytes()
    file.append(first)
    full = os.open("/dev/full", os.O_WRONLY)
    good, file._fd = file._fd, full
    with pytest.raises(OSError, match="No space left"):
        file.append(first)
    os.close(full)
    file._fd = good
    assert file.samples == len(first) // 2
    file.append(first)
    file.close()
    assert open_wav(file.path).data == first + first


def test_a_killed_writer_is_replaced_and_every_file_plays(
    process_writer: RecordingWriter, tmp_path: Path
) -> None:
    slot, left, right = both(process_writer, tmp_path)
    caller, agent = speech(500, 12), speech(500, 13)
    feed(process_writer, [left, right], caller[:250], agent[:250])
    wait_for(process_writer, lambda: process_writer.backlog == 0)
    os.kill(process_writer.writer_pid, signal.SIGKILL)
    orphan = open_wav(tmp_path / "r1-1.wav")
    assert orphan.frames >= 250 * FRAME - BLOCK
    soxi = subprocess.run(
        ["soxi", "-s", tmp_path / "r1-1.wav"], check=True, capture_output=True, text=True
    )
    assert int(soxi.stdout) == orphan.frames
    feed(process_writer, [left, right], caller[250:], agent[250:])
    process_writer.close(slot)
    (done,) = results_of(process_writer)
    assert len(done.files) == 2
    assert done.duration_s == pytest.approx(10.0)  # nothing lost: the ring outlives the writer
    sound = np.concatenate([open_wav(Path(name)).raw() for name in done.files])
    np.testing.assert_array_equal(sound[:, 0], caller.reshape(-1))
    np.testing.assert_array_equal(sound[:, 1], agent.reshape(-1))


TICK_THAT_DIES = """
import os, sys, time
import numpy as np
from ccengine.clock import SystemClock
from ccengine.media.recording import RecordingSettings, RecordingWriter
writer = RecordingWriter(RecordingSettings(capacity=2), SystemClock())
writer.start()
slot = writer.open("crash", sys.argv[1], "PCMU")
channels = np.array([writer.attach(slot, side, str(side), "PCMU") for side in (0, 1)])
rows = np.arange(320, dtype=np.uint8).reshape(2, 160)
for _ in range(120):
    writer.put(channels, rows)
print(writer.writer_pid, flush=True)
os.kill(os.getpid(), 9)
"""


def test_when_the_tick_dies_its_last_words_are_written(tmp_path: Path) -> None:
    program = [os.sys.executable, "-c", TICK_THAT_DIES, str(tmp_path)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    pid = int(done.stdout)
    give_up = time.monotonic() + 10
    while Path(f"/proc/{pid}/stat").exists() and time.monotonic() < give_up:
        if Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] == "Z":
            break
        time.sleep(0.005)
    sound = open_wav(tmp_path / "crash-1.wav").raw()
    expected = np.arange(320, dtype=np.uint8).reshape(2, 160)
    np.testing.assert_array_equal(sound[:, 0], np.tile(expected[0], 120))
    np.testing.assert_array_equal(sound[:, 1], np.tile(expected[1], 120))
    book = marks_of(tmp_path, "crash")
    assert book["marks"][-1]["reason"] == "error"
    assert "ended" in book["marks"][-1]["detail"]


def test_a_successor_continues_the_recording(writer: RecordingWriter, tmp_path: Path) -> None:
    for _ in range(2):
        slot, left, right = both(writer, tmp_path, "again")
        feed(writer, [left, right], speech(10, 1), speech(10, 2))
        writer.close(slot)
        (done,) = results_of(writer)
    assert [Path(name).name for name in done.files] == ["again-1.wav", "again-2.wav"]
    first, second = marks_of(tmp_path, "again")["segments"]
    assert second["offset_s"] > 0 == first["offset_s"]


def test_a_writer_that_hangs_costs_blocks_but_never_time(
    process_writer: RecordingWriter, tmp_path: Path
) -> None:
    """A full backlog drops and counts; afterwards the file keeps time by silence and a mark."""
    slot, left, right = both(process_writer, tmp_path)
    feed(process_writer, [left, right], speech(10, 1), speech(10, 2))
    wait_for(process_writer, lambda: (tmp_path / "r1-1.wav").exists())
    os.kill(process_writer.writer_pid, signal.SIGSTOP)
    caller, agent = speech(600, 1), speech(600, 2)
    channels = np.array([left, right])
    try:
        slowest = 0.0
        for frames in zip(caller[:400], agent[:400], strict=True):
            begin = time.perf_counter()
            process_writer.put(channels, np.stack(frames))
            slowest = max(slowest, time.perf_counter() - begin)
        assert slowest < 0.5
        assert process_writer.dropped_blocks >= 4
    finally:
        os.kill(process_writer.writer_pid, signal.SIGCONT)
    wait_for(process_writer, lambda: process_writer.backlog == 0)
    feed(process_writer, [left, right], caller[400:], agent[400:])
    process_writer.close(slot)
    (done,) = results_of(process_writer)
    assert done.error == ""
    assert done.duration_s == pytest.approx(610 * 0.02)
    sound = open_wav(Path(done.files[0])).raw()[10 * FRAME :]
    np.testing.assert_array_equal(sound[-100 * FRAME :, 0], caller[500:].reshape(-1))
    np.testing.assert_array_equal(sound[: 100 * FRAME, 0], caller[:100].reshape(-1))
    gaps = [one for one in marks_of(tmp_path, "r1")["marks"] if one["reason"] == "gap"]
    assert len(gaps) == 1
    assert "too slow" in gaps[0]["detail"]


def test_a_writer_that_always_dies_ends_in_an_error_not_in_a_loop(
    process_writer: RecordingWriter, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    slot, left, right = both(process_writer, tmp_path)
    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            pid = process_writer.writer_pid
            os.kill(pid, signal.SIGKILL)
            wait_for(
                process_writer,
                lambda pid=pid: (
                    process_writer.writer_pid != pid or not process_writer._link.connected
                ),
            )
    feed_forever = np.stack([speech(1, 1)[0], speech(1, 2)[0]])
    for _ in range(500):
        process_writer.put(np.array([left, right]), feed_forever)
    process_writer.close(slot)
    (done,) = results_of(process_writer)
    assert "writer is gone" in done.error
    assert len(caplog.records) == 4


def test_stop_closes_what_is_open(tmp_path: Path) -> None:
    made = RecordingWriter(RecordingSettings(capacity=4), SystemClock())
    made.start()
    _, left, right = both(made, tmp_path)
    made.put(np.array([left, right]), np.zeros((2, FRAME), np.uint8))
    (done,) = made.stop()
    assert done.duration_s == pytest.approx(0.02)
    assert made.writer_pid == 0
    assert made.stop() == []  # stopping again does nothing
