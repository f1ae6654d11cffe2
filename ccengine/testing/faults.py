"""Faults on purpose: full disks, read-only folders, torn files, killed processes, taken ports.

Everything here undoes itself: context managers restore what they broke.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ccengine.testing.waiting import wait_until


def kill9(pid: int, limit_s: float = 10.0) -> None:
    """Kill one process without warning and wait until it is dead, whoever its parent is.

    A process that is already gone is all right; TimeoutError if it does not die in time.
    """
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        # A pidfd becomes readable when its process ends, before anybody has reaped it.
        if not select.select([pidfd], [], [], limit_s)[0]:
            raise TimeoutError(f"process {pid} did not die within {limit_s} s")
    finally:
        os.close(pidfd)


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop one process (SIGSTOP) for the length of the block, unless it dies meanwhile.

    The block begins once it really stands still.
    """
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: _state(pid) in "TtZX", f"stop of process {pid}")
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _state(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "X"
    return stat.rpartition(")")[2].split()[0]


def can_mount() -> bool:
    """Return whether this process may mount file systems."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(line.split()[1], 16) >> 21 & 1)  # CAP_SYS_ADMIN


@contextlib.contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """Make ``folder`` a disk of its own with room for ``size_bytes``; needs :func:`can_mount`."""
    folder.mkdir(parents=True, exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=755", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        _run("umount", "--lazy", str(folder))


@contextlib.contextmanager
def file_size_limit(size_bytes: int) -> Iterator[None]:
    """Let no file of this process, or of children started now, grow beyond ``size_bytes``."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def disk_with_room(folder: Path, size_bytes: int) -> Iterator[Path]:
    """Give ``folder`` little room: a disk of its own if we may mount, else a limit for files.

    The limit is not the same: it holds for each file by itself, and for this process too.
    """
    if can_mount():
        with small_disk(folder, size_bytes):
            yield folder
        return
    folder.mkdir(parents=True, exist_ok=True)
    with file_size_limit(size_bytes):
        yield folder


@contextlib.contextmanager
def filled(folder: Path, leave_bytes: int = 0) -> Iterator[None]:
    """Fill the disk that ``folder`` is on, a :func:`small_disk`, but for ``leave_bytes``."""
    ballast = folder / ".ballast"
    space = os.statvfs(folder)
    size = space.f_bavail * space.f_frsize - leave_bytes
    if size > 64 << 20:
        raise ValueError(f"{folder} is on a disk too large to be filled")
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, size))
    try:
        yield
    finally:
        ballast.unlink()


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Refuse every write below ``folder``, to root as well.

    Root ignores permission bits, so where we may mount, the folder is mounted over itself
    read-only.  Files that are open for writing already keep taking writes.
    """
    if can_mount():
        _run("mount", "--bind", str(folder), str(folder))
        try:
            _run("mount", "-o", "remount,bind,ro", str(folder))
            yield
        finally:
            _run("umount", "--lazy", str(folder))
        return
    mode = folder.stat().st_mode
    folder.chmod(0o555)
    try:
        yield
    finally:
        folder.chmod(mode)


def tear(path: Path, size: int) -> None:
    """Cut a file off after ``size`` bytes, as a crash in the middle of a write does."""
    os.truncate(path, size)


def flip_byte(path: Path, offset: int, mask: int = 0xFF) -> None:
    """Flip the bits of ``mask`` in one byte of a file."""
    with path.open("r+b", buffering=0) as file:
        file.seek(offset)
        value = file.read(1)[0]
        file.seek(offset)
        file.write(bytes((value ^ mask,)))


@contextlib.contextmanager
def port_taken(
    host: str, port: int = 0, kind: socket.SocketKind = socket.SOCK_DGRAM
) -> Iterator[int]:
    """Hold a port so that nobody else can bind it; yield its number (0 picks a free one)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as holder:
        holder.bind((host, port))
        if kind == socket.SOCK_STREAM:
            holder.listen(1)
        yield holder.getsockname()[1]


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=20)
