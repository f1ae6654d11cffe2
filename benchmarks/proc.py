"""Processes of a running engine as the kernel sees them: who they are, what they cost."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_ROLES = {
    "ccengine.keeper.main": "keeper",
    "ccengine.media.main": "media",
    "ccengine.media.recording_process": "recording",
    "ccengine.store.writer": "writer",
}


def cpu_s(pid: int) -> float:
    """Return the processor seconds of a process, user and system."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process in MB."""
    pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        text = (task / "children").read_text(encoding="ascii")
        found.extend(int(child) for child in text.split())
    return found


def _role(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    return next((_ROLES[word] for word in words if word in _ROLES), "")


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes of one engine by role; several of one role count together."""

    by_role: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, keeper: int, signalling: int) -> Processes:
        """Find everything that the keeper started; ``signalling`` is the active one of two."""
        found: dict[str, list[int]] = {"signalling": [signalling]}
        parents: dict[int, str] = {keeper: "keeper"}
        while parents:
            pid, role = parents.popitem()
            if pid != signalling:
                found.setdefault(role, []).append(pid)
            for child in _children(pid):
                # What is of no role of its own works for its parent; a waiting signalling
                # process is the spare.
                fallback = "spare" if role == "keeper" else role
                parents[child] = _role(child) or fallback
        return cls({role: tuple(pids) for role, pids in found.items()})

    def cpu_s(self) -> dict[str, float]:
        """Return the processor seconds of each role."""
        return {role: sum(cpu_s(pid) for pid in pids) for role, pids in self.by_role.items()}

    def rss_mb(self) -> dict[str, float]:
        """Return the resident memory of each role in MB."""
        return {role: sum(rss_mb(pid) for pid in pids) for role, pids in self.by_role.items()}
