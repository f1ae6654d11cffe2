"""What the demo shows while it runs: a live table, or a line now and then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from ccengine.cli.demo.folder import VISITOR, PhoneAccount
from ccengine.cli.demo.process import EngineProcess
from ccengine.cli.table import agents_table, calls_table, queues_table, worker_line
from ccengine.units import format_duration

MOST_CALLS = 9
MOST_AGENTS = 8


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the engine answered, all at about one moment."""

    status: dict[str, Any]
    queues: list[dict[str, Any]]
    agents: list[dict[str, Any]]
    calls: list[dict[str, Any]]


def take_snapshot(engine: EngineProcess) -> Snapshot:
    """Ask the engine; blocking."""
    ask = engine.ask
    return Snapshot(ask("status"), ask("queues"), ask("agents"), ask("calls"))


def status_line(snapshot: Snapshot, elapsed_s: float, ended: int) -> str:
    """Return one line for a log."""
    talking = sum(call["state"] == "talking" for call in snapshot.calls)
    ready = sum(agent["state"] == "Ready" for agent in snapshot.agents)
    loads = "; ".join(
        f"{name} {worker_line(load)}" for name, load in snapshot.status["workers"].items()
    )
    return (
        f"{format_duration(elapsed_s)}  calls {len(snapshot.calls)}, "
        f"waiting {snapshot.status['waiting']}, talking {talking}, ended {ended}; "
        f"agents ready {ready} of {snapshot.status['agents_signed_in']}; {loads}"
    )


def live_view(snapshot: Snapshot, heading: str, footing: str) -> RenderableType:
    """Return the live table; it fits 80 columns and 24 lines."""
    present = [agent for agent in snapshot.agents if agent["state"] != "LoggedOut"]
    calls = sorted(snapshot.calls, key=lambda call: float(call["for_s"]), reverse=True)
    parts: list[RenderableType] = [
        Text(heading, style="bold"),
        queues_table(snapshot.queues),
        Text(),
        agents_table(present[:MOST_AGENTS]),
        *_more(len(present) - MOST_AGENTS, "agents"),
        Text(),
        calls_table(calls[:MOST_CALLS]),
        *_more(len(calls) - MOST_CALLS, "calls"),
        Text(),
    ]
    parts += [
        Text(f"{name}: {worker_line(load)}", style="dim")
        for name, load in snapshot.status["workers"].items()
    ]
    parts += [Text(f"problem: {text}", style="red") for text in snapshot.status["problems"]]
    parts.append(Text(footing))
    return Group(*parts)


def _more(number: int, what: str) -> list[RenderableType]:
    return [Text(f"… and {number} more {what}", style="dim")] if number > 0 else []


def phone_help(address: str, port: int, spare: PhoneAccount | None) -> str:
    """Return how a visitor's own phone becomes part of the demo."""
    lines = [
        "Call it with a SIP phone of your own (Linphone, MicroSIP, baresip, a desk phone):",
        f"  server {address}:{port} (UDP or TCP), user {VISITOR.extension}, "
        f"password {VISITOR.password}",
        "  then dial 4001 (hotline) or 4002 (straight into the queue of sales)",
    ]
    if spare is not None:
        lines += [
            f"Take calls as an agent: user {spare.extension}, password {spare.password}, "
            "dial *11 to sign in,",
            "  *14 to be away, *13 to be ready again, *12 to sign out",
        ]
    return "\n".join(lines)
