"""The worker's parts by themselves."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccengine.dsp.wav import write_wav
from ccengine.errors import MediaError
from ccengine.media.engine import BaseBatch
from ccengine.media.group import PTIMES_MS, row_bytes
from ccengine.media.lease import PortLeases
from ccengine.media.loader import Files, Space
from ccengine.media.main import parse_arguments
from ccengine.media.playout import Concealment, RoomClass
from ccengine.media.settings import WorkerSettings
from ccengine.media.tick import Lateness
from ccengine.media.udp import bind_udp, disconnect

HOST = "127.0.8.1"


# --- leases ---------------------------------------------------------------------------------------


def test_pairs_are_bound_ahead_rest_after_use_and_are_bound_afresh():
    bound = []
    leases = PortLeases(HOST, 21001, 21009, ahead=3, quarantine_s=5, on_bind=bound.append)
    assert leases.refill(0.0, batch=2) == (21002, 21004)
    assert leases.refill(0.1) == (21006,)
    assert leases.refill(0.2) == ()
    assert [pair.port for pair in bound] == [21002, 21004, 21006]
    pair = leases.take(21004)
    assert pair is not None
    assert pair.rtp.getsockname() == (HOST, 21004)
    assert pair.rtcp.getsockname() == (HOST, 21005)
    assert leases.take(21004) is None
    assert leases.refill(0.3) == (21008,)
    leases.release(pair, 1.0)
    assert pair.rtp.fileno() == -1
    other = leases.take(21006)
    assert other is not None
    other.close()
    assert leases.refill(5.9) == ()
    assert leases.refill(6.0) == (21004,)
    leases.close()


def test_a_port_of_the_range_that_is_not_bound_yet_can_be_taken():
    leases = PortLeases(HOST, 21010, 21019, ahead=1)
    leases.refill(0.0)
    pair = leases.take(21016)
    assert pair is not None
    assert leases.take(21040) is None
    assert leases.free == (21010,)
    pair.close()
    leases.close()


def test_ports_of_others_are_passed_over():
    taken = bind_udp(HOST, 21021)
    leases = PortLeases(HOST, 21020, 21025, ahead=2)
    assert leases.refill(0.0) == (21022,)
    assert leases.refill(0.0) == (21024,)
    taken.close()
    leases.close()


def test_when_every_port_is_taken_it_does_not_try_in_every_slot():
    others = [bind_udp(HOST, port) for port in (21110, 21112)]
    leases = PortLeases(HOST, 21110, 21113, ahead=2)
    assert leases.refill(0.0) == ()
    for sock in others:
        sock.close()
    assert leases.refill(0.05) == ()
    assert leases.refill(0.2) == (21110, 21112)
    leases.close()


# --- sockets and engine ---------------------------------------------------------------------------


def test_a_row_of_ports_of_another_engine_costs_no_waiting():
    others = [bind_udp(HOST, port) for port in range(21040, 21100, 2)]
    leases = PortLeases(HOST, 21040, 21109, ahead=4)
    found: list[int] = []
    try:
        for _ in range(20):  # all within one moment
            found += leases.refill(0.0)
        assert found == [21100, 21102, 21104, 21106]
    finally:
        leases.close()
        for sock in others:
            sock.close()


def test_a_disconnected_socket_keeps_its_port_and_takes_any_source():
    sock, first, second = (bind_udp(HOST, port) for port in (21030, 21032, 21034))
    sock.connect((HOST, 21032))
    second.sendto(b"no", (HOST, 21030))
    first.sendto(b"yes", (HOST, 21030))
    assert sock.recv(10) == b"yes"
    disconnect(sock)
    assert sock.getsockname() == (HOST, 21030)
    second.sendto(b"now", (HOST, 21030))
    assert sock.recv(10) == b"now"
    for each in (sock, first, second):
        each.close()


def test_base_engine_receives_one_datagram_a_row_and_survives_refusals():
    peer = bind_udp(HOST, 21040)
    socks = [bind_udp(HOST, 21042 + 2 * n) for n in range(3)]
    batch = BaseBatch()
    rx, tx = np.zeros((4, 64), np.uint8), np.zeros((4, 64), np.uint8)
    batch.rows(rx, tx, 20)
    for row, sock in enumerate(socks):
        batch.append()
        if row != 1:
            sock.connect((HOST, 21040))
            batch.connected(row, sock)
        else:
            batch.target(row, sock, (HOST, 21040))
    lengths = np.full(4, 7, np.int32)
    peer.sendto(b"a" * 30, (HOST, 21042))
    peer.sendto(b"b" * 10, (HOST, 21046))
    peer.sendto(b"b" * 11, (HOST, 21046))
    assert batch.rx(None, lengths) == 2
    assert lengths.tolist() == [30, 0, 10, 7]
    assert batch.rx({0, 1, 2}, lengths) == 1
    assert lengths.tolist()[2] == 11
    tx[:3] = np.arange(3)[:, np.newaxis]
    batch.tx([0, 1, 2])
    assert [peer.recv(64)[:1] for _ in range(3)] == [b"\x00", b"\x01", b"\x02"]
    batch.tx_size(2, 5)
    assert len(peer.recv(64)) == 5
    peer.close()
    for _ in range(3):
        batch.tx([0, 1, 2])
        batch.rx(None, lengths)
        assert lengths.tolist()[0] == 0
    batch.remove(0)
    batch.remove(1)
    batch.remove(0)
    assert batch.rx(None, lengths) == 0
    for sock in socks:
        sock.close()


@pytest.mark.parametrize("ptime_ms", PTIMES_MS)
def test_rows_hold_any_packet_up_to_sixty_ms(ptime_ms):
    width = row_bytes(ptime_ms)
    assert width >= 12 + 60 + 480
    assert width % 128 == 64


# --- mixing ---------------------------------------------------------------------------------------


@given(st.integers(2, 5), st.integers(1, 4), st.integers(0, 1000))
def test_mix_minus_is_the_sum_of_the_others(size, rooms, seed):
    random = np.random.default_rng(seed)
    pcm = random.integers(-32768, 32767, (size * rooms, 8)).astype(np.int16)
    order = random.permutation(size * rooms)
    places = order.reshape(rooms, size).tolist()
    out = np.zeros_like(pcm)
    RoomClass(places).mix(pcm, out)
    for room in places:
        for me in room:
            others = sum(pcm[other].astype(int) for other in room if other != me)
            assert (out[me] == np.clip(others, -32768, 32767)).all()


def test_missing_frames_repeat_and_fade():
    concealment = Concealment(2, 4)
    rows, pcm = np.array([0, 1]), np.full((2, 4), 8000, np.int16)
    concealment.apply(rows, pcm, np.array([True, True]))
    levels = []
    for _ in range(5):
        pcm = np.zeros((2, 4), np.int16)
        pcm[1] = 8000
        concealment.apply(rows, pcm, np.array([False, True]))
        levels.append(int(pcm[0, 0]))
        assert pcm[1, 0] == 8000
    assert levels == [4000, 2000, 1000, 0, 0]


# --- loader ---------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 3000)), max_size=60))
def test_space_never_gives_the_same_byte_twice(steps):
    space, used = Space(16384), {}
    for take, size in steps:
        if take:
            start = space.take(size)
            if start is not None:
                assert start + size <= 16384
                for other, length in used.items():
                    assert start + size <= other or other + length <= start
                used[start] = size
        elif used:
            start = sorted(used)[size % len(used)]
            del used[start]
            space.give(start)
    again = Space(16384)
    for start, size in used.items():
        again.keep(start, size)
    for start in used:
        again.give(start)
        space.give(start)
    assert space.take(16384) == 0
    assert again.take(16384) == 0


def test_a_file_that_changed_is_read_again(tmp_path: Path):
    path = tmp_path / "x.wav"
    write_wav(path, np.zeros(100, np.int16), 8000)
    files = Files()
    first = files.get(str(path), "PCMU", 0.0)
    assert files.get(str(path), "PCMU", 0.0) is first
    write_wav(path, np.zeros(200, np.int16), 8000)
    assert files.get(str(path), "PCMU", 0.0).size == 200


# --- settings, time -------------------------------------------------------------------------------


def test_ranges_that_the_system_uses_are_refused():
    with pytest.raises(MediaError, match="ephemeral"):
        WorkerSettings("m0", Path("x"), port_min=30000, port_max=40000)
    with pytest.raises(MediaError, match="no range"):
        WorkerSettings("m0", Path("x"), port_min=30000, port_max=20000)


def test_the_command_line_gives_settings(capsys):
    settings = parse_arguments(
        ["--name", "m1", "--socket", "/x", "--ports", "20000-20099", "--core", "1", "--no-fifo"]
    )
    assert (settings.port_min, settings.port_max, settings.core) == (20000, 20099, 1)
    assert not settings.fifo
    with pytest.raises(SystemExit):
        parse_arguments(["--name", "m1", "--socket", "/x", "--ports", "many"])
    assert "LOW-HIGH" in capsys.readouterr().err


def test_lateness_is_of_the_time_since_the_last_look():
    late = Lateness(16)
    for number in range(100):
        late.add(0.001 if number < 99 else 0.005, 0.002)
    p50, _, worst, done = late.take()
    assert p50 == pytest.approx(1)
    assert worst == pytest.approx(5)
    assert done == pytest.approx(2)
    assert late.take() == (0.0, 0.0, 0.0, 0.0)


def test_sockets_do_not_block():
    sock = bind_udp(HOST, 21050)
    assert sock.type & socket.SOCK_DGRAM
    with pytest.raises(BlockingIOError):
        sock.recv(1)
    sock.close()
