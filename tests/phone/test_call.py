"""Phones call each other over loopback: two farms, each the other's registrar."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from ccengine.dsp.measure import hears, tone_level
from ccengine.errors import CallError, MediaError
from ccengine.phone import Answer, FarmSettings, Manual, PhoneFarm, Reject, Ring, Sound, Vanish
from ccengine.sdp import PCMA, PCMU


class Pair:
    """A farm that calls and a farm that is called."""

    def __init__(self, here: PhoneFarm, there: PhoneFarm) -> None:
        self.here, self.there = here, there


@pytest.fixture
async def pair():
    async with PhoneFarm(FarmSettings(("127.0.0.1", 9), t1_s=0.05)) as there:
        settings = FarmSettings(there.address, t1_s=0.05, codecs=(PCMA, PCMU))
        async with PhoneFarm(settings) as here:
            yield Pair(here, there)


async def test_two_phones_hear_each_other(pair: Pair) -> None:
    bob = pair.there.phone("bob", sound=Sound.tone(1000), keep_audio=True)
    alice = pair.here.phone("alice", name="Alice 张", sound=Sound.tone(440), keep_audio=True)
    call = alice.dial("bob")
    taken = await bob.next_call()
    await call.answered()
    assert (taken.number, taken.display_name) == ("alice", "Alice 张")
    await asyncio.gather(call.hears(30), taken.hears(30))
    call.hang_up()
    assert await taken.ended() == "bye"
    assert call.cause == "hung_up"
    heard, said = call.audio.hearing, taken.audio.hearing
    assert hears(heard.audio(), 8000, 1000)
    assert not hears(heard.audio(), 8000, 440)
    assert tone_level(said.audio(), 8000, 440) == pytest.approx(-16.0, abs=0.5)
    assert call.plan is not None
    assert call.plan.codec == "PCMA"  # the caller's first
    for hearing in (heard, said):
        stats = hearing.stats
        assert (stats.lost, stats.late, stats.repeated, stats.garbage) == (0, 0, 0, 0)
        assert stats.timestamp_jumps == 0
        assert {len(packet.payload) for packet in hearing.packets} == {160}
        arrivals = np.diff([packet.at for packet in hearing.packets])
        assert np.median(arrivals) == pytest.approx(0.02, abs=0.004)


async def test_digits_go_both_ways(pair: Pair) -> None:
    bob = pair.there.phone("bob")
    call = pair.here.phone("alice").dial("bob")
    taken = await bob.next_call()
    await call.answered()
    call.send_digits("12*", duration_ms=60, gap_ms=60)
    taken.send_digits("#9", duration_ms=60, gap_ms=60)
    assert await taken.digits(3) == "12*"
    assert await call.digits(2) == "#9"
    await call.digits_sent()
    assert taken.audio.hearing.stats.lost == 0
    with pytest.raises(MediaError, match="DTMF"):
        call.send_digits("x")


async def test_a_wav_is_said_byte_for_byte(pair: Pair, tmp_path) -> None:
    pcm = (np.sin(np.arange(1600) / 3.0) * 9000).astype(np.int16)
    bob = pair.there.phone("bob", keep_audio=True)
    sound = Sound(pcm)
    call = pair.here.phone("alice", sound=sound).dial("bob")
    taken = await bob.next_call()
    await taken.hears(12)
    payloads = [packet.payload for packet in taken.audio.hearing.packets]
    assert tuple(payloads[:10]) == sound.frames("PCMA", 20)
    assert payloads[10] == Sound.silence().frames("PCMA", 20)[0]
    call.hang_up()


async def test_the_caller_gives_up(pair: Pair) -> None:
    bob = pair.there.phone("bob", behaviour=Ring())
    call = pair.here.phone("alice").dial("bob")
    await call.ringing()
    taken = await bob.next_call()
    call.hang_up()
    assert await call.ended() == "cancelled"
    assert await taken.ended() == "cancelled"


async def test_rejected(pair: Pair) -> None:
    pair.there.phone("bob", behaviour=Reject(603))
    call = pair.here.phone("alice").dial("bob")
    with pytest.raises(CallError, match="603"):
        await call.answered()
    assert call.cause == "rejected"


async def test_rejected_after_ringing(pair: Pair) -> None:
    pair.there.phone("bob", behaviour=Reject(486, after_s=0.05))
    call = pair.here.phone("alice").dial("bob")
    await call.ringing()
    assert await call.ended() == "rejected"
    assert call.status == 486


async def test_an_unknown_number(pair: Pair) -> None:
    call = pair.here.phone("alice").dial("nobody")
    await call.ended()
    assert call.status == 404


async def test_answered_later_by_hand(pair: Pair) -> None:
    bob = pair.there.phone("bob", behaviour=Manual())
    call = pair.here.phone("alice").dial("bob")
    taken = await bob.next_call()
    taken.ring()
    await call.ringing()
    assert call.state == "ringing"
    taken.answer()
    await call.answered()
    taken.hang_up()
    assert await call.ended() == "bye"


async def test_answered_after_a_while(pair: Pair) -> None:
    pair.there.phone("bob", behaviour=Answer(0.05))
    call = await pair.here.phone("alice").dial("bob").answered()
    assert call.answered_at - call.started_at >= 0.05
    call.hang_up()


async def test_a_phone_that_is_gone_answers_nothing(pair: Pair) -> None:
    bob = pair.there.phone("bob", behaviour=Vanish())
    call = pair.here.phone("alice").dial("bob")
    await call.ended(timeout_s=8)  # 64 * T1
    assert call.status == 408
    assert bob.is_vanished


async def test_a_phone_vanishes_in_mid_call(pair: Pair) -> None:
    bob = pair.there.phone("bob")
    call = await pair.here.phone("alice").dial("bob").answered()
    taken = await bob.next_call()
    await call.hears(3)
    bob.vanish()
    await taken.ended()
    heard = call.audio.hearing.stats.packets
    await asyncio.sleep(0.1)
    assert call.audio.hearing.stats.packets <= heard + 2
    assert call.state == "established"


async def test_hold_and_resume(pair: Pair) -> None:
    bob = pair.there.phone("bob")
    call = await pair.here.phone("alice").dial("bob").answered()
    taken = await bob.next_call()
    await call.hears(2)
    call.hold()
    await call.until(lambda: call.plan.direction == "sendonly", "hold", 5)
    assert taken.plan.direction == "recvonly"
    assert taken.state == call.state == "established"
    call.resume()
    await call.until(lambda: call.plan.direction == "sendrecv", "resume", 5)
    await call.hears(3)
    assert call.audio.hearing.stats.lost == 0
    call.hang_up()
    await taken.ended()


async def test_no_common_codec() -> None:
    async with PhoneFarm(FarmSettings(("127.0.0.1", 9), codecs=(PCMU,))) as there:
        there.phone("bob")
        async with PhoneFarm(FarmSettings(there.address, codecs=(PCMA,))) as here:
            call = here.phone("alice").dial("bob")
            await call.ended()
            assert call.status == 488
        assert there.call_count == 0


async def test_calls_over_tcp() -> None:
    async with PhoneFarm(FarmSettings(("127.0.0.1", 9), transport="TCP")) as there:
        bob = there.phone("bob")
        async with PhoneFarm(FarmSettings(there.address, transport="TCP")) as here:
            call = await here.phone("alice").dial("bob").answered()
            taken = await bob.next_call()
            await call.hears(3)
            taken.hang_up()
            assert await call.ended() == "bye"


async def test_fifty_calls_leave_nothing_behind(pair: Pair) -> None:
    tones = Sound.tone(500)
    for number in range(50):
        pair.there.phone(f"b{number}", sound=tones)
    calls = [pair.here.phone(f"a{number}").dial(f"b{number}") for number in range(50)]
    await asyncio.gather(*(call.answered() for call in calls))
    await asyncio.gather(*(call.hears(25) for call in calls))
    assert sum(call.audio.hearing.stats.lost for call in calls) == 0
    for call in calls:
        call.hang_up()
    await asyncio.gather(*(call.ended() for call in calls))
    for farm in (pair.here, pair.there):
        for phone in farm.phones.values():
            for call in list(phone.calls):
                await call.ended()
        await farm.close()
        assert (farm.call_count, len(farm.pacer), farm.endpoint.session_count) == (0, 0, 0)


async def test_waiting_in_vain_says_for_what(pair: Pair) -> None:
    pair.there.phone("bob", behaviour=Ring())
    alice = pair.here.phone("alice")
    call = alice.dial("bob")
    with pytest.raises(CallError, match=r"alice -> bob.*no answer in 0\.1 s"):
        await call.answered(0.1)
    with pytest.raises(CallError, match=r"no call in 0\.01 s"):
        await alice.next_call(0.01)


async def test_feature_codes_arrive_as_dialled(pair: Pair) -> None:
    """RFC 3261 section 25.1: # must be escaped in the user part."""
    pair.there.phone("*88#", behaviour=Reject(486))
    call = pair.here.phone("alice").dial("*88#")
    await call.ended()
    assert call.status == 486
