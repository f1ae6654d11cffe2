"""Plain bridges, latching and rooms, over real sockets with raw RTP peers."""

from __future__ import annotations

import os
import socket

import numpy as np
import pytest

from ccengine.dsp import g711
from ccengine.media.control import Codec, Latched, LegStats, LegWant, RtpTimeout
from ccengine.rtp.packet import RtpPacket, pack


def tone(frequency, count, level=8000.0, start=0):
    t = np.arange(start, start + count)
    return np.round(level * np.sin(2 * np.pi * frequency * t / 8000)).astype(np.int16)


def level_of(samples, frequency):
    t = np.arange(len(samples))
    wave = np.exp(-2j * np.pi * frequency * t / 8000)
    return float(2 * abs(np.dot(samples.astype(np.float64), wave)) / len(samples))


def speaker(frequency, level=8000.0):
    return lambda number: tone(frequency, 160, level, number * 160)


def steps(packets):
    seqs = np.array([p.sequence for p in packets], np.uint16)
    stamps = np.array([p.timestamp for p in packets], np.uint32)
    return set(np.diff(seqs).tolist()), set(np.diff(stamps).tolist())


def noise(_):
    return np.frombuffer(os.urandom(320), np.int16)


def test_a_plain_bridge_passes_payloads_on_unchanged_in_a_line_of_its_own(rig):
    a, b = rig.leg("a"), rig.leg("b")
    rig.bridge("a", "b")
    rig.pump(0.05)
    sent = []
    for _ in range(60):
        for peer in (a, b):
            payload = os.urandom(160)
            sent.append((peer, payload))
            peer.send(payload)
        rig.pump(0.02)
    rig.pump(0.1)
    for source, target in ((a, b), (b, a)):
        assert [p.payload for p in target.audio()] == [data for who, data in sent if who is source]
        assert steps(target.audio()) == ({1}, {160})
        assert len({p.ssrc for p in target.got}) == 1
        assert target.got[0].ssrc not in (a.ssrc, b.ssrc)
        assert target.got[0].marker
        assert not any(p.marker for p in target.got[1:])


def test_the_line_goes_on_when_the_source_changes_its_ssrc(rig):
    a, b = rig.leg("a"), rig.leg("b")
    rig.bridge("a", "b")
    rig.talk(10, (a, noise), (b, noise))
    a.ssrc, a.seq, a.ts = 0x9999, 17, 123456
    rig.talk(10, (a, noise), (b, noise))
    seqs, _ = steps(b.audio())
    assert seqs == {1}
    stamps = np.diff(np.array([p.timestamp for p in b.audio()], np.uint32))
    assert all(0 < step <= 160 * 20 and step % 160 == 0 for step in stamps.tolist())
    assert [p.marker for p in b.audio()].count(True) == 2


def test_a_gap_of_silence_suppression_stays_in_the_timestamps(rig):
    """:rfc:`3551` section 4.1: the timestamp moves on in a gap, the sequence does not."""
    a, b = rig.leg("a"), rig.leg("b")
    rig.bridge("a", "b")
    rig.talk(5, (a, noise), (b, noise))
    rig.pump(0.2)
    a.ts = (a.ts + 160 * 15) & 0xFFFFFFFF
    a.send(b"\xff" * 160, marker=True)
    rig.talk(5, (a, noise), (b, noise))
    seqs, stamps = steps(b.audio())
    assert seqs == {1}
    assert stamps == {160, 160 * 16}


def test_loss_before_us_is_visible_behind_us_and_counted(rig):
    a, b = rig.leg("a"), rig.leg("b")
    rig.bridge("a", "b")
    rig.talk(5, (a, noise), (b, noise))
    a.seq, a.ts = (a.seq + 3) & 0xFFFF, (a.ts + 480) & 0xFFFFFFFF
    rig.pump(0.06)
    rig.talk(5, (a, noise), (b, noise))
    seqs, stamps = steps(b.audio())
    assert seqs == {1, 4}
    assert stamps == {160, 640}
    rig.link.drop("a")
    rig.until(lambda: bool(rig.of(LegStats)))
    assert rig.of(LegStats)[0].lost == 3


