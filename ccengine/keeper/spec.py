"""What the keeper keeps running: a JSON document, checked as a whole before anything starts.

::

    {"socket": "/run/ccengine/keeper.sock",
     "processes": [
       {"name": "signalling", "role": "signalling", "argv": ["…"], "spare": true},
       {"name": "media-0", "role": "media", "argv": ["…"], "env": {"A": "b"}},
       {"name": "writer", "role": "writer", "argv": ["…"], "stop_s": 30}],
     "restart": {"limit": 5, "rest_s": 30}}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from ccengine.errors import KeeperError

ROLES = ("signalling", "media", "writer")
"""The roles, in the order in which they are stopped."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RestartSpec:
    """How deaths are answered.

    A death within ``young_s`` of being ready, or before, counts.  The first is answered at
    once, the next after ``delay_s``, doubled each time up to ``max_delay_s``; after ``limit``
    of them the process rests for ``rest_s`` while the others run on.  A longer life forgives.
    """

    young_s: float = 10.0
    delay_s: float = 0.1
    max_delay_s: float = 5.0
    limit: int = 5
    rest_s: float = 30.0


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One process: what to run and when it counts as healthy.

    ``spare`` keeps a second one, started with ``--spare`` added to ``argv``, that takes over.
    ``heartbeat_s`` is the silence after which a ready process is killed, 0 for never (the
    default is 3 for signalling); ``start_s`` the time it may take to become ready once it is
    the active one; ``stop_s`` how long it may take to stop.
    """

    name: str
    role: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    spare: bool = False
    heartbeat_s: float = 0.0
    start_s: float = 60.0
    stop_s: float = 10.0


@dataclass(frozen=True, slots=True)
class KeeperSpec:
    """All processes and the path of the keeper's socket."""

    socket: Path
    processes: tuple[ProcessSpec, ...]
    restart: RestartSpec = RestartSpec()


def load_spec(path: Path) -> KeeperSpec:
    """Read and check a specification; raises :class:`KeeperError` with the place and cure."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise KeeperError(f"{path}: {error.strerror}", cure="check the path") from error
    except ValueError as error:
        raise KeeperError(f"{path}: no JSON: {error}") from error
    return parse_spec(document, str(path))


def parse_spec(document: Any, where: str = "spec") -> KeeperSpec:
    """Return the checked specification; raises :class:`KeeperError`."""
    top = _object(document, where, {"socket", "processes", "restart"})
    listed = top.get("processes")
    if not isinstance(listed, list) or not listed:
        raise KeeperError(f"{where}: 'processes' must be a list with at least one process")
    processes = tuple(
        _process(entry, f"{where}: processes[{index}]") for index, entry in enumerate(listed)
    )
    names = [process.name for process in processes]
    for name in names:
        if names.count(name) > 1:
            raise KeeperError(f"{where}: two processes are named {name!r}", cure="rename one")
    socket = Path(_typed(top, "socket", str, where))
    if len(str(socket)) > 107:
        raise KeeperError(f"{where}: 'socket' is longer than 107 bytes", cure="use /run or /tmp")
    place = f"{where}: restart"
    allowed = {one.name for one in fields(RestartSpec)}
    restart = _object(top.get("restart", {}), place, allowed)
    for key in restart:
        _number(restart, key, place)
    return KeeperSpec(socket, processes, RestartSpec(**restart))


def _process(entry: Any, where: str) -> ProcessSpec:
    values = _object(entry, where, {one.name for one in fields(ProcessSpec)})
    argv = _typed(values, "argv", list, where)
    if not argv or not all(isinstance(word, str) for word in argv):
        raise KeeperError(f"{where}: 'argv' must be a list of words, the program first")
    role = _typed(values, "role", str, where)
    if role not in ROLES:
        raise KeeperError(f"{where}: unknown role {role!r}", cure=f"use one of {', '.join(ROLES)}")
    env = _object(values.get("env", {}), f"{where}: env", None)
    if not all(isinstance(value, str) for value in env.values()):
        raise KeeperError(f"{where}: the values of 'env' must be texts")
    defaults = {
        "heartbeat_s": 3.0 if role == "signalling" else 0.0,
        "start_s": 60.0,
        "stop_s": 10.0,
    }
    times = {
        key: _number(values, key, where) if key in values else default
        for key, default in defaults.items()
    }
    return ProcessSpec(
        name=_typed(values, "name", str, where),
        role=role,
        argv=tuple(argv),
        env=env,
        cwd=_typed(values, "cwd", str, where) if "cwd" in values else None,
        spare=_typed(values, "spare", bool, where) if "spare" in values else False,
        **times,
    )


def _object(value: Any, where: str, allowed: set[str] | None) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise KeeperError(f"{where}: must be an object")
    unknown = sorted(set(value) - allowed) if allowed is not None else []
    if unknown:
        known = ", ".join(sorted(allowed or ()))
        raise KeeperError(f"{where}: unknown key {unknown[0]!r}", cure=f"known keys: {known}")
    return value


def _typed(values: Mapping[str, Any], key: str, kind: type[_T], where: str) -> _T:
    value = values.get(key)
    if not isinstance(value, kind) or value == "":
        raise KeeperError(f"{where}: {key!r} must be given as {kind.__name__}")
    return value


def _number(values: Mapping[str, Any], key: str, where: str) -> float:
    value = values[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise KeeperError(f"{where}: {key!r} must be a number, not below 0")
    return value
