"""What the commands answer, on a core with calls in it."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import pytest

from ccengine.api.registry import LOCAL_OPERATOR, CommandRegistry
from ccengine.engine.command import register_commands
from ccengine.errors import CommandError, ConfigError, Problem
from ccengine.net.counters import NetCounters


class PaperSignalling:
    """What the commands look at of the process around the core."""

    def __init__(self, centre) -> None:
        self.centre = centre
        self.core = centre.core
        self.clock = centre.clock
        self.started = centre.now
        self.journal = SimpleNamespace(epoch=3, next_seq=11, full=lambda: False)
        self.net = SimpleNamespace(counters=NetCounters())
        self.done: list[str] = []
        self.mistake = False

    def changed(self) -> None:
        self.done.append("changed")

    async def reload(self) -> tuple[str, ...]:
        if self.mistake:
            raise ConfigError([Problem("ccengine.yaml", 3, 5, "unknown key", "write this")])
        return ("media.workers",)

    async def stop_all(self) -> None:
        self.done.append("stop")

    def drain_only(self) -> None:
        self.core.machines.switch.stop_accepting()


@pytest.fixture
def engine(centre):
    return PaperSignalling(centre)


@pytest.fixture
def ask(engine):
    registry = CommandRegistry()
    register_commands(registry, engine)

    def run(command, **arguments):
        answer = asyncio.run(registry.run(command, arguments, LOCAL_OPERATOR))
        engine.centre.settle()
        return json.loads(json.dumps(answer))  # plain values alone

    return run


def test_status_of_an_engine_at_rest(ask):
    status = ask("status")
    assert (status["calls"], status["legs"], status["dialogs"]) == (0, 0, 0)
    assert (status["epoch"], status["facts"]) == (3, 10)
    assert status["accepting"]
    assert status["problems"] == []


def test_status_tells_what_is_wrong_and_what_to_do(engine, ask):
    engine.core.machines.media.detach("m0")
    engine.journal.full = lambda: True
    problems = "\n".join(ask("status")["problems"])
    assert "no media worker" in problems
    assert "journal" in problems


def test_a_call_from_the_menu_to_its_end(centre, ask):
    agent = centre.agent_signs_in("1001")
    caller, _ = centre.to_queue("1006")
    (row,) = ask("calls")
    assert (row["from"], row["to"], row["queue"], row["state"]) == (
        "1006", "4001", "sales", "waiting",
    )  # fmt: skip
    queue = next(one for one in ask("queues") if one["queue"] == "sales")
    assert queue["offered"] == 1
    agent.answer(centre.now)
    centre.settle()
    (row,) = ask("calls")
    assert (row["state"], row["agent"]) == ("talking", "2001")
    assert row["recording"] == row["call"]
    talking = next(one for one in ask("agents") if one["agent"] == "2001")
    assert (talking["state"], talking["call"]) == ("Talking", row["call"])
    assert ask("status")["legs"] == 2
    assert ask("hangup", call=row["call"]) == {"call": row["call"], "ended": True}
    assert ask("calls") == []
    assert caller.last.state == agent.last.state == "ended"


def test_hanging_up_a_call_that_is_none(ask):
    with pytest.raises(CommandError, match="there is no call 'c0'"):
        ask("hangup", call="c0")


def test_registrations(centre, ask):
    centre.registered("1001")
    (row,) = ask("registrations")
    assert row["aor"] == "1001@ccengine"
    assert 0 < row["expires_s"] <= 3600
    assert row["transport"] == "UDP"


def test_agents_are_moved(centre, ask):
    centre.registered("1001")
    assert ask("agent", action="sign_in", agent="2001")["state"] == "Ready"
    away = ask("agent", action="away", agent="2001", reason="lunch")
    assert (away["state"], away["reason"]) == ("NotReady", "lunch")
    assert ask("agent", action="sign_out", agent="2001")["state"] == "LoggedOut"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"action": "dance", "agent": "2001"}, "cannot 'dance'"),
        ({"action": "ready", "agent": "9999"}, "no agent '9999'"),
        ({"action": "ready", "agent": "2001"}, "LoggedOut"),
        ({"action": "sign_in", "agent": "2006"}, "no default phone"),
        ({}, "cannot ''"),
    ],
)
def test_what_an_agent_cannot_do_is_said(ask, arguments, words):
    with pytest.raises(CommandError, match=words):
        ask("agent", **arguments)


def test_draining_refuses_new_calls(centre, ask):
    assert ask("drain") == {"accepting": False, "calls": 0}
    call = centre.registered("1006").dial("4001", centre.now)
    centre.settle()
    assert call.status == 503
    assert any("drain" in problem for problem in ask("status")["problems"])


def test_reload_and_its_mistakes(engine, ask):
    assert ask("reload") == {"reloaded": True, "needs_restart": ["media.workers"]}
    engine.mistake = True
    with pytest.raises(CommandError, match=r"ccengine\.yaml:3:5: unknown key") as caught:
        ask("reload")
    assert "stays in force" in caught.value.cure


def test_stop(engine, ask):
    assert ask("stop") == {"stopping": True}
    assert engine.done == ["stop"]
