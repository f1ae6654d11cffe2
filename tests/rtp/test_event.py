from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccengine.errors import MediaError, RtpError
from ccengine.rtp.event import KEYS, EventPayload, EventReceiver, EventSender, parse_event


def frames(digits, *, duration_ms=100, gap_ms=60, ptime_ms=20):
    sender = EventSender(digits, duration_ms=duration_ms, gap_ms=gap_ms, ptime_ms=ptime_ms)
    out = []
    while not sender.done:
        out.append(sender.next())
    return out


def deliver(sent, drop=(), frame=160):
    receiver = EventReceiver()
    keys = []
    for number, item in enumerate(sent):
        expired = receiver.expire(number * 0.02)
        keys += [expired] if expired else []
        if item is not None and number not in drop:
            payload = parse_event(item.payload)
            keys += receiver.receive(payload, number * frame - item.age, number * 0.02)
    last = receiver.expire(len(sent) * 0.02 + 1)
    return [key.key for key in [*keys, *([last] if last else [])]], keys


@given(st.binary(min_size=4, max_size=8))
def test_payloads_survive_packing(data):
    payload = parse_event(data)
    assert parse_event(payload.pack()) == payload


def test_short_payload_is_refused():
    with pytest.raises(RtpError):
        parse_event(b"\x01\x0a\x00")


def test_one_event_as_the_standard_has_it():
    """:rfc:`4733` section 2.5.1: marker first, duration grows, three ends, one timestamp."""
    sent = [(f, parse_event(f.payload)) for f in frames("5", duration_ms=60)]
    assert [f.marker for f, _ in sent] == [True, False, False, False, False]
    assert [p.duration for _, p in sent] == [160, 320, 480, 480, 480]
    assert [p.end for _, p in sent] == [False, False, True, True, True]
    assert [f.age for f, _ in sent] == [0, 160, 320, 480, 640]


@given(st.text(KEYS, min_size=1, max_size=6), st.sampled_from([10, 20, 40]))
def test_every_key_is_told_once(digits, ptime_ms):
    told, _ = deliver(frames(digits, ptime_ms=ptime_ms), frame=8 * ptime_ms)
    assert "".join(told) == digits


@given(st.data())
def test_any_two_of_three_end_packets_may_be_lost(data):
    sent = frames("7")
    ends = [n for n, f in enumerate(sent) if f and parse_event(f.payload).end]
    told, in_time = deliver(sent, drop=data.draw(st.sets(st.sampled_from(ends), max_size=2)))
    assert told == ["7"]
    assert in_time[0].duration_ms == 100


def test_lost_ends_are_made_up_by_the_next_event_or_by_time():
    """:rfc:`4733` section 2.5.2.2: no packets for some time end an event."""
    sent = frames("12")
    ends = {n for n, f in enumerate(sent) if f and parse_event(f.payload).end}
    told, in_time = deliver(sent, drop=ends)
    assert told == ["1", "2"]
    assert len(in_time) == 1


def test_late_repeats_do_not_press_the_key_again():
    receiver = EventReceiver()
    assert receiver.receive(EventPayload(1, 800, end=True), 1000, 0.0)
    assert receiver.receive(EventPayload(2, 160), 2600, 0.2) == []
    assert receiver.receive(EventPayload(1, 800, end=True), 1000, 0.21) == []
    assert [k.key for k in receiver.receive(EventPayload(2, 800, end=True), 2600, 0.3)] == ["2"]


def test_events_that_are_no_keys_are_ignored():
    receiver = EventReceiver()
    assert receiver.receive(EventPayload(16, 800, end=True), 1, 0.0) == []
    assert not receiver.busy


def test_long_keys_stay_within_sixteen_bits():
    payloads = [parse_event(f.payload) for f in frames("1", duration_ms=20_000)]
    assert max(p.duration for p in payloads) <= 0xFFFF


def test_wrong_digit_is_refused():
    with pytest.raises(MediaError, match="'x'"):
        EventSender("1x", duration_ms=100, gap_ms=100, ptime_ms=20)
