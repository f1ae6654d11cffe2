"""Foreign phones call the sample hotline and each other: who hears whom, and what is in the books.

baresip and pjsua2 register with digest MD5 over UDP and over TCP; one of them calls, the other
is the agent's phone.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ccengine.center.prompts import shipped_prompts
from ccengine.dsp.measure import hears, level, tones_in
from ccengine.dsp.wav import read_wav
from ccengine.errors import CommandError
from ccengine.store.query import CallRecord
from ccengine.testing.engine import RunningEngine
from ccengine.testing.listening import (
    both_sides,
    bursts,
    cut,
    longest_burst,
    longest_silence_s,
    place_of,
    steady_level,
)
from ccengine.testing.peers.softphone import (
    RATE,
    Kind,
    Softphone,
    SoftphoneSettings,
    make_softphone,
)
from ccengine.testing.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("log_of_engine")]

CALLER_TONE, AGENT_TONE = 450, 1000
BOOK_S = 0.05
WRAPUP_S = 1.0
Records = Callable[..., CallRecord]
Recordings = Callable[[CallRecord], Path]


@pytest.fixture(scope="module")
def changes() -> dict[str, Any]:
    return {"queues": {"sales": {"wrapup_s": WRAPUP_S}}}


@contextmanager
def phones(
    engine: RunningEngine, folder: Path, caller: Kind, callee: Kind, *, tcp: bool
) -> Iterator[tuple[Softphone, Softphone]]:
    """A visitor's phone (1006) and agent 2001's (1001), registered."""

    def settings(number: str, tone: int) -> SoftphoneSettings:
        return SoftphoneSettings(
            folder / number, engine.registrar, number, f"demo{number}", tone, tcp
        )

    with (
        make_softphone(caller, settings("1006", CALLER_TONE)) as visitor,
        make_softphone(callee, settings("1001", AGENT_TONE)) as agent,
    ):
        yield visitor, agent
    wait_until(lambda: not engine.ask("registrations"), "end of the registrations", 5)


def sign_in(engine: RunningEngine, phone: Softphone) -> None:
    """Dial *11 and listen to the confirmation."""
    phone.dial("*11")
    phone.answered()
    phone.closed()


@contextmanager
def signed_in_at_the_end(engine: RunningEngine) -> Iterator[None]:
    try:
        yield
    finally:
        engine.ask("agent", action="sign_out", agent="2001")


def assert_hears_the_other(phone: Softphone, own: float, other: Softphone, tone: float) -> None:
    """Check tone and level of the longest stretch of talk."""
    heard = phone.heard()
    talk = cut(heard, RATE, longest_burst(heard, RATE, tone), margin_s=0.1)
    assert talk.size > 1.5 * RATE
    assert hears(talk, RATE, tone)
    assert not hears(talk, RATE, own)
    assert steady_level(talk, RATE, tone) == pytest.approx(other.said_dbov(), abs=0.5)


def near(instant: datetime | None, at: float) -> bool:
    """Return whether an instant in the books is right within 50 ms."""
    assert instant is not None
    return abs(instant.timestamp() - at) <= BOOK_S


@pytest.mark.parametrize(
    ("caller", "agent", "tcp", "caller_hangs_up"),
    [
        ("baresip", "pjsua", False, True),
        ("pjsua", "baresip", False, False),
        ("baresip", "pjsua", True, False),
        ("pjsua", "baresip", True, True),
    ],
    ids=["baresip-udp", "pjsua-udp", "baresip-tcp", "pjsua-tcp"],
)
def test_a_caller_reaches_an_agent(
    engine: RunningEngine,
    record_of: Records,
    recording_of: Recordings,
    tmp_path: Path,
    caller: Kind,
    agent: Kind,
    tcp: bool,
    caller_hangs_up: bool,
) -> None:
    with (
        phones(engine, tmp_path, caller, agent, tcp=tcp) as (visitor, desk),
        signed_in_at_the_end(engine),
    ):
        dialled = visitor.dial("4001")
        answered = visitor.answered()
        visitor.hears_for(1.5)
        visitor.press("1")
        wait_until(lambda: engine.ask("queues")[0]["waiting"] == 1, "caller in the queue", 15)
        queued = visitor.at()
        visitor.hears_for(queued - answered + 4.0)  # all agents are busy, then music
        sign_in(engine, desk)
        desk.rings()
        taken = desk.answer()
        assert engine.agent_state("2001") == "Talking"
        desk.hears_for(2.4)
        for _ in range(3):
            for muted in (True, False):
                edge = visitor.at()
                visitor.mute(muted=muted)
                desk.mute(muted=muted)
                wait_until(lambda start=edge: visitor.at() - start > 0.4, "edge", 2)
        over = (visitor if caller_hangs_up else desk).hang_up()
        wait_until(lambda: engine.agent_state("2001") == "WrapUp", "wrap-up", 0.7)
        # After the agent has hung up the flow says good-bye.
        closed = (desk if caller_hangs_up else visitor).closed()
        wait_until(lambda: engine.agent_state("2001") == "Ready", "ready", WRAPUP_S + 1)
        record = record_of("4001", "1006", dialled, recorded=True)

    # the books
    call = record.call
    assert near(call.started_at, dialled)
    assert near(call.answered_at, answered)
    assert near(call.ended_at, over if caller_hangs_up else closed)
    assert call.ended_by == ("caller" if caller_hangs_up else "system")
    assert call.talk_s == pytest.approx(over - taken, abs=BOOK_S)
    assert (call.queue, call.agent_id, call.cause) == ("sales", "2001", "normal")
    assert [leg.role for leg in record.legs] == ["caller", "callee"]
    assert near(record.legs[1].answered_at, taken)
    assert near(record.legs[1].ended_at, over)
    assert all(leg.codec == "PCMU" and leg.packets_lost == 0 for leg in record.legs)

    # what was heard
    heard = visitor.heard()
    greeting = read_wav(shipped_prompts() / "zh" / "greeting.wav", RATE)[: RATE * 3 // 4]
    where, alike = place_of(greeting, heard[: 3 * RATE])
    assert alike > 0.98
    assert where / RATE <= 0.65  # the flow waits 0.5 s, which baresip does not record
    music = heard[int((queued - answered + 3.0) * RATE) :][:RATE]
    assert level(music) > -45
    assert not hears(music, RATE, CALLER_TONE)
    assert_hears_the_other(desk, AGENT_TONE, visitor, CALLER_TONE)
    assert_hears_the_other(visitor, CALLER_TONE, desk, AGENT_TONE)

    assert_recorded_well(recording_of(record), call.talk_s)


def assert_recorded_well(path: Path, talk_s: float) -> None:
    """Caller left, agent right, no gap over 20 ms, sides in step within 60 ms."""
    left, right, rate = both_sides(path)
    assert left.size / rate == pytest.approx(talk_s, abs=0.1)
    talk = {}
    edges = {}
    for side, pcm, own, other in (
        ("caller", left, CALLER_TONE, AGENT_TONE),
        ("agent", right, AGENT_TONE, CALLER_TONE),
    ):
        found = bursts(pcm, rate, own)
        talk[side] = cut(pcm, rate, found[0], margin_s=0.1)
        assert talk[side].size > 1.5 * rate, side
        assert [round(tone.frequency) for tone in tones_in(talk[side], rate)][:1] == [own]
        assert not hears(pcm, rate, other)
        assert longest_silence_s(talk[side], rate) <= 0.02
        edges[side] = [edge for one in found for edge in (one.begin, one.end)][1:-1]
    assert len(edges["caller"]) == len(edges["agent"]) >= 5
    apart = np.array(edges["caller"]) - np.array(edges["agent"])
    print("sides apart in ms:", np.round(apart * 1000, 1).tolist())
    assert abs(float(np.median(apart))) <= 0.06


@pytest.mark.parametrize(
    ("caller", "callee", "tcp"),
    [("baresip", "pjsua", False), ("pjsua", "baresip", True)],
)
def test_extension_calls_extension(
    engine: RunningEngine,
    record_of: Records,
    tmp_path: Path,
    caller: Kind,
    callee: Kind,
    tcp: bool,
) -> None:
    with phones(engine, tmp_path, caller, callee, tcp=tcp) as (one, two):
        dialled = one.dial("1001")
        two.rings()
        taken = two.answer()
        one.answered()
        two.hears_for(2.2)
        over = two.hang_up()
        one.closed()
        record = record_of("1001", "1006", dialled)
    assert_hears_the_other(one, CALLER_TONE, two, AGENT_TONE)
    assert_hears_the_other(two, AGENT_TONE, one, CALLER_TONE)
    call = record.call
    assert near(call.started_at, dialled)
    assert near(call.answered_at, taken)
    assert near(call.ended_at, over)
    assert call.talk_s == pytest.approx(over - taken, abs=BOOK_S)
    assert (call.ended_by, call.queue, call.agent_id) == ("callee", "", "")
    assert [leg.role for leg in record.legs] == ["caller", "callee"]
    wait_until(engine.idle, "end of everything", 5)


@pytest.mark.parametrize("tcp", [False, True])
def test_a_call_of_foreign_phones_outlives_signalling(
    engine: RunningEngine,
    record_of: Records,
    recording_of: Recordings,
    tmp_path: Path,
    tcp: bool,
) -> None:
    with (
        phones(engine, tmp_path, "baresip", "pjsua", tcp=tcp) as (visitor, desk),
        signed_in_at_the_end(engine),
    ):
        sign_in(engine, desk)
        engine.wait_for_spare()
        dialled = visitor.dial("4002")
        desk.rings()
        taken = desk.answer()
        desk.hears_for(1.0)
        dead = engine.ask("status")["pid"]
        os.kill(dead, signal.SIGKILL)
        wait_until(lambda: _serves_anew(engine, dead), "new signalling", 3.0, 0.02)
        desk.hears_for(visitor.at() - taken + 0.5)
        over = visitor.hang_up()
        desk.closed()
        record = record_of("4002", "1006", dialled, recorded=True)
    assert near(record.call.ended_at, over)
    assert (record.call.ended_by, record.call.agent_id) == ("caller", "2001")
    assert [leg.role for leg in record.legs] == ["caller", "callee"]
    assert_hears_the_other(desk, AGENT_TONE, visitor, CALLER_TONE)
    assert_hears_the_other(visitor, CALLER_TONE, desk, AGENT_TONE)
    for pcm in both_sides(recording_of(record))[:2]:
        assert longest_silence_s(pcm[RATE // 2 : -RATE // 4], RATE) <= 0.02
    wait_until(engine.idle, "end of everything", 5)


def _serves_anew(engine: RunningEngine, dead: int) -> bool:
    try:
        return bool(engine.ask("status")["pid"] != dead)
    except CommandError:
        return False


@pytest.mark.parametrize("kind", ["baresip", "pjsua"])
def test_an_order_number_is_read_back(
    engine: RunningEngine, tmp_path: Path, kind: Kind, record_of: Records
) -> None:
    number = "20260042"
    settings = SoftphoneSettings(tmp_path, engine.registrar, "1006", "demo1006", CALLER_TONE)
    with make_softphone(kind, settings) as visitor:
        dialled = visitor.dial("4001")
        begun = visitor.answered()
        visitor.hears_for(0.8)
        visitor.press("3")
        visitor.hears_for(2.5)
        visitor.press(number)
        visitor.hears_for(visitor.at() - begun + 11.0)  # pjsua2 takes 3 s for the keys
        visitor.hang_up()
        record_of("4001", "1006", dialled)
    heard = visitor.heard()
    folder = shipped_prompts() / "zh"
    place = 0
    for key in number:
        digit = read_wav(folder / f"digit_{key}.wav", RATE)
        where, alike = place_of(digit, heard[place : place + 14 * RATE])
        places = _places(digit, heard[place:])
        assert places, f"digit {key} after {place / RATE:.2f} s: {alike:.2f} at {where / RATE:.2f}"
        place += places[0] + digit.size // 2
    wait_until(engine.idle, "end of everything", 5)


def _places(part: np.ndarray, whole: np.ndarray) -> list[int]:
    """Return where ``part`` stands in ``whole`` first, as near to it as companding allows."""
    step = RATE
    for start in range(0, max(1, whole.size - part.size), step):
        where, alike = place_of(part, whole[start : start + step + part.size])
        if alike > 0.95:
            return [start + where]
    return []
