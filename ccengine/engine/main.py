"""The process entry of signalling: ``python -m ccengine.engine.main --config FILE [--spare]``.

As a spare it imports and checks everything, then waits for the keeper's word to take over.
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
from ccengine.engine.signalling import Signalling
from ccengine.errors import CcengineError
from ccengine.keeper.client import KeeperClient
from ccengine.telemetry.log import configure_logging

_log = logging.getLogger("ccengine.signalling")

# Records of calls live for seconds and hold no cycles: looking for some at every 700th new
# object finds nothing and costs two per cent.
GC_THRESHOLDS = (10_000, 20, 20)


def main(argv: list[str] | None = None) -> int:
    """Run signalling until it is stopped; exit with 1 when it cannot begin."""
    parser = argparse.ArgumentParser(prog="ccengine-signalling")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--spare", action="store_true")
    arguments = parser.parse_args(argv)
    try:
        config = load_config(arguments.config, check_folders=False)
        configure_logging(config.settings.log.level, config.settings.log.format)
        keeper = KeeperClient.from_env()
        if arguments.spare and not _wait_for_turn(keeper):
            return 0
        uvloop.run(_run(config, keeper))
    except CcengineError as error:
        sys.stderr.write(f"ccengine: {error}\n")
        return 1
    return 0


def _wait_for_turn(keeper: KeeperClient | None) -> bool:
    """Wait as a spare; return whether this process is to take over."""
    if keeper is None:
        return True
    keeper.ready()
    while True:
        said = keeper.wait()
        if "activate" in said:
            return True
        if "stop" in said or "lost" in said:
            return False


async def _run(config: Config, keeper: KeeperClient | None) -> None:
    signalling = Signalling(config, keeper=keeper)
    await signalling.start()
    # What is alive now lives as long as the process: keep the collector away from it.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    if keeper is not None:
        await asyncio.to_thread(keeper.ready)
    _log.info("signalling is ready")
    await signalling.serve()


if __name__ == "__main__":
    sys.exit(main())
