"""What is missing or used up: callers are told, calls go on, each is logged once."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pytest

from ccengine.config.data import data_folder
from ccengine.journal.cdr import CdrCall, RecordingDone
from ccengine.phone import Answer, PhoneCall
from ccengine.testing.faults import can_mount, read_only, small_disk
from ccengine.testing.hostile import TriedEngine, tried_engine
from ccengine.testing.waiting import wait_until, wait_until_async

pytestmark = pytest.mark.e2e

QUICK = {
    "sip": {"timers": {"t1_ms": 40}},
    "queues": {"sales": {"wrapup_s": 0}},
    "log": {"level": "debug"},
}


# --- RTP ports ----------------------------------------------------------------------------------


def test_no_rtp_port_is_left(tmp_path: Path) -> None:
    """503 with Retry-After while all are taken, and service again once calls have ended."""
    ports = {"media": {"ports": {"first": 20000, "last": 20007}}}
    with tried_engine(tmp_path, QUICK | ports) as engine:
        wait_until(lambda: engine.ask("status")["rtp_ports_free"] == 4, "all ports", 5)
        asyncio.run(_use_up(engine))
        engine.settled()
        wait_until(lambda: engine.ask("status")["rtp_ports_free"] == 4, "ports again", 15, 0.1)
        assert not engine.ask("status")["problems"]
        engine.takes_a_call()
        assert len(engine.told("port")) <= 2


async def _use_up(engine: TriedEngine) -> None:
    async with engine.farm() as farm:
        caller = await engine.phone(farm, "1006")
        callee = await engine.phone(farm, "1005")
        calls = [await caller.dial("4001").answered() for _ in range(3)]
        # Only one is left: a call to another phone would need two.
        half = caller.dial("1005")
        await half.ended()
        assert half.status == 503
        assert half.response is not None
        assert half.response.header("Retry-After")
        assert not callee.calls
        calls.append(await caller.dial("4001").answered())
        refused = engine.count("switch", "refused")
        fifth = caller.dial("4001")
        await fifth.ended()
        assert fifth.status == 503
        assert fifth.response is not None
        assert fifth.response.header("Retry-After")
        assert engine.count("switch", "refused") == refused + 1
        assert any("RTP port" in one for one in engine.ask("status")["problems"])
        for call in calls:  # nobody who talks has noticed
            await call.hears(5)
            call.hang_up()


# --- prompts --------------------------------------------------------------------------------


def test_prompts_that_are_missing_or_broken(tmp_path: Path) -> None:
    """A prompt without a file, and one whose file is no sound: the menu goes on without."""
    own = tmp_path / "prompts" / "zh"
    own.mkdir(parents=True)
    good = (data_folder("prompts") / "zh" / "greeting.wav").read_bytes()
    (own / "greeting.wav").write_bytes(good[:30])
    (own / "main_menu.wav").write_bytes(b"this is no sound at all " * 100)
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        "version: 1\nflows:\n  main:\n    states:\n      start:\n"
        "        - answer\n"
        "        - play: [no_such_prompt_anywhere]\n"
        "        - play: [greeting]\n"
        "        - play: [main_menu]\n"
        "        - play: [goodbye]\n"
        "        - hangup\n",
        encoding="utf-8",
    )
    changes = {
        "prompts": {"folders": [str(own.parent)]},
        "dialplan": [str(plan)],
        "numbers": {"*11": None, "*12": None, "*13": None, "*14": None},
        "queues": {"sales": {"wait_flow": None}, "service": {"wait_flow": None}},
    }
    with tried_engine(tmp_path / "engine", changes) as engine:

        async def run() -> None:
            async with engine.farm() as farm:
                caller = await engine.phone(farm, "1006", keep_audio=True)
                for call in [caller.dial("4001") for _ in range(3)]:
                    assert await call.ended() == "bye"
                    assert call.audio.hearing.stats.packets > 20  # the goodbye

        asyncio.run(run())
        engine.settled()
        assert len(engine.told("no_such_prompt_anywhere", "ERROR")) == 1
        assert len(engine.told("greeting.wav")) == 1
        assert len(engine.told("main_menu.wav")) == 1
        wait_until(lambda: len(engine.recorded()) == 3, "three records", 8, 0.05)
        calls = engine.recorded()
        assert {call.cause for call in calls} == {"normal"}
        engine.takes_a_call()


# --- recordings ------------------------------------------------------------------------------


@contextmanager
def vanished(folder: Path) -> Iterator[None]:
    """Take the folder away and put a file in its place, so that it cannot be made again."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.write_bytes(b"")
    yield
    folder.unlink()


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Make the folder a disk without any room."""
    with small_disk(folder, 64 << 10):
        with suppress(OSError), (folder / "rest").open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 4096)
        yield


FAULTS: dict[str, Callable[[Path], AbstractContextManager[object]]] = {
    "read-only": read_only,
    "full": full,
    "vanished": vanished,
}


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TriedEngine]:
    with tried_engine(tmp_path_factory.mktemp("recorder"), QUICK) as engine:
        yield engine


@asynccontextmanager
async def talk(engine: TriedEngine) -> AsyncIterator[tuple[PhoneCall, PhoneCall]]:
    """A caller and an agent who talk, recorded."""
    async with engine.farm() as farm:
        agent = await engine.phone(farm, "1001", Answer())
        caller = await engine.phone(farm, "1006")
        engine.ask("agent", agent="2001", action="sign_in")
        call = await caller.dial("4002").answered()
        other = await agent.next_call()
        yield call, other
        call.hang_up()
        await other.ended()
        await wait_until_async(
            lambda: engine.agent_state("2001") == "Ready", "the agent's readiness"
        )
        engine.ask("agent", agent="2001", action="sign_out")


def last_record(engine: TriedEngine) -> tuple[CdrCall, tuple[RecordingDone, ...]]:
    engine.settled()
    ended = engine.count("switch", "ended")

    def complete() -> bool:
        calls = engine.recorded()
        found = engine.records.call(calls[0].call_id) if len(calls) >= ended else None
        return found is not None and bool(found.recordings)

    wait_until(complete, "record with its recording", 10, 0.05)
    found = engine.records.call(engine.recorded()[0].call_id)
    assert found is not None
    return found.call, found.recordings


def call_with_recording(engine: TriedEngine) -> tuple[CdrCall, tuple[RecordingDone, ...]]:
    async def run() -> None:
        async with talk(engine) as (caller, agent):
            await caller.hears(60)
            await agent.hears(10)

    asyncio.run(run())
    return last_record(engine)


@pytest.mark.parametrize("name", FAULTS)
def test_a_recording_folder_that_takes_nothing(recorder: TriedEngine, name: str) -> None:
    """The call goes on as if nothing were; the records say that there is no recording and why."""
    assert can_mount() or name == "vanished", "this test needs root: run it as CI does"
    folder = recorder.folder / "var" / "recordings"
    folder.mkdir(parents=True, exist_ok=True)
    errors = len(recorder.told("ERROR"))
    with FAULTS[name](folder):
        for _ in range(2):
            call, (recording,) = call_with_recording(recorder)
            assert (call.cause, call.ended_by, call.agent_id) == ("normal", "caller", "2001")
            assert recording.error, recording
            assert str(folder) in recording.error
    assert len(recorder.told("ERROR")) == errors + 1, recorder.told("ERROR")
    assert recorder.told("ERROR", "not written")
    call, (recording,) = call_with_recording(recorder)
    assert recording.error == ""
    assert recording.duration_s > 1
    assert all(Path(file).is_file() for file in recording.files)
    recorder.takes_a_call()


def test_a_folder_that_vanishes_while_one_talks(recorder: TriedEngine) -> None:
    folder = recorder.folder / "var" / "recordings"

    async def run() -> None:
        async with talk(recorder) as (caller, agent):
            await caller.hears(50)
            with vanished(folder):
                await caller.hears(120)
                await agent.hears(10)

    asyncio.run(run())
    call, (recording,) = last_record(recorder)
    assert call.cause == "normal"
    assert call.talk_s > 2
    assert recording.error or not all(Path(file).is_file() for file in recording.files)
    recorder.takes_a_call()
