"""On which machine, and of which code, figures were taken."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

_PACKAGES = ("msgspec", "numpy", "uvloop", "SQLAlchemy")


def cpu_model() -> str:
    """Return the processor's name."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def commit() -> str:
    """Return the commit of the source, with a plus when the tree differs from it."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        found = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=False
        )
        return found.stdout.strip()

    changed = "+" if git("status", "--porcelain", "--untracked-files=no") else ""
    return f"{git('rev-parse', '--short=12', 'HEAD')}{changed}"


def describe() -> dict[str, Any]:
    """Return everything that figures depend on."""
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
        "commit": commit(),
        "load_average": [round(one, 2) for one in os.getloadavg()],
    }


def short_name() -> str:
    """Return a name for files: processor and cores."""
    words = cpu_model().replace("(R)", "").replace("(TM)", "").split()
    plain = "-".join(words[:3]).lower()
    kept = "".join(letter for letter in plain if letter.isalnum() or letter == "-")
    return f"{kept}-{os.cpu_count()}c"
