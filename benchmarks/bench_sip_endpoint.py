"""CPU of one endpoint for one complete call: INVITE 180 200 ACK BYE 200, in memory.

Two endpoints hand each other their bytes; what each of them costs is measured alone, with the
timers of 32 s of calls still waiting as they do in production.  Run as
``python -m benchmarks.bench_sip_endpoint [--calls N] [--profile]``; one JSON object a line.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import json
import pstats
import resource
import tracemalloc
from time import process_time_ns
from typing import Any

from ccengine.ids import RandomIds
from ccengine.sip.endpoint import SipEndpoint
from ccengine.sip.flow import Flow
from ccengine.sip.output import InviteReceived, OutgoingInvite, Transmit
from ccengine.sip.settings import EndpointSettings

ALICE, BOB = ("192.0.2.1", 5060), ("192.0.2.2", 5060)
SDP = (
    b"v=0\r\no=- 3969521021 3969521021 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
    b"m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
)
RATE = 400.0


class Side:
    """One endpoint and the CPU time spent in it."""

    def __init__(self, address: tuple[str, int], peer: tuple[str, int]) -> None:
        self.facts: list[Any] = []
        self.endpoint = SipEndpoint(
            settings=EndpointSettings(),
            ids=RandomIds(),
            facts=self.facts,
            local_address=lambda _flow: address,
        )
        self.flow = Flow("UDP", "bench", peer)
        self.spent = 0
        self.received = 0
        self.sent = 0

    def take(self, wires: list[bytes], now: float, commands: Any = None) -> list[bytes]:
        """Receive messages, let the owner react, and return what goes out."""
        start = process_time_ns()
        endpoint = self.endpoint
        for wire in wires:
            endpoint.receive(wire, self.flow, now)
        out: list[bytes] = []
        others = []
        for output in endpoint.poll():
            if isinstance(output, Transmit):
                out.append(output.data)
            else:
                others.append(output)
        if commands is not None:
            commands(endpoint, others, now)
            out += [output.data for output in endpoint.poll() if isinstance(output, Transmit)]
        self.facts.clear()
        self.spent += process_time_ns() - start
        self.received += len(wires)
        self.sent += len(out)
        return out

    def tick(self, now: float) -> None:
        """Run the timers that are due."""
        start = process_time_ns()
        due = self.endpoint.next_timeout()
        if due is not None and due <= now:
            self.endpoint.handle_timeout(now)
        self.spent += process_time_ns() - start


def call(alice: Side, bob: Side, name: str, now: float) -> None:
    """Run one complete call."""
    command = OutgoingInvite(
        uri="sip:2000@192.0.2.2",
        flow=alice.flow,
        from_='"Alice" <sip:1000@192.0.2.1>',
        to="<sip:2000@192.0.2.2>",
        body=SDP,
        contact_user="1000",
    )

    def dial(endpoint: SipEndpoint, _outputs: list[Any], at: float) -> None:
        endpoint.invite(name, command, at)

    def answer(endpoint: SipEndpoint, outputs: list[Any], at: float) -> None:
        for output in outputs:
            if isinstance(output, InviteReceived):
                endpoint.provisional(output.session, 180, at)
                endpoint.accept(output.session, at, body=SDP)

    def hang_up(endpoint: SipEndpoint, _outputs: list[Any], at: float) -> None:
        endpoint.bye(name, at)

    responses = bob.take(alice.take([], now, dial), now, answer)
    bob.take(alice.take(responses, now), now)
    alice.take(bob.take(alice.take([], now, hang_up), now), now)


def run(calls: int) -> tuple[Side, Side]:
    """Run ``calls`` calls at :data:`RATE` in virtual time."""
    alice, bob = Side(ALICE, BOB), Side(BOB, ALICE)
    now = 1000.0
    for number in range(calls):
        now += 1 / RATE
        alice.tick(now)
        bob.tick(now)
        call(alice, bob, f"call{number}", now)
    return alice, bob


def report(metric: str, value: float, unit: str, **params: Any) -> None:
    """Print one result."""
    line = {
        "bench": "sip_endpoint",
        "metric": metric,
        "value": round(value, 2),
        "unit": unit,
        "params": params,
    }
    print(json.dumps(line))


def memory_per_finished_call(calls: int) -> float:
    """Return the bytes that one endpoint pair keeps for a finished call within 32 s of it."""
    run(200)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    sides = run(calls)
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert sides[0].endpoint.transaction_count > 0
    return (after - before) / calls


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=16_000)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--long", action="store_true", help="four times as many calls")
    arguments = parser.parse_args()
    if arguments.long:
        arguments.calls *= 4
    if arguments.profile:
        profile = cProfile.Profile()
        profile.enable()
        run(min(arguments.calls, 3000))
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
        return
    run(500)
    alice, bob = run(arguments.calls)
    for role, side in (("uac", alice), ("uas", bob)):
        report(
            "call_cpu_us",
            side.spent / arguments.calls / 1000,
            "us",
            role=role,
            messages=(side.received + side.sent) / arguments.calls,
            calls=arguments.calls,
        )
        waiting = side.endpoint.transaction_count
        report("transactions_waiting", waiting, "count", role=role, rate=RATE)
    report("finished_call_bytes", memory_per_finished_call(3000), "B", endpoints=2)
    report("max_rss", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MB")


if __name__ == "__main__":
    main()
