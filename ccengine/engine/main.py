"""The process entry of signalling: ``python -m ccengine.engine.main --config FILE [--spare]``.

As a spare it imports and loads everything, then waits for the keeper's word to take over: what
is left to do then is the journal, the sockets and the workers.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import sys
from pathlib import Path

import uvloop

from ccengine.config.loader import Config, load_config
from ccengine.engine.kept import KeptConfig
from ccengine.engine.parts import load_hooks
from ccengine.engine.signalling import Signalling
from ccengine.errors import CcengineError
from ccengine.keeper.client import KeeperClient
from ccengine.telemetry.log import configure_logging

_log = logging.getLogger("ccengine.signalling")

# Records of calls live for seconds and hold no cycles: looking for some at every 700th new
# object finds nothing and costs two per cent.
GC_THRESHOLDS = (10_000, 20, 20)

LOOK_S = 1.0
"""How often a spare looks whether the running engine has reloaded its configuration."""


def main(argv: list[str] | None = None) -> int:
    """Run signalling until it is stopped; exit with 1 when it cannot begin."""
    parser = argparse.ArgumentParser(prog="ccengine-signalling")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--kept", type=Path, help="what the predecessor ran, if it is there")
    parser.add_argument("--spare", action="store_true")
    arguments = parser.parse_args(argv)
    try:
        loaded = Loaded(arguments.config, arguments.kept)
        keeper = KeeperClient.from_env()
        if arguments.spare and keeper is not None and not _wait_for_turn(keeper, loaded):
            return 0
        uvloop.run(_run(loaded, keeper))
    except CcengineError as error:
        sys.stderr.write(f"ccengine: {error}\n")
        return 1
    return 0


class Loaded:
    """Configuration and plugins, loaded before they are needed.

    What the predecessor kept counts; the files do where nothing is kept, as for an engine
    without keeper.
    """

    def __init__(self, path: Path, kept: Path | None) -> None:
        self.kept = KeptConfig(kept) if kept is not None else None
        self._stamp = self.kept.stamp() if self.kept is not None else None
        self.config = self._load(path)
        configure_logging(self.config.settings.log.level, self.config.settings.log.format)
        self.hooks = load_hooks(self.config)

    def _load(self, path: Path) -> Config:
        if self.kept is not None and self._stamp is not None:
            try:
                return self.kept.load()
            except CcengineError as error:
                sys.stderr.write(f"ccengine: {error}; reading {path}\n")
        return load_config(path, check_folders=False)

    def refresh(self) -> None:
        """Load again what the running engine has reloaded; on an error keep what there is."""
        if self.kept is None or self.kept.stamp() == self._stamp:
            return
        self._stamp = self.kept.stamp()
        try:
            self.config = self.kept.load()
            self.hooks = load_hooks(self.config)
        except CcengineError as error:
            _log.error("the spare keeps the configuration that it has: %s", error)


def _wait_for_turn(keeper: KeeperClient, loaded: Loaded) -> bool:
    """Wait as a spare; return whether this process is to take over."""
    _freeze()
    keeper.ready()
    while True:
        said = keeper.wait(LOOK_S)
        if "stop" in said or "lost" in said:
            return False
        loaded.refresh()
        if "activate" in said:
            return True


def _freeze() -> None:
    # What is alive now lives as long as the process: keep the collector away from it.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


async def _run(loaded: Loaded, keeper: KeeperClient | None) -> None:
    signalling = Signalling(loaded.config, keeper=keeper, hooks=loaded.hooks, kept=loaded.kept)
    await signalling.start()
    if keeper is not None:
        await asyncio.to_thread(keeper.ready)
    _log.info("signalling is ready")
    _freeze()
    await signalling.serve()


if __name__ == "__main__":
    sys.exit(main())
