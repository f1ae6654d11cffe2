"""Commands by name: rights, arguments, and words for those who mistype."""

from __future__ import annotations

import asyncio

import pytest

from ccengine.api.registry import LOCAL_OPERATOR, Actor, CommandRegistry
from ccengine.errors import CommandError


async def echo(actor, arguments):
    return {"by": actor.name, **arguments}


@pytest.fixture
def registry():
    commands = CommandRegistry()
    commands.add("agents", echo, right="look", help_text="agents")
    commands.add("hangup", echo, right="steer", help_text="end", arguments=("call",))
    commands.add("stop", echo, right="operate", help_text="stop")
    return commands


def run(registry, name, actor=LOCAL_OPERATOR, **arguments):
    return asyncio.run(registry.run(name, arguments, actor))


def test_a_command_gets_its_actor_and_arguments(registry):
    assert run(registry, "hangup", call="c1") == {"by": "local", "call": "c1"}


@pytest.mark.parametrize(
    ("rights", "allowed"),
    [
        (frozenset(), set()),
        (frozenset({"look"}), {"agents"}),
        (frozenset({"look", "steer"}), {"agents", "hangup"}),
        (frozenset({"operate"}), {"stop"}),
    ],
)
def test_every_command_wants_its_right(registry, rights, allowed):
    done = set()
    for command in registry:
        refusal = None
        try:
            run(registry, command.name, Actor("somebody", rights))
        except CommandError as error:
            refusal = error
        if refusal is None:
            done.add(command.name)
        else:
            assert "somebody may not" in refusal.message
            assert command.right in refusal.cure
    assert done == allowed


def test_an_unknown_command_is_told_the_nearest(registry):
    with pytest.raises(CommandError, match="there is no command 'agnets'") as caught:
        run(registry, "agnets")
    assert "'agents'" in caught.value.cure


def test_something_quite_different_is_told_where_to_look(registry):
    with pytest.raises(CommandError) as caught:
        run(registry, "xyzzy")
    assert "--help" in caught.value.cure


def test_an_unknown_argument_is_refused_before_anything_is_done(registry):
    with pytest.raises(CommandError, match="unknown argument 'kall'") as caught:
        run(registry, "hangup", kall="c1")
    assert caught.value.cure == "known: call"


def test_a_name_is_used_once(registry):
    with pytest.raises(CommandError, match="registered twice"):
        registry.add("stop", echo, right="look", help_text="again")
