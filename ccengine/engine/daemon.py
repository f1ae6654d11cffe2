"""``ccengine run``: the keeper with everything that it starts and watches."""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any, NoReturn

from ccengine.config.loader import Config
from ccengine.engine.kept import KEPT_NAME, KeptConfig, Sources
from ccengine.engine.parts import worker_names, worker_socket
from ccengine.engine.preflight import preflight
from ccengine.engine.signalling import BYE_LIMIT_S
from ccengine.errors import CcengineError

FILES_PER_LEG = 2  # RTP and RTCP


def keeper_socket(config: Config) -> Path:
    """Return the path of the keeper's socket."""
    return config.settings.run.folder / "keeper.sock"


def keeper_spec(config: Config) -> dict[str, Any]:
    """Return what the keeper is to run for a configuration."""
    settings = config.settings
    python = sys.executable
    path = str(config.path.resolve())
    processes: list[dict[str, Any]] = [
        {
            "name": "signalling",
            "role": "signalling",
            "argv": [
                python,
                "-m",
                "ccengine.engine.main",
                "--config",
                path,
                "--kept",
                str(settings.run.folder / KEPT_NAME),
            ],
            "spare": True,
            "start_s": 600,  # a long journal takes its time to be replayed
            "stop_s": settings.run.drain_s + BYE_LIMIT_S + 10,
        }
    ]
    processes += [
        {"name": name, "role": "media", "argv": _media_argv(config, number, name)}
        for number, name in enumerate(worker_names(config))
    ]
    processes.append(
        {
            "name": "writer",
            "role": "writer",
            "argv": [
                python,
                "-m",
                "ccengine.store.writer",
                "--journal",
                str(settings.journal.folder),
                "--url",
                settings.store.url,
                "--segment-bytes",
                str(settings.journal.segment_mb << 20),
            ],
            "stop_s": 30,
        }
    )
    return {"socket": str(keeper_socket(config)), "processes": processes}


def _media_argv(config: Config, number: int, name: str) -> list[str]:
    media = config.settings.media
    pairs = media.ports.pairs // media.workers
    first = media.ports.first + 2 * pairs * number
    argv = [
        sys.executable,
        "-m",
        "ccengine.media.main",
        "--name",
        name,
        "--socket",
        str(worker_socket(config, name)),
        "--bind",
        media.host,
        "--ports",
        f"{first}-{first + 2 * pairs - 1}",
    ]
    if media.pin:
        argv += ["--core", str(number % (os.cpu_count() or 1))]
    return argv


def raise_file_limit() -> int:
    """Take as many open files as the system gives; return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def make_folder(folder: Path, key: str) -> None:
    """Make a folder that the configuration names by ``key``."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CcengineError(f"{folder}: {error.strerror}", cure=f"correct {key}") from error


def _keep(config: Config) -> None:
    """Keep what was checked just now: from here on nobody reads the files unless told to."""
    sources = Sources()
    path = config.path.resolve()
    for file in (path, *config.settings.dialplan.files):
        sources.read(file)
    KeptConfig(config.settings.run.folder / KEPT_NAME).save(path, sources.texts)


def run(config: Config) -> NoReturn:
    """Become the keeper; returns never, raises :class:`CcengineError` when it cannot begin."""
    folder = config.settings.run.folder
    preflight(config)
    spec = folder / "keeper.json"
    make_folder(folder, "run.folder")
    make_folder(config.settings.journal.folder, "journal.folder")
    try:
        spec.write_text(json.dumps(keeper_spec(config), indent=1), encoding="utf-8")
        _keep(config)
    except OSError as error:
        raise CcengineError(f"{spec}: {error.strerror}", cure="correct run.folder") from error
    raise_file_limit()
    os.execv(sys.executable, [sys.executable, "-m", "ccengine.keeper.main", str(spec)])  # noqa: S606
