"""The kit itself: foreign peers start, talk to each other, and are ended by their own pid."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from ccengine.dsp.measure import hears, tone_level
from ccengine.dsp.wav import read_wav, write_wav
from ccengine.phone import Sound
from ccengine.testing.peers.baresip import Baresip, BaresipSettings
from ccengine.testing.peers.pjsua import Pjsua, PjsuaSettings
from ccengine.testing.peers.process import PeerError, PeerProcess
from ccengine.testing.peers.raw_rtp import RawRtp
from ccengine.testing.peers.sipp import Sipp, SippSettings
from ccengine.testing.registrar import LoneRegistrar
from ccengine.testing.waiting import (
    free_port,
    free_sip_port,
    loopback_address,
    wait_until,
    wait_until_async,
)


@pytest.fixture
def registrar():
    with LoneRegistrar({"101": "secret"}, loopback_address()) as found:
        yield found


@pytest.mark.e2e
def test_baresip_calls_baresip(tmp_path: Path) -> None:
    a = Baresip(BaresipSettings(tmp_path / "a", user="a", source="ausine,440"))
    b = Baresip(
        BaresipSettings(tmp_path / "b", user="b", source="ausine,1000", answer_mode="manual")
    )
    with a, b:
        a.dial(b.uri)
        b.incoming()
        b.answer()
        a.established()
        b.established()
        a.send_digits("5#")
        assert b.digits(2) == "5#"
        wait_until(lambda: a.heard().stat().st_size > 16_000, "half a second of recording")
        a.hang_up()
        b.closed()
        pids = a.pid, b.pid
    assert hears(read_wav(a.heard(), 8000), 8000, 1000)
    assert hears(read_wav(b.heard(), 8000), 8000, 440)
    assert hears(read_wav(a.said(), 8000), 8000, 440)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.e2e
@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_pjsua_calls_pjsua(tmp_path: Path, tcp: bool) -> None:
    write_wav(tmp_path / "tone.wav", Sound.tone(700).pcm, 8000)
    a = Pjsua(PjsuaSettings(user="a", tcp=tcp, play=str(tmp_path / "tone.wav")))
    b = Pjsua(
        PjsuaSettings(
            user="b", tcp=tcp, incoming_status=180, record=str(tmp_path / "heard-{call}.wav")
        )
    )
    with a, b:
        call = a.call(b.uri)
        a.ringing(call)
        taken = b.incoming()
        b.answer(taken)
        a.established(call)
        b.established(taken)
        b.has_heard(1.0, taken)
        a.send_digits(call, "12*#")
        assert b.digits(4) == "12*#"
        a.hang_up(call)
        assert b.closed(taken) == 200
        a.closed(call)
    assert tone_level(_loudest(read_wav(b.heard(taken), 8000)), 8000, 700) == pytest.approx(
        -16.0, abs=0.5
    )


def _loudest(pcm: np.ndarray) -> np.ndarray:
    """Return the half second with the most energy: keys take the place of the tone."""
    size = 4000
    starts = range(0, max(1, pcm.size - size), 400)
    best = max(
        starts, key=lambda start: float(np.square(pcm[start : start + size], dtype=float).sum())
    )
    return pcm[best : best + size]


@pytest.mark.e2e
def test_pjsua_calls_baresip_and_is_held(tmp_path: Path) -> None:
    record = str(tmp_path / "heard-{call}.wav")
    with (
        Baresip(BaresipSettings(tmp_path / "b", user="b", source="ausine,440")) as b,
        Pjsua(PjsuaSettings(user="a", record=record)) as a,
    ):
        call = a.call(b.uri)
        a.established(call)
        a.hold(call)
        a.wait_event("call_media", call=call, active=False)
        a.resume(call)
        a.wait_event("call_media", 2, call=call, active=True)
        a.has_heard(1.0, call)
        b.send_digits("9")
        assert a.digits() == "9"
        a.hang_up(call)
        b.closed()
    assert hears(read_wav(a.heard(call), 8000), 8000, 440)


@pytest.mark.e2e
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_baresip_registers(tmp_path: Path, registrar: LoneRegistrar, transport: str) -> None:
    settings = BaresipSettings(
        tmp_path, user="101", password="secret", domain=registrar.domain, transport=transport
    )
    with Baresip(settings):
        assert registrar.contacts("101")
    assert registrar.requests >= 1


@pytest.mark.e2e
@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_pjsua_registers_and_leaves(registrar: LoneRegistrar, tcp: bool) -> None:
    settings = PjsuaSettings(user="101", password="secret", domain=registrar.domain, tcp=tcp)
    with Pjsua(settings) as phone:
        assert len(registrar.contacts("101")) == 1
        phone.unregister()
        wait_until(lambda: not registrar.contacts("101"), "end of the registration")


@pytest.mark.e2e
def test_a_wrong_password_is_told_with_the_log(tmp_path: Path, registrar: LoneRegistrar) -> None:
    with (
        pytest.raises(PeerError, match="403"),
        Pjsua(PjsuaSettings(user="101", password="wrong", domain=registrar.domain)),
    ):
        pass
    with (
        pytest.raises(PeerError, match=r"(?s)was not registered.*403"),
        Baresip(BaresipSettings(tmp_path, user="101", password="wrong", domain=registrar.domain)),
    ):
        pass


@pytest.mark.e2e
def test_sipp_calls_sipp(tmp_path: Path) -> None:
    with Sipp(SippSettings(tmp_path, "uas")) as server:
        remote = f"{server.settings.address}:{server.settings.port}"
        client = SippSettings(
            tmp_path, "uac", remote, calls=20, rate=100, extra=("-d", "50", "-deadcall_wait", "0")
        )
        with Sipp(client) as calls:
            stats = calls.finish()
        assert (stats.created, stats.successful, stats.failed) == (20, 20, 0)
        assert server.is_running


@pytest.mark.e2e
def test_sipp_says_why_calls_failed(tmp_path: Path) -> None:
    with RawRtp() as nobody:  # a socket that answers nothing
        client = SippSettings(
            tmp_path,
            "uac",
            f"127.0.0.1:{nobody.port}",
            calls=1,
            timeout_s=5,
            extra=("-max_invite_retrans", "1", "-recv_timeout", "300", "-deadcall_wait", "0"),
        )
        with Sipp(client) as calls, pytest.raises(PeerError, match="1 of 1 calls failed"):
            calls.finish()


@pytest.mark.parametrize(
    "values",
    [{"calls": 10, "rate": 100_000.0}, {"calls": 0}, {"calls": 10**9}],
)
def test_sipp_runs_are_bounded(tmp_path: Path, values: dict) -> None:
    with pytest.raises(PeerError):
        Sipp(SippSettings(tmp_path, "uac", "127.0.0.1:5060", **values))


def test_raw_rtp_keeps_bytes_source_and_kernel_time() -> None:
    with RawRtp() as here, RawRtp() as there:
        assert here.port % 2 == there.port % 2 == 0
        for number in range(5):
            there.send(b"%d" % number, ("127.0.0.1", here.port))
        found = here.wait(5)
        assert [datagram.data for datagram in found] == [b"0", b"1", b"2", b"3", b"4"]
        assert {datagram.source for datagram in found} == {("127.0.0.1", there.port)}
        assert found[-1].at == pytest.approx(time.time(), abs=1.0)
        with pytest.raises(PeerError, match="5 of 6"):
            here.wait(6, timeout_s=0.01)


class Shell(PeerProcess):
    def __init__(self, script: str) -> None:
        super().__init__("shell")
        self.script = script

    def start(self) -> None:
        self.spawn(["sh", "-c", self.script])
        self.wait_for(lambda: "ready" in self.lines(), "ready", 5.0)


def test_errors_carry_the_tail_of_the_log() -> None:
    shell = Shell("echo the reason; exit 3")
    with pytest.raises(PeerError, match=r"(?s)shell.*ended before ready.*the reason"):
        shell.__enter__()


def test_a_child_that_ignores_term_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccengine.testing.peers.process._END_S", 0.1)
    with Shell("trap '' TERM; echo ready; while :; do sleep 0.05; done") as shell:
        pid = shell.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_program_that_is_missing_names_the_cure() -> None:
    process = PeerProcess("x")
    with pytest.raises(PeerError, match="make setup"):
        process.spawn(["/nonexistent/program"])


def test_addresses_and_ports_are_ones_own() -> None:
    assert loopback_address() != loopback_address()
    assert loopback_address().startswith("127.")
    assert free_port() > 0
    assert free_sip_port() > 0


async def test_waiting_names_what_did_not_come() -> None:
    with pytest.raises(AssertionError, match="no miracle"):
        wait_until(lambda: False, "miracle", 0.01)
    with pytest.raises(AssertionError, match="no miracle"):
        await wait_until_async(lambda: False, "miracle", 0.01)
