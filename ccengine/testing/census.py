"""What a process holds: open files, memory, children, as the kernel tells it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Census:
    """One process at one moment; ``rss_kb`` is resident memory."""

    pid: int
    name: str
    files: int
    rss_kb: int
    threads: int


def census(pid: int) -> Census:
    """Count what a process holds; FileNotFoundError when it is gone."""
    folder = Path(f"/proc/{pid}")
    fields = dict(
        line.split(":", 1) for line in (folder / "status").read_text("utf-8").splitlines()
    )
    return Census(
        pid=pid,
        name=command_line(pid),
        files=sum(1 for _ in (folder / "fd").iterdir()),
        rss_kb=int(fields["VmRSS"].split()[0]) if "VmRSS" in fields else 0,
        threads=int(fields["Threads"]),
    )


def command_line(pid: int) -> str:
    """Return a process's command line, empty when it is gone."""
    try:
        data = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return data.replace(b"\0", b" ").decode("utf-8", "replace").strip()


def descendants(pid: int) -> list[int]:
    """Return the living children of a process, and theirs."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(text) for text in task.read_text("ascii").split()]
        except OSError:
            continue
        for child in children:
            found += [child, *descendants(child)]
    return found
