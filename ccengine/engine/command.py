"""The commands and queries of a running engine, as the control socket and the API offer them."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any

from ccengine import __version__
from ccengine.api.registry import Actor, Arguments, CommandRegistry
from ccengine.errors import AcdError, CommandError, ConfigError
from ccengine.ports import SetAgentState

if TYPE_CHECKING:
    from ccengine.engine.signalling import Signalling

AGENT_ACTIONS = ("sign_in", "sign_out", "ready", "away")


class Commands:
    """Answers queries by looking at the core, and carries commands out on it."""

    def __init__(self, signalling: Signalling) -> None:
        self._signalling = signalling

    # --- queries -------------------------------------------------------------------------------

    async def status(self, actor: Actor, arguments: Arguments) -> dict[str, Any]:
        """Return what an engineer wants to know first."""
        del actor, arguments
        signalling = self._signalling
        machines = signalling.core.machines
        loads = machines.media.loads()
        return {
            "version": __version__,
            "pid": os.getpid(),
            "up_s": round(signalling.clock.now() - signalling.started, 1),
            "epoch": signalling.journal.epoch,
            "accepting": machines.context.accepting,
            "calls": len(machines.switch.state.calls),
            "legs": len(machines.switch.state.legs),
            "dialogs": machines.sip.session_count,
            "transactions": machines.sip.transaction_count,
            "timers": machines.sip.timer_count,
            "tasks": len(asyncio.all_tasks()),
            "registrations": len(machines.registrar),
            "agents_signed_in": sum(agent.state != "LoggedOut" for agent in machines.acd.agents()),
            "waiting": sum(queue.waiting for queue in machines.acd.queues(signalling.clock.now())),
            "rtp_ports_free": machines.media.free_ports(),
            "rtp_ports_leased": machines.media.leased_ports(),
            "facts": signalling.journal.next_seq - 1,
            "journal_full": signalling.journal.full(),
            "flaws": signalling.core.flaws + machines.context.counters.flaws,
            "cpu_s": round(time.process_time(), 3),
            "workers": {
                name: {
                    "legs": load.legs,
                    "cpu": round(load.cpu, 3),
                    "late_p99_ms": round(load.late_p99_ms, 3),
                    "late_max_ms": round(load.late_max_ms, 3),
                    "packets_in": load.packets_in,
                    "packets_out": load.packets_out,
                    "recording_backlog": load.recording_backlog,
                }
                for name, load in loads.items()
            },
            "sip": _counts(machines.sip.counters),
            "net": _counts(signalling.net.counters),
            "switch": _counts(machines.context.counters),
            "problems": self._problems(),
        }

    def _problems(self) -> list[str]:
        """Return what is wrong in plain words, with what to do."""
        signalling = self._signalling
        machines = signalling.core.machines
        found = []
        if not machines.media.attached():
            found.append("no media worker is attached; calls get 503; look at the workers' log")
        elif machines.media.free_ports() == 0:
            found.append("every RTP port is in use; widen media.ports")
        if signalling.journal.full():
            found.append("the journal's disk is full; new calls get 503; make room")
        if not machines.context.accepting:
            found.append("new calls are refused: the engine drains or cannot write its journal")
        return found

    async def queues(self, actor: Actor, arguments: Arguments) -> list[dict[str, Any]]:
        """Return every queue with those who wait and those who serve."""
        del actor, arguments
        now = self._signalling.clock.now()
        return [
            {
                "queue": queue.name,
                "waiting": queue.waiting,
                "offered": queue.offered,
                "talking": queue.connected,
                "longest_wait_s": round(queue.longest_wait_s, 1),
                "agents": dict(queue.agents),
            }
            for queue in self._signalling.core.machines.acd.queues(now)
        ]

    async def agents(self, actor: Actor, arguments: Arguments) -> list[dict[str, Any]]:
        """Return every agent with state, reason, phone and the call in hand."""
        del actor, arguments
        machines = self._signalling.core.machines
        now = self._signalling.clock.now()
        names = machines.center.settings.agents
        return [
            {
                "agent": agent.agent_id,
                "name": names[agent.agent_id].name if agent.agent_id in names else "",
                "state": agent.state,
                "reason": agent.reason,
                "for_s": round(max(0.0, now - agent.since.now), 1) if agent.since else 0.0,
                "phone": agent.phone,
                "registered": agent.registered,
                "call": agent.entry_id,
            }
            for agent in machines.acd.agents()
        ]

    async def calls(self, actor: Actor, arguments: Arguments) -> list[dict[str, Any]]:
        """Return every call that is going on."""
        del actor, arguments
        machines = self._signalling.core.machines
        now = self._signalling.clock.now()
        rows = []
        for call in machines.switch.state.calls.values():
            session = machines.center.state.sessions.get(call.call_id)
            waiting = session is not None and bool(session.queue) and not session.connected
            rows.append(
                {
                    "call": call.call_id,
                    "from": call.caller.number,
                    "name": call.customer_name or call.caller.name,
                    "to": call.number,
                    "for_s": round(now - call.started, 1),
                    "state": _call_state(call.connected, waiting, call.answered_at is not None),
                    "queue": call.queue,
                    "agent": call.agent_id,
                    "recording": call.recording,
                }
            )
        return rows

    async def registrations(self, actor: Actor, arguments: Arguments) -> list[dict[str, Any]]:
        """Return every phone that is registered."""
        del actor, arguments
        now = self._signalling.clock.now()
        return [
            {
                "aor": record.aor,
                "contact": binding.contact,
                "transport": binding.flow.transport,
                "from": f"{binding.flow.remote[0]}:{binding.flow.remote[1]}",
                "expires_s": max(0, round(binding.deadline - now)),
                "user_agent": binding.user_agent,
            }
            for record in self._signalling.core.machines.registrar
            for binding in record.bindings
        ]

    # --- commands ------------------------------------------------------------------------------

    async def agent(self, actor: Actor, arguments: Arguments) -> dict[str, Any]:
        """Change an agent's state."""
        del actor
        action = str(arguments.get("action", ""))
        if action not in AGENT_ACTIONS:
            raise CommandError(
                f"an agent cannot {action!r}", cure=f"use one of {', '.join(AGENT_ACTIONS)}"
            )
        signalling = self._signalling
        agent_id = str(arguments.get("agent", ""))
        try:
            signalling.core.machines.center.act_on_agent(
                SetAgentState("", "", action, agent_id, reason=str(arguments.get("reason", ""))),  # type: ignore[arg-type]
                signalling.clock.now(),
                signalling.clock.at(),
                phone=str(arguments.get("phone", "")),
            )
        except AcdError as error:
            raise CommandError(error.message, cure=error.cure) from error
        signalling.changed()
        record = signalling.core.machines.acd.agent(agent_id)
        return {"agent": agent_id, "state": record.state, "reason": record.reason}

    async def hangup(self, actor: Actor, arguments: Arguments) -> dict[str, Any]:
        """End a call."""
        del actor
        signalling = self._signalling
        call_id = str(arguments.get("call", ""))
        done = signalling.core.machines.switch.hang_up(
            call_id, "normal", signalling.clock.now(), signalling.clock.at()
        )
        if not done:
            raise CommandError(f"there is no call {call_id!r}", cure="`ccengine calls` lists them")
        signalling.changed()
        return {"call": call_id, "ended": True}

    async def reload(self, actor: Actor, arguments: Arguments) -> dict[str, Any]:
        """Take over what the configuration file says now, or nothing of it when it is wrong."""
        del actor, arguments
        try:
            waiting = await self._signalling.reload()
        except ConfigError as error:
            raise CommandError(
                str(error), cure="nothing was changed; the running configuration stays in force"
            ) from error
        return {"reloaded": True, "needs_restart": list(waiting)}

    async def drain(self, actor: Actor, arguments: Arguments) -> dict[str, Any]:
        """Refuse new calls from now on; running ones go on."""
        del actor, arguments
        self._signalling.drain_only()
        return {"accepting": False, "calls": len(self._signalling.core.machines.switch.state.calls)}

    async def stop(self, actor: Actor, arguments: Arguments) -> dict[str, Any]:
        """Drain and stop with every process of this engine, as SIGTERM to the keeper does."""
        del actor, arguments
        await self._signalling.stop_all()
        return {"stopping": True}


