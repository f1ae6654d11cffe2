"""Torture messages against a whole engine, in a network of its own.

Some of them name foreign addresses to which an answer would go, so the engine and its peer
share a network namespace with loopback alone.  The messages of :rfc:`4475` and :rfc:`5118`
are read from ``../shared/torture`` beside the repository when that folder exists; messages of
our own are always thrown.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ccengine.testing.hostile import TriedEngine, tried_engine
from ccengine.testing.network import in_own_network
from ccengine.testing.raw_sip import RawSip

pytestmark = pytest.mark.e2e

FOLDER = Path(__file__).parents[3] / "shared" / "torture"
FILES = sorted(FOLDER.glob("rfc*/*.dat"))
FOREIGN = "192.0.2.77"


def own_messages(peer: RawSip) -> list[bytes]:
    """Valid requests with one part made foreign, wrong, or far too large."""
    plain = peer.request()
    here = f"{peer.host}:{peer.port}".encode()
    return [
        plain.replace(here, f"{FOREIGN}:5060".encode()),
        plain.replace(here, b"no.such.host.invalid"),
        plain.replace(here, f"{FOREIGN}:5060;maddr={FOREIGN}".encode(), 1),
        plain.replace(here, b"[2001:db8::1]:99999"),
        peer.register("1001").replace(b"Contact: <", b"Contact: *, <"),
        peer.request(headers=f"Route: <sip:{FOREIGN};lr>\r\n"),
        peer.request(headers=f"Record-Route: <sip:{FOREIGN};lr>\r\n" * 50),
        peer.request(headers="Max-Forwards: 0\r\n"),
        peer.request(headers="Via: SIP/2.0/UDP a\r\n" * 70),
        peer.request(to="<sip:4001@ccengine>;tag=" + "t" * 5000),
        peer.request(call_id="c" * 20_000),
        peer.request(cseq=2**31),
        peer.request(cseq=-1),
        peer.invite("4001").replace(b"\r\n\r\n", b"\r\n\r\n\r\n", 1),
        peer.request().replace(b"Content-Length: 0", b"Content-Length: 4000"),
        peer.request().replace(b"Content-Length: 0", b"Content-Length: -1"),
        peer.request(user="%00%ff%"),
        peer.request().replace(b"From: <sip:1006@", b'From: "\\" <sip:1006@'),
    ]


def throw(engine: TriedEngine) -> None:
    before = engine.counts("sip")
    with engine.raw() as peer:
        messages = [*own_messages(peer), *(path.read_bytes() for path in FILES)]
        for number, message in enumerate(messages):
            peer.socket.send(message)
            while peer.receive(0.01) is not None:
                pass
            # Each is dealt with before the next: who breaks the engine is known by name.
            assert peer.exchange(peer.request()).status == 200, (number, message[:80])
    after = engine.counts("sip")
    told = sum(after[name] - before[name] for name in ("requests_in", "responses_in", "malformed"))
    assert told >= 2 * len(messages)
    assert after["malformed"] + after["refused"] > before["malformed"] + before["refused"]
    for message in messages:
        with engine.raw("TCP") as stream:
            stream.send(message)
            stream.receive(0.01)
    assert engine.ask("registrations") == []
    engine.settled(40)


@pytest.mark.parametrize(
    "count",
    [len(FILES)],
    ids=["folder-present" if FILES else "folder-ABSENT-only-own-messages-were-thrown"],
)
def test_a_whole_engine_survives_torture(tmp_path: Path, count: int) -> None:
    assert count in {0, 61}

    def work() -> None:
        changes = {
            "sip": {"timers": {"t1_ms": 40}, "tcp": {"message_timeout_s": 2}},
            "log": {"level": "debug"},
        }
        with tried_engine(tmp_path, changes) as engine:
            throw(engine)
            engine.takes_a_call()

    in_own_network(work)
