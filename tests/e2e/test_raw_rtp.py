"""RTP of a prompt, caught by a plain socket: byte for byte the encoded file, numbered in a row."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ccengine.center.prompts import shipped_prompts
from ccengine.dsp import g711
from ccengine.dsp.wav import read_wav
from ccengine.testing.engine import RunningEngine
from ccengine.testing.peers.raw_rtp import Datagram, RawRtp
from ccengine.testing.peers.scenario import CallerScenario
from ccengine.testing.peers.sipp import Sipp, SippSettings
from ccengine.testing.waiting import loopback_address, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("log_of_engine")]

CALLER = loopback_address()
FRAME = 160


@pytest.fixture(scope="module")
def changes() -> dict[str, Any]:
    return {"sip": {"trusted": [f"{CALLER}/32"]}}


def encoded(law: str, *keys: str) -> bytes:
    """Return prompts one after the other in G.711, as a listener gets them."""
    parts = []
    for key in keys:
        pcm = read_wav(shipped_prompts() / "zh" / f"{key}.wav", 8000)
        parts.append(g711.encode(law, pcm, np.empty(pcm.size, np.uint8)).tobytes())
    return b"".join(parts)


def packets_of(datagrams: list[Datagram]) -> list[tuple[bool, int, int, int, int, bytes]]:
    """Return (marker, type, sequence, timestamp, SSRC, payload) of each datagram."""
    found = []
    for datagram in datagrams:
        first, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", datagram.data)
        assert first == 0x80  # version 2, no padding, no extension, no CSRC
        found.append(
            (bool(second & 0x80), second & 0x7F, sequence, timestamp, ssrc, datagram.data[12:])
        )
    return found


@pytest.mark.parametrize(("law", "payload_type"), [("PCMU", 0), ("PCMA", 8)])
def test_a_prompt_arrives_byte_for_byte(
    engine: RunningEngine, tmp_path: Path, law: str, payload_type: int
) -> None:
    greeting = encoded(law, "greeting")
    count = -(-len(greeting) // FRAME)
    with RawRtp(CALLER) as ear:
        scenario = CallerScenario(
            media=(CALLER, ear.port), payload_type=payload_type, talk_ms=count * 20 + 2500
        )
        settings = SippSettings(
            tmp_path,
            str(scenario.write(tmp_path)),
            f"{engine.address}:5060",
            calls=1,
            service="4001",
            address=CALLER,
            timeout_s=30,
        )
        with Sipp(settings) as sipp:
            datagrams = ear.wait(count + 50, timeout_s=15)
            sipp.finish()
    packets = packets_of(datagrams)
    first = packets[0]
    assert [packet[0] for packet in packets[:count]] == [True] + [False] * (count - 1)
    assert {packet[1] for packet in packets} == {payload_type}
    assert {packet[4] for packet in packets} == {first[4]}
    for number, packet in enumerate(packets[:count]):
        assert packet[2] == (first[2] + number) & 0xFFFF
        assert packet[3] == (first[3] + number * FRAME) & 0xFFFFFFFF
    padding = bytes([g711.SILENCE[law]]) * (count * FRAME - len(greeting))
    assert b"".join(packet[5] for packet in packets[:count]) == greeting + padding

    # Sequence numbers go on into the next prompt, and its sound is whole as well.
    assert [packet[2] for packet in packets] == [
        (first[2] + number) & 0xFFFF for number in range(len(packets))
    ]
    menu = encoded(law, "main_menu")
    assert b"".join(packet[5] for packet in packets[count:]).startswith(menu[: 40 * FRAME])
    spacing = np.diff([datagram.at for datagram in datagrams[:count]])
    assert float(np.median(spacing)) == pytest.approx(0.02, abs=0.001)
    wait_until(engine.idle, "end of the call", 5)
