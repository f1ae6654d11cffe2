"""Tables of what the engine answers: rows of plain values in, something rich can print out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ccengine.units import format_duration

SHORT_ID = 8
"""Characters of a call's id that tables show; commands take any unique beginning."""

NAME_CELLS = 12

Row = Mapping[str, Any]

STATE_STYLES = {
    "Ready": "green",
    "Reserved": "magenta",
    "Talking": "cyan",
    "WrapUp": "blue",
    "NotReady": "yellow",
    "LoggedOut": "dim",
    "talking": "cyan",
    "waiting": "yellow",
    "ringing": "magenta",
}


class Column(NamedTuple):
    """A column: its heading and which side its cells keep to."""

    heading: str
    justify: Literal["left", "right"] = "left"


def text_table(columns: Sequence[Column], rows: Iterable[Sequence[str | Text]]) -> Table:
    """Return a table without lines, as wide as its cells."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column.heading, justify=column.justify, no_wrap=True)
    for row in rows:
        # Names and numbers come from outside: nothing in them is markup.
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    return table


def _or_nothing(table: Table, nothing: str) -> RenderableType:
    return table if table.row_count else Text(nothing, style="dim")


def _name(text: str) -> str:
    if cell_len(text) <= NAME_CELLS:
        return text
    return set_cell_size(text, NAME_CELLS - 1).rstrip() + "…"


def _state(state: str, reason: str = "") -> Text:
    shown = f"{state} ({reason})" if reason else state
    return Text(shown, style=STATE_STYLES.get(state, ""))


def _local(at: datetime) -> str:
    local = at.astimezone()
    today = local.date() == datetime.now().astimezone().date()
    return local.strftime("%H:%M:%S" if today else "%m-%d %H:%M")


# --- live ----------------------------------------------------------------------------------


def queues_table(queues: Sequence[Row]) -> RenderableType:
    """Show every queue with those who wait and its agents by state."""
    states = ("Ready", "Reserved", "Talking", "WrapUp", "NotReady", "LoggedOut")
    headings = ("READY", "RINGING", "TALKING", "WRAPUP", "AWAY", "OUT")
    columns = [
        Column("QUEUE"),
        Column("WAITING", "right"),
        Column("OFFERED", "right"),
        Column("LONGEST", "right"),
        *(Column(heading, "right") for heading in headings),
    ]
    rows = [
        [
            queue["queue"],
            Text(str(queue["waiting"]), style="bold yellow" if queue["waiting"] else ""),
            str(queue["offered"]),
            format_duration(queue["longest_wait_s"]) if queue["longest_wait_s"] else "-",
            *(str(queue["agents"].get(state, 0)) for state in states),
        ]
        for queue in queues
    ]
    return _or_nothing(text_table(columns, rows), "no queues are configured")


def agents_table(agents: Sequence[Row]) -> RenderableType:
    """Show every agent with state, for how long, phone and call."""
    columns = [
        Column("AGENT"),
        Column("NAME"),
        Column("STATE"),
        Column("FOR", "right"),
        Column("PHONE"),
        Column("REGISTERED"),
        Column("CALL"),
    ]
    rows = [
        [
            agent["agent"],
            _name(agent["name"]),
            _state(agent["state"], agent["reason"]),
            format_duration(agent["for_s"]) if agent["state"] != "LoggedOut" else "-",
            agent["phone"] or "-",
            ("yes" if agent["registered"] else "no") if agent["phone"] else "-",
            agent["call"][:SHORT_ID] or "-",
        ]
        for agent in agents
    ]
    return _or_nothing(text_table(columns, rows), "no agents are configured")


def calls_table(calls: Sequence[Row]) -> RenderableType:
    """Show the calls that are going on."""
    columns = [
        Column("CALL"),
        Column("FROM"),
        Column("NAME"),
        Column("TO"),
        Column("STATE"),
        Column("FOR", "right"),
        Column("QUEUE"),
        Column("AGENT"),
        Column("REC"),
    ]
    rows = [
        [
            call["call"][:SHORT_ID],
            call["from"],
            _name(call["name"]) or "-",
            call["to"],
            _state(call["state"]),
            format_duration(call["for_s"]),
            call["queue"] or "-",
            call["agent"] or "-",
            "yes" if call["recording"] else "-",
        ]
        for call in calls
    ]
    return _or_nothing(text_table(columns, rows), "no calls")


def registrations_table(registrations: Sequence[Row]) -> RenderableType:
    """Show the phones that are registered."""
    columns = [
        Column("PHONE"),
        Column("TRANSPORT"),
        Column("FROM"),
        Column("EXPIRES", "right"),
        Column("USER AGENT"),
    ]
    rows = [
        [
            one["aor"].removeprefix("sip:"),
            one["transport"],
            one["from"],
            format_duration(one["expires_s"]),
            one["user_agent"] or "-",
        ]
        for one in registrations
    ]
    return _or_nothing(text_table(columns, rows), "no phone is registered")


# --- ended ---------------------------------------------------------------------------------


def ended_table(calls: Sequence[Row]) -> RenderableType:
    """Show records of calls, the latest first."""
    columns = [
        Column("CALL"),
        Column("STARTED"),
        Column("FROM"),
        Column("NAME"),
        Column("TO"),
        Column("QUEUE"),
        Column("AGENT"),
        Column("WAIT", "right"),
        Column("TALK", "right"),
        Column("REC"),
        Column("END"),
    ]
    rows = [
        [
            call["call"][:SHORT_ID],
            _local(call["started_at"]),
            call["from"],
            _name(call["name"]) or "-",
            call["to"],
            call["queue"] or "-",
            call["agent"] or "-",
            format_duration(call["wait_s"]),
            format_duration(call["talk_s"]) if call["talk_s"] else "-",
            "yes" if call["recording"] else "-",
            call["cause"],
        ]
        for call in calls
    ]
    return _or_nothing(text_table(columns, rows), "no call has ended yet")


def recordings_table(recordings: Sequence[Row], folder: str) -> RenderableType:
    """Show recordings with their calls; the files' paths start at ``folder``."""
    columns = [
        Column("STARTED"),
        Column("FROM"),
        Column("AGENT"),
        Column("LENGTH", "right"),
        Column(f"FILES IN {folder}"),
    ]
    rows = [
        [
            _local(one["started_at"]),
            one["from"],
            one["agent"] or "-",
            format_duration(one["duration_s"]),
            Text(one["error"], style="red") if one["error"] else "\n".join(one["files"]),
        ]
        for one in recordings
    ]
    return _or_nothing(text_table(columns, rows), "no call has been recorded yet")