def test_latching_takes_the_first_valid_source_and_refuses_strangers(rig):
    a, b = rig.leg("a", remote_port=9), rig.leg("b")
    rig.bridge("a", "b")
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    stranger.bind(("127.0.7.2", 0))
    stranger.sendto(b"garbage", a.to)
    stranger.sendto(pack(RtpPacket(97, 1, 1, 1, b"x" * 160)), a.to)
    rig.talk(10, (a, noise), (b, noise))
    latched = {event.leg: (event.host, event.port) for event in rig.of(Latched)}
    assert latched == {"a": (a.host, a.port), "b": (b.host, b.port)}
    before = len(b.audio())
    for number in range(10):
        stranger.sendto(pack(RtpPacket(0, number, number * 160, 7, b"S" * 160)), a.to)
        rig.pump(0.02)
    assert len(b.audio()) == before
    stranger.close()
    assert len(a.audio()) >= 9, "the description was wrong, the latched source gets the audio"


def test_a_new_description_is_latched_again_and_the_old_source_is_out(rig):
    a, b = rig.leg("a"), rig.leg("b")
    rig.bridge("a", "b")
    rig.talk(5, (a, noise), (b, noise))
    old = rig.link.wanted("a")
    new = rig.leg("spare", unit="u")
    rig.link.want(LegWant("a", 0, "u", old.port, old.codec, new.host, new.port, event_pt=101))
    rig.pump(0.05)
    new.to = a.to
    a.send(b"O" * 160)
    rig.talk(5, (new, noise), (b, noise))
    assert len(new.audio()) >= 4
    assert not any(p.payload == b"O" * 160 for p in b.audio())
    assert steps(b.audio())[0] == {1}


def test_a_first_description_keeps_the_source_that_was_heard_before_it(rig):
    a, b = rig.leg("a", remote_host="", remote_port=0), rig.leg("b")
    rig.bridge("a", "b")
    rig.talk(5, (a, noise), (b, noise))
    want = rig.link.wanted("a")
    rig.link.want(LegWant("a", 0, "u", want.port, want.codec, "127.0.7.9", 4000, event_pt=101))
    rig.pump(0.05)
    rig.talk(10, (a, noise), (b, noise))
    assert len(b.audio()) == 15
    assert len(a.audio()) >= 14


def test_garbage_is_counted_and_harms_nobody(rig):
    a, b = rig.leg("a"), rig.leg("b")
    rig.bridge("a", "b")
    rig.talk(5, (a, noise), (b, noise))
    for size in (1, 11, 40, 172, 600):
        a.rtp.sendto(os.urandom(size - 1) + b"\x00" if size > 12 else b"\x00" * size, a.to)
        a.rtp.sendto(b"\x00" * size, a.to)
        rig.pump(0.02)
    rig.talk(10, (a, noise), (b, noise))
    assert len(b.audio()) == 15
    rig.until(lambda: rig.garbage() >= 5)
    rig.link.drop("a")
    rig.until(lambda: bool(rig.of(LegStats)))
    assert rig.of(LegStats)[0].rejected >= 5


def test_hold_stops_each_direction_on_its_own(rig):
    a, b = rig.leg("a"), rig.leg("b")
    rig.bridge("a", "b")
    rig.talk(5, (a, noise), (b, noise))
    want = rig.link.wanted("a")
    rig.link.want(
        LegWant("a", 0, "u", want.port, want.codec, a.host, a.port, event_pt=101, send=False)
    )
    rig.pump(0.05)
    at_a, at_b = len(a.audio()), len(b.audio())
    rig.talk(10, (a, noise), (b, noise))
    assert len(a.audio()) == at_a
    assert len(b.audio()) == at_b + 10
    rig.link.want(
        LegWant("a", 0, "u", want.port, want.codec, a.host, a.port, event_pt=101, receive=False)
    )
    rig.pump(0.05)
    at_b = len(b.audio())
    rig.talk(10, (a, noise), (b, noise))
    assert len(a.audio()) == at_a + 10
    assert len(b.audio()) == at_b


def test_rtp_timeout_is_told_once_until_rtp_comes_again(rig):
    a = rig.leg("a", timeout_s=1.0)
    rig.talk(5, (a, noise))
    rig.until(lambda: len(rig.of(RtpTimeout)) == 1)
    rig.pump(1.2)
    assert len(rig.of(RtpTimeout)) == 1


