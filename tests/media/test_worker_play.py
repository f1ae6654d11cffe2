"""Plays and digits: what a raw receiver gets is what is in the files."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from ccengine.dsp import g711
from ccengine.dsp.wav import write_wav
from ccengine.media.control import (
    Digit,
    DigitsSent,
    DigitsWant,
    Latched,
    PlayDone,
    Refused,
)
from ccengine.rtp.event import EventPayload, EventSender, parse_event


def random_pcm(count, seed):
    return np.random.default_rng(seed).integers(-20000, 20000, count).astype(np.int16)


def prompt(folder: Path, name: str, count: int, *, seed: int = 1, rate: int = 8000) -> Path:
    path = folder / f"{name}.wav"
    write_wav(path, random_pcm(count, seed), rate)
    return path


def encoded(law: str, *parts: np.ndarray) -> bytes:
    pcm = np.concatenate(parts)
    return g711.encode(law, pcm, np.empty(len(pcm), np.uint8)).tobytes()


def contiguous(packets, frame=160):
    seqs = np.diff(np.array([p.sequence for p in packets], np.uint16))
    stamps = np.diff(np.array([p.timestamp for p in packets], np.uint32))
    return set(seqs.tolist()) == {1} and set(stamps.tolist()) == {frame}


def heard(peer):
    return b"".join(p.payload for p in peer.audio())


@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
def test_files_play_back_to_back_byte_for_byte(rig, tmp_path, law):
    first = prompt(tmp_path, "first", 3210, seed=1)
    second = prompt(tmp_path, "second", 1999, seed=2)
    a = rig.leg("a", law=law)
    rig.play("p", "a", first, second)
    rig.until(lambda: bool(rig.of(PlayDone)))
    rig.pump(0.05)
    whole = encoded(law, random_pcm(3210, 1), random_pcm(1999, 2))
    padding = bytes([g711.SILENCE[law]]) * (-len(whole) % 160)
    assert heard(a) == whole + padding
    assert contiguous(a.audio())
    assert a.got[0].marker
    assert rig.of(PlayDone)[0].error == ""
    assert rig.link.wanted("p") is None


def test_a_loop_has_no_seam(rig, tmp_path):
    music = prompt(tmp_path, "music", 1111)
    a = rig.leg("a")
    rig.play("p", "a", music, loop=True)
    rig.pump(0.8)
    rig.link.drop("p")
    rig.pump(0.1)
    data = heard(a)
    once = encoded("PCMU", random_pcm(1111, 1))
    assert len(data) > 4000
    assert data == (once * 10)[: len(data)]
    assert contiguous(a.audio())
    assert not rig.of(PlayDone)


def test_the_line_is_contiguous_when_the_leg_latches_during_a_play(rig, tmp_path):
    a = rig.leg("a")
    rig.play("p", "a", prompt(tmp_path, "long", 16000))
    rig.until(lambda: len(a.got) > 10)
    a.send(b"\xff" * 160)
    rig.until(lambda: bool(rig.of(PlayDone)))
    rig.pump(0.05)
    assert rig.of(Latched)
    assert heard(a) == encoded("PCMU", random_pcm(16000, 1))
    assert contiguous(a.audio())


def test_other_rates_are_resampled_and_gain_applies(rig, tmp_path):
    wave = (4000 * np.sin(2 * np.pi * 1000 * np.arange(22050) / 22050)).astype(np.int16)
    path = tmp_path / "tone.wav"
    write_wav(path, wave, 22050)
    a = rig.leg("a")
    rig.play("p", "a", path, gain_db=6.0)
    rig.until(lambda: bool(rig.of(PlayDone)))
    pcm = a.pcm()[1600:4800].astype(float)
    t = np.arange(len(pcm))
    level = 2 * abs(np.dot(pcm, np.exp(-2j * np.pi * t / 8))) / len(pcm)
    assert 20 * np.log10(level / 8000) == pytest.approx(0, abs=0.3)


def test_a_missing_file_ends_the_play_with_its_name(rig, tmp_path):
    a = rig.leg("a")
    rig.play("p", "a", prompt(tmp_path, "good", 800), tmp_path / "missing.wav")
    rig.until(lambda: bool(rig.of(PlayDone)))
    assert "missing.wav" in rig.of(PlayDone)[0].error
    assert a.got == []
    broken = tmp_path / "broken.wav"
    broken.write_bytes(os.urandom(500))
    rig.play("q", "a", broken)
    rig.until(lambda: len(rig.of(PlayDone)) == 2)
    assert "broken.wav" in rig.of(PlayDone)[1].error


def test_a_file_that_never_answers_stalls_nobody(rig, tmp_path):
    stuck = tmp_path / "stuck.wav"
    os.mkfifo(stuck)
    a, b = rig.leg("a"), rig.leg("b")
    rig.bridge("a", "b")
    rig.play("p", "a", stuck)
    rig.talk(20, (a, lambda n: random_pcm(160, n)), (b, lambda n: random_pcm(160, n)))
    assert len(a.audio()) == 20
    # The loader waits for the other end of the pipe: let it go.
    handle = os.open(stuck, os.O_RDWR | os.O_NONBLOCK)
    os.write(handle, b"x" * 100)
    os.close(handle)
    rig.until(lambda: bool(rig.of(PlayDone)))
    assert rig.of(PlayDone)[0].error


def test_a_play_replaces_what_a_bridged_leg_hears(rig, tmp_path):
    a, b = rig.leg("a"), rig.leg("b")
    rig.bridge("a", "b")
    rig.talk(5, (a, lambda n: random_pcm(160, n)), (b, lambda n: random_pcm(160, n)))
    at = len(a.audio())
    rig.play("p", "a", prompt(tmp_path, "notice", 1600, seed=9))
    rig.until(lambda: len(a.audio()) > at)
    rig.talk(5, (b, lambda n: random_pcm(160, 100 + n)))
    rig.until(lambda: bool(rig.of(PlayDone)))
    rig.pump(0.05)
    rig.talk(5, (b, lambda n: random_pcm(160, 200 + n)))
    data = heard(a)[at * 160 :]
    notice = encoded("PCMU", random_pcm(1600, 9))
    assert data[:1600] == notice
    after = b"".join(encoded("PCMU", random_pcm(160, 200 + n)) for n in range(5))
    assert data.endswith(after)
    seqs = np.diff(np.array([p.sequence for p in a.audio()], np.uint16))
    assert set(seqs.tolist()) == {1}


def test_a_play_on_top_of_music_lets_the_music_go_on_afterwards(rig, tmp_path):
    a = rig.leg("a")
    rig.play("music", "a", prompt(tmp_path, "music", 80000, seed=3), loop=True)
    rig.until(lambda: len(a.got) > 5)
    rig.play("notice", "a", prompt(tmp_path, "notice", 800, seed=4))
    rig.until(lambda: bool(rig.of(PlayDone)))
    rig.pump(0.2)
    music = encoded("PCMU", random_pcm(80000, 3))
    data = heard(a)
    notice = encoded("PCMU", random_pcm(800, 4))
    at = data.index(notice)
    assert data.replace(notice, b"") == music[: len(data) - 800]
    assert at % 160 == 0
    assert contiguous(a.audio())


def test_a_play_on_no_leg_is_refused(rig, tmp_path):
    from ccengine.errors import MediaError

    with pytest.raises(MediaError, match="no leg"):
        rig.play("p", "nobody", tmp_path / "x.wav")


# --- digits ---------------------------------------------------------------------------------


def press(rig, peer, digits, *, skip_ends=0, duration_ms=100):
    sender = EventSender(digits, duration_ms=duration_ms, gap_ms=60, ptime_ms=20)
    base = peer.ts
    while not sender.done:
        frame = sender.next()
        if frame is not None:
            if frame.marker:
                base = peer.ts
            if not (skip_ends and parse_event(frame.payload).end):
                stamp, peer.ts = peer.ts, base
                peer.send(frame.payload, marker=frame.marker, pt=101)
                peer.ts = stamp
        peer.ts = (peer.ts + 160) & 0xFFFFFFFF
        rig.pump(0.02)


def test_each_key_press_is_told_once(rig):
    a = rig.leg("a")
    rig.talk(3, (a, lambda n: random_pcm(160, n)))
    press(rig, a, "15#D")
    rig.until(lambda: len(rig.of(Digit)) >= 4)
    rig.pump(0.3)
    assert [event.digit for event in rig.of(Digit)] == ["1", "5", "#", "D"]
    assert all(event.duration_ms == 100 for event in rig.of(Digit))


def test_lost_end_packets_end_a_key_by_time(rig):
    a = rig.leg("a")
    rig.talk(3, (a, lambda n: random_pcm(160, n)))
    press(rig, a, "7", skip_ends=3)
    rig.until(lambda: bool(rig.of(Digit)))
    assert rig.of(Digit)[0].digit == "7"


@pytest.mark.parametrize("laws", [("PCMU", "PCMU"), ("PCMU", "PCMA")])
def test_keys_cross_a_bridge_as_events(rig, laws):
    a, b = rig.leg("a", law=laws[0]), rig.leg("b", law=laws[1], event_pt=96)
    rig.bridge("a", "b")
    rig.talk(5, (a, lambda n: random_pcm(160, n)), (b, lambda n: random_pcm(160, n)))
    press(rig, a, "42")
    rig.talk(5, (a, lambda n: random_pcm(160, n)), (b, lambda n: random_pcm(160, n)))
    events = [p for p in b.got if p.payload_type == 96]
    assert [event.digit for event in rig.of(Digit)] == ["4", "2"]
    stamps = list(dict.fromkeys(p.timestamp for p in events))
    assert len(stamps) == 2
    for stamp, key in zip(stamps, (4, 2), strict=True):
        run = [parse_event(p.payload) for p in events if p.timestamp == stamp]
        assert {payload.event for payload in run} == {key}
        assert sum(payload.end for payload in run) == 3
    assert [p.marker for p in events].count(True) == 2
    seqs = np.diff(np.array([p.sequence for p in b.got], np.uint16))
    assert set(seqs.tolist()) == {1}


def test_digits_are_sent_as_events(rig):
    """:rfc:`4733` section 2.5.1: marker, one timestamp, growing duration, three ends."""
    a = rig.leg("a")
    rig.talk(3, (a, lambda n: random_pcm(160, n)))
    rig.link.want(DigitsWant("d", 0, "a", "9*", duration_ms=80, gap_ms=80))
    rig.until(lambda: bool(rig.of(DigitsSent)))
    rig.pump(0.05)
    events = [(p, parse_event(p.payload)) for p in a.got if p.payload_type == 101]
    assert [e.event for _, e in events] == [9] * 6 + [10] * 6
    first = events[:6]
    assert len({p.timestamp for p, _ in first}) == 1
    assert [e.duration for _, e in first] == [160, 320, 480, 640, 640, 640]
    assert [e.end for _, e in first] == [False, False, False, True, True, True]
    assert [p.marker for p, _ in first] == [True] + [False] * 5
    assert set(np.diff(np.array([p.sequence for p in a.got], np.uint16)).tolist()) == {1}
    assert rig.link.wanted("d") is None


def test_digits_without_telephone_event_are_refused(rig):
    rig.leg("a", event_pt=-1)
    rig.link.want(DigitsWant("d", 0, "a", "1"))
    rig.until(lambda: bool(rig.of(Refused)))


def test_events_that_are_cut_off_are_rejected(rig):
    a = rig.leg("a")
    rig.talk(3, (a, lambda n: random_pcm(160, n)))
    a.send(b"\x01", pt=101)
    a.send(EventPayload(200, 160, end=True).pack(), pt=101)
    time.sleep(0.05)
    rig.talk(3, (a, lambda n: random_pcm(160, n)))
    assert not rig.of(Digit)
