"""Attach, takeover, ports, reports and recordings of a worker."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from ccengine.dsp.wav import write_wav
from ccengine.errors import PortsExhaustedError
from ccengine.media.control import Codec, Digit, LegStats, LegWant, PlayDone, RecordingDone, Refused
from ccengine.media.link import MediaLink
from ccengine.media.link_record import EventsTaken, WantDropped, WantSet
from ccengine.rtp import rtcp
from ccengine.rtp.event import EventPayload
from ccengine.rtp.rtcp import ReportBlock, RtcpReport, SenderInfo


def random_pcm(count, seed):
    return np.random.default_rng(seed).integers(-20000, 20000, count).astype(np.int16)


def noise(number):
    return random_pcm(160, number)


def take_over(rig):
    """Replace signalling by one that knows nothing but the journal."""
    rig.disconnect()
    facts: list = []
    link = MediaLink(["m0"], facts)
    for fact in rig.facts:
        data = msgspec.msgpack.encode(fact)
        link.apply(msgspec.msgpack.decode(data, type=type(fact)))
    rig.facts, rig.link = facts, link


def test_media_goes_on_while_signalling_is_gone_and_events_wait(rig):
    a, b = rig.leg("a"), rig.leg("b")
    rig.bridge("a", "b")
    rig.talk(5, (a, noise), (b, noise))
    old = rig.link
    take_over(rig)
    rig.talk(20, (a, noise), (b, noise))
    assert len(b.audio()) == 25
    a.send(EventPayload(5, 800, end=True).pack(), pt=101)
    rig.pump(0.1)
    rig.events.clear()
    rig.connect()
    rig.until(lambda: bool(rig.of(Digit)))
    assert [event.digit for event in rig.of(Digit)] == ["5"]
    assert rig.link.wants() == old.wants()
    rig.talk(5, (a, noise), (b, noise))
    assert len(b.audio()) == 30
    rig.link.drop("a", "b", "bridge")
    rig.until(lambda: len(rig.of(LegStats)) == 2)


def test_acknowledged_events_are_not_told_again(rig):
    a = rig.leg("a")
    rig.talk(3, (a, noise))
    a.send(EventPayload(1, 800, end=True).pack(), pt=101)
    rig.until(lambda: bool(rig.of(Digit)))
    rig.pump(0.05)
    take_over(rig)
    rig.events.clear()
    rig.connect()
    rig.pump(0.1)
    assert rig.events == []


def test_a_new_signalling_process_drops_what_nobody_wants(rig):
    rig.leg("a")
    rig.disconnect()
    rig.link = MediaLink(["m0"], [])
    rig.connect()
    rig.until(lambda: bool(rig.of(LegStats)))


def test_an_old_epoch_is_refused_and_the_newest_wins(rig):
    rig.leg("a")
    first = rig.sock
    rig.link.detach("m0")
    rig.connect()
    deadline = time.monotonic() + 2
    while True:
        assert time.monotonic() < deadline
        try:
            if first.recv(70000) == b"":
                break
        except BlockingIOError:
            time.sleep(0.01)
    first.close()
    late = MediaLink(["m0"], [])
    late.attach("m0", rig.worker.epoch - 1)
    keep = rig.sock, rig.link
    rig.link = late
    rig.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    rig.sock.connect(str(rig.worker.path))
    rig.sock.setblocking(False)
    rig.until(lambda: bool(rig.closed))
    assert "epoch" in rig.closed[0].reason
    rig.sock.close()
    rig.sock, rig.link = keep
    rig.pump(0.05)
    assert rig.link.attached() == ("m0",)


def test_a_worker_that_dies_is_replaced_by_one_that_is_told_everything(make_rig):
    rig = make_rig()
    a, b = rig.leg("a"), rig.leg("b")
    rig.bridge("a", "b")
    rig.talk(5, (a, noise), (b, noise))
    rig.worker.kill()
    rig.disconnect()
    rig.worker.start()
    rig.process = rig.worker.process
    rig.connect()
    rig.talk(10, (a, noise), (b, noise))
    assert len(b.audio()) >= 14


def test_ports_run_out_and_come_back(make_rig):
    rig = make_rig(pairs=4, leases=16)
    rig.until(lambda: rig.link.free_ports() == 4)
    for number in range(4):
        rig.leg(f"leg{number}")
    with pytest.raises(PortsExhaustedError):
        rig.link.lease("u")
    rig.until(lambda: rig.link.loads() != {} and rig.link.loads()["m0"].free_ports == 0, 3)
    rig.link.drop("leg0")
    rig.until(lambda: rig.link.free_ports() == 1)
    port = rig.link.lease("u")
    rig.link.free(port)
    assert rig.link.free_ports() == 1
    assert rig.link.leased_ports() == 0


def test_a_port_out_of_the_range_is_refused(rig):
    rig.leg("x")
    rig.link.want(LegWant("a", 0, "u", 40000, Codec("PCMU", 0)))
    rig.until(lambda: bool(rig.of(Refused)))
    assert "40000" in rig.of(Refused)[0].error


def test_sender_reports_are_sent_and_receiver_reports_are_heard(rig):
    """:rfc:`3550` section 6.4: SR with our counts, their RR gives loss and round trip."""
    a, b = rig.leg("a"), rig.leg("b")
    rig.bridge("a", "b")
    rig.talk(80, (a, noise), (b, noise))
    reports = [rtcp.parse(data) for data in a.rtcp_got]
    assert reports
    report = reports[-1]
    assert report.sender is not None
    assert report.ssrc == a.audio()[0].ssrc
    assert 20 <= report.sender.packets <= 80
    assert report.sender.octets == 160 * report.sender.packets
    assert report.cname
    assert report.blocks[0].ssrc == a.ssrc
    assert report.blocks[0].lost == 0
    answer = RtcpReport(
        a.ssrc,
        SenderInfo(rtcp.ntp_time(time.time()), 0, 1, 160),
        (ReportBlock(report.ssrc, 64, 5, 100, 8, rtcp.middle_ntp(report.sender.ntp), 65536 // 4),),
        "peer",
    )
    rig.pump(0.3)
    a.rtcp.sendto(rtcp.build(answer), (a.to[0], a.to[1] + 1))
    rig.pump(0.1)
    rig.link.drop("a")
    rig.until(lambda: bool(rig.of(LegStats)))
    stats = rig.of(LegStats)[0]
    assert stats.loss_remote == 0.25
    assert 0 <= stats.round_trip_ms < 3000
    rig.pump(0.05)
    assert rtcp.parse(a.rtcp_got[-1]).bye == (report.ssrc,)
    assert stats.sent == 80
    assert stats.received == 80


def test_a_recording_has_the_caller_left_and_the_agent_right_in_sync(rig, tmp_path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    a, b = rig.leg("a"), rig.leg("b")
    rig.bridge("a", "b")
    rig.record("rec", "a", "b", folder)
    click = np.full(160, 12000, np.int16)
    quiet = np.zeros(160, np.int16)
    rig.talk(
        75,
        (a, lambda n: click if n in (25, 60) else quiet),
        (b, lambda n: click if n in (25, 40) else quiet),
    )
    rig.link.drop("rec")
    rig.until(lambda: bool(rig.of(RecordingDone)))
    done = rig.of(RecordingDone)[0]
    assert done.error == ""
    assert done.duration_s == pytest.approx(1.65, abs=0.25)
    data = Path(done.files[0]).read_bytes()
    start = data.index(b"data") + 8
    both = np.frombuffer(data[start:], np.uint8).reshape(-1, 2)
    assert len(done.files) == 1
    left, right = (np.flatnonzero(side != 0xFF) for side in both.T)
    first_left, first_right = left[0], right[0]
    assert abs(int(first_left) - int(first_right)) <= 160, "more than 20 ms out of sync"
    second_left, second_right = (
        left[left > first_left + 160][0],
        right[right > first_right + 160][0],
    )
    assert second_left - first_left == 160 * 35
    assert second_right - first_right == 160 * 15


def test_a_recording_folder_that_cannot_be_written_ends_in_an_error_not_in_silence(rig, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    a, b = rig.leg("a"), rig.leg("b")
    rig.bridge("a", "b")
    rig.record("bad", "a", "b", blocked)
    rig.talk(20, (a, noise), (b, noise))
    assert len(a.audio()) == 20
    rig.link.drop("bad")
    rig.until(lambda: bool(rig.of(RecordingDone)) or bool(rig.of(Refused)))
    assert (rig.of(RecordingDone) or rig.of(Refused))[0].error


def test_sigterm_ends_a_worker_and_its_helpers(make_rig):
    rig = make_rig()
    pid = rig.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert len(children) == 2
    rig.worker.close()
    assert not any(Path(f"/proc/{child}").exists() for child in children)


def test_facts_are_few_and_decodable(rig):
    a = rig.leg("a")
    rig.talk(3, (a, noise))
    rig.link.drop("a")
    rig.until(lambda: bool(rig.of(LegStats)))
    rig.pump(0.02)
    kinds = [type(fact) for fact in rig.facts]
    assert kinds.count(WantSet) == 1
    assert kinds.count(WantDropped) == 1
    assert kinds.count(EventsTaken) == 2


def test_an_orphan_ends(make_rig):
    rig = make_rig("--orphan-limit-s", "0.5", attach=False)
    deadline = time.monotonic() + 10
    while rig.process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert rig.process.returncode == 0


def test_a_drained_worker_ends_after_its_last_leg(make_rig):
    rig = make_rig()
    rig.leg("a")
    rig.link.drain()
    rig.pump(1.2)
    assert rig.process.poll() is None
    rig.link.drop("a")
    rig.pump(0.1)
    rig.until(lambda: rig.process.poll() is not None)
    rig.process.communicate()


def test_a_loader_that_dies_is_started_again_and_music_goes_on(make_rig, tmp_path):
    music = tmp_path / "music.wav"
    write_wav(music, random_pcm(8000, 1), 8000)
    rig = make_rig()
    a = rig.leg("a")
    rig.play("music", "a", music, loop=True)
    rig.until(lambda: len(a.got) > 3)
    pid = rig.process.pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        if b"loader" in Path(f"/proc/{child}/cmdline").read_bytes():
            os.kill(int(child), signal.SIGKILL)
    count = len(a.got)
    other = tmp_path / "other.wav"
    write_wav(other, random_pcm(800, 2), 8000)
    rig.play("other", "a", other)
    rig.until(lambda: bool(rig.of(PlayDone)))
    assert rig.of(PlayDone)[0].error == ""
    assert len(a.got) > count + 5
    rig.pump(0.1)
    seqs = np.diff(np.array([p.sequence for p in a.audio()], np.uint16))
    stamps = np.diff(np.array([p.timestamp for p in a.audio()], np.uint32))
    assert set(seqs.tolist()) == {1}
    assert set(stamps.tolist()) == {160}


def test_garbage_on_the_control_socket_harms_nobody(rig):
    a, b = rig.leg("a"), rig.leg("b")
    rig.bridge("a", "b")
    rig.sock.send(b"\xc1garbage")
    stranger = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stranger.connect(str(rig.worker.path))
    stranger.send(msgspec.msgpack.encode(["Drops", ["a"]]))
    rig.talk(5, (a, noise), (b, noise))
    stranger.close()
    assert len(b.audio()) == 5
