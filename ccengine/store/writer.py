"""The writer's process: everything about journal and database that may take its time.

``python -m ccengine.store.writer --journal DIR --url sqlite:///… [--keeper PATH]``

The main thread looks after the journal's files (:class:`Caretaker`), a second one copies
records to the database (:class:`Projector`), so a database that hangs delays neither fsync nor
the next segment.  On SIGTERM it copies what the journal has, as long as the database takes it,
and exits with 0.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from ccengine.clock import SystemClock
from ccengine.errors import CcengineError
from ccengine.journal.segment import DEFAULT_SEGMENT_BYTES, LOCK_NAME
from ccengine.keeper.client import KeeperClient
from ccengine.store.caretaker import Caretaker
from ccengine.store.projector import Projector

_log = logging.getLogger(__name__)

SYNC_EVERY_S = 0.25
_POLL_S = 0.2  # a record is in the database soon enough, and a busy hour costs fewer commits
_CATCH_UP_S = 5.0


class Writer:
    """The two threads of the writer and how they end."""

    def __init__(self, folder: Path, url: str, segment_bytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._clock = SystemClock()
        self._folder = folder
        self._caretaker = Caretaker(folder, segment_bytes, self._clock)
        self._projector = Projector(folder, url, self._clock.now)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._project, name="projector")

    def stop(self) -> None:
        """Begin to end; may be called from a signal handler."""
        self._stopping.set()

    def run(self, keeper: KeeperClient | None) -> None:
        """Work until :meth:`stop`, or as an orphan until the journal has no holder."""
        self._look_after()
        self._thread.start()
        if keeper is not None:
            keeper.ready()
        orphan = False
        while self._thread.is_alive() and not self._stopping.wait(SYNC_EVERY_S):
            self._look_after()
            said = keeper.receive() if keeper is not None else []
            orphan = orphan or "lost" in said
            if "stop" in said or (orphan and not _is_held(self._folder)):
                self.stop()
        failed = not self._thread.is_alive() and not self._stopping.is_set()
        self.stop()
        self._thread.join()
        self._look_after()
        self._caretaker.close()
        if failed:
            raise CcengineError("the projector ended", cure="see the traceback above")

    def _look_after(self) -> None:
        self._caretaker.step(
            store_down=self._projector.down, projected_seq=self._projector.next_seq
        )

    def _project(self) -> None:
        projector = self._projector
        try:
            while not self._stopping.is_set():
                if not projector.step():
                    self._stopping.wait(_POLL_S)
            projector.finish(self._clock.now() + _CATCH_UP_S)
        finally:
            projector.close()


def _is_held(folder: Path) -> bool:
    """Return whether the process that took the journal last still lives."""
    try:
        pid = int((folder / LOCK_NAME).read_text(encoding="ascii"))
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Return the options; wrong ones exit with status 2."""
    parser = argparse.ArgumentParser(prog="ccengine.store.writer")
    parser.add_argument("--journal", type=Path, required=True, help="folder of the journal")
    parser.add_argument("--url", required=True, help="database, such as sqlite:///calls.db")
    parser.add_argument("--keeper", type=Path, help="socket of the keeper")
    parser.add_argument(
        "--segment-bytes", type=int, default=DEFAULT_SEGMENT_BYTES, help="size of a segment"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the writer; return its exit status."""
    options = parse_arguments(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s writer[%(process)d] %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    keeper: KeeperClient | None = None
    try:
        writer = Writer(options.journal, options.url, options.segment_bytes)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: writer.stop())
        if options.keeper is not None:
            keeper = KeeperClient(options.keeper)
        else:
            keeper = KeeperClient.from_env()
        writer.run(keeper)
    except (CcengineError, OSError) as error:
        sys.stderr.write(f"ccengine: {error}\n")
        return 1
    finally:
        if keeper is not None:
            keeper.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
