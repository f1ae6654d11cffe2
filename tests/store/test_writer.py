"""The writer as a real process beside a journal that goes on."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ccengine.errors import StoreError
from ccengine.journal import verify
from ccengine.keeper.child import start_time
from ccengine.keeper.client import KeeperClient
from ccengine.store.query import Records
from ccengine.testing.faults import can_mount, filled, kill9, small_disk
from ccengine.testing.waiting import wait_until

Start = Callable[[], subprocess.Popen[str]]


@pytest.fixture
def start(desk: Any) -> Iterator[Start]:
    running: list[subprocess.Popen[str]] = []

    def run() -> subprocess.Popen[str]:
        command = ["-m", "ccengine.store.writer", "--journal", str(desk.folder), "--url", desk.url]
        process = subprocess.Popen(
            [sys.executable, *command, "--segment-bytes", str(256 << 10)],
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate(timeout=10)


def count(desk: Any) -> int:
    try:
        records = Records(desk.url)
        try:
            return len(records.recent_calls(100_000))
        finally:
            records.close()
    except StoreError:
        return 0


def test_calls_are_in_the_records_soon_and_the_next_segment_is_there(
    desk: Any, start: Start
) -> None:
    process = start()
    desk.append(desk.call(1))
    wait_until(lambda: count(desk) == 1, "first call", 10)
    desk.append(desk.call(2))
    wait_until(lambda: count(desk) == 2, "second call", 1.5)
    assert (desk.folder / ".next").stat().st_size == 256 << 10
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_sigterm_catches_up_first(desk: Any, start: Start) -> None:
    process = start()
    desk.append(desk.call(0))
    wait_until(lambda: count(desk) == 1, "it works", 10)
    for number in range(1, 3000):
        desk.append(desk.call(number))
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert count(desk) == 3000
    assert verify(desk.folder).segments > 2


def test_kill_9_loses_and_doubles_nothing(desk: Any, start: Start) -> None:
    process = start()
    for number in range(1000):
        desk.append(desk.call(number))
    wait_until(lambda: count(desk) > 0, "some are in", 10)
    kill9(process.pid)
    for number in range(1000, 2000):
        desk.append(desk.call(number))
    start()
    wait_until(lambda: count(desk) == 2000, "all are in", 10)


def test_a_locked_database_delays_no_segment(desk: Any, start: Start) -> None:
    process = start()
    desk.append(desk.call(0))
    wait_until(lambda: count(desk) == 1, "it works", 10)
    blocker = sqlite3.connect(desk.path, isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    for number in range(1, 50):
        desk.append(desk.call(number))
    (desk.folder / ".next").unlink()
    wait_until(lambda: (desk.folder / ".next").exists(), "another next segment", 2)
    blocker.execute("ROLLBACK")
    blocker.close()
    wait_until(lambda: count(desk) == 50, "all are in", 10)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


def test_a_full_disk_is_an_alarm_while_the_segment_in_hand_goes_on(desk: Any, start: Start) -> None:
    if not can_mount():
        pytest.skip("needs a disk of its own, so the right to mount one")
    desk.journal.close()
    shutil.rmtree(desk.folder)
    with small_disk(desk.folder, 2 << 20):
        desk.journal = desk.open_journal()
        process = start()
        wait_until(lambda: (desk.folder / ".next").exists(), "next segment", 10)
        assert not desk.journal.full()
        with filled(desk.folder):
            (desk.folder / ".next").rename(desk.folder / "kept")
            wait_until(desk.journal.full, "the alarm", 5)
            for number in range(100):
                desk.append(desk.call(number))
            wait_until(lambda: count(desk) == 100, "records go on", 10)
        wait_until(lambda: not desk.journal.full(), "the alarm is over", 5)
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=10)
        assert log.count("cannot make room for the next segment") == 1
        assert log.count("can make room for the next segment again") == 1
        desk.close()


def test_a_wrong_url_is_one_clear_line(desk: Any) -> None:
    desk.url = "cobol://x"
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "ccengine.store.writer",
            "--journal",
            desk.folder,
            "--url",
            desk.url,
        ],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert result.returncode == 1
    assert result.stderr.startswith("ccengine: no records can be kept in cobol; write sqlite:///")
    assert len(result.stderr.splitlines()) == 1


def test_under_a_keeper_it_is_ready_and_as_an_orphan_it_ends_with_the_journal(
    desk: Any, tmp_path: Path
) -> None:
    spec = tmp_path / "spec.json"
    command = ["-m", "ccengine.store.writer", "--journal", str(desk.folder), "--url", desk.url]
    writer = {"name": "writer", "role": "writer", "argv": [sys.executable, *command]}
    spec.write_text(json.dumps({"socket": str(tmp_path / "k"), "processes": [writer]}))
    keeper = subprocess.Popen([sys.executable, "-m", "ccengine.keeper.main", str(spec)])
    try:
        wait_until((tmp_path / "k").exists, "the keeper listens", 10)
        client = KeeperClient(tmp_path / "k")
        wait_until(lambda: client.status()["processes"][0]["state"] == "ready", "ready", 10)
        pid = client.status()["processes"][0]["pid"]
        client.close()
    finally:
        kill9(keeper.pid)
        keeper.wait()
    desk.append(desk.call(1))
    wait_until(lambda: count(desk) == 1, "the orphan goes on", 10)
    assert start_time(pid) is not None
    desk.append(desk.call(2))
    desk.journal.close()
    wait_until(lambda: start_time(pid) is None, "the orphan ends", 10)
    assert count(desk) == 2
