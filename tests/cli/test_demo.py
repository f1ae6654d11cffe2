"""The demo as a visitor runs it: a child process, real endpoints, nothing left behind."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ccengine.cli.demo.folder import prepare_folder
from ccengine.cli.demo.process import EngineProcess
from ccengine.config.loader import load_config
from ccengine.phone import Answer, FarmSettings, PhoneFarm
from ccengine.store.query import Records
from ccengine.testing.waiting import free_sip_port, wait_until

DEMO = [sys.executable, "-m", "ccengine", "demo"]


def processes_of(folder: Path) -> list[str]:
    """Return the command lines that name the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(folder) in line:
                found.append(line)
    return found


def assert_nothing_left(folder: Path, port: int) -> None:
    wait_until(lambda: not processes_of(folder), "end of every process")
    assert not list(folder.rglob("*.sock"))
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, kind == socket.SOCK_STREAM)
            probe.bind(("0.0.0.0", port))


@pytest.fixture
def port() -> int:
    return free_sip_port("0.0.0.0")


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("d")


@pytest.mark.e2e
def test_the_demo_runs_calls_tells_of_them_and_leaves_nothing(folder: Path, port: int) -> None:
    words = ["--for", "15s", "--folder", str(folder), "--port", str(port), "--rate", "40"]
    done = subprocess.run([*DEMO, *words], capture_output=True, text=True, timeout=100, check=False)
    log = (folder / "var" / "engine.log").read_text()
    assert done.returncode == 0, done.stderr + log
    assert done.stderr == ""
    assert "Traceback" not in log
    figures = re.search(r"offered to queues (\d+), answered (\d+), abandoned (\d+)", done.stdout)
    assert figures is not None, done.stdout
    offered, answered, abandoned = map(int, figures.groups())
    assert answered >= 1
    assert offered == answered + abandoned
    assert f":{port} (UDP or TCP), user 1006, password demo1006" in done.stdout
    assert "agents ready" in done.stdout, "a line now and then, as this is no terminal"
    assert "\x1b" not in done.stdout

    records = Records(f"sqlite:///{folder / 'var' / 'ccengine.db'}")
    calls = records.recent_calls(1000)
    details = [records.call(call.call_id) for call in calls if call.recording]
    records.close()
    assert f"records     {len(calls)} calls" in done.stdout
    recordings = [one for record in details if record is not None for one in record.recordings]
    assert len(recordings) == len(details) >= answered
    for recording in recordings:
        assert not recording.error
        for file in recording.files:
            assert Path(file).stat().st_size > 8000 * recording.duration_s
    customers = {call.customer_name for call in calls if call.caller_number.startswith("1380")}
    assert customers & {"王磊", "Anna Smith", "赵敏", "陈浩", "刘芳"}
    assert_nothing_left(folder, port)


@pytest.mark.e2e
def test_ctrl_c_ends_the_demo_with_a_summary(folder: Path, port: int) -> None:
    words = ["--no-traffic", "--folder", str(folder), "--port", str(port)]
    with subprocess.Popen([*DEMO, *words], stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if line.startswith("0:0"):
                break
        demo.send_signal(signal.SIGINT)
        rest = demo.stdout.read()
    assert demo.returncode == 0
    assert "records     0 calls" in rest
    assert_nothing_left(folder, port)


@pytest.mark.e2e
def test_a_second_demo_and_a_taken_port_are_refused_in_one_line(folder: Path, port: int) -> None:
    words = ["--no-traffic", "--port", str(port)]
    with subprocess.Popen(
        [*DEMO, *words, "--folder", str(folder)], stdout=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if line.startswith("0:0"):
                break
        for other, what in ((folder, "runs already"), (folder / "other", f"0.0.0.0:{port}")):
            done = subprocess.run(
                [*DEMO, *words, "--folder", str(other)],
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            assert done.returncode == 1
            assert what in done.stderr
            assert done.stderr.count("\n") == 1
        demo.send_signal(signal.SIGTERM)
        demo.stdout.read()
    assert demo.returncode == 0
    assert_nothing_left(folder, port)


@pytest.mark.e2e
async def test_stop_lets_a_call_in_progress_end(folder: Path, port: int) -> None:
    """``ccengine stop`` takes no new calls; the conversation goes on until somebody hangs up."""
    config = prepare_folder(folder, port, 1)
    engine = EngineProcess(load_config(config))
    engine.start()
    try:
        await asyncio.to_thread(engine.wait_ready)
        settings = FarmSettings(("127.0.0.1", port), "ccengine", user_agent="test")
        async with PhoneFarm(settings) as farm:
            friend = farm.phone("1001", "demo1001", behaviour=Answer())
            await friend.register()
            call = await farm.phone("1006", "demo1006").dial("1001").answered()
            stop = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "ccengine", "stop", "-c", str(config),
                stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            assert stop.stdout is not None
            await stop.stdout.readline()
            await call.hears(40)  # most of a second later it is still there
            assert call.state == "established"
            call.hang_up()
            assert b"stopped" in (await stop.communicate())[0]
            assert stop.returncode == 0
        records = Records(f"sqlite:///{folder / 'var' / 'ccengine.db'}")
        (record,) = records.recent_calls()
        records.close()
        assert (record.cause, record.ended_by) == ("normal", "caller")
    finally:
        engine.stop()
    assert_nothing_left(folder, port)
