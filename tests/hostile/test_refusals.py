"""Well-formed requests that are not allowed: each gets its status, and changes nothing."""

from __future__ import annotations

import pytest

from ccengine.sip.message import SipResponse
from ccengine.testing.hostile import TriedEngine
from ccengine.testing.raw_sip import RawSip

pytestmark = pytest.mark.e2e


def grown(engine: TriedEngine, room: str, before: dict[str, int]) -> dict[str, int]:
    after = engine.counts(room)
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


def register(peer: RawSip, user: str, password: str) -> SipResponse:
    """Register the way a phone does: once without credentials, once with."""
    challenge = peer.exchange(peer.register(user))
    assert challenge.status == 401
    line = peer.credentials(challenge, "REGISTER", "sip:ccengine", user, password)
    return peer.exchange(peer.register(user, headers=line, cseq=2))


def call(peer: RawSip, number: str, user: str, password: str) -> SipResponse:
    challenge = peer.exchange(peer.invite(number, caller=user))
    assert challenge.status == 407
    line = peer.credentials(challenge, "INVITE", f"sip:{number}@ccengine", user, password)
    return peer.exchange(peer.invite(number, caller=user, headers=line, cseq=2))


# --- methods -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "status"), [("DANCE", 501), ("PUBLISH", 405), ("SUBSCRIBE", 405), ("REFER", 405)]
)
def test_an_unknown_method(engine: TriedEngine, method: str, status: int) -> None:
    """RFC 3261 8.2.1: the answer names in Allow what there is."""
    before, lines = engine.counts("sip"), len(engine.log)
    with engine.raw() as peer:
        response = peer.exchange(peer.request(method))
    assert response.status == status
    allowed = {one.strip() for one in (response.header("Allow") or "").split(",")}
    assert {"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER"} <= allowed
    assert grown(engine, "sip", before)["refused"] == 1
    assert len(engine.log) == lines


def test_requests_for_dialogs_that_are_not(engine: TriedEngine) -> None:
    """RFC 3261 12.2.2: 481; an ACK for nothing is dropped and counted."""
    before = engine.counts("sip")
    with engine.raw() as peer:
        to = "<sip:4001@ccengine>;tag=never"
        for method in ("BYE", "INFO", "OPTIONS"):
            assert peer.exchange(peer.request(method, to=to)).status == 481
        assert peer.exchange(peer.request("CANCEL")).status == 481
        assert peer.exchange(peer.request("BYE")).status == 481
        peer.send(peer.request("ACK", to=to))
        assert peer.receive(0.2) is None
    assert grown(engine, "sip", before)["stray_acks"] == 1


def test_an_extension_that_we_do_not_have(engine: TriedEngine) -> None:
    with engine.raw() as peer:
        response = peer.exchange(peer.request(headers="Require: teleport\r\n"))
        assert response.status == 420
        assert response.header("Unsupported") == "teleport"


def test_a_response_that_nobody_waits_for(engine: TriedEngine) -> None:
    before = engine.counts("sip")
    with engine.raw() as peer:
        request = peer.request("INVITE")
        peer.send(b"SIP/2.0 200 OK" + request[request.index(b"\r\nVia") :])
        assert peer.receive(0.2) is None
    assert grown(engine, "sip", before)["stray_responses"] == 1


# --- who are you ---------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_a_wrong_password(engine: TriedEngine, transport: str) -> None:
    before, lines = engine.counts("switch"), len(engine.log)
    with engine.raw(transport) as peer:
        assert register(peer, "1001", "guess").status == 403
        assert call(peer, "4001", "1001", "guess").status == 403
    assert engine.ask("registrations") == []
    assert engine.ask("calls") == []
    assert grown(engine, "switch", before)["unauthorized"] >= 2
    assert len(engine.log) - lines <= 2


def test_an_unknown_user_is_told_what_a_wrong_password_is_told(engine: TriedEngine) -> None:
    """Nobody can find out which numbers exist (RFC 3261 26.3.2 leaves it to us)."""
    with engine.raw() as peer:
        known = (register(peer, "1001", "guess"), call(peer, "4001", "1001", "guess"))
        unknown = (register(peer, "7777", "guess"), call(peer, "4001", "7777", "guess"))
    for one, other in zip(known, unknown, strict=True):
        assert one.start_line == other.start_line
        assert [name for name, _ in one.headers] == [name for name, _ in other.headers]
    assert engine.ask("registrations") == []


