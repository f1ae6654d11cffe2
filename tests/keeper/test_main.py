"""The keeper with real children: restart, deposits, take-over, heartbeat, and the end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ccengine.keeper.child import start_time
from ccengine.testing.faults import frozen, kill9
from ccengine.testing.waiting import wait_until

# A word is written before the keeper hears "ready": a test may kill whoever said that.
SERVE = """
note("ready")
client.ready()
while True:
    client.heartbeat()
    time.sleep(0.05)
"""

SIGNALLING = """
if spare:
    note("idle")
    client.ready()
    while "activate" not in client.wait():
        pass
    note("activated")
note("ready")
client.ready()
while True:
    client.heartbeat()
    if "stop" in client.wait(0.05):
        note("told")
"""


def gone(pid: int) -> bool:
    return start_time(pid) is None


def test_a_process_that_dies_is_started_again(keeper: Any) -> None:
    keeper.start(keeper.process("media-0", "media", SERVE))
    keeper.wait_states("media-0", "ready")
    first = keeper.pid("media-0")
    kill9(first)
    wait_until(lambda: len(keeper.notes("ready")) == 2, "a second start")
    (line,) = keeper.wait_states("media-0", "ready")
    assert line["pid"] != first
    assert line["deaths"] == 1


def test_early_deaths_lead_to_rest_while_the_others_run_on(keeper: Any) -> None:
    keeper.start(
        keeper.process("media-0", "media", "note('born'); sys.exit(3)"),
        keeper.process("media-1", "media", SERVE),
        restart={"limit": 3, "delay_s": 0.05, "rest_s": 60},
    )
    keeper.wait_states("media-0", "resting")
    keeper.wait_states("media-1", "ready")
    assert len(keeper.notes("born")) == 3
    status, log = keeper.stop()
    assert status == 0
    assert "exit status 3" in log
    assert "media-0 dies again and again; next try in 60 s" in log


def test_a_program_that_is_not_there_is_logged_and_the_others_run(keeper: Any) -> None:
    keeper.start(
        {"name": "media-0", "role": "media", "argv": ["/nonexistent/program"]},
        keeper.process("media-1", "media", SERVE),
    )
    keeper.wait_states("media-1", "ready")
    assert keeper.lines("media-0")[0]["state"] == "down"
    assert "media-0 cannot be started" in keeper.stop()[1]


def test_a_deposited_socket_outlives_its_owner_and_keeps_what_queued(keeper: Any) -> None:
    keeper.start(
        keeper.process(
            "media-0",
            "media",
            """
            held = client.collect("rtp/")
            if held:
                sock = socket.socket(fileno=held["rtp/1"][1])
                note("adopted", *sorted(held), *[sock.recv(100).decode() for _ in range(3)])
            else:
                pair = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
                for one in pair:
                    one.bind(("127.0.31.1", 0))
                client.deposit("rtp/1", [one.fileno() for one in pair])
                client.deposit_many({"other": [pair[0].fileno()]}, wait=False)
                note("port", str(pair[1].getsockname()[1]))
                sock = pair[1]
            client.ready()
            while True:
                note("got", sock.recv(100).decode())
            """,
        )
    )
    keeper.wait_states("media-0", "ready")
    port = int(keeper.notes("port")[0][1])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.31.1", port))
        sender.send(b"one")
        wait_until(lambda: keeper.notes("got", "one"), "one arrives")
        with frozen(keeper.pid("media-0")):
            for text in (b"two", b"three", b"four"):
                sender.send(text)
            kill9(keeper.pid("media-0"))
        wait_until(lambda: keeper.notes("adopted"), "adoption")
        assert keeper.notes("adopted")[0][1:-2] == ["rtp/1", "two", "three", "four"]
        sender.send(b"five")
        wait_until(lambda: keeper.notes("got", "five"), "five arrives")
    assert (keeper.status()["deposits"], keeper.status()["descriptors"]) == (2, 3)


def test_more_descriptors_than_one_message_takes_come_in_pages(keeper: Any) -> None:
    keeper.start(
        keeper.process(
            "media-0",
            "media",
            """
            read, write = os.pipe()
            for n in range(0, 600, 100):
                client.deposit_many({f"p/{m:04d}": [read, write] for m in range(n, n + 100)})
            before = len(os.listdir("/proc/self/fd"))
            held = client.collect("p/")
            assert sorted(held) == [f"p/{m:04d}" for m in range(600)]
            assert len(os.listdir("/proc/self/fd")) == before + 1200
            os.write(held["p/0599"][1], b"through")
            assert os.read(read, 10) == b"through"
            client.forget(*held)
            assert client.collect("p/") == {}
            client.ready()
            while True:
                time.sleep(1)
            """,
        )
    )
    keeper.wait_states("media-0", "ready")
    assert keeper.status()["descriptors"] == 0


def test_the_spare_is_activated_only_after_the_active_one_is_reaped(keeper: Any) -> None:
    checked = SIGNALLING.replace(
        'note("activated")',
        'note("activated", "alone" if not os.path.exists("/proc/" + open(folder + "/active")'
        '.read()) else "beside")',
    )
    keeper.start(keeper.process("signalling", "signalling", checked, spare=True))
    for takeover in range(1, 3):
        active, spare = keeper.wait_states("signalling", "ready", "idle")
        (keeper.folder / "active").write_text(str(active["pid"]))
        assert len(keeper.notes("activated")) == takeover - 1
        kill9(active["pid"])
        wait_until(lambda n=takeover: len(keeper.notes("activated")) == n, "activation")
        assert keeper.notes("activated")[-1][1] == "alone"
        active, _ = keeper.wait_states("signalling", "ready", "idle")
        assert active["pid"] == spare["pid"]


def test_a_spare_that_dies_is_replaced_and_the_active_one_stays(keeper: Any) -> None:
    keeper.start(keeper.process("signalling", "signalling", SIGNALLING, spare=True))
    active, spare = keeper.wait_states("signalling", "ready", "idle")
    kill9(spare["pid"])
    wait_until(lambda: len(keeper.notes("idle")) == 2, "another spare")
    now_active, now_spare = keeper.wait_states("signalling", "ready", "idle")
    assert now_active["pid"] == active["pid"]
    assert now_spare["pid"] != spare["pid"]
    assert not keeper.notes("activated")


def test_a_silent_signalling_process_is_killed_and_taken_over(keeper: Any) -> None:
    keeper.start(
        keeper.process("signalling", "signalling", SIGNALLING, spare=True, heartbeat_s=0.6)
    )
    active, spare = keeper.wait_states("signalling", "ready", "idle")
    os.kill(active["pid"], signal.SIGSTOP)  # the keeper's SIGKILL ends a stopped process too
    wait_until(lambda: keeper.notes("activated"), "the spare takes over", 5)
    assert gone(active["pid"])
    assert keeper.pid("signalling") == spare["pid"]
    _, log = keeper.stop()
    assert "SIGKILL after 0." in log
    assert "s of silence" in log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_is_in_order_and_leaves_nothing(keeper: Any, number: signal.Signals) -> None:
    slow = "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.2), end()))\n" + SERVE
    keeper.start(
        keeper.process("writer", "writer", SERVE),
        keeper.process("media-0", "media", slow),
        keeper.process("media-1", "media", slow),
        keeper.process("signalling", "signalling", SIGNALLING, spare=True),
    )
    keeper.wait_states("signalling", "ready", "idle")
    for name in ("writer", "media-0", "media-1"):
        keeper.wait_states(name, "ready")
    pids = [int(line["pid"]) for line in keeper.status()["processes"]]
    assert len(pids) == 5
    status, _ = keeper.stop(number)
    assert status == 0
    ended = [line[1] for line in keeper.notes("end")]
    assert ended[:2] == ["signalling", "signalling"]
    assert sorted(ended[2:4]) == ["media-0", "media-1"]
    assert ended[4:] == ["writer"]
    assert all(gone(pid) for pid in pids)
    assert sorted(path.name for path in keeper.folder.iterdir()) == ["log", "spec.json", "stderr"]


def test_a_process_that_does_not_stop_is_killed_with_its_children(keeper: Any) -> None:
    keeper.start(
        keeper.process(
            "media-0",
            "media",
            """
            import subprocess
            helper = subprocess.Popen(["sleep", "600"])
            note("helper", str(helper.pid))
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            client.ready()
            while True:
                time.sleep(1)
            """,
            stop_s=0.3,
        )
    )
    keeper.wait_states("media-0", "ready")
    helper = int(keeper.notes("helper")[0][1])
    status, log = keeper.stop()
    assert status == 0
    assert "SIGKILL after its time to stop" in log
    wait_until(lambda: gone(helper), "its helper is gone too")


def test_a_client_may_ask_for_the_stop(keeper: Any) -> None:
    keeper.start(keeper.process("signalling", "signalling", SIGNALLING))
    keeper.wait_states("signalling", "ready")
    client = keeper.client()
    client.stop()
    assert client.wait(10)[-1] == "lost"
    client.close()
    assert keeper.popen.wait(10) == 0


def test_strangers_may_look_but_not_touch(keeper: Any) -> None:
    keeper.start(keeper.process("media-0", "media", SERVE))
    keeper.wait_states("media-0", "ready")
    client = keeper.client()
    with pytest.raises(Exception, match="is no process of this keeper"):
        client.collect("")
    read, write = os.pipe()
    with pytest.raises(Exception, match="is no process of this keeper"):
        client.deposit("x", [read, write])
    os.close(read)
    os.close(write)
    assert client.status()["descriptors"] == 0
    client.close()


def test_descriptors_of_the_keeper_are_back_after_restarts_and_forgetting(keeper: Any) -> None:
    code = """
    held = client.collect("")
    for fds in held.values():
        for fd in fds:
            os.close(fd)
    client.forget(*held)
    for n in range(20):
        client.deposit(f"n/{n}", [0, 1])
    client.forget(*[f"n/{n}" for n in range(10)])
    client.deposit("n/10", [0])
    client.deposit_many({f"n/{n}": [0, 1] for n in range(10, 20)})
    """ + SERVE.replace("\n", "\n    ")
    keeper.start(keeper.process("media-0", "media", code), restart={"limit": 99})
    open_files = Path(f"/proc/{keeper.popen.pid}/fd")
    client = keeper.client()

    def ready_pid() -> int:
        (line,) = client.status()["processes"]
        return int(line["pid"]) if line["state"] == "ready" else 0

    def count() -> int:
        return len(list(open_files.iterdir()))

    wait_until(ready_pid, "ready")
    before = count()
    for _ in range(3):
        pid = ready_pid()
        kill9(pid)
        wait_until(lambda pid=pid: ready_pid() not in (0, pid), "restart")
        # The connections of the dead one are closed a moment later.
        wait_until(lambda: count() == before, f"{before} descriptors")
    assert client.status()["descriptors"] == 2 * 10
    client.close()


def test_a_second_keeper_is_refused(keeper: Any) -> None:
    keeper.start(keeper.process("media-0", "media", SERVE))
    keeper.wait_states("media-0", "ready")
    second = _run(keeper.folder / "spec.json")
    assert second.returncode == 1
    assert second.stderr.startswith("ccengine: a keeper already runs on ")
    keeper.wait_states("media-0", "ready")


def test_orphans_of_a_killed_keeper_are_named_and_not_doubled(keeper: Any) -> None:
    keeper.start(
        keeper.process(
            "media-0",
            "media",
            """
            client.ready()
            while "lost" not in client.wait():
                pass
            note("lost")
            time.sleep(60)
            """,
        )
    )
    keeper.wait_states("media-0", "ready")
    orphan = keeper.pid("media-0")
    kill9(keeper.popen.pid)
    keeper.popen.wait(timeout=10)
    wait_until(lambda: keeper.notes("lost"), "the orphan knows")
    refused = _run(keeper.folder / "spec.json")
    assert refused.returncode == 1
    assert f"media-0 (pid {orphan})" in refused.stderr
    kill9(orphan)
    wait_until(lambda: gone(orphan), "the orphan is dead")
    keeper.start(keeper.process("media-0", "media", SERVE))
    keeper.wait_states("media-0", "ready")


def test_a_bad_specification_is_one_clear_line(tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text('{"socket": "/tmp/x", "processes": [{"name": "a", "role": "cook"}]}')
    result = _run(spec)
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        f"ccengine: {spec}: processes[0]: 'argv' must be given as list"
    ]


def _run(spec: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ccengine.keeper.main", str(spec)],
        capture_output=True,
        text=True,
        timeout=20,
    )
