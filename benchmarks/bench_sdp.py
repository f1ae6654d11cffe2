"""What negotiating a session costs, in microseconds of one core.

Prints one JSON object a line: ``{"bench", "metric", "value", "unit", "params"}``.  Every
description differs from the one before by its port, as the offers of a real day do.
"""

from __future__ import annotations

import argparse
import json
import sys
import timeit
from collections.abc import Callable, Iterator
from itertools import count

from ccengine.sdp import LocalMedia, Negotiation, SessionDescription

OFFER = (
    b"v=0\r\no=- 3908 3908 IN IP4 192.168.1.20\r\ns=call\r\nc=IN IP4 192.168.1.20\r\nt=0 0\r\n"
    b"m=audio %d RTP/AVP 8 0 9 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
    b"a=rtpmap:9 G722/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n"
    b"a=ptime:20\r\na=sendrecv\r\n"
)
PORTS = range(10_000, 30_000)


def _microseconds(work: Callable[[], object], rounds: int = 2000) -> float:
    """Return the time of the quietest of seven rounds."""
    return min(timeit.repeat(work, number=rounds, repeat=7)) / rounds * 1e6


def _cases() -> Iterator[tuple[str, float]]:
    numbers = count()

    def port() -> int:
        return PORTS[next(numbers) % len(PORTS)]

    local = LocalMedia("10.0.0.1", 20_000)
    offered, _ = Negotiation(1).create_offer(local)
    description = SessionDescription.parse(OFFER % 10_000)
    yield "parse_us", _microseconds(lambda: SessionDescription.parse(OFFER % port()))
    yield "encode_us", _microseconds(description.encode)
    yield (
        "offer_us",
        _microseconds(lambda: Negotiation(1).create_offer(LocalMedia("10.0.0.1", port()))),
    )
    yield (
        "answer_us",
        _microseconds(lambda: Negotiation(1).receive_offer(OFFER % port()).create_answer(local)),
    )
    yield "receive_answer_us", _microseconds(lambda: offered.receive_answer(OFFER % port()))


def main() -> None:
    """Run every case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", action="store_true", help="changes nothing: this is short")
    parser.parse_args()
    for metric, value in _cases():
        line = {
            "bench": "sdp",
            "metric": metric,
            "value": round(value, 2),
            "unit": "us",
            "params": {"python": sys.version.split()[0]},
        }
        print(json.dumps(line))


if __name__ == "__main__":
    main()
