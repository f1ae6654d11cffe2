from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ccengine.config.data import data_folder, sample_config

WRONG = """\
sip: {listeners: [{name: udp, prot: 5060}]}
extensions: {1001: {password: a}}
agents: {2001: {name: Li Na, phone: 1009, queues: [sale]}}
queues: {sales: {wrapup: 5}}
numbers: {4001: {flow: mian}}
dialplan: flows.yaml
"""
FLOWS = "version: 1\nflows:\n  main: {states: {a: [{qeue: sales}]}}\n"


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    (tmp_path / "flows.yaml").write_text(FLOWS)
    path = tmp_path / "ccengine.yaml"
    path.write_text(WRONG)
    return path


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_wrong_configuration_is_told_whole_with_places_and_cures(
    invoke: Any, wrong: Path, command: str
) -> None:
    result = invoke(command, "-c", str(wrong))
    assert result.exit_code == 1
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    for place, what in (
        (f"{wrong}:1:31:", "prot"),
        (f"{wrong}:3:37:", "1009"),
        (f"{wrong}:3:52:", "sale"),
        (f"{wrong}:4:18:", "wrapup"),
        (f"{wrong.parent}/flows.yaml:3:24:", "qeue"),
    ):
        assert any(line.startswith(place) and what in line for line in lines), (place, lines)
    assert "did you mean" in result.stderr
    assert all(line.startswith(str(wrong.parent)) for line in lines), "one line each, nothing else"


def test_wrong_configurations_are_told_as_json_too(invoke: Any, wrong: Path) -> None:
    result = invoke("check", "-c", str(wrong), "--json")
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert not answer["ok"]
    assert {"file", "line", "column", "message", "cure"} == set(answer["problems"][0])


def test_the_sample_is_counted_and_the_limits_are_told(invoke: Any) -> None:
    result = invoke("check", "-c", str(sample_config()))
    assert result.exit_code == 0
    assert "ok: 6 extensions, 6 agents, 2 queues, 7 numbers, 8 flows, 1 plugin" in result.stdout
    assert "RTP ports allow 8192" in result.stdout
    assert "open files allows" in result.stdout
    assert result.stderr == "", "the sample gives no reason to warn"


def test_what_works_but_is_odd_is_a_warning(invoke: Any, tmp_path: Path) -> None:
    (tmp_path / "flows.yaml").write_text(
        "version: 1\nflows:\n  main: {states: {a: [{play: [nobody_said_this]}]}}\n"
    )
    path = tmp_path / "odd.yaml"
    path.write_text(
        "media: {ports: {first: 40000, last: 40099}}\ndialplan: flows.yaml\nnumbers: {1: main}\n"
    )
    result = invoke("check", "-c", str(path))
    assert result.exit_code == 0
    assert "warning: " in result.stderr
    assert "32768-60999" in result.stderr
    assert "prompt 'nobody_said_this' is not recorded in zh" in result.stderr
    assert "RTP ports allow 50" in result.stdout


def test_the_shipped_dialplan_tests_pass(invoke: Any) -> None:
    result = invoke("test", str(data_folder("dialplans")))
    assert result.exit_code == 0
    assert " passed (" in result.stdout


def test_tests_stand_beside_the_dialplans_of_the_configuration(invoke: Any) -> None:
    result = invoke("test", "-v", "-c", str(sample_config()))
    assert result.exit_code == 0
    assert "passed  " in result.stdout
    assert "key 1 leads to sales" in result.stdout


def test_a_failing_case_names_its_line(invoke: Any, tmp_path: Path) -> None:
    for name in ("hotline.yaml", "hotline.test.yaml"):
        shutil.copy(data_folder("dialplans") / name, tmp_path)
    path = tmp_path / "hotline.test.yaml"
    text = path.read_text().replace("- expect: {answer: true}", "- expect: {hangup: busy}", 1)
    path.write_text(text)
    line = text.splitlines().index("      - expect: {hangup: busy}") + 1
    result = invoke("test", str(path))
    assert result.exit_code == 1
    assert f"{path}:{line}:" in result.stderr
    assert "1 failed" in result.stdout
    answer = json.loads(invoke("test", str(path), "--json").stdout)
    assert not answer["ok"]
    assert [case["passed"] for case in answer["cases"]].count(False) == 1


def test_a_folder_without_tests_is_a_mistake(invoke: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = invoke("test", str(tmp_path / "empty"))
    assert result.exit_code == 1
    assert "tests are named *.test.yaml" in result.stderr


def test_a_taken_port_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        path = tmp_path / "ccengine.yaml"
        path.write_text(
            f"sip: {{listeners: [{{name: udp, transport: udp, host: 127.0.0.1, port: {port}}}]}}\n"
        )
        done = subprocess.run(
            [sys.executable, "-m", "ccengine", "run", "-c", str(path)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert done.stderr.count("\n") == 1
