"""How fast the queue engine decides, with many waiting and many agents.

Run as ``python -m benchmarks.bench_acd [--profile] [--long]``; one JSON object a line.

``decision`` is one event that makes a match possible, up to the polled offer: an agent who
becomes free while callers wait, and a caller who arrives while agents are idle.  Agents serve
three of twenty queues and differ in skills; callers require one of eight sets of skills.
``day`` is a day of calls in virtual time with ringing, refusals, no answers and wrap-up.
"""

from __future__ import annotations

import argparse
import cProfile
import heapq
import json
import pstats
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import perf_counter, perf_counter_ns
from typing import Any

from ccengine.acd.engine import AcdEngine
from ccengine.acd.output import Connect, EntryLeft, OfferCall
from ccengine.acd.record import EntryRequest, Requirement
from ccengine.acd.settings import AcdSettings, AgentSettings, Membership, QueueSettings
from ccengine.ids import RandomIds

QUEUES = 20
ORIGIN = datetime(2026, 1, 5, tzinfo=UTC)
NEEDS = tuple(
    (Requirement(skills),)
    for skills in (
        (), (("zh", 1),), (("zh", 3),), (("en", 1),), (("en", 2),),
        (("en", 1), ("zh", 1)), (("vip", 1),), (("tech", 2), ("zh", 1)),
    )
)  # fmt: skip


def report(metric: str, value: float, unit: str, **params: object) -> None:
    line = {"bench": "acd", "metric": metric, "value": round(value, 4), "unit": unit}
    print(json.dumps({**line, "params": params}), flush=True)


def settings_of(agents: int, chance: random.Random, **fields: Any) -> AcdSettings:
    """Return queues and agents; every agent knows a mixture of skills of his own."""
    queues = tuple(QueueSettings(f"q{n}", **fields) for n in range(QUEUES))
    people = []
    for number in range(agents):
        served = [number % QUEUES, *chance.sample(range(QUEUES), 2)]
        members = tuple(
            Membership(f"q{queue}", order) for order, queue in enumerate(dict.fromkeys(served))
        )
        known = {"zh": 3, "en": chance.randint(1, 3), "vip": 1, "tech": chance.randint(2, 3)}
        people.append(AgentSettings(f"a{number}", "", members, known))
    return AcdSettings(queues, tuple(people))


@dataclass
class Floor:
    """An engine with its virtual clock and the counting of its time."""

    agents: int
    chance: random.Random
    fields: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.now = 1000.0
        self.facts: list[Any] = []
        settings = settings_of(self.agents, self.chance, **self.fields)
        self.engine = AcdEngine(settings, RandomIds(), self.facts, boot_id="bench")
        self.calls = 0

    def time(self) -> tuple[float, datetime]:
        return self.now, ORIGIN + timedelta(seconds=self.now)

    def drain(self) -> list[Any]:
        """Return the outputs; the facts go to the journal, which is not measured here."""
        self.facts.clear()
        return list(self.engine.poll())

    def sign_in(self) -> None:
        for number in range(self.agents):
            self.now += 0.001
            self.engine.sign_in(f"a{number}", f"p{number}", *self.time())
            self.drain()

    def request(self) -> EntryRequest:
        self.calls += 1
        return EntryRequest(
            f"call-{self.calls}",
            f"q{self.chance.randrange(QUEUES)}",
            self.chance.choice((0, 0, 0, 5)),
            self.chance.choice(NEEDS),
        )


def offers(outputs: list[Any]) -> list[OfferCall]:
    return [item for item in outputs if isinstance(item, OfferCall)]


def answer(floor: Floor, offer: OfferCall) -> None:
    floor.engine.offer_ringing(offer.offer_id, *floor.time())
    floor.engine.offer_accepted(offer.offer_id, *floor.time())
    floor.drain()


def crowd(waiting: int, agents: int) -> tuple[Floor, list[str]]:
    """Return a floor where everybody talks and ``waiting`` callers wait."""
    floor = Floor(agents, random.Random(3))
    floor.sign_in()
    talking: list[str] = []
    while floor.engine.counters.connects < agents or waiting_of(floor) < waiting:
        floor.now += 0.001
        floor.engine.enqueue(floor.request(), *floor.time())
        for offer in offers(floor.drain()):
            answer(floor, offer)
            talking.append(offer.entry_id)
    return floor, talking


def waiting_of(floor: Floor) -> int:
    return floor.calls - floor.engine.counters.connects


def busy_decisions(waiting: int, agents: int, events: int) -> list[float]:
    """Return the milliseconds of decisions when agents become free and callers wait."""
    floor, talking = crowd(waiting, agents)
    spent = []
    for _ in range(events):
        floor.now += 0.01
        place = floor.chance.randrange(len(talking))
        now, at = floor.time()
        begin = perf_counter_ns()
        floor.engine.conversation_ended(talking[place], now, at)
        outputs = floor.drain()
        spent.append((perf_counter_ns() - begin) / 1e6)
        (offer,) = offers(outputs)
        answer(floor, offer)
        talking[place] = offer.entry_id
        floor.engine.enqueue(floor.request(), *floor.time())
        floor.drain()
    return spent


