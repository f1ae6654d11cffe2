"""What dialplans cost: reading and checking them, testing flows, taking a step.

Run as ``python -m benchmarks.bench_dialplan [--long]``; one JSON object a line.  The dialplan
that is checked is generated: menus, expressions, queues and texts with ``${…}`` in the mixture
of the samples, 1,200 lines in all.  ``flow_tests_per_s`` includes reading the files.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import msgspec

from ccengine.dialplan import Interpreter, load_dialplan
from ccengine.dialplan.testing import run_tests
from ccengine.ids import SeededIds
from ccengine.ports import CallArrived, DigitReceived, Party, PlayFinished, PlayPrompts

LINES = 1200
SAMPLES = Path(__file__).parents[1] / "dialplans"

FLOW = """\
  flow_{n}:
    language: zh
    states:
      welcome:
        - answer
        - play: [greeting, "promo_${{number}}"]
        - go: choose
      choose:
        - menu:
            prompt: [main_menu]
            timeout_s: 5
            retries: 2
            invalid: [invalid_choice]
            choices:
              "1": sales
              "2": order
              "9": {{flow: flow_{other}}}
            on_timeout: bye
            on_invalid: bye
      sales:
        - set: {{tries_{n}: 1, area_{n}: "${{caller.number}}-${{digits}}"}}
        - queue: {{queue: sales, attributes: {{area: "${{area_{n}}}"}}, on_left: choose}}
        - if: {{when: "queue.result == 'timeout' && size(number) > 3", then: bye, else: choose}}
      order:
        - collect: {{prompt: [ask], into: order_{n}, min_digits: 8, on_invalid: bye}}
        - say: {{digits: "${{order_{n}}}"}}
        - dial: {{extension: "10${{digits}}", timeout_s: 20, on_busy: bye}}
        - go: choose
      bye:
        - play: [goodbye]
        - hangup
"""

CIRCLE = """\
version: 1
flows:
  main:
    variables: {n: 0}
    states:
      a:
        - set: {n: "${n + 1}"}
        - if: {when: "n % 100 != 0", then: a}
        - menu: {prompt: [ask], choices: {"1": a}}
"""


def emit(metric: str, value: float, unit: str, **params: object) -> None:
    line = {"bench": "dialplan", "metric": metric, "value": round(value, 3), "unit": unit}
    print(json.dumps({**line, "params": params}), flush=True)


def timed(work: Callable[[], object], repeat: int) -> list[float]:
    spent = []
    for _ in range(repeat):
        begun = perf_counter()
        work()
        spent.append(perf_counter() - begun)
    return spent


def bench_check(folder: Path, repeat: int) -> None:
    flows = LINES // FLOW.count("\n")
    text = "version: 1\nflows:\n"
    text += "".join(FLOW.format(n=n, other=(n + 1) % flows) for n in range(flows))
    text += "# end\n" * (LINES - text.count("\n"))
    path = folder / "large.yaml"
    path.write_text(text, encoding="utf-8")
    spent = timed(lambda: load_dialplan([path], queues=["sales"]), repeat)
    emit(
        "check_1200_lines_ms",
        statistics.median(spent) * 1000,
        "ms",
        best_ms=round(min(spent) * 1000, 2),
        flows=flows,
    )


def bench_tests(folder: Path, repeat: int, copies: int) -> None:
    text = (SAMPLES / "hotline.test.yaml").read_text(encoding="utf-8")
    head, _, cases = text.partition("cases:\n")
    (folder / "hotline.yaml").write_text((SAMPLES / "hotline.yaml").read_text(encoding="utf-8"))
    path = folder / "many.test.yaml"
    path.write_text(f"{head}cases:\n{cases * copies}", encoding="utf-8")
    report = run_tests([path])
    assert report.ok, report.failures[0]
    spent = timed(lambda: run_tests([path]), repeat)
    cases_run = len(report.results)
    emit("flow_tests_per_s", cases_run / statistics.median(spent), "1/s", cases=cases_run)


def bench_step(folder: Path, rounds: int) -> None:
    """Measure steps that compute and decide, and a menu answered by a key now and then."""
    path = folder / "circle.yaml"
    path.write_text(CIRCLE, encoding="utf-8")
    plan = load_dialplan([path])
    call = CallArrived("c1", "4001", Party("13800138000"))
    machine = Interpreter(plan, "main", call, SeededIds(), answered=True)
    now = 0.0
    begun = perf_counter()
    machine.start(now)
    for _ in range(rounds):
        (play,) = (c for c in machine.poll() if isinstance(c, PlayPrompts))
        now += 2.0
        machine.receive(PlayFinished("c1", play.play_id), now)
        machine.receive(DigitReceived("c1", "1"), now)
    spent = perf_counter() - begun
    assert machine.variables["n"] == (rounds + 1) * 100
    steps = (rounds + 1) * 201
    emit("step_us", spent / steps * 1e6, "us", steps=steps, mixture="100 set, 100 if, 1 menu")
    count = 5000
    begun = perf_counter()
    for _ in range(count):
        data = msgspec.msgpack.encode(machine.place())
    emit("place_us", (perf_counter() - begun) / count * 1e6, "us", bytes=len(data))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", action="store_true", help="more repetitions")
    parser.add_argument("--json", action="store_true", help="accepted: the output is JSON lines")
    arguments = parser.parse_args()
    repeat = 50 if arguments.long else 7
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bench_check(folder, repeat)
        bench_tests(folder, max(3, repeat // 3), 100 if arguments.long else 30)
        bench_step(folder, 2000 if arguments.long else 200)


if __name__ == "__main__":
    main()
