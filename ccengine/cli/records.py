"""Commands about calls and recordings, of now and of the past."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ccengine.cli.live import ask
from ccengine.cli.option import config_option, json_option, places, watch_option
from ccengine.cli.output import show

if TYPE_CHECKING:
    from ccengine.journal.cdr import CdrCall
    from ccengine.store.query import Records

_MOST = click.IntRange(1, 10_000)


def _open_records() -> Records:
    from ccengine.store.query import Records

    return Records(places().store_url)


def ended_row(call: CdrCall) -> dict[str, Any]:
    """Return a call's record under the names that live calls have."""
    return {
        "call": call.call_id,
        "from": call.caller_number,
        "name": call.customer_name or call.caller_name,
        "to": call.number,
        "started_at": call.started_at,
        "answered_at": call.answered_at,
        "ended_at": call.ended_at,
        "wait_s": round(call.wait_s, 3),
        "talk_s": round(call.talk_s, 3),
        "cause": call.cause,
        "ended_by": call.ended_by,
        "queue": call.queue,
        "agent": call.agent_id,
        "customer": call.customer_id,
        "recording": call.recording,
    }


@click.command()
@click.option("--ended", is_flag=True, help="Calls that are over, from the records.")
@click.option("--last", type=_MOST, default=20, show_default=True, help="How many ended calls.")
@click.option("--number", default="", help="Ended calls from or to this number.")
@click.option("--agent", default="", help="Ended calls of this agent.")
@click.option("--queue", default="", help="Ended calls of this queue.")
@config_option
@json_option
@watch_option
def calls(
    ended: bool, last: int, number: str, agent: str, queue: str, as_json: bool, watch: bool
) -> None:
    """Calls that are going on, or with --ended those of the past."""
    from ccengine.cli.table import calls_table, ended_table

    if not (ended or number or agent or queue):
        show(lambda: ask("calls"), calls_table, as_json=as_json, watch=watch)
        return
    records = _open_records()

    def query() -> list[dict[str, Any]]:
        found = records.recent_calls(last, number=number, agent_id=agent, queue=queue)
        return [ended_row(call) for call in found]

    try:
        show(query, ended_table, as_json=as_json, watch=watch)
    finally:
        records.close()


@click.command()
@click.option("--last", type=_MOST, default=20, show_default=True, help="How many.")
@config_option
@json_option
def recordings(last: int, as_json: bool) -> None:
    """Recordings with their calls and files, the latest first."""
    from ccengine.cli.table import recordings_table

    records = _open_records()
    try:
        rows = recording_rows(records, last)
    finally:
        records.close()
    folder = places().recordings
    if not as_json:
        for row in rows:
            row["files"] = [_below(folder, file) for file in row["files"]]
    show(lambda: rows, lambda found: recordings_table(found, _shortest(folder)), as_json=as_json)


def recording_rows(records: Records, limit: int) -> list[dict[str, Any]]:
    """Return the latest recordings, each with its call."""
    rows = []
    for call in records.recent_calls(limit, recorded=True):
        record = records.call(call.call_id)
        rows += [
            {
                "call": call.call_id,
                "started_at": call.started_at,
                "from": call.caller_number,
                "name": call.customer_name or call.caller_name,
                "agent": call.agent_id,
                "duration_s": round(one.duration_s, 3),
                "files": list(one.files),
                "error": one.error,
            }
            for one in (record.recordings if record is not None else ())
        ]
    return rows


def _below(folder: Path, file: str) -> str:
    path = Path(file)
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else file


def _shortest(folder: Path) -> str:
    """Return a path as short as it can be typed in this folder."""
    return min(os.path.relpath(folder), str(folder), key=len)
