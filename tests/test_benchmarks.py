"""The common part of the benchmarks: results, budgets and who is measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from benchmarks.__main__ import FOLDER, names, parse_arguments
from benchmarks.budget import Budget, budgets, check
from benchmarks.machine import describe, short_name
from benchmarks.proc import Processes, cpu_s, rss_mb
from benchmarks.result import Result
from ccengine.testing.waiting import wait_until


def result(value: float, **params: object) -> Result:
    return Result("sip", "call_cpu_ms", value, "ms", params)


def test_a_result_is_one_line_of_json():
    line = result(2.123456, rate=100).line()
    assert json.loads(line) == {
        "bench": "sip",
        "metric": "call_cpu_ms",
        "value": 2.1235,
        "unit": "ms",
        "params": {"rate": 100},
    }
    assert Result(**json.loads(line)).params == {"rate": 100}


@pytest.mark.parametrize(("value", "kept"), [(3.0, True), (3.01, False)])
def test_a_budget_is_kept_up_to_its_limit(value, kept):
    budget = Budget("sip", "call_cpu_ms", "why", {"rate": 100}, max=3.0)
    assert budget.holds_for(result(value, rate=100, calls=5))
    assert budget.is_kept(result(value, rate=100)) is kept
    assert not budget.holds_for(result(value, rate=50))


def test_a_lower_limit():
    budget = Budget("sip", "max_cps", "why", min=200)
    assert budget.is_kept(Result("sip", "max_cps", 200, "1/s"))
    assert not budget.is_kept(Result("sip", "max_cps", 199, "1/s"))


def test_every_budget_has_a_limit_and_a_reason():
    for budget in budgets():
        assert (budget.max is None) != (budget.min is None), budget
        assert budget.why, budget


def test_results_are_held_against_the_file():
    found = list(check([result(9.0, rate=100, recording="off"), result(1.0, rate=7)]))
    assert [kept for _, _, kept in found] == [False]


def test_every_benchmark_can_be_named(monkeypatch):
    assert {"sip", "core", "media", "acd", "journal", "dialplan"} <= set(names())
    monkeypatch.setattr(sys, "argv", ["benchmarks", "acd", "--json"])
    assert parse_arguments().names == ["acd"]
    monkeypatch.setattr(sys, "argv", ["benchmarks", "nothing"])
    with pytest.raises(SystemExit, match="2"):
        parse_arguments()


@pytest.mark.parametrize("name", names())
def test_every_benchmark_takes_long(name):
    command = [sys.executable, "-m", f"benchmarks.bench_{name}", "--help"]
    done = subprocess.run(command, cwd=FOLDER.parent, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "--long" in done.stdout


def test_the_machine_is_described():
    assert {"cpu", "cores", "kernel", "python", "commit"} <= describe().keys()
    assert " " not in short_name()


def test_processes_are_found_by_role():
    child = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)", "ccengine.store.writer"]
    )
    try:
        me = os.getpid()
        wait_until(lambda: child.pid in Processes.of(me, me).by_role.get("writer", ()), "child")
        found = Processes.of(me, me)
        assert found.by_role["signalling"] == (me,)
        assert found.rss_mb()["signalling"] == pytest.approx(rss_mb(me), rel=0.5)
        assert cpu_s(os.getpid()) > 0
    finally:
        child.kill()
        child.wait()
