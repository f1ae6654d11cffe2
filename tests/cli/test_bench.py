from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ccengine.cli import bench

MODULE = """\
import json, sys
print("warming up")
line = {"bench": "toy", "metric": "speed", "value": 1234.5, "unit": "1/s"}
print(json.dumps({**line, "params": {"long": "--long" in sys.argv}}))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "benchmarks"
    made.mkdir()
    (made / "__init__.py").touch()
    (made / "bench_toy.py").write_text(MODULE)
    (made / "bench_broken.py").write_text("raise SystemExit(3)\n")
    monkeypatch.setattr(bench, "benchmark_folder", lambda: made)
    return made


def test_names_are_listed(invoke: Any, folder: Path) -> None:
    assert invoke("bench").stdout.split() == ["broken", "toy"]


def test_results_are_told_to_people(invoke: Any, folder: Path) -> None:
    out = invoke("bench", "toy").stdout
    assert "warming up" in out
    assert "toy.speed" in out
    assert "1,23" in out
    assert "long=False" in out


def test_results_are_json_lines_for_programs(invoke: Any, folder: Path) -> None:
    last = invoke("bench", "toy", "--json", "--long").stdout.splitlines()[-1]
    assert json.loads(last)["params"] == {"long": True}


def test_unknown_and_failing_benchmarks(invoke: Any, folder: Path) -> None:
    assert "one of broken, toy" in invoke("bench", "none").stderr
    assert "status 3" in invoke("bench", "broken").stderr


def test_benchmarks_of_this_checkout_are_found() -> None:
    assert "acd" in bench.benchmark_names()