# --- status --------------------------------------------------------------------------------


def status_table(status: Row) -> RenderableType:
    """Show what an engineer wants to know first, problems last and in red."""
    sip, net = status["sip"], status["net"]
    taking = "takes new ones" if status["accepting"] else "takes no new ones"
    lines = [
        (
            "engine",
            f"{status['version']}, up {format_duration(status['up_s'])}, "
            f"process {status['pid']}, epoch {status['epoch']}",
        ),
        (
            "calls",
            f"{status['calls']} ({status['legs']} legs), {status['waiting']} waiting; {taking}",
        ),
        (
            "people",
            f"{status['agents_signed_in']} agents signed in, "
            f"{status['registrations']} phones registered",
        ),
        *((name, worker_line(load)) for name, load in status["workers"].items()),
        (
            "RTP ports",
            f"{status['rtp_ports_free']} free at hand, {status['rtp_ports_leased']} in use",
        ),
        (
            "SIP",
            f"{sip['requests_in']} requests, {sip['responses_in']} responses in, "
            f"{sip['messages_out']} out; {sip['malformed']} malformed, "
            f"{sip['retransmissions_in'] + sip['retransmissions_out']} retransmissions",
        ),
        ("network", f"{net['connections']} connections, {net['send_failures']} sends failed"),
        ("journal", f"{status['facts']} facts" + (", full" if status["journal_full"] else "")),
    ]
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column()
    for name, value in lines:
        grid.add_row(Text(name), Text(value))
    problems = [Text(f"problem: {problem}", style="red") for problem in status["problems"]]
    return Group(grid, *problems)


def worker_line(load: Row) -> str:
    """Return the load of a media worker in one line."""
    return (
        f"{load['legs']} legs, {load['cpu']:.1%} of a core, "
        f"ticks late p99 {load['late_p99_ms']:.2f} ms (max {load['late_max_ms']:.2f})"
    )
