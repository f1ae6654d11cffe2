"""Foreign peers for tests: baresip, pjsua2 and SIPp as children, and a raw RTP receiver.

Each is a context manager with a loopback address of its own; leaving it ends the child that it
started and no other.  Waiting methods return as soon as it happened; their errors end with the
tail of the peer's log.  They block: use ``asyncio.to_thread`` inside a running loop.
"""

from pathlib import Path


def pjsua_driver_path() -> Path:
    """Return the script that runs one pjsua2 endpoint."""
    return Path(__file__).with_name("pjsua_driver.py")
