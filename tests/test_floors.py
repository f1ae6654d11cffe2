"""Imports go down only: the floors of the house, enforced."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "ccengine"

FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"errors", "ids", "clock", "units", "events", "ports", "revision"}),
    frozenset({"sip", "sdp", "rtp", "dsp", "dialplan", "acd", "stats", "keeper"}),
    frozenset({"net", "media", "journal", "store", "hooks", "bus"}),
    frozenset({"center", "call", "phone"}),
    frozenset({"engine", "api", "cli", "config", "telemetry", "plugins", "testing", "plugin"}),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

# Rooms of one floor that may know each other; every pair has its reason.
SIBLINGS = {
    ("center", "call"),  # queues stand on calls; call never knows center
    ("store", "journal"),  # projections are folds over the journal
}
# Floor 4 builds everything: its rooms may know each other, but plugins only their face.
PURE_FORBIDDEN = {"asyncio", "socket", "time", "selectors", "threading", "subprocess"}
NUMPY_ROOMS = {"rtp", "dsp", "media", "phone", "testing"}
ONLY_IN = {
    "numpy": NUMPY_ROOMS,
    "sqlalchemy": {"store", "plugins", "plugin", "engine"},
    "alembic": {"store"},
    "yaml": {"config", "dialplan"},
}


def room_of(path: Path) -> str:
    relative = path.relative_to(ROOT)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports_of(path: Path) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write imports in full"
            module = node.module or ""
            if module == "ccengine":
                found += [(node.lineno, f"ccengine.{alias.name}") for alias in node.names]
            else:
                found.append((node.lineno, module))
    return found


MODULES = sorted(
    path for path in ROOT.rglob("*.py") if path.parent != ROOT or path.stem != "__init__"
)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_only(path: Path) -> None:
    room = room_of(path)
    if room == "__main__":
        return
    floor = FLOOR_OF[room]
    for line, module in imports_of(path):
        where = f"{path}:{line}: {module}"
        head, _, rest = module.partition(".")
        if head != "ccengine":
            if floor == 0 or room == "keeper":
                assert head in __import__("sys").stdlib_module_names, (
                    f"{where}: standard library only"
                )
            if floor == 1 and room != "keeper":
                assert head not in PURE_FORBIDDEN, f"{where}: this room is pure"
            if head in ONLY_IN:
                assert room in ONLY_IN[head], f"{where}: {head} does not live in {room}"
            continue
        other = rest.partition(".")[0]
        if not other or other == room:  # the package's version, or one's own room
            continue
        if room == "plugins":
            assert other == "plugin", f"{where}: a plugin imports ccengine.plugin alone"
            continue
        if room == "keeper":
            assert other == "errors", f"{where}: the keeper imports errors alone"
            continue
        if floor == 4:
            assert other != "plugins", f"{where}: plugins are found by entry point"
            continue
        allowed = FLOOR_OF[other] < floor or (room, other) in SIBLINGS
        assert allowed, f"{where}: {room} (floor {floor}) may not import {other}"


def test_every_room_stands_on_a_floor() -> None:
    rooms = {room_of(path) for path in MODULES} - {"__main__"}
    assert rooms <= set(FLOOR_OF)
