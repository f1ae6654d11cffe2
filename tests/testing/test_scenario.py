"""What SIPp is given to play is what a phone would send."""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from ccengine.rtp.event import EventReceiver, parse_event
from ccengine.testing.peers.scenario import CallerScenario, key_press


def packets_in(capture: bytes) -> list[bytes]:
    """Return the RTP packets of a capture file."""
    found, at = [], 24
    while at < len(capture):
        size = struct.unpack_from("<IIII", capture, at)[2]
        found.append(capture[at + 16 : at + 16 + size][14 + 20 + 8 :])
        at += 16 + size
    return found


@pytest.mark.parametrize("key", ["1", "#"])
def test_a_key_press_is_a_telephone_event(key: str) -> None:
    """RFC 4733 section 2.5.1.4: one timestamp, growing duration, the end said three times."""
    receiver, pressed, stamps = EventReceiver(), [], set()
    packets = packets_in(key_press(key))
    for number, packet in enumerate(packets):
        first, second, sequence, stamp, _ = struct.unpack_from("!BBHII", packet)
        assert (first, second & 0x7F, sequence) == (0x80, 101, number + 1)
        assert bool(second & 0x80) is (number == 0)
        stamps.add(stamp)
        pressed += receiver.receive(parse_event(packet[12:]), stamp, number * 0.02)
    assert len(stamps) == 1
    assert [one.key for one in pressed] == [key]
    assert sum(bool(packet[13] & 0x80) for packet in packets) == 3


def test_a_scenario_is_well_formed_and_says_what_was_asked(tmp_path: Path) -> None:
    scenario = CallerScenario(
        media=("127.0.0.9", 7000), payload_type=8, key="3", key_after_ms=700, talk_ms=0
    )
    path = scenario.write(tmp_path)
    root = ET.fromstring(path.read_text("utf-8").split("\n", 2)[2])
    assert [child.tag for child in root][-2:] == ["recv", "send"]  # their BYE, our 200
    assert "m=audio 7000 RTP/AVP 8 101" in str(root[0].text)
    assert (tmp_path / "caller.pcap").exists()
    hangs_up = ET.fromstring(
        CallerScenario(talk_ms=500).write(tmp_path, "two").read_text("utf-8").split("\n", 2)[2]
    )
    assert [child.get("milliseconds") for child in hangs_up.iter("pause")] == ["500"]
    assert not (tmp_path / "two.pcap").exists()
