"""Commands about a running engine: what it does now, and what it is told to do."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ccengine.cli.option import config_option, json_option, places, watch_option
from ccengine.cli.output import print_json, show
from ccengine.errors import CommandError, KeeperError

_STOP_POLL_S = 0.1


def ask(command: str, **arguments: Any) -> Any:
    """Ask the engine of the configuration that the user means."""
    from ccengine.api.control import SOCKET_NAME, ControlClient

    return ControlClient(places().run / SOCKET_NAME).ask(command, **arguments)


def _list(command: str, *, as_json: bool, watch: bool) -> None:
    from ccengine.cli import table

    renderers: dict[str, Callable[[Any], Any]] = {
        "status": table.status_table,
        "queues": table.queues_table,
        "agents": table.agents_table,
        "calls": table.calls_table,
        "registrations": table.registrations_table,
    }
    show(lambda: ask(command), renderers[command], as_json=as_json, watch=watch)


@click.command()
@config_option
@json_option
@watch_option
def status(as_json: bool, watch: bool) -> None:
    """What the engine is doing, and what is wrong."""
    _list("status", as_json=as_json, watch=watch)


@click.command()
@config_option
@json_option
@watch_option
def queues(as_json: bool, watch: bool) -> None:
    """Queues with those who wait and those who serve."""
    _list("queues", as_json=as_json, watch=watch)


@click.command()
@config_option
@json_option
@watch_option
def registrations(as_json: bool, watch: bool) -> None:
    """Phones that are registered."""
    _list("registrations", as_json=as_json, watch=watch)


@click.group(invoke_without_command=True)
@config_option
@json_option
@watch_option
@click.pass_context
def agents(context: click.Context, as_json: bool, watch: bool) -> None:
    """Agents and their states; sign them in and out."""
    if context.invoked_subcommand is None:
        _list("agents", as_json=as_json, watch=watch)


def _act(action: str, agent: str, as_json: bool, **arguments: str) -> None:
    answer = ask("agent", action=action, agent=agent, **arguments)
    if as_json:
        print_json(answer)
        return
    reason = f" ({answer['reason']})" if answer["reason"] else ""
    click.echo(f"agent {answer['agent']} is {answer['state']}{reason}")


@agents.command("sign-in")
@click.argument("agent")
@click.option("--phone", default="", help="Extension; else the agent's own.")
@config_option
@json_option
def sign_in(agent: str, phone: str, as_json: bool) -> None:
    """Sign an agent in at a phone."""
    _act("sign_in", agent, as_json, phone=phone)


@agents.command("sign-out")
@click.argument("agent")
@config_option
@json_option
def sign_out(agent: str, as_json: bool) -> None:
    """Sign an agent out."""
    _act("sign_out", agent, as_json)


@agents.command()
@click.argument("agent")
@config_option
@json_option
def ready(agent: str, as_json: bool) -> None:
    """Let an agent get calls; ends wrap-up."""
    _act("ready", agent, as_json)


@agents.command()
@click.argument("agent")
@click.option("--reason", default="", help="Such as break or meeting.")
@config_option
@json_option
def away(agent: str, reason: str, as_json: bool) -> None:
    """Let an agent get no calls for a while."""
    _act("away", agent, as_json, reason=reason)


@click.command()
@click.argument("call")
@config_option
@json_option
def hangup(call: str, as_json: bool) -> None:
    """End CALL; the beginning of its id is enough when no other call begins so."""
    answer = ask("hangup", call=_whole_id(call))
    if as_json:
        print_json(answer)
    else:
        click.echo(f"call {answer['call']} is hung up")


def _whole_id(beginning: str) -> str:
    found = [row["call"] for row in ask("calls") if row["call"].startswith(beginning)]
    if len(found) > 1 and beginning not in found:
        raise CommandError(
            f"{len(found)} calls begin with {beginning!r}", cure="write more of the id"
        )
    return str(found[0]) if len(found) == 1 else beginning


@click.command()
@config_option
@json_option
def reload(as_json: bool) -> None:
    """Take over the configuration file and its flows, all of it or nothing."""
    answer = ask("reload")
    if as_json:
        print_json(answer)
        return
    click.echo("reloaded; calls in progress keep the flows that they began with")
    if answer["needs_restart"]:
        click.echo(f"after a restart: {', '.join(answer['needs_restart'])}")


@click.command()
@config_option
@json_option
def drain(as_json: bool) -> None:
    """Take no new calls; those in progress go on."""
    answer = ask("drain")
    if as_json:
        print_json(answer)
    else:
        click.echo(f"no new calls are taken; {answer['calls']} go on")


@click.command()
@click.option("--wait/--no-wait", default=True, help="Return when nothing runs any more.")
@config_option
def stop(wait: bool) -> None:
    """Take no new calls, let the others end (run.drain_s), stop every process."""
    from ccengine.keeper.client import KeeperClient

    path = places().run / "keeper.sock"
    try:
        keeper = KeeperClient(path)
    except KeeperError as error:
        raise CommandError(f"no engine runs for {places().config}") from error
    try:
        keeper.stop()
        click.echo("stopping" if not wait else "stopping; waiting for calls in progress")
        if wait:
            _wait_for_end(keeper, path)
            click.echo("stopped")
    finally:
        keeper.close()


def _wait_for_end(keeper: Any, path: Path) -> None:
    while "lost" not in keeper.wait(1.0):
        pass
    while path.exists():
        time.sleep(_STOP_POLL_S)
