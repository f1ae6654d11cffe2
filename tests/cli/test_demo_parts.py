from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ccengine.cli.demo.folder import (
    CALLERS_HOST,
    free_port,
    machine_address,
    prepare_folder,
    sample_account,
)
from ccengine.cli.demo.summary import summarise, summary_text
from ccengine.cli.demo.view import phone_help
from ccengine.config.loader import load_config
from ccengine.errors import CommandError
from ccengine.journal.cdr import CdrCall

START = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.mark.parametrize("agents", [1, 5, 12])
def test_the_folder_holds_a_configuration_that_fits_the_agents(tmp_path: Path, agents: int) -> None:
    config = load_config(prepare_folder(tmp_path / "demo", 5077, agents))
    settings = config.settings
    assert {listener.port for listener in settings.sip.listeners} == {5077}
    assert settings.sip.trusted == (f"{CALLERS_HOST}/32",)
    assert settings.run.folder == tmp_path / "demo" / "var" / "run"
    for number in range(agents):
        account = sample_account(number)
        assert settings.agents[account.agent_id].phone == account.extension
        password = settings.extensions[account.extension].password
        assert password is not None
        assert password.get_secret_value() == account.password


def test_changed_flows_stay_and_the_configuration_is_written_anew(tmp_path: Path) -> None:
    path = prepare_folder(tmp_path, 5077, 4)
    flows = tmp_path / "hotline.yaml"
    flows.write_text(flows.read_text() + "# mine\n")
    prepare_folder(tmp_path, 5078, 4)
    assert flows.read_text().endswith("# mine\n")
    assert "port: 5078" in path.read_text()


def test_a_configuration_of_somebody_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "ccengine.yaml").write_text("run: {}\n")
    with pytest.raises(CommandError, match="--folder"):
        prepare_folder(tmp_path, 5077, 4)
    assert (tmp_path / "ccengine.yaml").read_text() == "run: {}\n"


def test_ports_and_address_can_be_used() -> None:
    assert 5060 <= free_port() <= 5099
    assert re.fullmatch(r"\d+\.\d+\.\d+\.\d+", machine_address())


def test_a_phone_is_told_where_and_as_whom_to_register() -> None:
    text = phone_help("192.168.1.20", 5060, sample_account(4))
    for part in ("192.168.1.20:5060", "1006", "demo1006", "4001", "1005", "demo1005", "*11"):
        assert part in text


def call(index: int, **fields: Any) -> CdrCall:
    values: dict[str, Any] = {
        "call_id": f"c{index}",
        "number": "4001",
        "started_at": START,
        "ended_at": START + timedelta(seconds=60),
        "cause": "normal",
        **fields,
    }
    return CdrCall(**values)


def test_the_summary_counts_what_entered_a_queue() -> None:
    calls = [
        call(1, queue="sales", agent_id="2001", talk_s=10.0, wait_s=4.0),
        call(2, queue="sales", agent_id="2002", talk_s=30.0, wait_s=8.0),
        call(3, queue="service", wait_s=60.0),
        call(4),
        call(5, number="*11"),
    ]
    summary = summarise(calls, 2, Path("rec"))
    assert (summary.records, summary.calls, summary.offered) == (5, 4, 3)
    assert (summary.answered, summary.abandoned) == (2, 1)
    assert (summary.wait_s, summary.longest_wait_s, summary.talk_s) == (6.0, 8.0, 20.0)
    text = summary_text(summary, Path("demo/ccengine.yaml"))
    assert "offered to queues 3, answered 2, abandoned 1" in text
    assert "recordings  2 in rec" in text


def test_a_summary_of_nothing_has_no_times() -> None:
    summary = summarise([], 0, Path("rec"))
    assert (summary.wait_s, summary.talk_s, summary.abandoned) == (0.0, 0.0, 0)