def test_rooms_mix_everyone_but_oneself(rig):
    frequencies = {"a": 500.0, "b": 900.0, "c": 1700.0}
    peers = {key: rig.leg(key) for key in frequencies}
    rig.bridge("a", "b", "c")
    rig.pump(0.05)
    rig.talk(60, *((peers[key], speaker(frequencies[key], 6000)) for key in frequencies))
    for key, peer in peers.items():
        assert steps(peer.audio()) == ({1}, {160})
        heard = peer.pcm()[160 * 20 : 160 * 50]
        for other, frequency in frequencies.items():
            level = level_of(heard, frequency)
            if other == key:
                assert level < 60, f"{key} hears itself"
            else:
                assert 20 * np.log10(level / 6000) == pytest.approx(0, abs=0.5)


def test_gains_silence_and_change_single_pairs(rig):
    peers = {key: rig.leg(key) for key in ("agent", "caller", "boss")}
    gains = (("caller", "boss", 0.0), ("agent", "boss", 0.5))
    rig.bridge("agent", "caller", "boss", gains=gains)
    rig.pump(0.05)
    rig.talk(
        50,
        (peers["agent"], speaker(500, 6000)),
        (peers["caller"], speaker(900, 6000)),
        (peers["boss"], speaker(1700, 6000)),
    )
    caller = peers["caller"].pcm()[160 * 20 : 160 * 40]
    agent = peers["agent"].pcm()[160 * 20 : 160 * 40]
    assert level_of(caller, 1700) < 60
    assert level_of(caller, 500) == pytest.approx(6000, rel=0.05)
    assert level_of(agent, 1700) == pytest.approx(3000, rel=0.05)


def test_different_laws_are_transcoded_at_the_same_level(rig):
    a, b = rig.leg("a", law="PCMU"), rig.leg("b", law="PCMA")
    rig.bridge("a", "b")
    rig.pump(0.05)
    rig.talk(50, (a, speaker(1000)), (b, speaker(700)))
    for peer, frequency in ((a, 700), (b, 1000)):
        heard = peer.pcm()[160 * 15 : 160 * 40]
        assert 20 * np.log10(level_of(heard, frequency) / 8000) == pytest.approx(0, abs=0.5)
        assert steps(peer.audio()) == ({1}, {160})


def test_an_empty_room_is_silent_but_there(rig):
    a = rig.leg("a")
    rig.bridge("a")
    rig.talk(20, (a, speaker(1000)))
    assert len(a.audio()) >= 15
    assert set(b"".join(p.payload for p in a.audio())) == {g711.SILENCE["PCMU"]}


@pytest.mark.parametrize("ptime_ms", [10, 30, 40, 60])
def test_other_packet_times_pass(rig, ptime_ms):
    a, b = rig.leg("a", ptime_ms=ptime_ms), rig.leg("b", ptime_ms=ptime_ms)
    rig.bridge("a", "b")
    rig.pump(0.05)
    sent = [os.urandom(8 * ptime_ms) for _ in range(12)]
    for payload in sent:
        a.send(payload)
        b.send(b"\xff" * 8 * ptime_ms)
        rig.pump(ptime_ms / 1000)
    rig.pump(0.15)
    assert [p.payload for p in b.audio()] == sent
    assert steps(b.audio()) == ({1}, {8 * ptime_ms})


def test_legs_of_unequal_packet_times_meet_in_a_room(rig):
    a, b = rig.leg("a"), rig.leg("b", ptime_ms=40, law="PCMA")
    rig.bridge("a", "b")
    rig.pump(0.05)
    for number in range(40):
        a.send_pcm(tone(1000, 160, 8000, 160 * number))
        if number % 2:
            b.send_pcm(tone(700, 320, 8000, 160 * (number - 1)))
        rig.pump(0.02)
    rig.pump(0.1)
    assert level_of(a.pcm()[160 * 15 : 160 * 35], 700) == pytest.approx(8000, rel=0.05)
    assert level_of(b.pcm()[160 * 15 : 160 * 35], 1000) == pytest.approx(8000, rel=0.05)


def test_codec_that_is_unknown_is_refused(rig):
    port = rig.link.lease("u")
    rig.link.want(LegWant("x", 0, "u", port, Codec("G729", 18)))
    rig.until(lambda: bool(rig.events))
    assert "G729" in rig.events[0].error
    assert rig.link.wanted("x") is None