def test_somebody_elses_number_with_ones_own_password(engine: TriedEngine) -> None:
    with engine.raw() as peer:
        challenge = peer.exchange(peer.register("1002"))
        line = peer.credentials(challenge, "REGISTER", "sip:ccengine", "1001", "demo1001")
        assert peer.exchange(peer.register("1002", headers=line, cseq=2)).status == 403
    assert engine.ask("registrations") == []


def test_a_replayed_invite(engine: TriedEngine) -> None:
    """RFC 2617 4.5: a nonce and count that were used are no password a second time."""
    with engine.raw() as peer:
        challenge = peer.exchange(peer.invite("1005"))
        line = peer.credentials(challenge, "INVITE", "sip:1005@ccengine", "1006", "demo1006")
        # 1005 is not registered: the call is let in and ends by itself.
        assert peer.exchange(peer.invite("1005", headers=line, cseq=2)).status == 480
        arrived = engine.count("switch", "ended")
        replayed = peer.exchange(peer.invite("1005", headers=line, cseq=2))
        assert replayed.status == 407
        assert "stale=true" in (replayed.header("Proxy-Authenticate") or "")
        assert engine.count("switch", "ended") == arrived


def test_a_nonce_of_our_own_making(engine: TriedEngine) -> None:
    with engine.raw() as peer:
        challenge = peer.exchange(peer.register("1001"))
        line = peer.credentials(challenge, "REGISTER", "sip:ccengine", "1001", "demo1001")
        nonce = line.partition('nonce="')[2].partition('"')[0]
        for forged in (nonce[::-1], "0", "", "x" * 4000):
            response = peer.exchange(
                peer.register("1001", headers=line.replace(nonce, forged), cseq=2)
            )
            assert response.status in {401, 403, 400}, response
    assert engine.ask("registrations") == []


def test_credentials_that_are_garbage(engine: TriedEngine) -> None:
    with engine.raw() as peer:
        for value in ("Digest", 'Digest username="1001', "Basic MTAwMTpkZW1v", "\x00", '"' * 50):
            response = peer.exchange(
                peer.register("1001", headers=f"Authorization: {value}\r\n"), 2
            )
            assert response.status in {400, 401, 403}, (value, response)
    assert engine.ask("registrations") == []


# --- numbers and bodies -----------------------------------------------------------------------


def test_a_number_that_leads_nowhere(engine: TriedEngine) -> None:
    before = engine.counts("switch")
    with engine.raw() as peer:
        assert call(peer, "999", "1006", "demo1006").status == 404
    assert grown(engine, "switch", before)["refused"] == 1


@pytest.mark.parametrize(
    "body",
    ["v=0\r\n", "garbage", "v=0\r\no=- 1 1 IN IP4 x\r\ns=-\r\nt=0 0\r\nm=audio x RTP/AVP 0\r\n"],
)
def test_an_offer_that_cannot_be_understood(engine: TriedEngine, body: str) -> None:
    with engine.raw() as peer:
        challenge = peer.exchange(peer.invite("4001"))
        line = peer.credentials(challenge, "INVITE", "sip:4001@ccengine", "1006", "demo1006")
        headers = f"Content-Type: application/sdp\r\n{line}"
        data = peer.request("INVITE", "4001", headers=headers, body=body, cseq=2)
        assert peer.exchange(data).status in {400, 488}
    assert engine.ask("calls") == []


def test_a_body_that_is_no_session_description(engine: TriedEngine) -> None:
    """RFC 3261 8.2.3: 415."""
    with engine.raw() as peer:
        challenge = peer.exchange(peer.invite("4001"))
        line = peer.credentials(challenge, "INVITE", "sip:4001@ccengine", "1006", "demo1006")
        headers = f"Content-Type: text/html\r\n{line}"
        data = peer.request("INVITE", "4001", headers=headers, body="<p>", cseq=2)
        assert peer.exchange(data).status in {415, 488}
    assert engine.ask("calls") == []