def idle_decisions(agents: int, events: int) -> list[float]:
    """Return the milliseconds of decisions when callers arrive and agents are idle."""
    floor = Floor(agents, random.Random(4))
    floor.sign_in()
    spent = []
    for _ in range(events):
        floor.now += 0.01
        request, (now, at) = floor.request(), floor.time()
        begin = perf_counter_ns()
        floor.engine.enqueue(request, now, at)
        outputs = floor.drain()
        spent.append((perf_counter_ns() - begin) / 1e6)
        (offer,) = offers(outputs)
        answer(floor, offer)
        floor.engine.conversation_ended(offer.entry_id, *floor.time())
        floor.drain()
    return spent


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def bench_decisions(waiting: int, agents: int, events: int) -> None:
    busy, idle = busy_decisions(waiting, agents, events), idle_decisions(agents, events)
    params = {
        "events": 2 * events,
        "queues": QUEUES,
        "busy_p50_ms": round(percentile(busy, 0.5), 4),
        "busy_max_ms": round(max(busy), 4),
        "idle_p50_ms": round(percentile(idle, 0.5), 4),
        "idle_max_ms": round(max(idle), 4),
    }
    name = f"decision_p99_ms_{waiting}x{agents}"
    report(name, percentile(busy + idle, 0.99), "ms", **params)


def bench_cycles(cycles: int, agents: int = 500) -> None:
    """Measure whole calls: enqueue, offer, ring, answer, end, wrap-up, ready."""
    floor = Floor(agents, random.Random(5), {"wrapup_s": 5.0, "max_wait_s": 600.0})
    floor.sign_in()
    begin = perf_counter()
    for _ in range(cycles):
        floor.now += 0.01
        floor.engine.enqueue(floor.request(), *floor.time())
        (offer,) = offers(floor.drain())
        answer(floor, offer)
        floor.engine.conversation_ended(offer.entry_id, *floor.time())
        floor.engine.end_wrapup(offer.agent_id, *floor.time())
        floor.drain()
    report("cycles_per_s", cycles / (perf_counter() - begin), "1/s", agents=agents, cycles=cycles)


class Day:
    """A day in virtual time: callers, patience, agents' phones."""

    def __init__(self, calls: int, agents: int, seconds: float) -> None:
        self.chance = random.Random(6)
        fields = {"wrapup_s": 15.0, "max_wait_s": 300.0}
        self.floor = Floor(agents, self.chance, fields)
        self.left = dict.fromkeys(("answered", "timeout", "hangup"), 0)
        self.events: list[tuple[float, int, str, tuple[Any, ...]]] = []
        self.count = 0
        self.floor.sign_in()
        for _ in range(calls):
            self.at(self.chance.uniform(0, seconds), "call")

    def at(self, delay: float, what: str, *args: Any) -> None:
        self.count += 1
        heapq.heappush(self.events, (self.floor.now + delay, self.count, what, args))

    def run(self) -> None:
        floor = self.floor
        while True:
            due = floor.engine.next_timeout()
            if self.events and (due is None or self.events[0][0] <= due):
                floor.now, _, what, args = heapq.heappop(self.events)
                getattr(self, what)(*args)
            elif due is not None:
                floor.now = due
                floor.engine.handle_timeout(*floor.time())
            else:
                return
            for output in floor.drain():
                self.hear(output)

    def hear(self, output: Any) -> None:
        if isinstance(output, OfferCall):
            if self.chance.random() < 0.02:
                self.at(20.0, "fail", output)
            else:
                self.at(1.0, "ring", output.offer_id)
                self.at(self.chance.uniform(2, 9), "accept", output.offer_id)
        elif isinstance(output, Connect):
            self.at(self.chance.expovariate(1 / 180), "end", output.entry_id)
        elif isinstance(output, EntryLeft):
            self.left[output.result] += 1

    def call(self) -> None:
        request = self.floor.request()
        self.floor.engine.enqueue(request, *self.floor.time())
        self.at(self.chance.expovariate(1 / 240), "give_up", request.entry_id)

    def give_up(self, entry_id: str) -> None:
        entry = self.floor.engine.entry(entry_id)
        if entry is not None and entry.state != "connected":
            self.floor.engine.leave(entry_id, "hangup", *self.floor.time())

    def ring(self, offer_id: str) -> None:
        self.floor.engine.offer_ringing(offer_id, *self.floor.time())

    def accept(self, offer_id: str) -> None:
        self.floor.engine.offer_accepted(offer_id, *self.floor.time())

    def fail(self, offer: OfferCall) -> None:
        self.floor.engine.offer_failed(offer.offer_id, "no_answer", *self.floor.time())
        self.at(60.0, "ready", offer.agent_id)

    def ready(self, agent_id: str) -> None:
        self.floor.engine.ready(agent_id, *self.floor.time())

    def end(self, entry_id: str) -> None:
        self.floor.engine.conversation_ended(entry_id, *self.floor.time())


def bench_day(calls: int = 50_000, agents: int = 300, hours: float = 10.0) -> None:
    day = Day(calls, agents, hours * 3600)
    begin = perf_counter()
    day.run()
    params = {"agents": agents, "hours": hours, **day.left}
    report(f"day_{calls}_calls_s", perf_counter() - begin, "s", **params)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", action="store_true", help="profile the cycles instead")
    parser.add_argument("--long", action="store_true", help="five times as many events")
    options = parser.parse_args()
    times = 5 if options.long else 1
    if options.profile:
        profile = cProfile.Profile()
        profile.runcall(bench_cycles, 5000)
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        return
    bench_decisions(1000, 500, 5000 * times)
    bench_decisions(20_000, 2000, 5000 * times)
    bench_cycles(10_000 * times)
    bench_day()


if __name__ == "__main__":
    main()
