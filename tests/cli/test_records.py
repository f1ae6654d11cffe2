from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from ccengine.clock import VirtualClock
from ccengine.journal import Journal, Registry
from ccengine.journal.cdr import FACTS, CdrCall, RecordingDone
from ccengine.store.projector import Projector

START = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def ended(number: int, **fields: Any) -> CdrCall:
    started = START + timedelta(minutes=number)
    values: dict[str, Any] = {
        "call_id": f"call{number}0000000000",
        "number": "4001",
        "started_at": started,
        "answered_at": started,
        "ended_at": started + timedelta(seconds=90),
        "cause": "normal",
        "caller_number": f"1380013800{number}",
        **fields,
    }
    return CdrCall(**values)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose journal and database hold two calls and a recording."""
    path = tmp_path / "ccengine.yaml"
    path.write_text("")
    folder = tmp_path / "var" / "journal"
    recording = tmp_path / "var" / "recordings" / "2026-03-04" / "call20000000000-1.wav"
    clock = VirtualClock()
    journal = Journal.open(folder, boot_id="boot", clock=clock, registry=Registry(FACTS))
    talked = ended(
        2, queue="sales", agent_id="2001", customer_name="王磊", caller_name="wl", talk_s=61.0,
        wait_s=12.0, recording="call20000000000",
    )  # fmt: skip
    done = RecordingDone(
        recording_id="call20000000000",
        call_id=talked.call_id,
        files=(str(recording),),
        duration_s=61.0,
    )
    journal.append([ended(1, cause="no_answer")], clock.now(), clock.at())
    journal.append([talked, done], clock.now(), clock.at())
    projector = Projector(folder, f"sqlite:///{tmp_path / 'var' / 'ccengine.db'}", clock.now)
    while projector.step():
        pass
    projector.close()
    journal.close()
    return path


def test_ended_calls_show_customer_queue_agent_talk_and_recording(
    invoke: Any, config: Path
) -> None:
    result = invoke("calls", "--ended", "-c", str(config))
    header, latest, first = result.stdout.splitlines()
    assert header.split()[-3:] == ["TALK", "REC", "END"]
    assert latest.split()[3:] == [
        "13800138002", "王磊", "4001", "sales", "2001", "0:12", "1:01", "yes", "normal",
    ]  # fmt: skip
    assert first.split()[-1] == "no_answer"
    assert max(map(cell_len, result.stdout.splitlines())) <= 80


def test_ended_calls_are_chosen_and_counted(invoke: Any, config: Path) -> None:
    rows = json.loads(invoke("calls", "--ended", "--last", "1", "--json", "-c", str(config)).stdout)
    assert [row["call"] for row in rows] == ["call20000000000"]
    assert rows[0]["started_at"] == "2026-03-04T05:08:07+00:00"
    assert rows[0]["talk_s"] == 61.0
    by_number = invoke("calls", "--number", "13800138001", "--json", "-c", str(config)).stdout
    assert [row["from"] for row in json.loads(by_number)] == ["13800138001"]


def test_recordings_show_files_below_their_folder(invoke: Any, config: Path) -> None:
    result = invoke("recordings", "-c", str(config))
    header, row = result.stdout.splitlines()
    assert header.endswith("FILES IN var/recordings")
    assert row.split()[-2:] == ["1:01", "2026-03-04/call20000000000-1.wav"]
    answer = json.loads(invoke("recordings", "--json", "-c", str(config)).stdout)
    assert answer[0]["files"] == [
        str(config.parent / "var/recordings/2026-03-04/call20000000000-1.wav")
    ]


def test_without_records_one_line_says_so(invoke: Any, tmp_path: Path) -> None:
    path = tmp_path / "other" / "ccengine.yaml"
    path.parent.mkdir()
    path.write_text("")
    for name in ("calls --ended", "recordings"):
        result = invoke(*name.split(), "-c", str(path))
        assert result.exit_code == 1
        assert "no records yet" in result.stderr


def test_the_journal_is_verified_and_shown(invoke: Any, config: Path) -> None:
    result = invoke("journal", "verify", "-c", str(config))
    assert result.exit_code == 0
    assert result.stdout.startswith("sound: 4 facts in 3 frames")
    shown = invoke("journal", "show", "--stream", "call/call2", "--json", "-c", str(config)).stdout
    facts = [json.loads(line) for line in shown.splitlines()]
    assert [fact["type"] for fact in facts] == ["call.ended", "recording.done"]
    assert facts[0]["data"]["customer_name"] == "王磊"
    last = invoke("journal", "show", "--last", "1", "-c", str(config)).stdout
    assert "recording.done v1 call/call20000000000" in last
    assert last.count("\n") == 1


def test_a_damaged_journal_is_told_and_exits_with_1(invoke: Any, config: Path) -> None:
    (segment,) = (config.parent / "var" / "journal").glob("*.ccj")
    data = bytearray(segment.read_bytes())
    data[data.index(b"no_answer")] ^= 0xFF
    segment.write_bytes(data)
    result = invoke("journal", "verify", "-c", str(config))
    assert result.exit_code == 1
    assert result.stdout.startswith("DAMAGED: 3 facts")
    assert "facts 2 to 2 are lost" in result.stderr
