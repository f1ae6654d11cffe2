"""``python -m ccengine.media.main``: one media worker as a process of its own."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import resource
import signal
import sys
from pathlib import Path

from ccengine.errors import CcengineError
from ccengine.keeper.client import KeeperClient
from ccengine.media.settings import WorkerSettings
from ccengine.media.worker import Worker

_log = logging.getLogger(__name__)
_FIFO_PRIORITY = 10
_NICE = -11


def parse_arguments(arguments: list[str]) -> WorkerSettings:
    """Return the settings that the command line gives; exits with code 2 when it is wrong."""
    parser = argparse.ArgumentParser(prog="ccengine.media.main", description=__doc__)
    parser.add_argument("--name", required=True, help="name of the worker")
    parser.add_argument("--socket", required=True, type=Path, help="path of its control socket")
    parser.add_argument("--ports", default="20000-29999", help="range of RTP ports, LOW-HIGH")
    parser.add_argument("--bind", default="127.0.0.1", help="address that RTP is bound to")
    parser.add_argument("--leases", type=int, default=256, help="port pairs bound ahead")
    parser.add_argument("--quarantine-s", type=float, default=5.0, help="rest of a used port")
    parser.add_argument("--orphan-limit-s", type=float, default=3600.0, help="life without control")
    parser.add_argument("--rtcp-interval-s", type=float, default=5.0, help="between two reports")
    parser.add_argument("--core", type=int, default=None, help="pin to this core")
    parser.add_argument("--no-fifo", action="store_true", help="do not ask for real-time")
    parser.add_argument("--arena-mb", type=int, default=128, help="memory for encoded prompts")
    parser.add_argument("--recordings", type=int, default=1024, help="most recordings at once")
    given = parser.parse_args(arguments)
    low, _, high = given.ports.partition("-")
    if not (low.isdigit() and high.isdigit()):
        parser.error(f"--ports {given.ports}: write LOW-HIGH, such as 20000-29999")
    return WorkerSettings(
        name=given.name,
        socket=given.socket,
        bind=given.bind,
        port_min=int(low),
        port_max=int(high),
        leases_ahead=given.leases,
        quarantine_s=given.quarantine_s,
        orphan_limit_s=given.orphan_limit_s,
        rtcp_interval_s=given.rtcp_interval_s,
        core=given.core,
        fifo=not given.no_fifo,
        arena_mb=given.arena_mb,
        recordings=given.recordings,
    )


def claim_cpu(settings: WorkerSettings) -> str:
    """Pin and prioritise this process as far as the system allows; return what was got."""
    got = []
    if settings.core is not None:
        try:
            os.sched_setaffinity(0, {settings.core})
            got.append(f"core {settings.core}")
        except OSError as error:
            _log.warning("cannot pin to core %d: %s", settings.core, error.strerror)
    if settings.fifo and _real_time():
        got.append("fifo")
    else:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, _NICE)
            got.append(f"nice {_NICE}")
        except OSError:
            got.append("nice 0")
    return ", ".join(got)


def _real_time() -> bool:
    try:
        # Children (a loader that is started again) must not inherit it.
        policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, policy, os.sched_param(_FIFO_PRIORITY))
    except OSError:
        return False
    return True


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def main(arguments: list[str] | None = None) -> int:
    """Run a worker until SIGTERM; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        settings = parse_arguments(sys.argv[1:] if arguments is None else arguments)
        _raise_file_limit()
        worker = Worker(settings)
    except (CcengineError, OSError) as error:
        print(f"media worker cannot start: {error}", file=sys.stderr)  # noqa: T201
        return 1
    signal.signal(signal.SIGTERM, lambda *_: worker.stop())
    # The terminal's Ctrl-C is for the process that started us; it ends us by SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _log.info("media worker %s runs with %s", settings.name, claim_cpu(settings))
    # The tick makes no cycles; a collection would only make it late.
    gc.collect()
    gc.freeze()
    gc.disable()
    keeper = KeeperClient.from_env()
    if keeper is not None:
        keeper.ready()
    worker.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
