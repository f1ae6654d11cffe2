from __future__ import annotations

import json
from typing import Any

import pytest
from rich.cells import cell_len

LISTINGS = ("status", "queues", "agents", "calls", "registrations")


@pytest.mark.parametrize("name", LISTINGS)
def test_every_listing_fits_80_columns_and_has_no_colours_in_a_pipe(
    ask_engine: Any, name: str
) -> None:
    result = ask_engine(name)
    assert result.exit_code == 0
    assert result.stdout.strip()
    assert "\x1b" not in result.stdout
    for line in result.stdout.splitlines():
        assert cell_len(line) <= 80
        assert line == line.rstrip()


@pytest.mark.parametrize("name", LISTINGS)
def test_every_listing_prints_the_engines_answer_as_json(
    ask_engine: Any, fake_engine: Any, name: str
) -> None:
    answer = json.loads(ask_engine(name, "--json").stdout)
    assert fake_engine.asked == [(name, {})]
    assert answer
    if name == "calls":
        assert answer[0]["call"] == "c4d5653aff19b9cbbb3c2"


def test_queues_show_who_waits_and_the_agents_by_state(ask_engine: Any) -> None:
    header, row = ask_engine("queues").stdout.splitlines()
    assert header.split() == [
        "QUEUE", "WAITING", "OFFERED", "LONGEST", "READY", "RINGING", "TALKING", "WRAPUP",
        "AWAY", "OUT",
    ]  # fmt: skip
    assert row.split() == ["sales", "1", "0", "1:05", "1", "0", "1", "0", "0", "3"]


def test_agents_show_reasons_and_take_no_name_for_markup(ask_engine: Any) -> None:
    out = ask_engine("agents").stdout
    assert "NotReady (lunch) 1:00:00 1001" in out
    assert "[bold]张伟" in out
    assert "c4d5653a" in out


def test_a_name_too_long_for_its_column_is_cut(ask_engine: Any) -> None:
    out = ask_engine("calls").stdout
    assert "An Extraord…" in out
    assert "王磊" in out


def test_status_ends_with_the_problems(ask_engine: Any) -> None:
    out = ask_engine("status").stdout
    assert "3.4% of a core" in out
    assert "problem: the journal's disk is full" in out


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        (("sign-in", "2001", "--phone", "1005"), {"action": "sign_in", "phone": "1005"}),
        (("sign-out", "2001"), {"action": "sign_out"}),
        (("ready", "2001"), {"action": "ready"}),
        (("away", "2001", "--reason", "lunch"), {"action": "away", "reason": "lunch"}),
    ],
)
def test_agents_are_steered(
    ask_engine: Any, fake_engine: Any, words: tuple[str, ...], arguments: dict[str, str]
) -> None:
    result = ask_engine("agents", *words)
    assert result.exit_code == 0
    assert fake_engine.asked == [("agent", {"agent": "2001", **arguments})]
    assert result.stdout.startswith("agent 2001 is NotReady")


def test_a_refusal_is_one_line_on_stderr(ask_engine: Any) -> None:
    result = ask_engine("agents", "ready", "9999")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == "ccengine: there is no agent '9999'; `ccengine agents`\n"


def test_the_configuration_may_stand_before_the_command(invoke: Any, fake_engine: Any) -> None:
    assert invoke("-c", str(fake_engine.config), "agents", "ready", "2001").exit_code == 0


def test_the_configuration_may_come_from_the_environment(
    invoke: Any, fake_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCENGINE_CONFIG", str(fake_engine.config))
    assert invoke("queues").exit_code == 0


def test_the_configuration_of_this_folder_goes_before_the_environments(
    invoke: Any, fake_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CCENGINE_CONFIG", "elsewhere.yaml")
    monkeypatch.chdir(fake_engine.config.parent)
    assert invoke("queues").exit_code == 0


def test_a_call_is_hung_up_by_the_beginning_of_its_id(ask_engine: Any, fake_engine: Any) -> None:
    assert ask_engine("hangup", "c4d5").exit_code == 0
    assert fake_engine.asked[-1] == ("hangup", {"call": "c4d5653aff19b9cbbb3c2"})


def test_a_beginning_of_two_calls_hangs_up_neither(ask_engine: Any, fake_engine: Any) -> None:
    result = ask_engine("hangup", "c4")
    assert result.exit_code == 1
    assert "2 calls begin with 'c4'; write more of the id" in result.stderr
    assert ("hangup", {"call": "c4"}) not in fake_engine.asked


def test_reload_names_what_waits_for_a_restart(ask_engine: Any) -> None:
    assert "after a restart: media.workers" in ask_engine("reload").stdout


def test_drain_tells_how_many_calls_go_on(ask_engine: Any) -> None:
    assert ask_engine("drain").stdout == "no new calls are taken; 2 go on\n"


@pytest.mark.parametrize("name", [*LISTINGS, "drain", "stop", "reload"])
def test_without_an_engine_every_command_says_so_in_one_line(
    invoke: Any, short_path: Any, name: str
) -> None:
    config = short_path / "ccengine.yaml"
    config.write_text("")
    result = invoke(name, "-c", str(config))
    assert result.exit_code == 1
    assert result.stderr.startswith("ccengine: no engine ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("name", [*LISTINGS, "check", "run", "calls", "recordings"])
def test_without_a_configuration_every_command_says_what_to_do(invoke: Any, name: str) -> None:
    result = invoke(name)
    assert result.exit_code == 1
    assert "-c FILE" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_configuration_that_is_no_yaml_is_an_error_of_the_file(
    invoke: Any, short_path: Any
) -> None:
    (short_path / "broken.yaml").write_text("run: {folder: [")
    result = invoke("status", "-c", str(short_path / "broken.yaml"))
    assert result.exit_code == 1
    assert "this is no YAML" in result.stderr


def test_wrong_usage_exits_with_2(invoke: Any) -> None:
    assert invoke("queue").exit_code == 2
    assert invoke("calls", "--last", "none").exit_code == 2
    assert invoke("demo", "--for", "soon").exit_code == 2
    assert invoke("agents", "sign-in").exit_code == 2
