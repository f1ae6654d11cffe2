"""The books of what was heard: loss, order, sources, keys, placement by timestamp."""

from __future__ import annotations

import numpy as np
import pytest

from ccengine.errors import MediaError
from ccengine.phone.hearing import Hearing
from ccengine.phone.sound import Sound, decode
from ccengine.rtp.event import EventPayload
from ccengine.rtp.packet import RtpPacket, pack

SOURCE = ("127.0.0.1", 4000)


def hearing() -> Hearing:
    found = Hearing(keep=True)
    found.agree("PCMU", 0, 101)
    return found


def audio(number: int, *, ssrc: int = 7, fill: int = 0xFF, timestamp: int | None = None) -> bytes:
    at = number * 160 if timestamp is None else timestamp
    return pack(RtpPacket(0, number, at, ssrc, bytes([fill]) * 160))


def feed(target: Hearing, *datagrams: bytes) -> None:
    for count, data in enumerate(datagrams):
        target.receive(data, SOURCE, 100.0 + count * 0.02)


def test_an_unbroken_stream() -> None:
    target = hearing()
    feed(target, *(audio(number) for number in range(65530, 65545)))
    stats = target.stats
    assert (stats.packets, stats.lost, stats.late, stats.timestamp_jumps) == (15, 0, 0, 0)
    assert stats.max_gap_s == pytest.approx(0.02)
    assert (stats.first_at, stats.last_at) == (100.0, pytest.approx(100.28))


def test_loss_order_and_repeats() -> None:
    target = hearing()
    feed(target, audio(1), audio(2), audio(5), audio(4), audio(4), audio(5))
    stats = target.stats
    assert (stats.lost, stats.late, stats.repeated) == (1, 1, 2)


def test_timestamp_jumps_and_new_sources() -> None:
    target = hearing()
    feed(target, audio(1), audio(2, timestamp=999), audio(1, ssrc=8))
    assert (target.stats.timestamp_jumps, target.stats.restarts) == (1, 1)


def test_garbage_and_rtcp_are_counted_apart() -> None:
    target = hearing()
    feed(target, b"", b"short", b"\x00" * 20, bytes([0x80, 200]) + bytes(26))
    assert (target.stats.garbage, target.stats.rtcp, target.stats.packets) == (3, 1, 0)


def test_keys() -> None:
    target = hearing()
    for number, (duration, end) in enumerate([(160, False), (320, True), (320, True)]):
        payload = EventPayload(5, duration, end).pack()
        target.receive(pack(RtpPacket(101, number, 800, 7, payload)), SOURCE, 1.0)
    assert target.digits == "5"
    target.receive(pack(RtpPacket(101, 9, 1600, 7, EventPayload(11, 160).pack())), SOURCE, 2.0)
    assert not target.expire(2.1)
    assert target.expire(2.3)
    assert target.digits == "5#"
    target.receive(pack(RtpPacket(101, 10, 3200, 7, b"\x01")), SOURCE, 3.0)
    assert target.stats.garbage == 1


def test_audio_is_placed_by_timestamp() -> None:
    target = hearing()
    feed(target, audio(1, fill=0x10), audio(4, fill=0x20), audio(3, fill=0x30), audio(0, fill=1))
    pcm = target.audio()
    levels = {fill: decode("PCMU", bytes([fill]))[0] for fill in (0x10, 0x20, 0x30)}
    assert pcm.size == 640
    assert pcm[0] == levels[0x10]
    assert pcm[160] == 0  # never came
    assert pcm[320] == levels[0x30]
    assert pcm[480] == levels[0x20]
    assert hearing().audio().size == 0


def test_two_sources_are_joined() -> None:
    target = hearing()
    feed(target, audio(1), audio(50, ssrc=9))
    assert target.audio().size == 320


def test_a_loop_ends_where_a_packet_does() -> None:
    pcm = np.arange(100, dtype=np.int16) * 50
    frames = Sound(pcm, loop=True).frames("PCMA", 20)
    joined = np.concatenate([decode("PCMA", frame) for frame in frames])
    assert joined.size % 160 == 0
    assert joined.size % 100 == 0
    assert (joined[:100] == joined[-100:]).all()


def test_sound_that_cannot_be_said() -> None:
    with pytest.raises(MediaError, match="G729"):
        Sound.silence().frames("G729", 20)
    assert Sound(np.zeros(0, np.int16)).frames("PCMU", 20) == (b"\xff" * 160,)
