"""Faults break what they say, and undo themselves."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ccengine.testing.faults import (
    disk_with_room,
    file_size_limit,
    flip_byte,
    frozen,
    kill9,
    port_taken,
    read_only,
    tear,
)


def test_a_disk_with_little_room_is_full_soon(tmp_path: Path) -> None:
    with disk_with_room(tmp_path / "small", 256 << 10) as folder:
        file = folder / "file"
        with pytest.raises(OSError, match=r"No space left|too large"):
            file.write_bytes(bytes(1 << 20))
    (tmp_path / "small" / "file").write_bytes(bytes(1 << 20))


def test_a_limit_of_file_size_ends_with_the_block(tmp_path: Path) -> None:
    with file_size_limit(1000), pytest.raises(OSError, match="too large"):
        (tmp_path / "file").write_bytes(bytes(2000))
    (tmp_path / "file").write_bytes(bytes(2000))


def test_a_read_only_folder_refuses_root_too(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "old").write_text("kept")
    with read_only(folder):
        with pytest.raises(OSError, match=r"Read-only|Permission"):
            (folder / "new").write_text("")
        assert (folder / "old").read_text() == "kept"
    (folder / "new").write_text("")


def test_files_are_torn_and_flipped(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"abcdef")
    tear(file, 3)
    flip_byte(file, 1, 0x01)
    assert file.read_bytes() == b"acc"


def test_kill_9_waits_for_the_death_of_anybody() -> None:
    sleeper = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    # A grandchild: not ours to wait for.
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {sleeper!r}]).wait()",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    with frozen(pid):
        assert ") T " in Path(f"/proc/{pid}/stat").read_text()
    kill9(pid)
    assert parent.wait(10) == 0
    parent.stdout.close()
    assert not Path(f"/proc/{pid}").exists()
    kill9(pid)  # twice is all right


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
@pytest.mark.parametrize("host", ["127.0.31.2", "::1"])
def test_a_port_is_taken_for_as_long_as_the_block(host: str, kind: socket.SocketKind) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with (
        port_taken(host, kind=kind) as port,
        socket.socket(family, kind) as other,
        pytest.raises(OSError, match="in use"),
    ):
        other.bind((host, port))
    with socket.socket(family, kind) as other:
        other.bind((host, port))