def _call_state(connected: str, waiting: bool, answered: bool) -> str:
    if connected:
        return "talking"
    if waiting:
        return "waiting"
    return "in flow" if answered else "ringing"


def _counts(counters: Any) -> dict[str, int]:
    names = getattr(type(counters), "__slots__", None) or vars(counters)
    return {name: getattr(counters, name) for name in names}


def register_commands(registry: CommandRegistry, signalling: Signalling) -> None:
    """Register every command of a running engine."""
    commands = Commands(signalling)
    for name, handler, help_text in (
        ("status", commands.status, "what the engine is doing, and what is wrong"),
        ("queues", commands.queues, "queues with those who wait and those who serve"),
        ("agents", commands.agents, "agents and their states"),
        ("calls", commands.calls, "calls that are going on"),
        ("registrations", commands.registrations, "phones that are registered"),
    ):
        registry.add(name, handler, right="look", help_text=help_text)
    registry.add(
        "agent",
        commands.agent,
        right="steer",
        help_text="sign an agent in or out, ready or away",
        arguments=("action", "agent", "phone", "reason"),
    )
    registry.add(
        "hangup", commands.hangup, right="steer", help_text="end a call", arguments=("call",)
    )
    registry.add(
        "reload", commands.reload, right="operate", help_text="take over the configuration file"
    )
    registry.add("drain", commands.drain, right="operate", help_text="refuse new calls")
    registry.add("stop", commands.stop, right="operate", help_text="drain and stop")
