"""A network of one's own: what is sent to foreign addresses leaves no machine."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from ctypes import CDLL, get_errno
from subprocess import run

_CLONE_NEWNET = 0x40000000


def in_own_network(work: Callable[[], None], timeout_s: float = 100.0) -> None:
    """Run ``work`` in a thread that has a network namespace with loopback alone.

    Children that it starts live there as well.  Raises what ``work`` raises, OSError when
    this process may not make namespaces (that takes root, as ``unshare -n`` does).
    """
    raised: list[BaseException] = []

    def body() -> None:
        try:
            if CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
                raise OSError(get_errno(), os.strerror(get_errno()), "unshare")
            run(["ip", "link", "set", "lo", "up"], check=True, capture_output=True)
            work()
        except BaseException as error:
            raised.append(error)
            if not isinstance(error, Exception):
                raise

    thread = threading.Thread(target=body, name="own-network", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if thread.is_alive():
        raise TimeoutError(f"the work in its own network takes more than {timeout_s:g} s")
    if raised:
        raise raised[0]
